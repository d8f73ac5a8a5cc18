"""Which files are the log and the catalog, and which of their columns hold what."""

from datetime import time, timedelta
from decimal import Decimal
from functools import partial

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ace_steps.errors import InputError
from ace_steps.init import guess as guess_module
from ace_steps.init.columns import times_of
from ace_steps.init.file_heads import read_head
from ace_steps.init.guess import guess
from ace_steps.registry import READERS
from tests.init.shops import (
    FORMATS,
    ITEMS,
    N_ITEMS,
    RATINGS,
    SECONDS,
    SHOPS,
    START_S,
    USERS,
    iso,
    plain,
    write_public,
    write_shop,
)

ROWS = range(600)


def events_of(recognized):
    """What the reader gives with the settings that the configuration would have."""
    entry = READERS[recognized.reader]
    given = {"columns": recognized.columns} if recognized.columns else {}
    settings = entry.settings_class().model_validate(given)
    return entry.implementation()(recognized.interactions, recognized.items, settings)


@pytest.mark.parametrize("shop", SHOPS)
def test_columns_of_unfamiliar_names_are_recognized_in_any_order(shop, tmp_path):
    log, catalog, expected = write_shop(shop, tmp_path)
    for paths in ([log, catalog], [catalog, log], [tmp_path]):
        recognized = guess(paths)
        assert (recognized.interactions, recognized.items) == (log, catalog)
        assert recognized.columns == expected
        assert recognized.doubts == []
    raw = events_of(recognized)
    assert (len(raw.events), len(raw.items)) == (len(SECONDS), N_ITEMS)
    assert raw.events["timestamp"].to_list() == SECONDS


@pytest.mark.parametrize("form", FORMATS)
def test_a_public_format_is_recognized_in_a_folder_and_its_reader_takes_the_files(form, tmp_path):
    log, catalog = write_public(form, tmp_path)
    for paths in ([tmp_path], [catalog, log]):
        recognized = guess(paths)
        assert (recognized.interactions, recognized.items) == (log, catalog)
        assert form.startswith(recognized.reader)
        assert recognized.columns is None
    raw = events_of(recognized)
    assert len(raw.events) > 0
    assert len(raw.items) > 0


def test_of_several_logs_of_one_format_the_others_are_named(tmp_path):
    log, _ = write_public("movielens_100k", tmp_path)
    (tmp_path / "ua.data").write_text("1\t2\t3\t881250949\n" * 9)
    recognized = guess([tmp_path])
    assert recognized.interactions == log
    assert any("ua.data" in doubt for doubt in recognized.doubts)


def test_a_log_of_movielens_beside_another_catalog_is_a_table(tmp_path):
    log, movies = write_public("movielens_latest", tmp_path)
    rows = [f"{u},{i},4.0,{START_S + u}" for u in range(20) for i in range(10)]
    log.write_text("\n".join(["userId,movieId,rating,timestamp", *rows]))
    movies.write_text("\n".join(["film,plot", *(f"{i},long story {i}" for i in range(10))]))
    recognized = guess([log, movies])
    assert recognized.reader == "table"
    assert (recognized.columns["item"], recognized.columns["item_id"]) == ("movieId", "film")


