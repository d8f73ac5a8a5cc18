"""Which files are the log and the catalog, and which of their columns hold what."""

import gzip
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
from ace_steps.init.guess import guess
from ace_steps.init.file_heads import read_head
from ace_steps.registry import READERS
from tests.init.shops import FORMATS, N_ITEMS, SHOPS, START_S, draws, iso, plain


def settings_of(recognized):
    """The dataset's settings, as the configuration would have them."""
    given = {
        "reader": recognized.reader,
        "interactions": str(recognized.interactions),
        "items": str(recognized.items),
    }
    given |= {"columns": recognized.columns} if recognized.columns else {}
    return READERS[recognized.reader].settings_class().model_validate(given)


@pytest.mark.parametrize("shop", SHOPS)
def test_columns_of_unfamiliar_names_are_recognized(shop, tmp_path):
    log, catalog, expected = SHOPS[shop](tmp_path)
    recognized = guess([log, catalog])
    assert (recognized.interactions, recognized.items) == (log, catalog)
    assert recognized.columns == expected
    assert recognized.doubts == []


@pytest.mark.parametrize("shop", SHOPS)
def test_the_order_of_the_files_does_not_matter_nor_does_a_folder(shop, tmp_path):
    log, catalog, expected = SHOPS[shop](tmp_path)
    for paths in ([catalog, log], [tmp_path]):
        recognized = guess(paths)
        assert (recognized.interactions, recognized.items, recognized.columns) == (
            log,
            catalog,
            expected,
        )


@pytest.mark.parametrize("shop", SHOPS)
def test_the_reader_takes_what_was_guessed_for_it(shop, tmp_path):
    log, catalog, _ = SHOPS[shop](tmp_path)
    settings = settings_of(guess([log, catalog]))
    raw = READERS["table"].implementation()(log, catalog, settings)
    seconds = draws()["seconds"]
    assert (len(raw.events), len(raw.items)) == (len(seconds), N_ITEMS)
    assert raw.events["timestamp"].to_list() == pytest.approx(seconds, abs=1)


@pytest.mark.parametrize("form", FORMATS)
def test_a_public_format_is_recognized_in_a_folder_and_its_reader_takes_the_files(form, tmp_path):
    log, catalog = FORMATS[form](tmp_path)
    for paths in ([tmp_path], [catalog, log]):
        recognized = guess(paths)
        assert (recognized.interactions, recognized.items) == (log, catalog)
        assert form.startswith(recognized.reader)
        assert recognized.columns is None
    raw = READERS[recognized.reader].implementation()(log, catalog, settings_of(recognized))
    assert len(raw.events) > 0
    assert len(raw.items) > 0


def test_of_several_logs_of_one_format_the_others_are_named(tmp_path):
    log, _ = FORMATS["movielens_100k"](tmp_path)
    (tmp_path / "ua.data").write_text("1\t2\t3\t881250949\n" * 9)
    recognized = guess([tmp_path])
    assert recognized.interactions == log
    assert any("ua.data" in doubt for doubt in recognized.doubts)


def test_a_log_of_movielens_beside_another_catalog_is_a_table(tmp_path):
    log, movies = FORMATS["movielens_latest"](tmp_path)
    rows = [f"{u},{i},4.0,{START_S + u}" for u in range(20) for i in range(10)]
    log.write_text("\n".join(["userId,movieId,rating,timestamp", *rows]))
    movies.write_text("\n".join(["film,plot", *(f"{i},long story {i}" for i in range(10))]))
    recognized = guess([log, movies])
    assert recognized.reader == "table"
    assert (recognized.columns["item"], recognized.columns["item_id"]) == ("movieId", "film")


