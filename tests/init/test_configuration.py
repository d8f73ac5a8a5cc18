"""`python -m ace_steps init`: the file it writes, what it prints, and what it refuses."""

import re
from pathlib import PurePosixPath

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ace_steps.__main__ import main
from ace_steps.config.experiment import Registries
from ace_steps.config.loading import load
from ace_steps.init.configuration import (
    configuration_text,
    encoder_entry,
    experiment_name,
    smaller_dim,
)
from ace_steps.init.guess import Guess
from tests.init.shops import FORMATS, SHOPS, plain, write_public, write_shop

MOST_LINES = 12
FILES = ["init", "logs.csv", "products.csv"]


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def lines_that_count(text):
    return [line for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]


@pytest.mark.parametrize("shop", SHOPS)
def test_the_file_written_for_a_shop_loads_and_names_its_columns(shop, tmp_path, capsys):
    log, catalog, expected = write_shop(shop, tmp_path)
    assert main(["init", log.name, catalog.name, "--name", "shop"]) == 0
    assert len(lines_that_count((tmp_path / "shop.yaml").read_text())) <= MOST_LINES
    experiment = load("shop.yaml", with_files=True)
    entry = experiment.as_json()["datasets"]["shop"]
    assert (experiment.experiment, entry["reader"]) == ("shop", "table")
    assert (entry["interactions"], entry["items"]) == (log.name, catalog.name)
    assert {key: entry["columns"][key] for key in expected} == expected
    printed = capsys.readouterr().out
    assert all(value in printed for value in expected.values())


@pytest.mark.parametrize("form", FORMATS)
def test_the_file_written_for_a_public_format_loads_without_columns(form, tmp_path):
    write_public(form, tmp_path)
    assert main(["init", "--name", "public"]) == 0
    written = yaml.safe_load((tmp_path / "public.yaml").read_text())["datasets"]["public"]
    assert set(written) == {"interactions", "items", "reader"}
    loaded = load("public.yaml", with_files=True).as_json()["datasets"]["public"]
    assert loaded["reader"] == written["reader"]


@pytest.mark.parametrize("shop", ["german", "nameless"])
def test_the_comments_state_the_defaults(shop, tmp_path):
    log, catalog, _ = write_shop(shop, tmp_path)
    main(["init", log.name, catalog.name, "--name", "shop"])
    examples = r"(?!.*(?:models/|vectors\.|repo:|source:))"
    text = (tmp_path / "shop.yaml").read_text()
    text = re.sub(rf"^( *)# (?= *[a-z_]+: ?{examples})", r"\1", text, flags=re.M)
    (tmp_path / "stated.yaml").write_text(text)
    stated = yaml.safe_load(text)
    assert {"refinements", "backbones", "seeds"} <= set(stated)
    assert {"min_user_events", "split", "text_columns"} <= set(stated["datasets"]["shop"])
    loaded = load("stated.yaml").as_json()
    loaded["datasets"]["shop"]["text_columns"] = None  # an example, not the default
    assert loaded == load("shop.yaml").as_json()


def test_dim_is_stated_where_the_default_is_more_than_items_or_encoder_allow(tmp_path):
    registry = Registries.shipped().encoders
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text('{"hidden_size": 48}')
    assert smaller_dim({"path": "model"}, registry, None) == 32
    assert smaller_dim({"path": "model"}, registry, 16) == 16
    assert smaller_dim({"source": "all-minilm-l6-v2"}, registry, 200) is None
    assert smaller_dim({"source": "all-minilm-l6-v2"}, registry, 127) == 64
    plain(tmp_path)  # 30 items
    main([*FILES, "--name", "shop"])
    assert load("shop.yaml", with_files=True).dim == 16


def test_missing_items_are_dropped_in_the_file_where_the_catalog_lacks_some(tmp_path, capsys):
    _, catalog = plain(tmp_path)
    catalog.write_text("\n".join(catalog.read_text().splitlines()[:-2]))
    main([*FILES, "--name", "shop"])
    written = yaml.safe_load((tmp_path / "shop.yaml").read_text())
    assert written["datasets"]["shop"]["missing_items"] == "drop"
    assert "missing_items" in capsys.readouterr().out


