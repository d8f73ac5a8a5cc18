"""The experiment: what a short configuration becomes."""

import pytest
import yaml

from ace_steps.config import grid, loading
from ace_steps.registry import BACKBONES, READERS, REFINEMENTS
from tests.config.made import mistakes, small
from tests.conftest import ROOT

CONFIGS = sorted((ROOT / "workflow/config").glob("*.yaml"))


def test_three_sections_are_an_experiment_with_the_defaults_of_the_others():
    experiment = loading.resolve(small())
    assert list(experiment.refinements) == ["random", "svd", "whitening", "ace"]
    assert list(experiment.backbones) == ["sasrec"]
    assert (experiment.seeds, experiment.dim) == ([1], 128)
    names = list(grid.expand(experiment.as_json()["refinements"]))
    assert len([name for name in names if name.startswith("ace-lambda_rel")]) == 3
    chosen = loading.resolve(small(refinements={"svd": None}, backbones={"gru4rec": None}))
    assert (list(chosen.refinements), list(chosen.backbones)) == (["svd"], ["gru4rec"])


def test_a_name_is_the_method_unless_the_entry_says_another():
    experiment = loading.resolve(small(refinements={"svd": {}, "ace": {"method": "whitening"}}))
    methods = {name: entry.method for name, entry in experiment.refinements.items()}
    assert methods == {"svd": "svd", "ace": "whitening"}


def test_every_reader_method_and_model_stands_with_its_name_alone():
    files = {"interactions": "a", "items": "b"}
    experiment = loading.resolve(
        small(
            datasets={name: {"reader": name, **files} for name in READERS},
            refinements={name: {} for name in REFINEMENTS},
            backbones={name: {} for name in BACKBONES},
        )
    )
    assert [entry.reader for entry in experiment.datasets.values()] == list(READERS)
    assert [entry.method for entry in experiment.refinements.values()] == list(REFINEMENTS)
    assert [entry.model for entry in experiment.backbones.values()] == list(BACKBONES)


def test_files_without_a_reader_are_tables_and_a_source_has_its_own():
    entries = {"mine": {"interactions": "a", "items": "b"}, "ml": {"source": "ml-1m"}}
    datasets = loading.resolve(small(datasets=entries)).datasets
    assert (datasets["mine"].reader, datasets["ml"].reader) == ("table", "movielens")


def test_every_refinement_and_backbone_has_the_dim_of_the_experiment():
    experiment = loading.resolve(small(dim=64, backbones={"sasrec": {}, "gru4rec": {}}))
    entries = [*experiment.refinements.values(), *experiment.backbones.values()]
    assert {entry.dim for entry in entries} == {64}


def test_folders_are_named_after_the_experiment_unless_they_are_given():
    assert loading.resolve(small()).paths() == {
        "results": "results/shop",
        "logs": "logs/shop",
        "benchmarks": "logs/shop/benchmarks",
        "resources": "resources",
    }
    given = {"results": "out", "logs": "out/logs"}
    experiment = loading.resolve(small(pathvars=given))
    assert experiment.paths()["benchmarks"] == "out/logs/benchmarks"
    assert experiment.as_json()["pathvars"] == given | {"resources": "resources"}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_what_is_resolved_and_what_differs_are_configurations_of_the_same_runs(path):
    experiment = loading.load(path)
    whole = experiment.as_json()
    again = loading.resolve(yaml.safe_load(loading.as_yaml(whole))).as_json()
    assert again == whole
    for kind in ("refinements", "backbones"):
        assert list(grid.expand(again[kind]).items()) == list(grid.expand(whole[kind]).items())
    short = loading.without_defaults(experiment)
    assert loading.resolve(yaml.safe_load(loading.as_yaml(short))).as_json() == whole
    assert len(str(short)) < len(str(whole)) / 3


def test_what_differs_is_what_the_file_said():
    values = small(
        datasets={"ml": {"source": "ml-100k"}, "shop": {"interactions": "a", "items": "b"}},
        dim=64,
        refinements={"svd": {"gamma": 0.4}},
        backbones={"gru4rec": {}},
    )
    assert loading.without_defaults(loading.resolve(values)) == values


def test_a_dataset_with_a_source_and_files_is_told_so_beside_its_other_mistakes():
    entry = {"source": "ml-100k", "interactions": "a", "columns": {"user": "u"}}
    first, second = mistakes(small(datasets={"shop": entry}))
    assert first.startswith("datasets.shop: expected either source")
    assert second.startswith("datasets.shop.columns: ")


def test_a_resolved_number_is_written_as_yaml_reads_it():
    values = small(backbones={"sasrec": {"training": {"lr": 1e-05, "weight_decay": 1e16}}})
    experiment = loading.resolve(values)
    again = loading.resolve(yaml.safe_load(loading.as_yaml(experiment.as_json())))
    assert again.as_json() == experiment.as_json()


@pytest.mark.parametrize("key", ["dropout", "attention_dropout", "epochs", "patience"])
def test_what_all_refinements_have_alike_is_no_grid(key):
    is_of_training = key in ("epochs", "patience")
    entry = {"training": {key: [1, 2]}} if is_of_training else {key: [0.1, 0.2]}
    (line,) = mistakes(small(backbones={"sasrec": entry}))
    assert line.startswith(f"backbones.sasrec.{'training.' if is_of_training else ''}{key}: ")
