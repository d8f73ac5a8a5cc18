"""What the README shows works as it stands."""

import re

import numpy as np
import yaml

from ace_steps.config import grid, loading
from ace_steps.refine import Refinement
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()


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


def test_every_file_it_links_to_is_there():
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert links
    missing = [link for link in links if not (ROOT / link).exists()]
    assert missing == []


def test_the_artifact_table_names_what_the_rules_write():
    page = (ROOT / "docs/artifacts.md").read_text()
    rules = "".join(file.read_text() for file in (ROOT / "workflow/rules").glob("*.smk"))
    written = set(re.findall(r"([a-z_]+)\.(?:parquet|safetensors|html|md|txt)\"", rules))
    for name in written - {"batch"}:
        assert name in page, name
