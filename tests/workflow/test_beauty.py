"""beauty_methods.yaml is a part of paper.yaml; what it does otherwise is listed."""

import json

import polars as pl
import pytest

from ace_steps.config import grid, loading
from ace_steps.io.parquet import read_table
from ace_steps.io.tables import COMPARISONS, GAPS, METRICS, RUNS, SELECTION
from tests.conftest import ROOT

PAPER, BEAUTY = (
    loading.load(ROOT / f"workflow/config/{name}.yaml").as_json()
    for name in ("paper", "beauty_methods")
)
KINDS = ("datasets", "encoders", "refinements", "backbones")
NOTHING = object()
PUBLISHED = ("beauty", "beauty_backbones", "beauty_methods")
PER_TARGET = ("split", "user", "item", "history_length", "target_train_count")
# Settings of the same entry that may differ, and why. Whatever else differs is a mistake.
DIFFERENCES = {
    # RecBole's atomic files of the paper's data, for the raw archive that the office cannot fetch;
    # they hold the columns that the archive's reader takes.
    "datasets.amazon-beauty.interactions",
    "datasets.amazon-beauty.items",
    *(f"datasets.amazon-beauty.expected{part}" for part in ("", ".users", ".items", ".events")),
    "datasets.amazon-beauty.source",
    "datasets.amazon-beauty.reader",
    "datasets.amazon-beauty.text_columns",
    # Minutes on a GPU instead of days: fewer grid points, epochs and seeds.
    "encoders.smollm2.batch_tokens",
    *(f"refinements.{name}.gamma" for name in ("svd", "whitening", "alphafuse", "ace")),
    "refinements.random.std",
    "refinements.ace.lambda",
    "backbones.sasrec.training.epochs",
    "backbones.sasrec.training.patience",
    "backbones.sasrec.training.lr",
}


def flat(settings, name):
    """Every setting by its dotted name."""
    if not isinstance(settings, dict):
        return {name: settings}
    parts = [flat(each, f"{name}.{part}") for part, each in settings.items()]
    return {key: value for part in parts for key, value in part.items()}


def shared_entries(kind):
    """The settings of the smaller grid's entries, and those of the same entries in paper.yaml."""
    return flat(BEAUTY[kind], kind), flat({name: PAPER[kind][name] for name in BEAUTY[kind]}, kind)


@pytest.mark.parametrize("kind", KINDS)
def test_every_entry_is_one_of_the_papers(kind):
    assert BEAUTY[kind].keys() <= PAPER[kind].keys()


def test_all_refinements_of_the_paper_are_compared():
    assert BEAUTY["refinements"].keys() == PAPER["refinements"].keys()


@pytest.mark.parametrize("kind", KINDS)
def test_settings_differ_from_the_papers_where_that_is_listed_and_nowhere_else(kind):
    part, whole = shared_entries(kind)
    differing = {
        name for name in part | whole if part.get(name, NOTHING) != whole.get(name, NOTHING)
    }
    assert differing == {name for name in DIFFERENCES if name.startswith(f"{kind}.")}


@pytest.mark.parametrize(
    "name",
    sorted(name for name in DIFFERENCES if name.endswith((".std", ".gamma", ".lambda", ".lr"))),
)
def test_a_smaller_grid_holds_points_of_the_papers(name):
    part, whole = shared_entries(name.partition(".")[0])
    chosen = part[name] if isinstance(part[name], list) else [part[name]]
    assert set(chosen) < set(whole[name])


def test_it_spends_less_than_the_paper():
    part, whole = shared_entries("backbones")
    for name in ("epochs", "patience"):
        key = f"backbones.sasrec.training.{name}"
        assert part[key] < whole[key]
    assert set(BEAUTY["seeds"]) < set(PAPER["seeds"])


def test_results_are_chosen_and_compared_alike():
    for key in ("selection", "statistics"):
        assert BEAUTY[key] == PAPER[key]


@pytest.mark.parametrize(
    "spec", [COMPARISONS, GAPS, METRICS, RUNS, SELECTION], ids=lambda s: s.name
)
@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_tables_are_those_of_today(name, spec):
    read_table(ROOT / f"docs/results/{name}/{spec.name}.parquet", spec)  # refuses other columns


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_report_is_of_the_configuration_as_it_stands(name):
    settings = loading.load(ROOT / f"workflow/config/{name}.yaml").as_json()
    plan = grid.Plan(settings)
    published = pl.read_parquet(ROOT / f"docs/results/{name}/runs.parquet")
    columns = ("refinement_entry", "refinement_point", "backbone_entry", "backbone_point", "seed")
    ran = set(published.select(columns).iter_rows())
    expected = {
        (
            *(plan.refinements[run.refinement].entry, values(plan.refinements[run.refinement])),
            *(plan.backbones[run.backbone].entry, values(plan.backbones[run.backbone]), run.seed),
        )
        for cell in plan.cells
        for run in plan.first_runs(cell)
    }
    assert expected <= ran
    assert {seed for *_, seed in ran} == set(settings["seeds"])
    assert {row[:4] for row in ran} == {row[:4] for row in expected}


def values(point):
    """A grid point's values as the table runs has them."""
    return json.dumps(point.values)


def test_the_published_ranks_give_the_published_metrics():
    folder = ROOT / "docs/results/beauty_methods"
    metrics = pl.read_parquet(folder / "metrics.parquet").filter(
        split="test", slice="all", metric="recall", cutoff=20
    )
    ranks = pl.read_parquet(folder / "ranks.parquet").filter(split="test")
    assert len(metrics) == len(ranks.columns) - len(PER_TARGET)
    for refinement, backbone, seed, value in metrics.select(
        "refinement", "backbone", "seed", "value"
    ).iter_rows():
        found = (ranks[f"{refinement}/{backbone}/{seed}"] <= 20).mean()
        assert found == pytest.approx(value, abs=1e-12)
