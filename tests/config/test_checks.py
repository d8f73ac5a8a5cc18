"""What a plan can know of files and shapes is refused before anything is run."""

import polars as pl
import pytest

from ace_steps.config import loading
from tests.config.made import mistakes as without_files
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


def mistakes(**sections) -> list[str]:
    """The lines of a refusal after the files were looked at."""
    return without_files(small(**sections), with_files=True)


def mistakes_free(**sections) -> bool:
    return bool(loading.resolve(small(**sections), with_files=True))


def one_of_dataset(entry: dict) -> str:
    found = mistakes(datasets={"shop": entry})
    assert len(found) == 1
    return found[0]


def test_files_with_the_columns_that_are_named_are_taken(shop):
    entry = shop | {"text_columns": ["name"], "template": "{name}: {attributes}, {dataset}"}
    entry["columns"] = COLUMNS | {"rating": "stars"}
    assert loading.resolve(small(datasets={"shop": entry}), with_files=True)


@pytest.mark.parametrize("key", ["user", "timestamp", "rating"])
def test_a_column_that_the_log_lacks_is_told_with_those_that_it_has(shop, key):
    line = one_of_dataset(shop | {"columns": COLUMNS | {key: "nope"}})
    assert line.startswith(f"datasets.shop.columns.{key}: ")
    assert all(part in line for part in ("logs.csv", "'nope'", "customer, sku, time, stars"))


def test_the_column_of_ids_must_be_in_both_files(shop):
    line = one_of_dataset(shop | {"columns": COLUMNS | {"item_id": "nope"}})
    assert line.startswith("datasets.shop.columns.item_id: ")
    assert all(part in line for part in ("products.csv", "'nope'", "sku, name, price"))


def test_every_column_that_is_missing_is_told(shop):
    found = mistakes(datasets={"shop": {k: v for k, v in shop.items() if k != "columns"}})
    keys = [line.split(": ")[0].removeprefix("datasets.shop.columns.") for line in found]
    assert keys == ["user", "item", "timestamp", "item_id"]


def test_a_template_field_that_is_no_column_comes_with_the_near_one(shop):
    line = one_of_dataset(shop | {"template": "{nmae}, {price}"})
    assert line.startswith("datasets.shop.template: ")
    assert all(part in line for part in ("{nmae}", "did you mean 'name'?"))


def test_a_text_column_that_is_no_column_comes_with_the_near_one(shop):
    line = one_of_dataset(shop | {"text_columns": ["name", "pricee"]})
    assert line.startswith("datasets.shop.text_columns: ")
    assert all(part in line for part in ("'pricee'", "did you mean 'price'?"))


def test_the_column_of_ids_is_no_text_column(shop):
    assert "'sku'" in one_of_dataset(shop | {"text_columns": ["sku"]})


def test_parquet_files_are_looked_at_too(tmp_path, shop):
    pl.DataFrame(
        {"sku": [f"a{i}" for i in range(MANY)], "title": ["Red lamp"] * MANY}
    ).write_parquet(tmp_path / "items.parquet")
    entry = shop | {"items": str(tmp_path / "items.parquet")}
    assert loading.resolve(
        small(datasets={"shop": entry | {"template": "{title}"}}), with_files=True
    )
    line = one_of_dataset(entry | {"template": "{name}"})
    assert line.startswith("datasets.shop.template: ")
    assert "title" in line


def test_a_file_that_is_called_parquet_and_is_none_is_told_at_its_key(tmp_path, shop):
    (tmp_path / "items.parquet").write_text("nonsense")
    line = one_of_dataset(shop | {"items": str(tmp_path / "items.parquet")})
    assert line.startswith("datasets.shop.items: ")
    assert "items.parquet" in line


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


def test_fields_of_recbole_files_are_columns(recbole):
    entry = recbole | {"template": "{title}", "text_columns": ["title"]}
    assert loading.resolve(small(datasets={"shop": entry}), with_files=True)
    line = one_of_dataset(recbole | {"template": "{titl}"})
    assert all(part in line for part in ("datasets.shop.template", "did you mean 'title'?"))


def test_a_recbole_log_without_times_is_told_at_its_key(tmp_path, recbole):
    (tmp_path / "shop.inter").write_text("user_id:token\titem_id:token\nu\ti\n")
    line = one_of_dataset(recbole)
    assert line.startswith("datasets.shop.interactions: ")
    assert "timestamp" in line


def test_a_source_that_is_still_to_be_fetched_has_the_columns_of_its_format():
    line = one_of_dataset({"source": "ml-20m", "template": "{name}"})
    assert all(part in line for part in ("datasets.shop.template", "genres", "title"))


