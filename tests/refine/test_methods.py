"""Every refinement against plain matrices of the rows, and one contract for all of them."""

import json

import numpy as np
import pytest
import scipy.linalg
import yaml

from ace_steps.errors import InputError
from ace_steps.refine.factor import factorise
from ace_steps.refine.methods import METHODS, parse_settings, plan
from ace_steps.refine.plan import Source
from tests.conftest import ROOT
from tests.refine.made import SETTINGS, made_vectors, unit
from tests.refine.test_moments import summed

SCHEMA = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())
N, D, K = 90, 12, 8  # K is the width in SETTINGS
ROWS = unit(made_vectors(N, D))
APART = ROWS - ROWS.mean(axis=0)
TABLES = {"random", "llm2x", "svd", "whitening", "ace"}


def planned(method, rows=ROWS, **change):
    text = json.dumps({"method": method, **SETTINGS[method], **change})
    moments = summed(rows)
    source = Source(
        factorise(moments, center=False), factorise(moments, center=True), lambda: iter([rows])
    )
    return plan(parse_settings(text, "--settings"), source)


def carried_out(method, rows=ROWS, chunk=N, **change):
    refine = planned(method, rows, **change).start()
    return np.concatenate([refine(rows[i : i + chunk]) for i in range(0, len(rows), chunk)])


def same_up_to_signs(found, wanted, atol=1e-9):
    signs = np.sign((found * wanted).sum(axis=0))
    np.testing.assert_allclose(found, wanted * signs, atol=atol)


def svd(rows):
    u, s, vt = np.linalg.svd(rows, full_matrices=False)
    return u, s, vt


def zca(rows):
    """U V' by the polar decomposition, a solver of its own."""
    return scipy.linalg.polar(rows)[0]


@pytest.mark.parametrize("method", METHODS)
def test_the_schema_and_the_settings_have_the_same_keys(method):
    fields = METHODS[method].settings.model_fields
    keys = {field.alias or name: field.is_required() for name, field in fields.items()}
    definition = SCHEMA["$defs"][method]
    assert keys.keys() == definition["properties"].keys()
    assert {key for key, is_required in keys.items() if is_required} == set(definition["required"])


@pytest.mark.parametrize("method", METHODS)
def test_every_method_of_the_registry_is_in_the_schema(method):
    entry = SCHEMA["$defs"]["refinement"]
    assert set(entry["properties"]["method"]["enum"]) == set(METHODS)
    chosen = {
        case["if"]["properties"]["method"]["const"]: case["then"]["$ref"] for case in entry["allOf"]
    }
    assert chosen[method] == f"#/$defs/{method}"


@pytest.mark.parametrize("method", METHODS)
def test_chunks_change_nothing_beyond_rounding(method):
    whole = carried_out(method)
    np.testing.assert_allclose(carried_out(method, chunk=7), whole, atol=1e-12)
    assert whole.shape == (N, planned(method).width)


@pytest.mark.parametrize("method", set(METHODS) - {"random"})
def test_the_order_of_the_items_permutes_the_rows_alone(method):
    order = np.random.default_rng(5).permutation(N)
    other = carried_out(method, rows=np.ascontiguousarray(ROWS[order]))
    np.testing.assert_allclose(other, carried_out(method)[order], atol=1e-10)


