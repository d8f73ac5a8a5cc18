"""What a plan can know of files, shapes and earlier runs, before anything is run."""

import numpy as np
import polars as pl
import pytest

from ace_steps.config import checks, loading
from tests.config.made import mistakes as mistakes_of
from tests.config.made import small

API = {"base_url": "http://x", "model": "m", "dim": 8}
MANY = 150  # items, more than the default dim
COLUMNS = {"user": "customer", "item": "sku", "timestamp": "time"}


@pytest.fixture
def shop(tmp_path):
    """A log and a catalog as CSV, with names of their own."""
    (tmp_path / "logs.csv").write_text("customer,sku,time,stars\nann,a1,1700000000,5\n")
    (tmp_path / "products.csv").write_text(
        "sku;name;price\n" + "".join(f"a{i};Red lamp;3\n" for i in range(MANY))
    )
    return {
        "interactions": str(tmp_path / "logs.csv"),
        "items": str(tmp_path / "products.csv"),
        "columns": COLUMNS,
    }


@pytest.fixture
def recbole(tmp_path):
    """RecBole's atomic files."""
    (tmp_path / "shop.inter").write_text("user_id:token\titem_id:token\ttimestamp:float\nu\ti\t1\n")
    (tmp_path / "shop.item").write_text(
        "item_id:token\ttitle:token_seq\n" + "".join(f"i{i}\tlamp\n" for i in range(MANY))
    )
    return {
        "interactions": str(tmp_path / "shop.inter"),
        "items": str(tmp_path / "shop.item"),
        "reader": "recbole",
    }


def mistakes(**sections) -> list[str]:
    """The lines of a refusal after the files were looked at."""
    return mistakes_of(small(**sections), with_files=True)


def assert_accepted(**sections):
    assert loading.resolve(small(**sections), with_files=True)


def assert_only_mistake(line_start, *parts, **sections):
    """There is one mistake, at this key, and its line has these parts."""
    (line,) = mistakes(**sections)
    assert line.startswith(f"{line_start}: ")
    assert [part for part in parts if part not in line] == []


def test_files_with_the_columns_and_fields_that_are_named_are_accepted(tmp_path, shop, recbole):
    template = "{name}: {attributes}, {dataset}"
    entry = shop | {"text_columns": ["name"], "template": template}
    assert_accepted(datasets={"shop": entry | {"columns": COLUMNS | {"rating": "stars"}}})
    entry = recbole | {"template": "{title}", "text_columns": ["title"]}
    assert_accepted(datasets={"shop": entry})
    catalog = pl.read_csv(tmp_path / "products.csv", separator=";")
    catalog.write_parquet(tmp_path / "items.parquet")
    entry = shop | {"items": str(tmp_path / "items.parquet"), "template": "{name}"}
    assert_accepted(datasets={"shop": entry})


def test_ids_and_the_column_of_vectors_are_looked_at(tmp_path):
    np.save(tmp_path / "v.npy", np.zeros((2, 2)))
    table = pl.DataFrame({"item_id": ["a"], "embedding": [[1.0]]})
    table.write_parquet(tmp_path / "v.parquet")
    ids = {"vectors": str(tmp_path / "v.npy"), "ids": "nowhere.txt"}
    assert_only_mistake("encoders.m.ids", "nowhere", encoders={"m": ids})
    column = {"vectors": str(tmp_path / "v.parquet")}
    assert_only_mistake("encoders.m.vector_column", "'vector'", encoders={"m": column})


def test_a_random_table_of_any_dim_suits_any_number_of_items(tmp_path, shop):
    (tmp_path / "products.csv").write_text("sku;name;price\na1;Red lamp;3\na2;Lamp;4\n")
    assert_accepted(datasets={"shop": shop}, refinements={"random": {}})


