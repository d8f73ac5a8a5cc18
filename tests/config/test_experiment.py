"""The experiment: what a short configuration becomes."""

import pytest
import yaml

from ace_steps.config import grid, loading
from ace_steps.registry import BACKBONES, READERS, REFINEMENTS
from tests.config.made import mistakes, small
from tests.conftest import ROOT

CONFIGS = sorted((ROOT / "workflow/config").glob("*.yaml"))


def test_three_sections_are_an_experiment():
    experiment = loading.resolve(small())
    assert list(experiment.refinements) == ["random", "svd", "whitening", "ace"]
    assert list(experiment.backbones) == ["sasrec"]
    assert (experiment.seeds, experiment.dim) == ([1], 128)
    names = list(grid.expand(experiment.as_json()["refinements"]))
    assert len([name for name in names if name.startswith("ace-lambda_rel")]) == 3


def test_a_section_that_is_there_stands_for_its_defaults():
    experiment = loading.resolve(small(refinements={"svd": {}}, backbones={"gru4rec": {}}))
    assert list(experiment.refinements) == ["svd"]
    assert list(experiment.backbones) == ["gru4rec"]


def test_an_entry_of_nothing_has_every_default():
    empty = loading.resolve(small(refinements={"svd": None}, backbones={"sasrec": None}))
    assert empty == loading.resolve(small(refinements={"svd": {}}, backbones={"sasrec": {}}))
    assert empty.backbones["sasrec"].model == "sasrec"


def test_a_name_is_the_method_unless_the_entry_says_another():
    experiment = loading.resolve(small(refinements={"svd": {}, "ace": {"method": "whitening"}}))
    found = {name: entry.method for name, entry in experiment.refinements.items()}
    assert found == {"svd": "svd", "ace": "whitening"}


@pytest.mark.parametrize("method", REFINEMENTS)
def test_every_method_stands_with_its_name_alone(method):
    experiment = loading.resolve(small(refinements={method: {}}))
    assert experiment.refinements[method].as_json()["method"] == method


@pytest.mark.parametrize("model", BACKBONES)
def test_every_model_stands_with_its_name_alone(model):
    assert loading.resolve(small(backbones={model: {}})).backbones[model].model == model


@pytest.mark.parametrize("reader", READERS)
def test_every_reader_stands_with_two_files(reader):
    entry = {"interactions": "a", "items": "b", "reader": reader}
    assert loading.resolve(small(datasets={"d": entry})).datasets["d"].reader == reader


def test_files_without_a_reader_are_tables_and_a_source_has_its_own():
    entries = {"mine": {"interactions": "a", "items": "b"}, "ml": {"source": "ml-1m"}}
    found = loading.resolve(small(datasets=entries)).datasets
    assert (found["mine"].reader, found["ml"].reader) == ("table", "movielens")


def test_every_refinement_and_backbone_has_the_dim_of_the_experiment():
    experiment = loading.resolve(small(dim=64, backbones={"sasrec": {}, "gru4rec": {}}))
    entries = [*experiment.refinements.values(), *experiment.backbones.values()]
    assert {entry.dim for entry in entries} == {64}


def test_a_source_brings_the_counts_that_hold_for_its_settings():
    with_defaults = loading.resolve(small()).datasets["ml"].expected
    assert (with_defaults.users, with_defaults.items) == (943, 1349)
    other = loading.resolve(small(datasets={"ml": {"source": "ml-100k", "min_rating": 4.0}}))
    assert other.datasets["ml"].expected is None


def test_folders_are_named_after_the_experiment_unless_they_are_given():
    assert loading.resolve(small()).paths() == {
        "results": "results/shop",
        "logs": "logs/shop",
        "benchmarks": "logs/shop/benchmarks",
        "resources": "resources",
    }
    given = loading.resolve(small(pathvars={"results": "out", "logs": "out/logs"})).paths()
    assert given["results"] == "out"
    assert given["benchmarks"] == "out/logs/benchmarks"


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_the_resolved_experiment_is_a_configuration_of_the_same_runs(path):
    experiment = loading.load(path)
    again = loading.resolve(yaml.safe_load(loading.as_yaml(experiment.as_json())))
    assert again.as_json() == experiment.as_json()
    for kind in ("refinements", "backbones"):
        before, after = (grid.expand(made.as_json()[kind]) for made in (experiment, again))
        assert before == after
        assert list(before) == list(after)


def test_the_shortest_configuration_of_an_experiment_is_an_experiment_alike():
    values = small(seeds=[1, 2], refinements={"svd": {"gamma": 0.1}}, dim=64)
    experiment = loading.resolve(values)
    short = loading.without_defaults(experiment)
    again = loading.resolve(yaml.safe_load(loading.as_yaml(short)))
    assert again.as_json() == experiment.as_json()
    assert len(str(short)) < len(str(experiment.as_json())) / 3


def test_a_resolved_number_is_written_as_yaml_reads_it():
    values = small(backbones={"sasrec": {"training": {"lr": 1e-05, "weight_decay": 1e16}}})
    experiment = loading.resolve(values)
    again = loading.resolve(yaml.safe_load(loading.as_yaml(experiment.as_json())))
    assert again.as_json() == experiment.as_json()


LENGTHS = {"config": 25, "toy": 40, "beauty": 40, "paper": 90}


@pytest.mark.parametrize("name", LENGTHS)
def test_a_committed_experiment_says_only_what_differs(name):
    text = (ROOT / f"workflow/config/{name}.yaml").read_text()
    said = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    assert len(said) < LENGTHS[name]


def test_what_all_refinements_have_alike_is_no_grid():
    for key in ("dropout", "attention_dropout"):
        line = mistakes(small(backbones={"sasrec": {key: [0.1, 0.2]}}))[0]
        assert line.startswith(f"backbones.sasrec.{key}: ")
    for key in ("epochs", "patience"):
        line = mistakes(small(backbones={"sasrec": {"training": {key: [1, 2]}}}))[0]
        assert line.startswith(f"backbones.sasrec.training.{key}: ")