@pytest.mark.parametrize("method", set(METHODS) - {"random"})
def test_moments_gain_and_map_are_those_of_the_rows(method):
    made, rows = planned(method), carried_out(method)
    np.testing.assert_allclose(made.moments.gram, rows.T @ rows, atol=1e-9)
    np.testing.assert_allclose(made.moments.total, rows.sum(axis=0), atol=1e-9)
    np.testing.assert_allclose(made.map.apply(ROWS), rows, atol=0)
    first = rows[:, : made.item_encoder.get("parts", [made.width])[0]] / made.facts["scale"]
    values = np.linalg.svd(first, compute_uv=False)
    np.testing.assert_allclose(made.gain, values[: len(made.gain)], atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_training_can_tell_what_to_build(method):
    made = planned(method)
    encoder = made.item_encoder
    assert json.loads(json.dumps(made.facts)) == made.facts
    if method in TABLES:
        drawn = {"kind": "drawn_table", "std": SETTINGS["random"]["std"]}
        assert encoder == (drawn if method == "random" else {"kind": "table"})
        assert made.width == K
        return
    assert sum(encoder["parts"]) == made.width
    assert encoder["width"] == K


def test_random_is_a_seeded_normal_table_whatever_the_vectors():
    table = carried_out("random", rows=unit(made_vectors(4000, 4)))
    assert table.std() == pytest.approx(0.02, rel=0.02)
    assert abs(table.mean()) < 0.001
    np.testing.assert_array_equal(table[:N], carried_out("random"))
    assert (carried_out("random", seed=4) != table[:N]).all()


def test_llm2x_is_the_scores_of_a_centred_pca():
    u, s, _ = svd(APART)
    same_up_to_signs(carried_out("llm2x"), (u * s)[:, :K])


@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize(
    ("method", "gain"),
    [
        ("svd", lambda s: s),
        ("whitening", np.ones_like),
        ("ace", lambda s: s / np.sqrt(s**2 + 2.0)),
    ],
)
def test_the_spectral_tables_are_singular_vectors_times_gains(method, gain, center):
    u, s, _ = svd(APART if center else ROWS)
    found = carried_out(method, center=center)
    wanted = u[:, :K] * gain(s[:K])
    assert found.std() == pytest.approx(0.1, rel=1e-10)
    same_up_to_signs(found / np.linalg.norm(found), wanted / np.linalg.norm(wanted))


def test_ace_meets_whitening_and_svd_at_the_ends_of_its_dial():
    whitened = carried_out("ace", **{"lambda": 0})
    np.testing.assert_allclose(whitened, carried_out("whitening"), atol=1e-12)
    np.testing.assert_allclose(
        carried_out("ace", **{"lambda": 1e13}), carried_out("svd"), atol=1e-9
    )


def test_the_facts_of_ace_hold_the_solved_lambda():
    weakest = svd(ROWS)[1][K - 1] ** 2
    facts = planned("ace", **{"lambda": 3.0}).facts
    assert facts["lambda"] == 3.0
    assert facts["lambda_rel"] == pytest.approx(3.0 / weakest, rel=1e-9)


@pytest.mark.parametrize("groups", [1, 2, 3, 12])
def test_whitenrec_plus_is_full_and_group_zca_side_by_side(groups):
    found = carried_out("whitenrec_plus", groups=groups)
    parts = [zca(part) for part in np.split(APART, groups, axis=1)]
    np.testing.assert_allclose(found[:, :D], zca(APART), atol=1e-9)
    np.testing.assert_allclose(found[:, D:], np.hstack(parts), atol=1e-9)
    assert planned("whitenrec_plus").item_encoder == {
        "kind": "mlp",
        "parts": [D, D],
        "hidden": D // 2,
        "width": K,
        "activation": "relu",
    }


def test_whitenrec_plus_leaves_out_directions_without_content():
    rows = unit(made_vectors(N, D, rank=5))
    found = carried_out("whitenrec_plus", rows=rows, groups=2)
    values = np.linalg.svd(found[:, :D], compute_uv=False)
    np.testing.assert_allclose(values[:5], 1, atol=1e-8)
    np.testing.assert_allclose(values[5:], 0, atol=1e-8)


def test_whitenrec_plus_refuses_groups_that_do_not_divide_the_width():
    with pytest.raises(InputError, match="5 groups do not divide the width 12"):
        planned("whitenrec_plus", groups=5)


def test_alpharec_is_the_unit_vectors_themselves():
    np.testing.assert_array_equal(carried_out("alpharec"), ROWS)
    assert planned("alpharec").item_encoder == {
        "kind": "mlp",
        "parts": [D],
        "hidden": D // 2,
        "width": K,
        "activation": "leaky_relu",
    }


@pytest.mark.parametrize(("asked", "kept"), [(5, 5), (1536, D)])
def test_llmemb_is_the_scores_of_as_many_components_as_there_are(asked, kept):
    u, s, _ = svd(APART)
    same_up_to_signs(carried_out("llmemb", pca_width=asked), (u * s)[:, :kept])
    encoder = planned("llmemb", pca_width=asked).item_encoder
    assert (encoder["parts"], encoder["hidden"]) == ([kept], kept // 2)
    assert encoder["activation"] == "identity"


def test_llmemb_takes_fewer_items_than_entries():
    assert planned("llmemb", rows=unit(made_vectors(7, D))).width == 6  # centring takes one


@pytest.mark.parametrize("method", ["whitenrec_plus", "alpharec", "llmemb"])
def test_gamma_sets_the_size_of_frozen_vectors_and_nothing_else(method):
    as_made, found = carried_out(method), carried_out(method, gamma=0.7)
    assert found.std() == pytest.approx(0.7, rel=1e-6)
    np.testing.assert_allclose(found, as_made * (0.7 / as_made.std()), rtol=1e-6, atol=1e-9)


def test_alphafuse_has_unit_variance_in_every_column():
    found = carried_out("alphafuse")
    np.testing.assert_allclose(found.T @ found / N, np.eye(K), atol=1e-9)
    same_up_to_signs(found, svd(APART)[0][:, :K] * np.sqrt(N), atol=1e-8)
    assert planned("alphafuse", trainable_last=0).item_encoder == {
        "kind": "partly_trainable",
        "parts": [K],
        "width": K,
        "trainable_last": 0,
        "std": 1.0,
    }


@pytest.mark.parametrize(
    ("method", "change", "message"),
    [
        ("acee", {}, "unknown refinement 'acee'; did you mean 'ace'?"),
        ("alphafuse", {"trainable_last": 9}, "trainable_last is 9, larger than width 8"),
        ("svd", {"gamma": 0}, "key 'gamma'"),
        ("svd", {"width": 0}, "key 'width'"),
        ("svd", {"centre": True}, "unknown key 'centre'; did you mean 'center'?"),
        ("llm2x", {"lambda": 3}, "unknown key 'lambda'"),
    ],
)
def test_settings_that_cannot_be_are_refused(method, change, message):
    base = SETTINGS.get(method, {})
    with pytest.raises(InputError) as refusal:
        parse_settings(json.dumps({"method": method, **base, **change}), "--settings")
    assert message in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "message"), [("{}", "key 'method' is missing"), ("[", "Invalid JSON")]
)
def test_settings_without_a_method_are_refused(text, message):
    with pytest.raises(InputError, match=message):
        parse_settings(text, "--settings")


@pytest.mark.parametrize("method", ["llm2x", "svd", "whitening", "ace", "alphafuse"])
def test_a_width_beyond_the_rank_is_refused(method):
    rows = unit(made_vectors(N, D, rank=6))
    with pytest.raises(InputError, match="have only rank"):
        planned(method, rows=rows)


@pytest.mark.parametrize("method", ["whitenrec_plus", "llmemb"])
def test_equal_vectors_leave_nothing_to_centre(method):
    with pytest.raises(InputError, match="the item vectors are all equal"):
        planned(method, rows=unit(np.ones((5, D))))
