"""The step rank_cold_items: hidden items are gone from training and ranked by stand-ins."""

import json

import polars as pl
import pytest

from ace_steps.evaluation.metrics import CUTOFFS
from ace_steps.io.parquet import read_provenance, read_table
from ace_steps.io.tables import COLD_ITEMS
from ace_steps.serving.cold_items import hide
from ace_steps.steps import rank_cold_items
from tests.serving.made import settings_of
from tests.steps.made_training import shared_options, write_inputs
from tests.training.made import N_ITEMS, random_interactions

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


@pytest.mark.parametrize(
    ("method", "kind"), [("ace", "sasrec"), ("random", "bert4rec"), ("alpharec", "sasrec")]
)
def test_new_and_known_targets_are_measured_by_every_stand_in(folder, method, kind):
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
    n_hidden = test.filter(pl.col("item").is_in(hidden.tolist()))["user"].n_unique()
    assert 0 < table.filter(targets="new")["n_targets"].unique().item() <= n_hidden


def test_the_same_call_gives_the_same_bytes_and_leaves_no_state(folder):
    assert cold(folder) == 0
    once = (folder / "cold_items.parquet").read_bytes()
    assert cold(folder) == 0
    assert (folder / "cold_items.parquet").read_bytes() == once
    assert not (folder / "state").exists()
    note = read_provenance(folder / "cold_items.parquet")
    assert (note.settings["share"], note.facts["n_known"]) == (0.3, 21)


def test_a_share_that_hides_nothing_is_refused_in_one_line(folder, capsys):
    (folder / "cold_items.parquet").unlink(missing_ok=True)
    assert cold(folder, share="0.001") == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "a share of 0.001 of 30 items hides 0" in line
    assert not (folder / "cold_items.parquet").exists()
