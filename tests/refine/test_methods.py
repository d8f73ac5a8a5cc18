"""Every refinement against plain matrices of the rows, and one contract for all of them."""

import json

import numpy as np
import pytest
import scipy.linalg

from ace_steps.errors import InputError
from ace_steps.refine.factor import factorise
from ace_steps.refine.methods import parse_settings, plan
from ace_steps.refine.plan import Source
from ace_steps.registry import REFINEMENTS
from tests.refine.made import SETTINGS, made_vectors, unit
from tests.refine.test_moments import summed

N, D, K = 90, 12, 8  # K is the dim in SETTINGS
ROWS = unit(made_vectors(N, D))
APART = ROWS - ROWS.mean(axis=0)
TABLES = {"random", "llm2x", "svd", "whitening", "ace"}


def planned(method, rows=ROWS, **change):
    text = json.dumps({"method": method, **SETTINGS[method], **change})
    return plan(parse_settings(text, "--settings"), source_of(rows))


def source_of(rows):
    moments = summed(rows)
    raw, centred = (factorise(moments, center=center) for center in (False, True))
    return Source(raw, centred, lambda: iter([rows]))


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


@pytest.mark.parametrize("method", REFINEMENTS)
def test_every_method_refines_with_nothing_said_but_its_name(method):
    given = {"method": method}
    if method == "ace":
        given["lambda_rel"] = 0.1  # alone it is a grid
    settings = parse_settings(json.dumps(given), "--settings")
    rows = unit(made_vectors(200, 136))
    made = plan(settings, source_of(rows))
    found = made.start()(rows)
    assert found.shape == (200, made.width)
    assert np.isfinite(found).all()
    assert made.item_encoder.get("width", made.width) == 128
    if method not in ("random", "llm2x"):
        assert found.std() == pytest.approx(settings.gamma, rel=1e-6)


def test_defaults_that_are_not_a_number_of_their_own_are_resolved():
    assert parse_settings('{"method": "alphafuse", "dim": 9}', "--settings").n_trainable() == 4
    fuse = planned("alphafuse", trainable_last=None)
    assert fuse.item_encoder["trainable_last"] == K // 2


@pytest.mark.parametrize("method", REFINEMENTS)
def test_chunks_change_nothing_beyond_rounding(method):
    whole = carried_out(method)
    np.testing.assert_allclose(carried_out(method, chunk=7), whole, atol=1e-12)
    assert whole.shape == (N, planned(method).width)


@pytest.mark.parametrize("method", sorted(set(REFINEMENTS) - {"random"}))
def test_the_order_of_the_items_permutes_the_rows_alone(method):
    order = np.random.default_rng(5).permutation(N)
    other = carried_out(method, rows=np.ascontiguousarray(ROWS[order]))
    np.testing.assert_allclose(other, carried_out(method)[order], atol=1e-10)


@pytest.mark.parametrize("method", sorted(set(REFINEMENTS) - {"random"}))
def test_moments_gain_and_map_are_those_of_the_rows(method):
    made, rows = planned(method), carried_out(method)
    np.testing.assert_allclose(made.moments.gram, rows.T @ rows, atol=1e-9)
    np.testing.assert_allclose(made.moments.total, rows.sum(axis=0), atol=1e-9)
    np.testing.assert_allclose(made.map.apply(ROWS), rows, atol=0)
    first = rows[:, : made.item_encoder.get("parts", [made.width])[0]] / made.facts["scale"]
    values = np.linalg.svd(first, compute_uv=False)
    np.testing.assert_allclose(made.gain, values[: len(made.gain)], atol=1e-9)


