"""What the README and the guides show works as it stands."""

import re

import numpy as np
import pytest
import yaml

from ace_steps.config import grid, loading
from ace_steps.refine import Refinement
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()
PAGES = sorted((ROOT / "docs").glob("*.md"))


def _block(language, word):
    blocks = re.findall(rf"```{language}\n(.*?)```", README, re.S)
    return next(block for block in blocks if word in block)


def test_the_librarys_six_lines_refine_anyones_vectors(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    vectors = np.random.default_rng(0).normal(size=(400, 200)) + 1.0
    np.save("my_openai_vectors.npy", vectors)
    names = {}
    exec(_block("python", "import fit"), names)
    assert names["table"].shape == (400, 128)
    loaded = Refinement.load(tmp_path / "refinement.safetensors")
    np.testing.assert_array_equal(loaded.transform(vectors), names["table"])


def test_the_configuration_it_shows_is_one_with_and_without_its_additions(tmp_path):
    first, more = (yaml.safe_load(_block("yaml", word)) for word in ("experiment: shop", "seeds:"))
    short = loading.resolve(first)
    assert list(short.refinements) == ["random", "svd", "whitening", "ace"]
    long = loading.resolve(first | more)
    assert list(long.backbones) == ["sasrec", "gru4rec"]
    assert len(grid.Plan(long.as_json()).refinements) == 4


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda page: page.stem)
def test_every_file_that_a_page_links_to_is_there(page):
    links = re.findall(r"\]\(([^)#:]+)\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda page: page.stem)
def test_every_step_rule_and_script_that_a_page_names_is_there(page):
    text = page.read_text()
    rules = "".join(file.read_text() for file in (ROOT / "workflow/rules").glob("*.smk"))
    for step in re.findall(r"ace_steps\.steps\.(\w+)", text):
        assert re.search(rf"^(rule|checkpoint) {step}:", rules, re.M), step
    for script in re.findall(r"benchmarks/(\w+\.py)", text):
        assert (ROOT / "benchmarks" / script).is_file(), script


def test_the_examples_of_own_data_are_configurations():
    page = (ROOT / "docs/data.md").read_text()
    examples = re.findall(r"```yaml\n(.*?)```", page, re.S)
    assert len(examples) == 2
    for example in examples:
        assert loading.resolve(yaml.safe_load(example)).datasets["shop"].reader == "table"


def test_the_artifact_table_names_what_the_rules_write():
    page = (ROOT / "docs/artifacts.md").read_text()
    rules = "".join(file.read_text() for file in (ROOT / "workflow/rules").glob("*.smk"))
    written = set(re.findall(r"([a-z_]+)\.(?:parquet|safetensors|html|md|txt)\"", rules))
    for name in written - {"batch"}:
        assert name in page, name