@pytest.mark.parametrize(
    ("ending", "pack"),
    [(".csv.gz", gzip.compress), (".csv.zst", None)],
)
def test_packed_tables_are_read(ending, pack, tmp_path):
    log, catalog = plain(tmp_path)
    packed = tmp_path / f"packed{ending}"
    if pack:
        packed.write_bytes(pack(log.read_bytes()))
    else:
        pl.read_csv(log).write_csv(packed, compression="zstd")
    assert guess([packed, catalog]).columns["user"] == "customer"


@pytest.mark.parametrize(
    ("unit", "per_second"),
    [("seconds", 1), ("milliseconds", 10**3), ("microseconds", 10**6), ("nanoseconds", 10**9)],
)
def test_the_unit_of_times_is_known_by_their_size(unit, per_second, tmp_path):
    times = [s * per_second for s in draws()["seconds"]]
    recognized = guess(plain(tmp_path, {"ts": times}))
    assert recognized.columns["timestamp_unit"] == unit
    assert recognized.doubts == []


def test_times_without_a_unit_are_doubted(tmp_path):
    recognized = guess(plain(tmp_path, {"ts": list(range(600))}))
    assert recognized.columns["timestamp"] == "ts"
    assert any("'ts'" in doubt and "599" in doubt for doubt in recognized.doubts)


def test_dates_as_eight_digits_are_doubted():
    times = times_of(pl.Series("day", [20240131, 20240201, 20231224]))
    assert "20240131" in times.doubt


def test_dates_that_no_reader_takes_are_refused_with_an_example(tmp_path):
    paths = plain(tmp_path, {"ts": [f"{1 + i % 28:02}.01.2024" for i in range(600)]})
    with pytest.raises(InputError, match=r"'ts'.*'01\.01\.2024'.*2024-01-31"):
        guess(paths)


def test_two_columns_that_could_be_the_user_are_both_named(tmp_path):
    other = [f"v{u}" for u in reversed(draws()["user"])]
    recognized = guess(plain(tmp_path, {"client": other}))
    taken = recognized.columns["user"]
    left = ({"customer", "client"} - {taken}).pop()
    assert [d for d in recognized.doubts if d.startswith("user:") and repr(left) in d]


def test_a_log_of_one_user_has_that_user(tmp_path):
    log = {"user_id": ["u"] * 3, "item_id": list("abc"), "time": [1, 2, 3], "rating": [5, None, 5]}
    pl.DataFrame(log).write_csv(tmp_path / "log.csv")
    pl.DataFrame({"item_id": list("abc"), "title": ["lamp"] * 3}).write_csv(tmp_path / "items.csv")
    columns = guess([tmp_path / "log.csv", tmp_path / "items.csv"]).columns
    assert (columns["user"], columns["rating"]) == ("user_id", "rating")


