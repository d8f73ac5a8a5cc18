import pytest

from ace_steps.config.grid import Plan
from ace_steps.evaluation.completeness import CHAIN
from ace_steps.io.parquet import read_provenance, read_table
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
AGAIN = SECOND._replace(seed=2)  # the chosen point on the other seed
RUNS_OF_ALL = PLAN.runs(CELL, SECOND)
NAMES = ("metrics", "runs", "selection", "gaps")


@pytest.fixture
def folder(tmp_path):
    """Ranks of three users: better for lambda 5 on validation, for lambda 0 on test."""
    write_ranks(tmp_path / "rank", FIRST, [2, 9, 40], [1, 1, 1])
    write_ranks(tmp_path / "rank", SECOND, [1, 4, 40], [8, 8, 60])
    write_ranks(tmp_path / "rank", AGAIN, [1, 5, 40], [8, 9, 60])
    write_selection(tmp_path, CELL, {FIRST: 0.1, SECOND: 0.2})
    return tmp_path


def collect(folder, config=CONFIG):
    tables = [part for name in NAMES for part in (f"--{name}", str(folder / f"{name}.parquet"))]
    places = ["--results", str(folder), "--logs", str(folder / "logs")]
    return collect_metrics.main(["--config", as_option(config), *places, *tables])


def refusal(folder, capfd):
    assert collect(folder) == 2
    assert not list(folder.glob("*.parquet"))
    lines = capfd.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    return lines[0]


def path_of(folder, place):
    return folder.joinpath("rank", *map(str, RUNS_OF_ALL[place]), "ranks.parquet")


def test_writes_the_metrics_of_every_point_on_the_first_seed_and_of_the_chosen_one_on_all(folder):
    assert collect(folder) == 0
    metrics = read_table(folder / "metrics.parquet", METRICS)
    metrics = metrics.filter(slice="all", metric="recall", cutoff=10)
    found = metrics.sort("refinement", "seed", "split")["value"].to_list()
    test_and_valid = [1.0, 2 / 3, 2 / 3, 2 / 3, 2 / 3, 2 / 3]  # lambda 0; lambda 5, seeds 1 and 2
    assert found == pytest.approx(test_and_valid)


def test_says_what_was_chosen(folder):
    assert collect(folder) == 0
    runs = read_table(folder / "runs.parquet", RUNS)
    chosen = runs.filter("is_chosen")
    assert chosen["refinement_point"].to_list() == ['{"lambda": 5}'] * 2
    assert chosen["seed"].to_list() == [1, 2]
    assert runs["backbone_point"].to_list() == ["{}"] * 3
    selection = read_table(folder / "selection.parquet", SELECTION)
    assert selection.filter("is_chosen")["refinement"].to_list() == [SECOND.refinement]
    assert len(read_table(folder / "gaps.parquet", GAPS)) == 0


def test_says_which_ranks_the_numbers_are_made_of(folder):
    assert collect(folder) == 0
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
    assert collect(tmp_path, config) == 0
    for name, spec in (("runs", RUNS), ("metrics", METRICS), ("selection", SELECTION)):
        table = read_table(tmp_path / f"{name}.parquet", spec).filter(refinement="random")
        assert set(table["encoder"]) == {"small", "large"}
    assert not (tmp_path / "rank/shop/large/random").exists()


def test_writes_the_same_bytes_twice(folder):
    assert collect(folder) == 0
    before = (folder / "metrics.parquet").read_bytes(), (folder / "runs.parquet").read_bytes()
    assert collect(folder) == 0
    assert before == (
        (folder / "metrics.parquet").read_bytes(),
        (folder / "runs.parquet").read_bytes(),
    )


def leave_all_stages(folder):
    """What the stages before the ranks leave, as far as their presence is asked for."""
    for run in RUNS_OF_ALL:
        for stage in CHAIN:
            path = folder.joinpath(stage.folder, *map(str, run[: stage.n_parts]), stage.file)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()


def test_a_missing_run_is_named(folder, capfd):
    leave_all_stages(folder)
    path_of(folder, 1).unlink()
    assert refusal(folder, capfd).endswith(
        f"1 of 3 runs are missing; the first is {'/'.join(map(str, SECOND))}, of which "
        "merge_ranks left nothing."
    )


def test_a_report_on_what_is_finished_says_which_run_is_missing_and_why(folder, capfd):
    leave_all_stages(folder)
    log = folder / "logs/train_backbone" / f"{'/'.join(map(str, AGAIN))}.log"
    log.parent.mkdir(parents=True)
    log.write_text("epoch 1\ntrain_backbone: the loss is nan in epoch 2.\n\n")
    path_of(folder, 2).unlink()
    folder.joinpath("train", *map(str, AGAIN), "training_curve.parquet").unlink()
    assert collect(folder, {**CONFIG, "report_on": "finished"}) == 0
    gaps = read_table(folder / "gaps.parquet", GAPS)
    assert gaps.rows() == [
        (*AGAIN, "train_backbone", "train_backbone: the loss is nan in epoch 2.")
    ]
    assert len(read_table(folder / "runs.parquet", RUNS)) == 2


def test_a_choice_from_another_grid_is_refused(folder, capfd):
    write_selection(folder, CELL, {FIRST: 0.1, SECOND._replace(refinement="ace-lambda_7"): 0.2})
    assert "a choice with shop/small/ace-lambda_7/sasrec/1, which is none of" in refusal(
        folder, capfd
    )


def test_ranks_of_other_users_are_refused_with_the_first_difference(folder, capfd):
    write_ranks(folder / "rank", SECOND, [1, 4], [8, 8])
    assert refusal(folder, capfd).endswith(
        f"{path_of(folder, 1)}: not comparable with {path_of(folder, 0)}: "
        "user 2 has no test rank, but has one there."
    )


def test_ranks_in_the_folder_of_another_run_are_refused(folder, capfd):
    path_of(folder, 0).replace(path_of(folder, 1))
    write_ranks(folder / "rank", FIRST, [2, 9, 40], [1, 1, 1])
    assert "expected ranks of the run shop/small/" in refusal(folder, capfd)


def test_another_table_is_refused(folder, capfd):
    assert collect(folder) == 0
    (folder / "metrics.parquet").replace(path_of(folder, 0))
    for file in folder.glob("*.parquet"):
        file.unlink()
    capfd.readouterr()
    assert refusal(folder, capfd).endswith(
        f"{path_of(folder, 0)}: expected the table 'ranks', got 'metrics'."
    )


def test_a_mistyped_key_of_the_configuration_is_refused(folder, capfd):
    assert collect(folder, {**CONFIG, "sedes": [1]}) == 2
    assert "sedes: unknown key; did you mean 'seeds'?" in capfd.readouterr().err
