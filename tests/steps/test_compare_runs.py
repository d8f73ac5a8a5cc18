import numpy as np
import pytest

from ace_steps.config import grid
from ace_steps.io.parquet import read_provenance, read_table
from ace_steps.io.tables import COMPARISONS
from ace_steps.steps import compare_runs
from tests.reporting.made_report import collect
from tests.reporting.made_results import as_option, made_config, write_ranks, write_selection

CONFIG = made_config([0, 5], [1, 2, 3], ("random", "whitening"))
CONFIG["encoders"]["large"] = CONFIG["encoders"]["small"]  # its random is that of small
PLAN = grid.Plan(CONFIG)
N_USERS = 600
SHARE = {"random": 1.0, "whitening": 1.0, "ace-lambda_0": 1.0, "ace-lambda_5": 0.5}  # of a rank


@pytest.fixture
def folder(tmp_path):
    """Ranks of all runs: ace at lambda 5 halves every rank, the others are alike."""
    hard = np.random.default_rng(0).random(N_USERS)
    for cell in PLAN.cells:
        scores = {run: 1 - SHARE[run.refinement] for run in PLAN.first_runs(cell)}
        chosen = write_selection(tmp_path / "results", cell, scores)
        for run in PLAN.runs(cell, chosen):
            rng = np.random.default_rng([run.seed, *map(ord, run.refinement)])
            drawn = 200 ** (hard + rng.random((2, N_USERS)))
            ranks = np.ceil(drawn * SHARE[run.refinement]).tolist()
            write_ranks(tmp_path / "results/rank", run, *ranks)
    assert collect(tmp_path, CONFIG) == 0
    return tmp_path


def compare(folder):
    report = folder / "results/report"
    tables = ["--metrics", str(report / "metrics.parquet"), "--runs", str(report / "runs.parquet")]
    places = ["--results", str(folder / "results"), "--comparisons", str(folder / "c.parquet")]
    return compare_runs.main(["--config", as_option(CONFIG), *tables, *places])


def test_a_planted_winner_is_found_on_ranks_that_went_through_every_step(folder):
    assert compare(folder) == 0
    content = (folder / "c.parquet").read_bytes()
    assert compare(folder) == 0
    assert (folder / "c.parquet").read_bytes() == content
    table = read_table(folder / "c.parquet", COMPARISONS).filter(slice="all")
    won = table.filter(refinement_a="ace")
    assert set(won["refinement_b"]) == {"random", "whitening"} or set(won["role"]) == {"both"}
    for column in ("difference", "low"):
        assert (won[column] > 0).all()
    assert (won["p_holm"] < 0.01).all()
    assert (won["n_seeds"] == 3).all()
    assert set(won["encoder"]) == {"small", "large"}
    lost = table.filter(refinement_a="whitening", refinement_b="random")
    assert (lost["p_holm"] > 0.05).all()
    assert read_provenance(folder / "c.parquet").inputs.keys() == {"metrics", "runs"}


def test_ranks_of_other_users_than_the_others_are_refused(folder, capfd):
    cell = next(cell for cell in PLAN.cells if cell.refinement_entry == "whitening")
    (run,) = PLAN.first_runs(cell)
    path = write_ranks(folder / "results/rank", run, [1.0] * 7, [1.0] * 7)
    assert compare(folder) == 2
    assert f"{path}: not comparable with " in capfd.readouterr().err
    assert not (folder / "c.parquet").exists()