@pytest.mark.parametrize("method", REFINEMENTS)
def test_training_can_tell_what_to_build(method):
    made = planned(method)
    encoder = made.item_encoder
    assert json.loads(json.dumps(made.facts)) == made.facts
    if method in TABLES:
        drawn = {"kind": "drawn_table", "std": 0.02}
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
    same_up_to_signs(carried_out("llmemb", pca_dim=asked), (u * s)[:, :kept])
    encoder = planned("llmemb", pca_dim=asked).item_encoder
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
        ("acee", {}, "method: .*'acee'.*'ace'"),
        ("alphafuse", {"trainable_last": 9}, "trainable_last: .*8.*9"),
        ("svd", {"gamma": 0}, "gamma: .*> 0.*0"),
        ("svd", {"gamma": [0.1, 0]}, "gamma.*1.*> 0.*0"),
        ("svd", {"gamma": [0.1, 0.1]}, "gamma: .*once.*0.1"),
        ("svd", {"dim": 0}, "dim: .*>= 1.*0"),
        ("svd", {"dim": 8.5}, "dim: .*integer.*8.5"),
        ("svd", {"centre": True}, "centre: unknown key.*'center'"),
        ("llm2x", {"lambda": 3}, "lambda: unknown key.*dim"),
    ],
)
def test_settings_that_cannot_be_are_refused(method, change, message):
    base = SETTINGS.get(method, {})
    with pytest.raises(InputError, match=f"--settings: {message}"):
        parse_settings(json.dumps({"method": method, **base, **change}), "--settings")


@pytest.mark.parametrize(
    ("method", "key", "values"),
    [
        ("random", "std", [0.02, 0.1]),
        ("svd", "gamma", [0.1]),
        ("ace", "lambda", [0, 5]),
        ("whitenrec_plus", "groups", [2, 3]),
        ("llmemb", "pca_dim", [4, 8]),
        ("alphafuse", "trainable_last", [0, 3]),
    ],
)
def test_a_list_where_a_step_expects_one_value_is_refused(method, key, values):
    text = json.dumps({"method": method, key: values})
    with pytest.raises(InputError, match=f"--settings: {key}: .*single value.*list") as refusal:
        parse_settings(text, "--settings")
    assert str(values[0]) in str(refusal.value)


def test_all_mistakes_of_the_settings_are_in_one_line():
    text = json.dumps({"method": "svd", "gamma": -1, "dim": "8", "centre": True})
    with pytest.raises(InputError) as refusal:
        parse_settings(text, "--settings")
    line = str(refusal.value)
    assert "\n" not in line
    assert all(f"{key}: " in line for key in ("gamma", "dim", "centre"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "method: missing.*random.*ace"),
        ("[]", "method: missing"),
        ("[", "not JSON"),
    ],
)
def test_settings_without_a_method_are_refused(text, message):
    with pytest.raises(InputError, match=f"--settings: {message}"):
        parse_settings(text, "--settings")


@pytest.mark.parametrize("method", ["llm2x", "svd", "whitening", "ace", "alphafuse"])
def test_a_width_beyond_the_rank_is_refused(method):
    rows = unit(made_vectors(N, D, rank=6))
    with pytest.raises(InputError, match="have only rank"):
        planned(method, rows=rows)


SHAPES = [(method, {"dim": dim}) for method in REFINEMENTS for dim in (D, D + 1)]
SHAPES += [("whitenrec_plus", {"groups": groups}) for groups in (3, 5)]


@pytest.mark.parametrize(("method", "change"), SHAPES)
def test_a_plan_knows_from_the_encoders_dim_what_the_step_would_refuse(method, change):
    given = {"method": method, **SETTINGS[method], **change}
    said = parse_settings(json.dumps(given), "--settings").refusal_of(D)
    if said is None:
        assert planned(method, rows=unit(np.vstack([ROWS, np.eye(D)])), **change).width
    else:
        key = next(iter(change))
        assert said.startswith(f"{key}: ")
        assert str(change[key]) in said
        with pytest.raises(InputError):
            planned(method, **change)


@pytest.mark.parametrize("method", ["whitenrec_plus", "llmemb"])
def test_equal_vectors_leave_nothing_to_centre(method):
    with pytest.raises(InputError, match="the item vectors are all equal"):
        planned(method, rows=unit(np.ones((5, D))))
