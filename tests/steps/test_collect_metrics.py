import pytest

from ace_steps.config.grid import Plan
from ace_steps.evaluation.completeness import CHAIN, selection_path
from ace_steps.io.parquet import read_provenance, read_table, write_table
from ace_steps.io.provenance import Provenance
from ace_steps.io.tables import GAPS, METRICS, RUNS, SELECTION
from ace_steps.steps import collect_metrics
from tests.reporting.made_results import (
    as_option,
    made_config,
    write_ranks,
    write_selection,
)

CONFIG = made_config([0, 5], [1, 2])
PLAN = Plan(CONFIG)
(CELL,) = PLAN.cells
FIRST, SECOND = PLAN.first_runs(CELL)
AGAIN = SECOND._replace(seed=2)  # the chosen grid point on the other seed
RUNS_OF_ALL = PLAN.runs(CELL, SECOND)
TABLES = {"metrics": METRICS, "runs": RUNS, "selection": SELECTION, "gaps": GAPS}


@pytest.fixture
def folder(tmp_path):
    """Ranks of three users: better for lambda 5 on validation, for lambda 0 on test."""
    write_ranks(tmp_path / "rank", FIRST, [2, 9, 40], [1, 1, 1])
    write_ranks(tmp_path / "rank", SECOND, [1, 4, 40], [8, 8, 60])
    write_ranks(tmp_path / "rank", AGAIN, [1, 5, 40], [8, 9, 60])
    write_selection(tmp_path, CELL, {FIRST: 0.1, SECOND: 0.2})
    return tmp_path


def collect(folder, config=CONFIG):
    files = [part for name in TABLES for part in (f"--{name}", str(folder / f"{name}.parquet"))]
    places = ["--results", str(folder), "--logs", str(folder / "logs")]
    return collect_metrics.main(["--config", as_option(config), *places, *files])


def collected(folder, config=CONFIG):
    """The tables by name."""
    assert collect(folder, config) == 0
    return {name: read_table(folder / f"{name}.parquet", spec) for name, spec in TABLES.items()}


def path_of(folder, run):
    return folder.joinpath("rank", *map(str, run), "ranks.parquet")


def test_every_grid_point_is_measured_on_the_first_seed_and_the_chosen_one_on_all(folder):
    tables = collected(folder)
    recall = tables["metrics"].filter(slice="all", metric="recall", cutoff=10)
    values = recall.sort("refinement", "seed", "split")["value"].to_list()
    test_and_valid = [1.0, 2 / 3, 2 / 3, 2 / 3, 2 / 3, 2 / 3]  # lambda 0; lambda 5, seeds 1 and 2
    assert values == pytest.approx(test_and_valid)
    chosen = tables["runs"].filter("is_chosen")
    assert chosen["refinement_point"].to_list() == ['{"lambda": 5}'] * 2
    assert chosen["seed"].to_list() == [1, 2]
    selected = tables["selection"].filter("is_chosen")
    assert selected["refinement"].to_list() == [SECOND.refinement]
    assert len(tables["gaps"]) == 0
    note = read_provenance(folder / "metrics.parquet")
    assert list(note.inputs) == ["/".join(map(str, run)) for run in RUNS_OF_ALL]
    assert note.settings == CONFIG


def test_random_stands_for_every_encoder(tmp_path):
    config = made_config([5], [1], ("random",))
    config["encoders"]["large"] = config["encoders"]["small"]
    plan = Plan(config)
    for cell in plan.cells:
        (run,) = plan.first_runs(cell)
        write_ranks(tmp_path / "rank", run, [2, 9, 40], [1, 1, 1])
        write_selection(tmp_path, cell, {run: 0.1})
    tables = collected(tmp_path, config)
    for name in ("runs", "metrics", "selection"):
        assert set(tables[name].filter(refinement="random")["encoder"]) == {"small", "large"}
    assert not (tmp_path / "rank/shop/large/random").exists()


def test_a_report_on_what_is_finished_says_which_run_is_missing_and_why(folder):
    for stage in CHAIN:
        for run in RUNS_OF_ALL:
            path = folder / stage.path(run)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    folder.joinpath("train", *map(str, AGAIN), "training_curve.parquet").unlink()  # ranks are left
    log = folder / "logs/train_backbone" / f"{'/'.join(map(str, AGAIN))}.log"
    log.parent.mkdir(parents=True)
    log.write_text("epoch 1\ntrain_backbone: the loss is nan in epoch 2.\n\n")
    tables = collected(folder, {**CONFIG, "report_on": "finished"})
    assert tables["gaps"].rows() == [
        (*AGAIN, "train_backbone", "train_backbone: the loss is nan in epoch 2.")
    ]
    assert len(tables["runs"]) == 2


def remove_a_run(folder):
    path_of(folder, SECOND).unlink()
    path_of(folder, FIRST).unlink()


def choose_from_another_grid(folder):
    write_selection(folder, CELL, {FIRST: 0.1, SECOND._replace(refinement="ace-lambda_7"): 0.2})


def choose_twice(folder):
    path = selection_path(CELL, folder)
    table = read_table(path, SELECTION).with_columns(is_chosen=True)
    write_table(table, SELECTION, path, Provenance("made"))


def exchange_runs(folder):
    path_of(folder, FIRST).replace(path_of(folder, SECOND))
    write_ranks(folder / "rank", FIRST, [2, 9, 40], [1, 1, 1])


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (remove_a_run, "2 of 3 runs are missing; the first is shop/small/ace"),
        (choose_from_another_grid, "got shop/small/ace-lambda_0/sasrec/1, shop/small/ace-lambda_7"),
        (choose_twice, "expected one choice among the grid points"),
        (exchange_runs, "expected ranks of the run shop/small/"),
    ],
)
def test_results_that_are_not_those_of_the_configuration_are_refused(folder, capfd, harm, message):
    harm(folder)
    assert collect(folder) == 2
    (line,) = capfd.readouterr().err.strip().splitlines()
    assert message in line
    assert not list(folder.glob("*.parquet"))