def test_a_session_stands_in_for_a_user_where_there_is_none(tmp_path):
    rows = list(range(600))
    log, catalog = plain(tmp_path, {"sessionId": [i // 4 for i in rows]})
    recognized = guess([log, catalog])
    assert (recognized.columns["user"], recognized.doubts) == ("customer", [])
    pl.read_csv(log).drop("customer").write_csv(log)
    assert guess([log, catalog]).columns["user"] == "sessionId"


def test_a_rating_needs_a_name(tmp_path):
    small = draws()["rating"]
    assert "rating" not in guess(plain(tmp_path, {"quantity": small})).columns
    assert guess(plain(tmp_path, {"stars": small})).columns["rating"] == "stars"


def test_ids_as_whole_floats_meet_ids_as_text(tmp_path):
    d = draws()
    log = {"customer": d["user"], "sku": [float(i) for i in d["item"]], "ts": d["seconds"]}
    pl.DataFrame(log).write_parquet(tmp_path / "log.parquet")
    catalog = {"nr": [str(i) for i in range(N_ITEMS)], "title": ["lamp"] * N_ITEMS}
    pl.DataFrame(catalog).write_csv(tmp_path / "items.csv")
    recognized = guess([tmp_path / "log.parquet", tmp_path / "items.csv"])
    assert (recognized.columns["item"], recognized.columns["item_id"]) == ("sku", "nr")


def test_a_column_of_the_catalog_that_repeats_is_no_item(tmp_path):
    d = draws()
    log = {"customer": d["user"], "brand": [f"b{i % 5}" for i in d["item"]], "ts": d["seconds"]}
    pl.DataFrame(log).write_csv(tmp_path / "log.csv")
    catalog = {"brand": [f"b{i % 5}" for i in range(N_ITEMS)], "title": ["lamp"] * N_ITEMS}
    pl.DataFrame(catalog).write_csv(tmp_path / "items.csv")
    with pytest.raises(InputError, match="no log"):
        guess([tmp_path])


def test_of_two_columns_with_the_catalogs_values_the_better_contained_is_the_item(tmp_path):
    rows = range(400)
    log = {"p": [i % 300 for i in rows], "q": [7 * (i % 10) for i in rows]}
    log |= {"u": [f"u{i % 60}" for i in rows], "t": [START_S + i for i in rows]}
    pl.DataFrame(log).write_csv(tmp_path / "log.csv")
    pl.DataFrame({"n": range(100), "x": ["lamp"] * 100}).write_csv(tmp_path / "items.csv")
    assert guess([tmp_path]).columns["item"] == "q"


def test_neither_a_second_item_nor_a_second_date_is_the_user(tmp_path):
    d = draws()
    log = {
        "k1": [f"x{i}" for i in reversed(d["item"])],
        "k2": [iso(START_S + 86_400 * (i % 30)) for i in range(600)],
        "k3": [f"w{u}" for u in d["user"]],
        "k4": [f"x{i}" for i in d["item"]],
        "k5": d["seconds"],
    }
    pl.DataFrame(log).write_csv(tmp_path / "log.csv")
    catalog = {"d1": [f"x{i}" for i in range(N_ITEMS)], "d2": ["lamp"] * N_ITEMS}
    pl.DataFrame(catalog).write_csv(tmp_path / "items.csv")
    recognized = guess([tmp_path])
    assert recognized.columns["user"] == "k3"
    assert not [doubt for doubt in recognized.doubts if doubt.startswith("user")]


def test_in_few_rows_a_constant_is_not_the_user(tmp_path):
    log = {"k0": ["web"] * 20, "k1": [f"w{i % 4}" for i in range(20)]}
    log |= {"k2": [f"x{i % 5}" for i in range(20)], "k3": [START_S + i for i in range(20)]}
    pl.DataFrame(log).write_csv(tmp_path / "log.csv")
    catalog = {"d1": [f"x{i}" for i in range(5)], "d2": ["lamp"] * 5}
    pl.DataFrame(catalog).write_csv(tmp_path / "items.csv")
    assert guess([tmp_path]).columns["user"] == "k1"


@pytest.mark.parametrize(
    ("role", "wrong", "right"),
    [
        ("user", "customer_name", "customer"),
        ("user", "client", "client_id"),
        ("timestamp", "updated_at", "created_at"),
        ("timestamp", "birthDate", "orderDate"),
        ("user", "order_id", "Kundennummer"),
    ],
)
def test_a_name_tells_an_id_from_an_attribute(role, wrong, right, tmp_path):
    d = draws()
    values = {
        "user": [f"u{u}" for u in d["user"]],
        "timestamp": [iso(s) for s in d["seconds"]],
    }
    log, catalog = {wrong: values[role]}, tmp_path / "items.csv"
    for kind, column in values.items():
        log[right if kind == role else kind] = column
    log["sku"] = d["item"]
    pl.DataFrame(log).write_csv(tmp_path / "log.csv")
    pl.DataFrame({"sku": range(N_ITEMS), "title": ["lamp"] * N_ITEMS}).write_csv(catalog)
    assert guess([tmp_path]).columns[role] == right


def test_negative_numbers_are_no_times():
    assert times_of(pl.Series("at", [-5, 3, 8])) is None


def test_the_separator_is_the_one_that_all_rows_have(tmp_path):
    (tmp_path / "a.csv").write_text("id,a|b|c\n1,x\n2,y\n3,z\n")
    head = read_head(tmp_path / "a.csv")
    assert (head.separator, head.table.columns) == (",", ["id", "a|b|c"])


def test_an_index_without_a_name_is_no_column(tmp_path):
    log, catalog = plain(tmp_path)
    rows = log.read_text().splitlines()
    log.write_text("\n".join([f",{rows[0]}", *(f"{i},{row}" for i, row in enumerate(rows[1:]))]))
    rows = catalog.read_text().splitlines()
    catalog.write_text("\n".join([f",{rows[0]}", *(f"row,{row}" for row in rows[1:])]))
    recognized = guess([log, catalog])
    assert (recognized.columns["user"], recognized.text_columns) == ("customer", ["title"])


def test_columns_of_any_type_of_parquet_may_stand_beside(tmp_path):
    log, catalog, expected = SHOPS["camel_case"](tmp_path)
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


def test_a_table_of_users_is_not_the_catalog(tmp_path):
    plain(tmp_path)
    users = {"customer": [f"u{i}" for i in range(40)], "name": [f"Ann {i}" for i in range(40)]}
    pl.DataFrame(users).write_csv(tmp_path / "clients.csv")
    (tmp_path / "README.md").write_text("not data")
    (tmp_path / "empty.csv").write_text("")
    recognized = guess([tmp_path])
    assert recognized.items == tmp_path / "products.csv"
    assert any("empty.csv" in doubt for doubt in recognized.doubts)


def test_items_without_a_row_in_the_catalog_are_counted(tmp_path):
    log, catalog = plain(tmp_path)
    catalog.write_text("\n".join(catalog.read_text().splitlines()[:-2]))
    recognized = guess([log, catalog])
    assert recognized.has_missing_items
    assert any(f"2 of the log's {N_ITEMS} items" in doubt for doubt in recognized.doubts)


def test_items_with_several_rows_are_named(tmp_path):
    log, catalog = plain(tmp_path)
    catalog.write_text(catalog.read_text() + "i3,again\n")
    recognized = guess([log, catalog])
    assert recognized.columns["item_id"] == "sku"
    assert any("'i3'" in doubt for doubt in recognized.doubts)


def test_a_table_of_codes_without_words_is_not_the_catalog(tmp_path):
    _, catalog = plain(tmp_path)
    codes = {"sku": [f"i{i}" for i in range(N_ITEMS)], "ean": range(N_ITEMS)}
    pl.DataFrame(codes).write_csv(tmp_path / "codes.csv")
    recognized = guess([tmp_path])
    assert (recognized.items, recognized.doubts) == (catalog, [])


def test_filters_that_would_leave_few_items_are_said(tmp_path):
    items = [f"i{i % 20}" if i >= 10 else f"i{20 + i}" for i in range(600)]
    items += [f"rare{i}" for i in range(30)]
    users = [f"u{i % 40}" for i in range(630)]
    log = {"customer": users, "sku": items, "ts": [START_S + i for i in range(630)]}
    pl.DataFrame(log).write_csv(tmp_path / "log.csv")
    catalog = {"sku": sorted(set(items)), "title": ["lamp"] * len(set(items))}
    pl.DataFrame(catalog).write_csv(tmp_path / "items.csv")
    recognized = guess([tmp_path])
    assert any("40 of 40 users and 20 of 60 items" in doubt for doubt in recognized.doubts)


def test_filters_that_would_leave_few_users_users_are_said(tmp_path):
    log, catalog = plain(tmp_path, {"customer": [f"u{i // 3}" for i in range(600)]})
    recognized = guess([log, catalog])
    assert any("0 of 200 users" in doubt for doubt in recognized.doubts)


def test_of_a_large_file_the_head_is_read_and_that_is_said(tmp_path):
    log, _ = plain(tmp_path)
    whole = read_head(log)
    by_rows, by_bytes = read_head(log, max_rows=100), read_head(log, max_bytes=4_000)
    assert (whole.is_whole, whole.n_rows) == (True, 600)
    for head in (by_rows, by_bytes):
        assert not head.is_whole
        assert "first" in head.description()
        assert head.table.equals(whole.table[: head.n_rows])
    assert by_rows.n_rows == 99  # the last may be cut
    assert 100 < by_bytes.n_rows < 600


@pytest.mark.parametrize("size", [40, 41, 42, 43])
def test_a_head_may_end_within_a_character(size, tmp_path):
    (tmp_path / "log.csv").write_text("a,b\n" + "éé,ü\n" * 20)
    head = read_head(tmp_path / "log.csv", max_bytes=size)
    assert head.is_utf8
    assert set(head.table["a"]) == {"éé"}


def test_ids_may_be_further_down_than_the_head(tmp_path, monkeypatch):
    """A log sorted by item meets a catalog sorted the other way round."""
    log, catalog = plain(tmp_path)
    pl.read_csv(log).sort("sku").write_csv(log)
    pl.read_csv(catalog).sort("sku", descending=True).write_csv(catalog)
    monkeypatch.setattr(guess_module, "read_head", partial(read_head, max_rows=5))
    recognized = guess([log, catalog])
    assert (recognized.columns["item"], recognized.columns["item_id"]) == ("sku", "sku")
    assert not recognized.has_missing_items


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "empty"),
        (b"PK\x03\x04rest", "zip"),
        (b"\x1f\x8bbroken", "not readable"),
        (b"PAR1broken", "not readable"),
        (b"\xff\xfea\0,\0b\0", "UTF-8"),
        (b"a,a\n1,2\n", "'a' twice"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line_with_its_name(content, expected, tmp_path):
    log, _ = plain(tmp_path)
    wrong = tmp_path / "wrong.csv"
    wrong.write_bytes(content)
    with pytest.raises(InputError, match=expected) as refusal:
        guess([log, wrong])
    assert "wrong.csv" in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_latin_1_and_bars_are_refused_with_the_way_out(tmp_path):
    log, catalog = plain(tmp_path, catalog={"title": ["café"] * N_ITEMS})
    text = catalog.read_text()
    catalog.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match="iconv"):
        guess([log, catalog])
    catalog.write_text(text.replace(",", "|"))
    with pytest.raises(InputError, match=r"products\.csv.*bars.*CSV"):
        guess([log, catalog])


def test_one_file_alone_lacks_a_part_and_its_columns_are_named(tmp_path):
    log, _ = plain(tmp_path)
    with pytest.raises(InputError, match=r"catalog.*'customer', 'sku', 'ts'.*columns: \{user"):
        guess([log])


def test_half_of_a_public_format_lacks_the_other(tmp_path):
    log, catalog = FORMATS["yelp"](tmp_path)
    with pytest.raises(InputError, match=r"no catalog.*yelp"):
        guess([log])
    with pytest.raises(InputError, match=r"no log.*yelp"):
        guess([catalog])


def test_tables_without_a_time_or_with_strange_items_name_what_is_there(tmp_path):
    log, catalog = plain(tmp_path)
    pl.read_csv(log).drop("ts").write_csv(log)
    with pytest.raises(InputError, match=r"'customer', 'sku'.*'sku', 'title'"):
        guess([log, catalog])
    log, catalog = plain(tmp_path, catalog={"sku": [f"z{i}" for i in range(N_ITEMS)]})
    with pytest.raises(InputError, match="catalog"):
        guess([log, catalog])


def test_nothing_there_is_said(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        guess([tmp_path / "none.csv", tmp_path / "neither.csv"])
    with pytest.raises(InputError, match="name the two files"):
        guess([tmp_path])
