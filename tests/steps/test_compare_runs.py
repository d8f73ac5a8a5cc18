import numpy as np
import pytest

from ace_steps.config import grid
from ace_steps.io.parquet import read_provenance, read_table
from ace_steps.io.tables import COMPARISONS
from ace_steps.steps import compare_runs
from tests.reporting.made_report import collect
from tests.reporting.made_results import as_option, made_config, write_ranks, write_selection

CONFIG = made_config([0, 5], [1, 2, 3], ("random", "whitening"))
PLAN = grid.Plan(CONFIG)
N_USERS = 2000
SHARE = {"random": 1.0, "whitening": 1.0, "ace-lambda_0": 1.0, "ace-lambda_5": 0.5}  # of a rank


def make(folder):
    """Ranks of all runs: ace at lambda 5 halves every rank, the others are alike."""
    hard = np.random.default_rng(0).random(N_USERS)
    for cell in PLAN.cells:
        first = PLAN.first_runs(cell)
        scores = {run: 1 - SHARE[run.refinement] for run in first}
        chosen = write_selection(folder / "results", cell, scores)
        for run in PLAN.runs(cell, chosen):
            rng = np.random.default_rng([run.seed, *map(ord, run.refinement)])
            drawn = 200 ** (hard + rng.random((2, N_USERS)))
            ranks = np.ceil(drawn * SHARE[run.refinement]).tolist()
            write_ranks(folder / "results/rank", run, *ranks)
    assert collect(folder, CONFIG) == 0
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make(tmp_path_factory.mktemp("compared"))


def compare(folder, out):
    report = folder / "results/report"
    tables = ["--metrics", str(report / "metrics.parquet"), "--runs", str(report / "runs.parquet")]
    places = ["--results", str(folder / "results"), "--comparisons", str(out)]
    return compare_runs.main(["--config", as_option(CONFIG), *tables, *places])


def test_a_planted_winner_is_found_on_ranks_that_went_through_every_step(made, tmp_path):
    assert compare(made, tmp_path / "c.parquet") == 0
    table = read_table(tmp_path / "c.parquet", COMPARISONS).filter(slice="all")
    won = table.filter(refinement_a="ace")
    assert set(won["refinement_b"]) == {"random", "whitening"} or set(won["role"]) == {"both"}
    assert (won["difference"] > 0).all()
    assert (won["p_holm"] < 0.01).all()
    assert (won["low"] > 0).all()
    assert (won["n_seeds"] == 3).all()
    lost = table.filter(refinement_a="whitening", refinement_b="random")
    assert (lost["p_holm"] > 0.05).all()


def test_the_same_tables_give_the_same_bytes(made, tmp_path):
    assert compare(made, tmp_path / "c.parquet") == compare(made, tmp_path / "d.parquet") == 0
    assert (tmp_path / "c.parquet").read_bytes() == (tmp_path / "d.parquet").read_bytes()
    note = read_provenance(tmp_path / "c.parquet")
    assert set(note.inputs) == {"metrics", "runs"}


def test_ranks_of_other_users_than_the_partners_are_refused(tmp_path, capfd):
    folder = make(tmp_path)
    (cell,) = (cell for cell in PLAN.cells if cell.refinement_entry == "whitening")
    (run,) = PLAN.first_runs(cell)
    path = write_ranks(folder / "results/rank", run, [1.0] * 7, [1.0] * 7)
    assert compare(folder, tmp_path / "c.parquet") == 2
    assert f"{path}: not comparable with " in capfd.readouterr().err
    assert not (tmp_path / "c.parquet").exists()
