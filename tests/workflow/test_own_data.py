"""A shop's own files: `init`, a dry run, a run, and what each spoilt line is answered with."""

import random
import re
import subprocess
import sys

import polars as pl
import pytest

from ace_steps.config import loading
from ace_steps.errors import ConfigurationError
from tests.workflow.conftest import Checkout, make_checkout

LONGEST = 12  # lines of a first configuration
SHORT = (
    "refinements: {ace: {lambda: [0, 1]}}\n"
    "backbones: {sasrec: {training: {epochs: 1, batch_size: 8}}}\n"
)


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> Checkout:
    """A checkout with a log and a catalog whose columns have a shop's own names, after `init`."""
    checkout = make_checkout(tmp_path_factory.mktemp("shop") / "ace")
    rng = random.Random(0)
    log = ["kunde;artikel;zeitpunkt;menge"]
    for user in range(40):
        start = rng.randrange(24)
        log += [
            f"K{user:03};ART-{(start + step) % 24:02};2024-{1 + step:02}-11 10:00:00;1"
            for step in range(6)
        ]
    catalog = ["artikelnummer;bezeichnung;preis"]
    catalog += [f"ART-{item:02};Lampe Modell {item};{10 + item}" for item in range(24)]
    (checkout.folder / "bestellungen.csv").write_text("\n".join(log) + "\n")
    (checkout.folder / "sortiment.csv").write_text("\n".join(catalog) + "\n")
    files = ["bestellungen.csv", "sortiment.csv", "--name", "laden", "--encoder", "toy"]
    done = subprocess.run(
        [sys.executable, "-m", "ace_steps", "init", *files],
        cwd=checkout.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "kunde" in done.stdout
    return checkout


def lines_of(shop):
    """The lines of the configuration that are no comment."""
    text = (shop.folder / "laden.yaml").read_text()
    kept = (re.sub(r"\s+# .*$", "", line) for line in text.splitlines())
    return [line for line in kept if line.strip() and not line.lstrip().startswith("#")]


def test_the_file_is_short(shop):
    assert len(lines_of(shop)) <= LONGEST


def test_it_plans_the_default_methods_and_runs_to_lists_for_every_user(shop):
    jobs = shop.jobs("--configfile", "laden.yaml")
    assert jobs["refine_vectors"] == 2 + 1 + 1 + 3  # random init, SVD, whitening, ACE
    (shop.folder / "short.yaml").write_text(SHORT)
    files = ("--configfile", "laden.yaml", "short.yaml")
    done = shop.snakemake(*files, "--", "recommend")
    assert done.returncode == 0, done.stdout + done.stderr
    (table,) = (shop.folder / "results/laden/recommend").rglob("recommendations.parquet")
    assert pl.read_parquet(table)["user_id"].n_unique() == 40


@pytest.fixture
def mistakes(shop, tmp_path, monkeypatch):
    """What a plan says of a configuration's lines, read in the shop's folder; empty where it plans.

    Planning reads the configuration with this function before it does anything else.
    """
    monkeypatch.chdir(shop.folder)

    def found(lines):
        spoilt = tmp_path / "spoilt.yaml"
        spoilt.write_text("\n".join(lines) + "\n")
        try:
            loading.load(spoilt, with_files=True)
        except ConfigurationError as refusal:
            return str(refusal).splitlines()[1:]
        return []

    return found


def test_each_line_that_is_taken_out_is_missed_by_its_key(shop, mistakes):
    lines = lines_of(shop)
    for place, line in enumerate(lines):
        key = line.strip().partition(":")[0]
        inner = len(line) - len(line.lstrip())
        after = lines[place + 1 :]
        depth = [len(other) - len(other.lstrip()) for other in after]
        end = next((i for i, d in enumerate(depth) if d <= inner), len(after))
        said = mistakes(lines[:place] + after[end:])  # with what belongs to it
        # An entry that is gone leaves its section empty.
        named = {"laden": "datasets", "toy": "encoders", "columns": "columns.user"}.get(key, key)
        assert any(named in text for text in said), f"{line}: {said}"


def test_each_key_that_is_misspelt_is_named_with_a_way_out(shop, mistakes):
    lines = lines_of(shop)
    for place, line in enumerate(lines):
        key = line.strip().partition(":")[0]
        if key in ("laden", "toy"):  # names of the user's own
            continue
        spoilt = line.replace(f"{key}:", f"{key}x:", 1)
        said = mistakes([*lines[:place], spoilt, *lines[place + 1 :]])
        (text,) = [text for text in said if f"{key}x" in text]
        assert f"'{key}'" in text


def test_a_dry_run_ends_with_the_same_lines_and_exit_code_2(shop, mistakes):
    lines = [line.replace("interactions:", "interactionsx:") for line in lines_of(shop)]
    (shop.folder / "spoilt.yaml").write_text("\n".join(lines) + "\n")
    done = shop.snakemake("--dry-run", "--configfile", "spoilt.yaml")
    assert done.returncode == 2
    assert set(mistakes(lines)) <= set(done.stderr.splitlines())
