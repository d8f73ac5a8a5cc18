import pytest

from ace_steps.config.grid import Run
from ace_steps.io.parquet import read_provenance, read_table
from ace_steps.io.tables import SELECTION
from ace_steps.steps import select_points
from tests.reporting.made_results import write_ranks

LOW, HIGH = (Run("shop", "small", f"ace-lambda_{value}", "sasrec", 1) for value in (0, 5))


@pytest.fixture
def paths(tmp_path):
    """Ranks of three users: better for lambda 5 on validation, for lambda 0 on test."""
    return [
        write_ranks(tmp_path / "rank", LOW, [2, 9, 40], [1, 1, 1]),
        write_ranks(tmp_path / "rank", HIGH, [1, 4, 40], [8, 8, 60]),
    ]


def select(paths, folder, metric="ndcg"):
    entries = ["--refinement-entry", "ace", "--backbone-entry", "sasrec"]
    decides = ["--metric", metric, "--cutoff", "10", "--selection", str(folder / "s.parquet")]
    return select_points.main([*entries, *decides, "--ranks", *map(str, paths)])


def test_the_best_grid_point_by_validation_is_chosen_whatever_its_test_ranks(paths, tmp_path):
    assert select(paths, tmp_path) == 0
    table = read_table(tmp_path / "s.parquet", SELECTION)
    assert table["refinement"].to_list() == [LOW.refinement, HIGH.refinement]
    assert table["is_chosen"].to_list() == [False, True]
    assert table["value"][1] == pytest.approx((1 + 1 / 2.321928094887362) / 3)  # log2(5)
    assert set(table["refinement_entry"]) == {"ace"}
    assert len(read_provenance(tmp_path / "s.parquet").inputs) == 2


def test_of_equal_grid_points_the_first_is_chosen(paths, tmp_path):
    for each in (paths, paths[::-1]):
        assert select(each, tmp_path, "recall") == 0
        chosen = read_table(tmp_path / "s.parquet", SELECTION).filter("is_chosen")
        assert chosen["refinement"][0] in str(each[0])


def test_ranks_of_another_seed_or_other_users_are_refused(paths, tmp_path, capfd):
    other_seed = write_ranks(tmp_path / "rank", HIGH._replace(seed=2), [1, 4, 40], [8, 8, 60])
    other_users = write_ranks(tmp_path / "rank", HIGH, [1, 4], [8, 8])
    refused = {
        f"{other_seed}: expected the seed 1, got 2": other_seed,
        f"{other_users}: not comparable with {paths[0]}: expected the test item 4": other_users,
    }
    for message, path in refused.items():
        assert select([paths[0], path], tmp_path) == 2
        assert message in capfd.readouterr().err
        assert not (tmp_path / "s.parquet").exists()