def test_a_file_that_is_not_there_is_told_at_its_key(tmp_path, shop):
    line = one_of_dataset(shop | {"items": str(tmp_path / "none.csv")})
    assert line.startswith("datasets.shop.items: ")
    assert "none.csv" in line


def test_a_variable_that_is_not_set_is_told_at_its_key(shop, monkeypatch):
    monkeypatch.delenv("ACE_NOT", raising=False)
    line = one_of_dataset(shop | {"interactions": "${ACE_NOT}/logs.csv"})
    assert line.startswith("datasets.shop.interactions: ")
    assert "${ACE_NOT}/logs.csv" in line


@pytest.mark.parametrize(
    ("entry", "key"),
    [
        ({"path": "nowhere"}, "path"),
        ({"vectors": "nowhere.parquet"}, "vectors"),
        ({"api": API | {"tokenizer": "nowhere.json"}}, "api.tokenizer"),
    ],
)
def test_an_encoders_file_that_is_not_there_is_told_at_its_key(entry, key, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = [line for line in mistakes(encoders={"e": entry}) if "encoders" in line.split(": ")[0]]
    assert len(found) == 1
    assert found[0].startswith(f"encoders.e.{key}: ")
    assert "nowhere" in found[0]


def test_a_model_folder_that_lacks_files_is_told_with_every_one(tmp_path):
    found = mistakes(encoders={"e": {"path": str(tmp_path)}})
    assert {line.split(": ")[0] for line in found} == {"encoders.e.path"}
    for part in ("config.json", ".safetensors", "tokenizer"):
        assert any(part in line for line in found)


def test_a_dim_over_the_encoders_is_told_for_every_method_that_it_binds():
    found = mistakes(encoders={"tiny": {"source": "toy"}})
    assert {line.split(": ")[0] for line in found} == {
        f"refinements.{name}.dim" for name in ("svd", "whitening", "ace")
    }  # a random table has any dim
    assert all("16" in line and "'tiny'" in line and "128" in line for line in found)


def test_a_truncated_encoder_has_the_dim_that_is_left():
    entry = {"source": "all-minilm-l6-v2", "truncate_dim": 64}
    assert loading.resolve(small(dim=64, encoders={"e": entry}), with_files=True)
    found = mistakes(encoders={"e": entry}, refinements={"svd": {}})
    assert "64" in found[0]


def test_groups_that_do_not_divide_the_encoders_dim_are_told():
    found = mistakes(refinements={"whitenrec_plus": {"groups": [4, 7]}})
    assert found[0].startswith("refinements.whitenrec_plus.groups: ")
    assert "384" in found[0]
    assert "7" in found[0]


def test_a_dim_over_the_number_of_items_is_told_where_that_is_known():
    counts = {"users": 50, "items": 40, "events": 500}
    entry = {"source": "ml-100k", "expected": counts}
    found = mistakes(datasets={"small": entry}, refinements={"svd": {}, "random": {}})
    assert len(found) == 1
    assert found[0].startswith("dim: ")
    assert all(part in found[0] for part in ("'small'", "got 128", "set dim: 40"))


def test_a_dim_over_the_rows_of_a_catalog_of_ones_own_is_told(tmp_path, shop):
    (tmp_path / "products.csv").write_text("sku;name;price\na1;Red lamp;3\na2;Lamp;4\n")
    (line,) = mistakes(datasets={"shop": shop}, refinements={"svd": {}, "random": {}})
    assert line.startswith("dim: ")
    assert "set dim: 2" in line


def test_a_brace_that_encloses_nothing_is_told(shop):
    line = one_of_dataset(shop | {"template": "{name} {attributes"})
    assert line.startswith("datasets.shop.template: ")
    assert "{attributes" in line


def test_columns_of_a_file_of_vectors_are_looked_at(tmp_path):
    file = tmp_path / "vectors.parquet"
    pl.DataFrame({"asin": ["a"], "vector": [[1.0]]}).write_parquet(file)
    (line,) = mistakes(encoders={"mine": {"vectors": str(file)}})
    assert line.startswith("encoders.mine.id_column: ")
    assert "'item_id'" in line
    assert mistakes_free(encoders={"mine": {"vectors": str(file), "id_column": "asin"}})


def test_mistakes_of_files_and_of_keys_are_told_together(shop):
    found = mistakes(
        datasets={"shop": shop | {"template": "{nmae}"}}, seeds=[], refinements={"svd": {"gama": 1}}
    )
    keys = {line.split(": ")[0] for line in found}
    assert keys == {"seeds", "refinements.svd.gama", "datasets.shop.template"}