@pytest.mark.parametrize(
    ("changes", "key", "parts"),
    [
        ({"template": "A product."}, "template", ["{title}", "A product."]),
        ({"columns": COLUMNS | {"user": "nope"}}, "columns.user", ["'nope'", "customer, sku"]),
        ({"columns": COLUMNS | {"rating": "nope"}}, "columns.rating", ["logs.csv", "'nope'"]),
        ({"columns": COLUMNS | {"item_id": "nope"}}, "columns.item_id", ["products.csv", "name"]),
        ({"template": "{nmae}, {price}"}, "template", ["'nmae'", "did you mean 'name'?"]),
        ({"template": "{name} {attributes"}, "template", ["{attributes"]),
        ({"text_columns": ["name", "pricee"]}, "text_columns", ["did you mean 'price'?"]),
        ({"text_columns": ["sku"]}, "text_columns", ["'sku'"]),  # the column of ids is no text
        ({"items": "none.csv"}, "items", ["none.csv"]),
        ({"interactions": "${ACE_NOT}/logs.csv"}, "interactions", ["${ACE_NOT}/logs.csv"]),
    ],
)
def test_what_the_files_of_a_shop_do_not_have_is_refused_at_its_key(shop, changes, key, parts):
    assert_only_mistake(f"datasets.shop.{key}", *parts, datasets={"shop": shop | changes})


def test_every_column_that_is_missing_is_told(shop):
    lines = mistakes(datasets={"shop": {k: v for k, v in shop.items() if k != "columns"}})
    keys = [line.split(": ")[0].removeprefix("datasets.shop.columns.") for line in lines]
    assert keys == ["user", "item", "timestamp", "item_id"]


def test_a_file_that_is_called_parquet_and_is_none_is_refused_at_its_key(tmp_path, shop):
    file = tmp_path / "items.parquet"
    file.write_text("nonsense")
    entry = shop | {"items": str(file)}
    assert_only_mistake("datasets.shop.items", "items.parquet", datasets={"shop": entry})


def test_fields_of_recbole_files_and_of_a_source_to_be_fetched_are_known(tmp_path, recbole):
    entry = recbole | {"template": "{titl}"}
    key = "datasets.shop.template"
    assert_only_mistake(key, "did you mean 'title'?", datasets={"shop": entry})
    entry = {"source": "ml-20m", "template": "{name}"}
    assert_only_mistake(key, "genres", "title", datasets={"shop": entry})
    (tmp_path / "shop.inter").write_text("user_id:token\titem_id:token\nu\ti\n")
    assert_only_mistake("datasets.shop.interactions", "timestamp", datasets={"shop": recbole})


@pytest.mark.parametrize(
    ("entry", "key"),
    [
        ({"path": "nowhere"}, "path"),
        ({"vectors": "nowhere.parquet"}, "vectors"),
        ({"api": API | {"tokenizer": "nowhere.json"}}, "api.tokenizer"),
    ],
)
def test_an_encoders_file_that_is_not_there_is_refused_at_its_key(entry, key):
    lines = mistakes(encoders={"e": entry}, refinements={"random": {}})
    assert [line.split(": ")[0] for line in lines] == [f"encoders.e.{key}"]
    assert "nowhere" in lines[0]
    assert loading.resolve(small(encoders={"e": entry}))  # where the files are not looked at


def test_a_model_folder_that_lacks_files_is_refused_with_every_one(tmp_path):
    lines = mistakes(encoders={"e": {"path": str(tmp_path)}})
    assert {line.split(": ")[0] for line in lines} == {"encoders.e.path"}
    for part in ("config.json", ".safetensors", "tokenizer"):
        assert any(part in line for line in lines)


def test_columns_of_a_file_of_vectors_are_looked_at(tmp_path):
    file = tmp_path / "vectors.parquet"
    pl.DataFrame({"asin": ["a"], "vector": [[1.0]]}).write_parquet(file)
    mine = {"vectors": str(file)}
    assert_only_mistake("encoders.mine.id_column", "'item_id'", encoders={"mine": mine})
    assert_accepted(encoders={"mine": mine | {"id_column": "asin"}})