NAMED = [f"u{u}" for u in USERS]
OTHER_ITEMS = [f"i{i}" for i in reversed(ITEMS)]
# Columns of the log beside customer, sku and ts (or instead of them: None), and what they are then.
ADDED = {
    "a session is no user": ({"sessionId": [i // 4 for i in ROWS]}, "user", "customer"),
    "unless no column is": (
        {"customer": None, "k0": NAMED, "sessionId": [i // 4 for i in ROWS]},
        *("user", "sessionId"),
    ),
    "an attribute of the user": ({"customer_name": NAMED}, "user", "customer"),
    "an id of the user": (
        {"customer": None, "client": NAMED, "client_id": NAMED},
        "user",
        "client_id",
    ),
    "an id of the event": ({"order_id": list(ROWS)}, "user", "customer"),
    "a constant": ({"customer": None, "k0": ["web"] * 600, "k1": NAMED}, "user", "k1"),
    "fractions": ({"customer": None, "k0": [i % 40 / 8 for i in ROWS], "k1": NAMED}, "user", "k1"),
    "a second item": ({"customer": None, "k0": OTHER_ITEMS, "k1": NAMED}, "user", "k1"),
    "a second date": (
        {"customer": None, "k0": [iso(START_S + 86_400 * (i % 30)) for i in ROWS], "k1": NAMED},
        *("user", "k1"),
    ),
    "a later change": ({"updated_at": [iso(START_S + i) for i in ROWS]}, "timestamp", "ts"),
    "dates beside numbers": (
        {"ts": None, "time": list(ROWS), "k0": [iso(START_S + i) for i in ROWS]},
        *("timestamp", "k0"),
    ),
    "a date of birth": (
        {"ts": None, "birthDate": SECONDS, "orderDate": SECONDS},
        *("timestamp", "orderDate"),
    ),
    "an empty column": ({"user_id": [None] * 600}, "user", "customer"),
    "a quantity": ({"quantity": RATINGS}, "rating", None),
    "a rating": ({"stars": RATINGS}, "rating", "stars"),
}


@pytest.mark.parametrize(("columns", "role", "expected"), ADDED.values(), ids=ADDED)
def test_a_column_has_the_role_that_its_name_and_content_say(columns, role, expected, tmp_path):
    recognized = guess(plain(tmp_path, columns))
    assert recognized.columns.get(role) == expected
    assert recognized.columns["item"] == "sku"


def test_a_log_of_one_user_has_that_user(tmp_path):
    log = {"user_id": ["u"] * 3, "item_id": list("abc"), "time": [1, 2, 3], "rating": [5, None, 5]}
    columns = guess(plain(tmp_path, log, {"item_id": list("abc")}, empty=True)).columns
    assert (columns["user"], columns["rating"]) == ("user_id", "rating")


@pytest.mark.parametrize("other", [[i % 300 for i in ROWS], [i % 5 for i in ROWS]])
def test_of_two_columns_with_the_catalogs_values_the_one_that_fits_better_is_the_item(
    other, tmp_path
):
    log = {"p": other, "q": [3 * (i % 33) for i in ROWS]}
    log |= {"u": [f"u{i % 60}" for i in ROWS], "t": [START_S + i for i in ROWS]}
    paths = plain(tmp_path, log, {"n": range(100)}, empty=True)
    assert guess(paths).columns["item"] == "q"


IDS = [f"i{i}" for i in range(N_ITEMS)]


@pytest.mark.parametrize(
    ("log", "catalog", "expected"),
    [
        # Of columns with the same values, the one that has the catalog's name is the item.
        ({"sku": None, "k": OTHER_ITEMS, "pid": OTHER_ITEMS}, {"pid": IDS}, ("pid", "pid")),
        # Of columns that hold all of the log's items, the one that repeats none is the id.
        (
            {"sku": [f"i{i % 15}" for i in ROWS]},
            {"k0": [f"i{i // 2}" for i in range(N_ITEMS)], "k1": IDS},
            ("sku", "k1"),
        ),
    ],
)
def test_the_item_and_its_id_fit_each_other_best(log, catalog, expected, tmp_path):
    columns = guess(plain(tmp_path, log, {"sku": None, **catalog})).columns
    assert (columns["item"], columns["item_id"]) == expected


def test_two_columns_that_could_be_the_user_are_both_named(tmp_path):
    recognized = guess(plain(tmp_path, {"client": [f"v{u}" for u in reversed(USERS)]}))
    taken = recognized.columns["user"]
    left = ({"customer", "client"} - {taken}).pop()
    assert [d for d in recognized.doubts if d.startswith("user:") and repr(left) in d]


def test_a_column_of_the_catalog_that_repeats_is_no_item(tmp_path):
    brands = {"sku": None, "brand": [f"b{i % 5}" for i in ITEMS]}
    catalog = {"sku": None, "brand": [f"b{i % 5}" for i in range(N_ITEMS)]}
    with pytest.raises(InputError, match="expected a log"):
        guess(plain(tmp_path, brands, catalog))


def test_ids_as_whole_floats_meet_ids_as_text(tmp_path):
    log = {"customer": USERS, "sku": [float(i) for i in ITEMS], "ts": SECONDS}
    pl.DataFrame(log).write_parquet(tmp_path / "log.parquet")
    catalog = {"nr": [str(i) for i in range(N_ITEMS)], "title": ["lamp"] * N_ITEMS}
    pl.DataFrame(catalog).write_csv(tmp_path / "items.csv")
    recognized = guess([tmp_path / "log.parquet", tmp_path / "items.csv"])
    assert (recognized.columns["item"], recognized.columns["item_id"]) == ("sku", "nr")


@pytest.mark.parametrize("per_second", [1, 10**3, 10**6, 10**9])
def test_the_unit_of_times_is_known_by_their_size(per_second, tmp_path):
    recognized = guess(plain(tmp_path, {"ts": [s * per_second for s in SECONDS]}))
    units = {1: "seconds", 10**3: "milliseconds", 10**6: "microseconds", 10**9: "nanoseconds"}
    assert recognized.columns["timestamp_unit"] == units[per_second]
    assert recognized.doubts == []


def test_times_without_a_unit_are_doubted_and_negative_ones_are_no_times(tmp_path):
    recognized = guess(plain(tmp_path, {"ts": list(ROWS)}))
    assert recognized.columns["timestamp"] == "ts"
    assert any("'ts'" in doubt and "599" in doubt for doubt in recognized.doubts)
    assert "20240201" in times_of(pl.Series("day", [20240131, 20240201, 20231224])).doubt
    assert times_of(pl.Series("at", [-5, 3, 8])) is None


@pytest.mark.parametrize("time", ["01.01.2024", "2024-01-01T08:00+02:00"])
def test_dates_that_no_reader_takes_are_refused_with_an_example(tmp_path, time):
    with pytest.raises(InputError) as refusal:
        guess(plain(tmp_path, {"ts": [time] * 600}))
    assert all(part in str(refusal.value) for part in ("'ts'", f"'{time}'", "2024-01-31"))


@pytest.mark.parametrize("index", ["", "__index_level_0__"])
def test_an_index_of_pandas_is_no_column(index, tmp_path):
    recognized = guess(plain(tmp_path, catalog={"sku": None, index: IDS, "k": IDS}))
    assert (recognized.columns["item_id"], recognized.text_columns) == ("k", ["title"])
    assert recognized.doubts == []


def test_columns_of_any_type_of_parquet_may_stand_beside(tmp_path):
    log, catalog, expected = write_shop("camel_case", tmp_path)
    n = N_ITEMS
    zoned = pa.array([START_S] * n, pa.timestamp("s")).cast(pa.timestamp("s", "+05:30"))
    others = {
        "a": pa.array([b"x"] * n),
        "b": pa.array([True] * n),
        "c": pa.array([timedelta(1)] * n),
        "d": pa.array([Decimal("1.5")] * n),
        "e": pa.array([{"x": 1}] * n),
        "f": pa.array([time(8)] * n),
        "g": pa.nulls(n),
        "h": zoned,
        "__index_level_0__": pa.array(range(n)),
    }
    table = pq.read_table(catalog)
    for name, values in others.items():
        table = table.append_column(name, values)
    pq.write_table(table, catalog)
    assert guess([log, catalog]).columns == expected


def test_neither_a_table_of_users_nor_one_of_codes_is_the_catalog(tmp_path):
    _, catalog = plain(tmp_path)
    users = {"customer": [f"u{i}" for i in range(40)], "name": [f"Ann {i}" for i in range(40)]}
    pl.DataFrame(users).write_csv(tmp_path / "clients.csv")
    codes = {"sku": [f"i{i}" for i in range(N_ITEMS)], "ean": range(N_ITEMS)}
    pl.DataFrame(codes).write_csv(tmp_path / "codes.csv")
    (tmp_path / "README.md").write_text("not data")
    (tmp_path / "empty.csv").write_text("")
    recognized = guess([tmp_path])
    assert recognized.items == catalog
    assert [doubt for doubt in recognized.doubts if "empty.csv" not in doubt] == []
    assert len(recognized.doubts) == 1


def test_items_without_a_row_or_with_several_are_counted(tmp_path):
    log, catalog = plain(tmp_path)
    catalog.write_text("\n".join(catalog.read_text().splitlines()[:-2]) + "\ni3,again\n")
    recognized = guess([log, catalog])
    assert recognized.has_missing_items
    assert any(f"2 of the log's {N_ITEMS} items" in doubt for doubt in recognized.doubts)
    assert any("'i3'" in doubt for doubt in recognized.doubts)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        # 300 events of 30 users and as many items, and 300 users of one event.
        (
            {
                "customer": [f"u{i % 30}" if i < 300 else f"once{i}" for i in ROWS],
                "sku": [f"i{i % 30}" for i in ROWS],
            },
            "leave 30 of 330 users and 30 of 30 items",
        ),
        # 300 events of 30 items, 7 or more for each of 40 users, and 300 items of one event.
        (
            {
                "customer": [f"u{i % 40}" for i in ROWS],
                "sku": [f"i{i % 30}" if i < 300 else f"rare{i}" for i in ROWS],
            },
            "leave 40 of 40 users and 30 of 330 items",
        ),
    ],
)
def test_filters_that_would_leave_few_users_or_items_are_noted(columns, expected, tmp_path):
    items = {"sku": [f"i{i}" for i in range(30)] + [f"rare{i}" for i in range(300, 600)]}
    catalog = items | {"title": ["lamp"] * 330}
    recognized = guess(plain(tmp_path, columns, catalog))
    assert any(expected in doubt for doubt in recognized.doubts), recognized.doubts


def test_ids_may_be_further_down_than_the_head(tmp_path, monkeypatch):
    """A log sorted by item meets a catalog sorted the other way round."""
    log, catalog = plain(tmp_path)
    pl.read_csv(log).sort("sku").write_csv(log)
    pl.read_csv(catalog).sort("sku", descending=True).write_csv(catalog)
    monkeypatch.setattr(guess_module, "read_head", partial(read_head, max_bytes=90))
    recognized = guess([log, catalog])
    assert (recognized.columns["item"], recognized.columns["item_id"]) == ("sku", "sku")
    assert not recognized.has_missing_items


def test_files_that_are_no_log_and_catalog_are_named_with_what_is_in_them(tmp_path):
    log, catalog = plain(tmp_path)
    review, _ = write_public("yelp", tmp_path)
    pl.read_csv(log).drop("ts").write_csv(tmp_path / "timeless.csv")
    (tmp_path / "strange.csv").write_text("sku,title\nz1,lamp\nz2,vase\n")
    for paths, words in (
        ([log], ["logs.csv", "'customer', 'sku', 'ts'", "columns: {user"]),
        ([review], ["yelp log", "'user_id', 'business_id'"]),
        ([log, tmp_path / "strange.csv"], ["strange.csv", "'sku', 'title'"]),
        ([tmp_path / "timeless.csv", catalog], ["'customer', 'sku'", "'sku', 'title'"]),
    ):
        with pytest.raises(InputError) as refusal:
            guess(paths)
        assert [word for word in words if word not in str(refusal.value)] == []
        assert "\n" not in str(refusal.value)


def test_a_folder_without_tables_is_refused(tmp_path):
    with pytest.raises(InputError, match="got 0; name the two files"):
        guess([tmp_path])
