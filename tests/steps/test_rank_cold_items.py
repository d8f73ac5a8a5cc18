"""Hidden items: gone from training, wanted in the test, ranked by what stands for them."""

import json

import numpy as np
import polars as pl
import pytest

from ace_steps.evaluation.metrics import CUTOFFS
from ace_steps.io.parquet import read_provenance, read_table
from ace_steps.io.tables import COLD_ITEMS
from ace_steps.serving.cold_items import hide, new_vectors, without_hidden
from ace_steps.steps import rank_cold_items
from tests.serving.made import settings_of
from tests.steps.made_training import shared_options, write_inputs
from tests.training.made import N_ITEMS, interactions_of, random_interactions

METHODS = {
    "ace": {"method": "ace", "dim": 8, "lambda": 0.5, "gamma": 0.1},
    "random": {"method": "random", "dim": 8, "std": 0.1},
    "alpharec": {"method": "alpharec", "dim": 8, "gamma": None},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("cold")
    write_inputs(made)
    return made


def cold(folder, method="ace", kind="sasrec", share="0.3"):
    return rank_cold_items.main(
        [
            *shared_options(folder, settings_of(kind)),
            *("--refinement-settings", json.dumps(METHODS[method])),
            *("--share", share, "--hiding-seed", "0", "--state", str(folder / "state")),
            *("--cold-items", str(folder / "cold_items.parquet")),
        ]
    )


@pytest.mark.parametrize("kind", ["sasrec", "bert4rec"])
@pytest.mark.parametrize("method", METHODS)
def test_new_and_known_targets_are_measured_by_every_start(folder, method, kind):
    assert cold(folder, method, kind) == 0
    table = read_table(folder / "cold_items.parquet", COLD_ITEMS)
    names = {"folded_in", "shuffled", "random"} | (set() if method == "alpharec" else {"mapped"})
    assert set(table["vectors"]) == names
    assert table["value"].is_between(0, 1).all()
    kinds = table.select("targets", "candidates", "n_candidates").unique()
    assert set(kinds.rows()) == {("known", "all", 30), ("new", "all", 30), ("new", "new", 9)}
    assert len(table) == len(names) * 3 * 3 * len(CUTOFFS)
    everything = table.filter(candidates="new", metric="recall", cutoff=10)
    assert (everything["value"] == 1).all()  # nine candidates: all within ten
    test = random_interactions().filter(split="test")
    hidden = hide(N_ITEMS, share=0.3, seed=0)[0][21:] + 1
    wanted = test.filter(pl.col("item").is_in(hidden.tolist()))["user"].n_unique()
    assert 0 < table.filter(targets="new")["n_targets"].unique().item() <= wanted


def test_the_same_call_gives_the_same_bytes_and_leaves_no_state(folder):
    assert cold(folder) == 0
    once = (folder / "cold_items.parquet").read_bytes()
    assert cold(folder) == 0
    assert (folder / "cold_items.parquet").read_bytes() == once
    assert not (folder / "state").exists()
    note = read_provenance(folder / "cold_items.parquet")
    assert (note.settings["share"], note.facts["n_known"]) == (0.3, 21)


def test_a_hidden_item_stays_in_the_log_as_a_test_target_alone():
    log = interactions_of([[1, 2, 3, 2, 4], [2, 2, 2, 3], [3, 1, 2], [4, 2, 1, 3]])
    found = without_hidden(log, np.array([0, 2, 3, 1]), n_known=3)  # item 2 is hidden
    rows = found.group_by("user", maintain_order=True).agg("item", "split").rows()
    assert rows == [
        (0, [1, 2, 3], ["train", "train", "test"]),  # 1, 3, 4; the events of item 2 are gone
        (2, [2, 1, 4], ["train", "valid", "test"]),  # 3, 1, and item 2 as the target
        (3, [3, 1, 2], ["train", "valid", "test"]),
    ]  # user 1 had nothing else to train on


def test_the_hidden_items_are_a_seeded_share():
    order, n_known = hide(1000, share=0.1, seed=3)
    assert n_known == 900
    assert sorted(order) == list(range(1000))
    assert np.array_equal(order, hide(1000, share=0.1, seed=3)[0])
    assert not np.array_equal(order, hide(1000, share=0.1, seed=4)[0])


def test_the_map_from_refined_to_trained_vectors_is_found_where_there_is_one():
    rng = np.random.default_rng(0)
    matrix = np.vstack([np.zeros(3), rng.standard_normal((40, 3))]).astype(np.float32)
    turn, shift = rng.standard_normal((3, 3)), rng.standard_normal(3)
    new = rng.standard_normal((5, 3)).astype(np.float32)
    found = new_vectors(matrix, new, (matrix @ turn + shift).astype(np.float32), seed=0)
    np.testing.assert_allclose(found["mapped"], new @ turn + shift, rtol=0, atol=1e-4)
    np.testing.assert_array_equal(np.sort(found["shuffled"], axis=0), np.sort(new, axis=0))
    assert (found["shuffled"] != new).any(axis=1).all()


@pytest.mark.parametrize(
    ("share", "message"),
    [("0.001", "a share of 0.001 of 30 items hides 0"), ("1", "hides 30 of them")],
)
def test_a_share_that_hides_nothing_or_everything_is_refused(folder, capsys, share, message):
    (folder / "cold_items.parquet").unlink(missing_ok=True)
    assert cold(folder, share=share) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert message in lines[0]
    assert not (folder / "cold_items.parquet").exists()