def test_a_dim_over_the_encoders_is_refused_for_every_method_that_it_binds():
    lines = mistakes(encoders={"tiny": {"source": "toy"}})
    assert {line.split(": ")[0] for line in lines} == {
        f"refinements.{name}.dim" for name in ("svd", "whitening", "ace")
    }  # a random table has any dim
    assert all("16" in line and "'tiny'" in line and "128" in line for line in lines)
    truncated = {"e": {"source": "all-minilm-l6-v2", "truncate_dim": 64}}
    assert_accepted(dim=64, encoders=truncated)
    sections = {"encoders": truncated, "refinements": {"svd": {}}}
    assert_only_mistake("refinements.svd.dim", "64", **sections)
    assert len(mistakes(seeds=[], **sections)) == 2
    assert_only_mistake("dim", "'x'", dim="x", **sections)  # the default in its place is not told


def test_groups_that_do_not_divide_the_encoders_dim_are_refused():
    key = "refinements.whitenrec_plus.groups"
    assert_only_mistake(key, "384", "7", refinements={"whitenrec_plus": {"groups": [4, 7]}})


def test_a_dim_over_the_number_of_items_is_refused_where_that_is_known(tmp_path, shop):
    refinements = {"svd": {}, "random": {}}
    small_source = {"source": "ml-100k", "expected": {"users": 50, "items": 40, "events": 500}}
    parts = ("'small'", "got 128", "set dim: 40")
    assert_only_mistake("dim", *parts, datasets={"small": small_source}, refinements=refinements)
    (tmp_path / "products.csv").write_text("sku;name;price\na1;Red lamp;3\na2;Lamp;4\n")
    assert_only_mistake("dim", "set dim: 2", datasets={"shop": shop}, refinements=refinements)


def test_mistakes_of_files_and_of_keys_are_told_together(shop):
    lines = mistakes(
        datasets={"shop": shop | {"template": "{nmae}"}}, seeds=[], refinements={"svd": {"gama": 1}}
    )
    keys = {line.split(": ")[0] for line in lines}
    assert keys == {"seeds", "refinements.svd.gama", "datasets.shop.template"}


@pytest.fixture
def has_run(tmp_path):
    """Where the experiment ``shop`` has run, and left its resolved configuration."""
    (tmp_path / "shop").mkdir()
    text = loading.as_yaml(loading.resolve(small()).as_json())
    (tmp_path / "shop/config.yaml").write_text(text)
    return tmp_path


def notes(folder, *, is_default=False, **changes):
    results = folder / changes.get("experiment", "shop")
    experiment = loading.resolve(small(pathvars={"results": str(results)}, **changes))
    return checks.notes(experiment, is_default=is_default)


def test_a_dataset_or_encoder_with_other_values_under_its_name_is_noted(has_run):
    (note,) = notes(has_run, encoders={"minilm": {"source": "all-minilm-l6-v2", "layer": -2}})
    assert note.startswith("encoders.minilm.layer was -1")
    entry = {"source": "ml-100k", "min_user_events": 3}
    assert "is 3" in "".join(notes(has_run, datasets={"ml": entry}))


def test_a_change_whose_results_have_a_name_of_their_own_is_not_noted(has_run):
    assert notes(has_run) == []
    encoders = small()["encoders"] | {"other": {"source": "smollm2-135m"}}
    changes = {"refinements": {"ace": {"lambda": 7}}, "seeds": [5], "encoders": encoders}
    assert notes(has_run, **changes) == []
    for text in ("a: [", "- 1", "{datasets: 3, encoders: {}}", "{datasets: {ml: 3}, encoders: {}}"):
        (has_run / "shop/config.yaml").write_text(text)
        assert notes(has_run, datasets={"ml": {"source": "ml-1m"}}) == []


def test_the_workflows_own_experiment_after_a_run_of_ones_own_is_noted(has_run):
    (note,) = notes(has_run, experiment="demo", is_default=True)
    assert all(part in note for part in ("'demo'", "shop/config.yaml", "--configfile"))
    assert notes(has_run, experiment="demo") == []
    assert notes(has_run, is_default=True) == []
