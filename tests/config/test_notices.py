"""What a person is told before a run that is no mistake."""

import yaml

from ace_steps.config import loading, notices
from tests.config.made import small


def left_behind(folder, **changes):
    """An experiment whose last run left its resolved configuration in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    resolved = loading.resolve(small(**changes)).as_json()
    (folder / "config.yaml").write_text(loading.as_yaml(resolved))
    return resolved


def test_the_workflows_own_experiment_after_a_run_of_ones_own_is_noticed(tmp_path):
    left_behind(tmp_path / "shop")
    (remark,) = notices.of_other_experiments("demo", tmp_path / "demo", is_default=True)
    assert all(part in remark for part in ("'demo'", "shop/config.yaml", "--configfile"))


def test_nothing_is_said_of_other_experiments_where_one_was_named_or_was_run(tmp_path):
    left_behind(tmp_path / "shop")
    assert notices.of_other_experiments("demo", tmp_path / "demo", is_default=False) == []
    assert notices.of_other_experiments("shop", tmp_path / "shop", is_default=True) == []
    assert notices.of_other_experiments("demo", tmp_path / "none" / "demo", is_default=True) == []


def test_a_dataset_with_other_values_under_its_name_is_noticed(tmp_path):
    left_behind(tmp_path)
    entry = {"source": "ml-100k", "min_user_events": 3, "expected": None}
    resolved = loading.resolve(small(datasets={"ml": entry})).as_json()
    found = notices.of_changes(resolved, tmp_path)
    (remark,) = [line for line in found if "min_user_events" in line]
    assert remark.startswith("datasets.ml.min_user_events was 5")
    assert "is 3" in remark


def test_an_encoder_with_other_values_under_its_name_is_noticed(tmp_path):
    left_behind(tmp_path)
    entry = {"source": "all-minilm-l6-v2", "pooling": "first"}
    resolved = loading.resolve(small(encoders={"minilm": entry})).as_json()
    (remark,) = notices.of_changes(resolved, tmp_path)
    assert remark.startswith('encoders.minilm.pooling was "mean"')


def test_a_change_whose_results_have_a_name_of_their_own_is_not_noticed(tmp_path):
    resolved = left_behind(tmp_path)
    assert notices.of_changes(resolved, tmp_path) == []
    more = small(
        refinements={"ace": {"lambda": 7}},
        seeds=[5],
        encoders=small()["encoders"] | {"toy": {"source": "smollm2-135m"}},
    )
    assert notices.of_changes(loading.resolve(more).as_json(), tmp_path) == []


def test_a_folder_without_a_configuration_or_with_a_broken_one_says_nothing(tmp_path):
    resolved = loading.resolve(small()).as_json()
    assert notices.of_changes(resolved, tmp_path / "none") == []
    for text in ("a: [", "- 1", yaml.safe_dump({"datasets": 3}), "datasets: {ml: 3}"):
        (tmp_path / "config.yaml").write_text(text)
        assert notices.of_changes(resolved, tmp_path) == []
