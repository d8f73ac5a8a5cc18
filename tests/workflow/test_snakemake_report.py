"""Snakemake's own report of the toy workflow: our figures and tables are in it, with captions."""

import base64
import json
import re

import pytest

FILES = {"Report": "report.html", "Metrics": "metrics.parquet"}
FIGURES = {  # the folder under figures of each category
    "Data": "data",
    "Spectra": "spectra",
    "Grids on validation": "grid",
    "Grids on test, no part in the choice": "grid_test",
    "Geometry against metric": "geometry",
    "Differences": "differences",
    "Gains by slice": "slices",
    "Training curves": "curves",
    "Time and memory": "cost",
}


@pytest.fixture(scope="module")
def page(finished, tmp_path_factory):
    path = tmp_path_factory.mktemp("snakemake") / "report.html"
    done = finished.snakemake("--report", str(path))
    assert done.returncode == 0, done.stdout + done.stderr
    return path.read_text()


def held(page, name):
    """What the page's scripts call by a name, as JSON."""
    begin = re.search(rf'<script id="[\w-]+">\s*var {name} = ', page).end()
    return json.JSONDecoder().raw_decode(page, begin)[0]


def test_every_figure_the_report_and_the_metrics_are_in_it_byte_for_byte(page, finished):
    folder = finished.folder / "results/toy/report"
    figures = set(folder.glob("figures/**/*.svg"))
    assert len(figures) >= len(FIGURES)
    results = held(page, "results")
    assert {finished.folder / name for name in results} == figures | {
        folder / name for name in FILES.values()
    }
    for name, found in results.items():
        content = base64.b64decode(found["data_uri"].partition(";base64,")[2])
        assert content == (finished.folder / name).read_bytes(), name


def test_each_category_holds_its_own(page):
    folders = {**FILES, **{name: f"figures/{folder}/" for name, folder in FIGURES.items()}}
    found = held(page, "categories")
    assert found.keys() == folders.keys()
    for category, parts in found.items():
        names = [name for part in parts.values() for name in part]
        assert names
        assert all(name.startswith(f"results/toy/report/{folders[category]}") for name in names)


def test_captions_are_ours_with_the_configurations_names_in_them(page):
    results = held(page, "results").items()
    captions = {name: " ".join(found["caption"].split()) for name, found in results}
    assert len(set(captions.values())) == len(FIGURES) + len(FILES)  # of each folder and file
    assert (
        "The data of toy after all filters" in captions["results/toy/report/figures/data/toy.svg"]
    )
    grid = captions["results/toy/report/figures/grid/toy/toy/sasrec.svg"]
    assert "the grid point that was chosen by ndcg at 10." in grid
    assert "(random, ace) on toy with vectors of toy" in " ".join(
        held(page, "workflow_desc").split()
    )
    text = "".join([*captions.values(), held(page, "workflow_desc")])
    assert not re.search(r"\{\{|\}\}|snakemake\.config", text)  # every template was filled in