ODD = ["on", "null", "1e-3", "007", "a: b", "it's", 'say "x"', "{x}", "Größe", "# 1", "=", "~"]
ODD += ["a, b", "x\ny", "- x", "yes "]
PRINTABLE = st.characters(exclude_categories=("C", "Zl", "Zp"))


@settings(max_examples=60)
@given(name=st.sampled_from(ODD) | st.text(PRINTABLE, min_size=1, max_size=20))
def test_any_column_name_survives_the_yaml(name):
    paths = PurePosixPath(name), PurePosixPath("b.csv")
    files = Guess(*paths, "table", {"user": name, "rating": None}, [name])
    text = configuration_text(files, "shop", {"e": {"source": name}})
    read = yaml.safe_load(text)
    assert read["datasets"]["shop"]["interactions"] == str(paths[0])
    assert read["datasets"]["shop"]["columns"] == {"user": name, "rating": None}
    assert read["encoders"] == {"e": {"source": name}}
    assert len(lines_that_count(text)) <= MOST_LINES


@pytest.mark.parametrize("name", ["on", "123", "1e3"])
def test_a_name_that_yaml_reads_otherwise_is_quoted(name, tmp_path):
    plain(tmp_path)
    assert main([*FILES, "--name", name]) == 0
    experiment = load(f"{name}.yaml")
    assert (experiment.experiment, list(experiment.datasets)) == (name, [name])


def test_a_file_is_not_overwritten_unless_forced(tmp_path):
    plain(tmp_path)
    (tmp_path / "shop.yaml").write_text("mine")
    assert main([*FILES, "--name", "shop"]) == 2
    assert (tmp_path / "shop.yaml").read_text() == "mine"
    assert main([*FILES, "--name", "shop", "--output", "b.yaml"]) == 0
    assert main([*FILES, "--name", "shop", "--force"]) == 0
    assert (tmp_path / "shop.yaml").read_text() == (tmp_path / "b.yaml").read_text() != "mine"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["none.csv", "products.csv"], "none.csv: no such file"),
        (["logs.csv"], "'customer', 'sku', 'ts'"),
        (["logs.csv", "products.csv", "--name", "My Shop"], "'my-shop'"),
        (["logs.csv", "products.csv", "--encoder", "all-minilm"], "all-minilm-l6-v2"),
        (["logs.csv", "products.csv", "--encoder", "a/b"], "owner/name@"),
        (["logs.csv", "products.csv", "--output", "no/where.yaml"], "no/where.yaml"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2_and_nothing_is_written(
    arguments, expected, tmp_path, capsys
):
    plain(tmp_path)
    assert main(["init", *arguments]) == 2
    printed = capsys.readouterr()
    assert expected in printed.err
    assert len(printed.err.splitlines()) == 1
    assert not list(tmp_path.glob("*.yaml"))


def test_encoders_are_a_name_a_folder_vectors_or_a_commit(tmp_path):
    registry = Registries.shipped().encoders
    (tmp_path / "My Model").mkdir()
    (tmp_path / "v.parquet").touch()
    commit = "0123456789" * 4
    assert encoder_entry("smollm2-135m", registry) == ("smollm2", {"source": "smollm2-135m"})
    assert encoder_entry("My Model", registry) == ("my-model", {"path": "My Model"})
    assert encoder_entry("v.parquet", registry) == ("v", {"vectors": "v.parquet"})
    hub = {"repo": "o/Net-1", "revision": commit}
    assert encoder_entry(f"o/Net-1@{commit}", registry) == ("net-1", {"hub": hub})


def test_the_name_comes_from_the_folder_or_in_a_general_one_from_the_log(tmp_path):
    assert experiment_name(None, tmp_path / "Müller Shop" / "logs.csv") == "muller-shop"
    assert experiment_name(None, tmp_path / "data" / "Orders.csv.gz") == "orders"
