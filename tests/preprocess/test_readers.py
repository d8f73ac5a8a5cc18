"""RecBole, MovieLens and own tables, by hand: odd rows, known answers, and refusals."""

import gzip
from datetime import date, time, timedelta
from importlib import import_module

import polars as pl
import pytest

from ace_steps.errors import InputError
from ace_steps.preprocess import read_recbole, read_table
from ace_steps.registry import READERS
from tests.preprocess.conftest import reader_settings


def rows(events):
    return events.select("user_id", "item_id", "timestamp", "rating").rows()


LOG = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
ITEM = "item_id:token\ttitle:token_seq\tprice:float\n"
ITEMS = ITEM + "a\tLamp\t3\nb\tVase\t\n"


def test_recbole_files_keep_file_order_quotes_and_gaps(read):
    log = "\ufeff" + LOG + "u2\ta\t4\t20\nu1\tb\t3.5\t10\r\nu2\tb\t5\t20\n\n"
    raw = read("recbole", log, ITEM + 'a\t12" "Lamp\t3\nb\t\t\nc\tVase\t7\n')
    assert rows(raw.events) == [("u2", "a", 20, 4), ("u1", "b", 10, 3.5), ("u2", "b", 20, 5)]
    assert raw.items.rows() == [("a", '12" "Lamp', "3"), ("b", None, None), ("c", "Vase", "7")]


def test_recbole_ids_stay_text_and_the_rating_is_optional(read):
    log = "timestamp:float\titem_id:token\tuser_id:token\n5\t007\t010\n"
    raw = read("recbole", log, "title:token_seq\titem_id:token\nBond\t007\n")
    assert rows(raw.events) == [("010", "007", 5, None)]


@pytest.mark.parametrize(
    ("log", "message"),
    [
        ("", "log: empty, but a header line is wanted"),
        (LOG, "log: holds no events"),
        (LOG + "u\ta\t1\t5\nu\ta\t1\n", "line 3: 'timestamp' is empty or missing"),
        (LOG + "u\ta\t1\t5\nu\n", "line 3: 'item_id' is empty or missing"),
        (LOG + "u\ta\t1\t5\n\ta\t1\t6\n", "line 3: 'user_id' is empty or missing"),
        (LOG + "u\ta\t1\t5\t9\n", r"line 2 has 5 fields, but 4 are wanted \(user_id:token, "),
        (LOG + "u\ta\t1\tnoon\n", "line 2: column 'timestamp:float' is 'noon', but a number"),
        (LOG + "u\ta\t1\t5\nu\ta\t1\t-3\n", "line 3: timestamp -3 is no time"),
        (LOG + "u\ta\t1\tinf\n", "line 2: timestamp inf is no time"),
        (LOG + "u\ta\t1\tnan\n", "line 2: timestamp nan is no time"),
        (LOG + "u\ta\t1\t1400000000000\n", "line 2: timestamp 1400000000000 is no time"),
        (LOG.replace("item_id", "item"), "'item_id' is missing; found user_id:token, item:token"),
        (LOG.replace(":float", ""), "header field 'rating' is not name:kind"),
        (LOG.encode() + b"u\xe9\ta\t1\t5\n", r"not readable \(invalid utf"),
        (gzip.compress((LOG + "u\ta\t1\t5\n" * 99).encode())[:-9], "log: not readable"),
    ],
)
def test_a_broken_recbole_log_is_refused_by_line(read, log, message):
    with pytest.raises(InputError, match=message) as found:
        read("recbole", log, ITEMS)
    assert "\n" not in str(found.value)


@pytest.mark.parametrize(
    ("catalogue", "message"),
    [
        (ITEM + "a\tLamp\t3\na\tVase\t4\n", "1 items have several rows, e.g. a"),
        (ITEM + "a\tLamp\t3\n\tVase\t4\n", "item row 2 has no item id"),
        (ITEM + "a\tLa\tmp\t3\n", "line 2 has 4 fields, but 3 are wanted"),
        (ITEM.replace("item_id", "id"), "'item_id' is missing; found id:token, title:token_seq"),
    ],
)
def test_a_broken_recbole_catalogue_is_refused(read, catalogue, message):
    with pytest.raises(InputError, match=message):
        read("recbole", LOG + "u\ta\t1\t5\n", catalogue)


def test_a_folder_is_no_raw_file(tmp_path):
    with pytest.raises(InputError, match=r"a folder, but a file is wanted"):
        read_recbole.read(tmp_path, tmp_path)


def test_a_missing_raw_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none: no such file"):
        read_recbole.read(tmp_path / "none", tmp_path / "none")


def test_a_compressed_recbole_log_is_read_as_it_is(read):
    raw = read("recbole", gzip.compress((LOG + "u\ta\t1\t5\n").encode()), ITEMS)
    assert rows(raw.events) == [("u", "a", 5, 1)]


FLAGS = "0|0|0|1|0|1" + "|0" * 13  # Animation and Comedy
MOVIELENS = {
    "100k": (
        "196\t242\t3\t881250949\n186\t302\t3\t891717742\n",
        f"242|Caf\xe9 (1995)|01-Jan-1995||http://x|{FLAGS}\n302|B (1996)||||1{'|0' * 18}\n".encode(
            "latin-1"
        ),
        [("242", "Café (1995)", "Animation, Comedy"), ("302", "B (1996)", "")],
    ),
    "1m": (
        "196::242::3::881250949\n186::302::3::891717742\n",
        '242::Caf\xe9: the "film" (1995)::Animation|Comedy\n302::B (1996)::Drama\n'.encode(
            "latin-1"
        ),
        [("242", 'Café: the "film" (1995)', "Animation, Comedy"), ("302", "B (1996)", "Drama")],
    ),
    "20m": (
        "userId,movieId,rating,timestamp\n196,242,3.0,881250949\n186,302,3.0,891717742\n",
        '\ufeffmovieId,title,genres\r\n242,"Café, ""the"" film (1995)",Animation|Comedy\r\n'
        "302,B (1996),(no genres listed)\r\n".encode(),
        [("242", 'Café, "the" film (1995)', "Animation, Comedy"), ("302", "B (1996)", None)],
    ),
}


@pytest.mark.parametrize("release", MOVIELENS)
def test_movielens_is_read_in_its_own_formats_and_encodings(read, release):
    log, catalogue, items = MOVIELENS[release]
    raw = read("movielens", log, catalogue)
    assert rows(raw.events) == [("196", "242", 881250949, 3), ("186", "302", 891717742, 3)]
    assert raw.items.rows() == items


@pytest.mark.parametrize(
    ("log", "catalogue", "message"),
    [
        ("1;2;3\n", MOVIELENS["1m"][1], "no MovieLens log begins with '1;2;3'"),
        ("1::2::3::4\n1::2::3\n", MOVIELENS["1m"][1], "line 2: 'timestamp' is empty or missing"),
        (MOVIELENS["1m"][0], "1::A\n", "line 1 has 2 fields parted by '::', but .* has 3"),
        (MOVIELENS["20m"][0], "movieId,name\n1,A\n", "column 'title' is missing; found movieId"),
        ("userId,movie\n1,2\n", MOVIELENS["20m"][1], "'movieId' is missing; found userId, movie"),
    ],
)
def test_a_broken_movielens_file_is_refused(read, log, catalogue, message):
    with pytest.raises(InputError, match=message):
        read("movielens", log, catalogue)


@pytest.mark.parametrize(
    ("log", "unit", "times"),
    [
        ("who,what,when\nu,a,5\nv,b,7.5\n", "seconds", [5, 7.5]),
        ("when\twho\twhat\n5000\tu\ta\n7500\tv\tb\n", "milliseconds", [5, 7.5]),
        ("who;what;when\nu;a;1970-01-02\nv;b;1970-01-01T00:00:07.5Z\n", "iso", [86_400, 7.5]),
        ('\ufeff"who","what","when"\n"u","a",5\n"v","b",7.5\n', "seconds", [5, 7.5]),
    ],
)
def test_own_tables_are_read_by_their_mapping(read, log, unit, times):
    raw = read("table", log, 'sku,title\na,"Lamp, red"\nb,Vase\n', timestamp_unit=unit)
    assert raw.events["timestamp"].to_list() == times
    assert raw.events["user_id"].to_list() == ["u", "v"]
    assert raw.items.rows() == [("a", "Lamp, red"), ("b", "Vase")]


def test_own_parquet_is_read_whatever_its_types(read, tmp_path):
    log = pl.DataFrame({"who": [7, 8], "what": [1, 2], "when": [86_400_000, 0], "stars": [1, 2]})
    moments = log.with_columns(pl.col("when").cast(pl.Datetime("ms", "UTC")))
    items = pl.DataFrame({"sku": [1, 2], "tags": [["x", "y"], []], "price": [1.5, None]})
    paths = [tmp_path / name for name in ("a", "b")]
    moments.write_parquet(paths[0])
    items.write_parquet(paths[1])
    contents = [path.read_bytes() for path in paths]
    raw = read("table", *contents, timestamp_unit="iso", rating="stars")
    assert rows(raw.events) == [("7", "1", 86_400, 1), ("8", "2", 0, 2)]
    assert raw.items.rows() == [("1", "x, y", "1.5"), ("2", None, None)]


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (pl.Series([date(2014, 7, 23)]), "2014-07-23"),
        (pl.Series([time(8, 15)]), "08:15:00"),
        (pl.Series([timedelta(seconds=90)]), "PT1M30S"),
        (pl.Series([["x", "y"]], dtype=pl.Array(pl.String, 2)), "x, y"),
        (pl.Series([True]), "true"),
        (pl.Series(["red"], dtype=pl.Categorical), "red"),
    ],
    ids=["day", "time of day", "duration", "array", "truth", "category"],
)
def test_a_catalog_of_parquet_is_text_whatever_its_types(read, tmp_path, values, text):
    pl.DataFrame({"sku": ["a"], "field": values}).write_parquet(tmp_path / "items")
    raw = read("table", "who,what,when\nu,a,5\n", (tmp_path / "items").read_bytes())
    assert raw.items.rows() == [("a", text)]


def test_lists_of_lists_in_a_catalog_are_refused_with_their_column(read, tmp_path):
    pl.DataFrame({"sku": ["a"], "tags": [[["x"], ["y"]]]}).write_parquet(tmp_path / "items")
    with pytest.raises(InputError, match=r"catalogue: column 'tags': .*lists of lists"):
        read("table", "who,what,when\nu,a,5\n", (tmp_path / "items").read_bytes())


@pytest.mark.parametrize(
    ("log", "unit", "message"),
    [
        ("who,what\nu,a\n", "seconds", "column 'when' is missing; found who, what"),
        ("who,what,when\nu,a,noon\n", "seconds", "line 2: column 'when' is 'noon'"),
        ("who,what,when\nu,a,noon\n", "iso", "line 2: timestamp 'noon' is not a time"),
        ("who what when\nu a 5\n", "seconds", "no tab, semicolon or comma in the header line"),
    ],
)
def test_a_broken_own_table_is_refused(read, log, unit, message):
    with pytest.raises(InputError, match=message):
        read("table", log, "sku,title\na,Lamp\n", timestamp_unit=unit)


AT_S = (44 * 365 + 11 + 203) * 86_400  # 2014-07-23: 44 years, 11 leap days, 203 days of its year


@pytest.mark.parametrize(
    "times",
    [
        [str(AT_S), str(AT_S + 1.5)],
        [f"{AT_S}000", f"{AT_S + 1}500"],
        [f"{AT_S}000000", f"{AT_S + 1}500000"],
        [f"{AT_S}000000000", f"{AT_S + 1}500000000"],
        ["2014-07-23", "2014-07-23 00:00:01.5"],
        ["2014-07-23T00:00:00Z", "2014-07-23T00:00:01.500Z"],
    ],
    ids=["seconds", "milliseconds", "microseconds", "nanoseconds", "days and times", "iso"],
)
def test_the_unit_of_times_is_seen_from_them_if_nothing_is_said(read, times):
    log = f"who,what,when\nu,a,{times[0]}\nv,b,{times[1]}\n"
    raw = read("table", log, "sku,title\na,Lamp\nb,Vase\n")
    assert raw.events["timestamp"].to_list() == [AT_S, AT_S + 1.5]


@pytest.mark.parametrize("kind", [pl.Datetime("ms"), pl.Datetime("ns", "UTC"), pl.Date, pl.String])
def test_times_of_parquet_are_seen_from_their_type(read, tmp_path, kind):
    days = pl.Series([AT_S // 86_400, AT_S // 86_400 + 1], dtype=pl.Int32).cast(pl.Date)
    pl.DataFrame({"who": ["u", "v"], "what": ["a", "a"], "when": days.cast(kind)}).write_parquet(
        tmp_path / "log"
    )
    raw = read("table", (tmp_path / "log").read_bytes(), "sku,title\na,Lamp\n")
    assert raw.events["timestamp"].to_list() == [AT_S, AT_S + 86_400]


def test_the_latest_time_decides_the_unit_and_it_is_said(read, caplog):
    log = f"who,what,when\nu,a,5000\nv,a,{AT_S}000\n"  # 5 s, which alone would be 5000 s
    with caplog.at_level("INFO"):
        raw = read("table", log, "sku,title\na,Lamp\n")
    assert raw.events["timestamp"].to_list() == [5, AT_S]
    assert all(part in caplog.text for part in ("log", "'when'", "milliseconds", f"{AT_S}000"))


@pytest.mark.parametrize("unit", ["seconds", "milliseconds", "microseconds", "nanoseconds"])
def test_a_unit_that_is_said_is_the_unit(read, unit):
    per_second = {"seconds": 1, "milliseconds": 1e3, "microseconds": 1e6, "nanoseconds": 1e9}
    raw = read("table", "who,what,when\nu,a,9000\n", "sku,title\na,Lamp\n", timestamp_unit=unit)
    assert raw.events["timestamp"].to_list() == [9000 / per_second[unit]]


def test_of_times_that_are_numbers_the_one_that_is_none_is_named(read):
    log = f"who,what,when\nu,a,{AT_S}\nv,a,noon\nw,a,{AT_S}\n"
    with pytest.raises(InputError, match="line 3: column 'when' is 'noon'"):
        read("table", log, "sku,title\na,Lamp\n")


def test_a_log_whose_times_are_all_empty_is_refused_by_its_first_line(read):
    with pytest.raises(InputError, match="line 2: 'timestamp' is empty or missing"):
        read("table", "who,what,when\nu,a,\n", "sku,title\na,Lamp\n")


def test_the_catalogs_ids_have_the_logs_name_if_nothing_is_said(read):
    raw = read("table", "who,what,when\nu,a,5\n", "title,what\nLamp,a\n", item_id=None)
    assert raw.items.to_dicts() == [{"item_id": "a", "title": "Lamp"}]


SHELVES = {  # a small log and catalog of each reader's
    "table": ("who,what,when\nu,a,5\n", "sku,title,price\na,Lamp,3\n"),
    "recbole": (LOG + "u\ta\t1\t5\n", ITEMS),
    "amazon_2014": (
        '{"reviewerID": "u", "asin": "a", "overall": 5.0, "unixReviewTime": 5}\n',
        "{'asin': 'a', 'title': 'Lamp', 'imUrl': 'x'}\n",
    ),
    "amazon_2023": (
        '{"user_id": "u", "parent_asin": "a", "rating": 5.0, "timestamp": 5}\n',
        '{"parent_asin": "a", "title": "Lamp", "images": []}\n',
    ),
    "movielens": MOVIELENS["1m"][:2],
    "yelp": (
        '{"user_id": "u", "business_id": "a", "stars": 5.0, "date": "2014-07-23"}\n',
        '{"business_id": "a", "name": "Lamp", "hours": {}}\n',
    ),
}


@pytest.mark.parametrize("reader", READERS)
def test_text_columns_are_known_from_the_header_as_the_reader_then_gives_them(write, reader):
    log, catalog = write(*SHELVES[reader])
    settings = reader_settings(reader)
    found = import_module(READERS[reader].module).catalog_columns(catalog, settings)
    raw = READERS[reader].implementation()(log, catalog, settings)
    assert found
    assert set(found) == set(raw.items.columns) - {"item_id"}


@pytest.mark.parametrize("reader", READERS)
def test_text_columns_of_a_catalog_that_is_not_here_yet_are_those_of_the_format(reader):
    found = import_module(READERS[reader].module).catalog_columns(None, reader_settings(reader))
    assert (found is None) == (reader in ("table", "recbole"))  # only a header says it
    assert found is None or "title" in found or "name" in found


def test_a_catalog_without_its_column_of_ids_is_refused_with_those_it_has(write):
    _, catalog = write("", "title;price\nLamp;3\n")
    with pytest.raises(InputError, match=r"columns\.item_id: .*'sku'.*title, price"):
        read_table.catalog_columns(catalog, reader_settings("table"))


@pytest.mark.parametrize("reader", ["table", "recbole"])
def test_a_log_with_all_its_columns_has_no_mistake(write, reader):
    log, _ = write(*SHELVES[reader])
    assert import_module(READERS[reader].module).check_log(log, reader_settings(reader)) == []


def test_every_column_that_a_log_lacks_is_a_mistake_with_its_key_and_those_it_has(write):
    log, _ = write("customer,what,ts\nu,a,5\n", "")
    found = read_table.check_log(log, reader_settings("table", rating="stars"))
    assert [mistake.key for mistake in found] == [
        "columns.user",
        "columns.timestamp",
        "columns.rating",
    ]
    for mistake, name in zip(found, ("who", "when", "stars"), strict=True):
        assert f"'{name}'" in mistake.text
        assert "customer, what, ts" in mistake.text


def test_a_recbole_log_without_a_field_is_refused_with_those_it_has(write):
    log, _ = write("user_id:token\titem_id:token\nu\ta\n", "")
    with pytest.raises(InputError, match="'timestamp' is missing; found user_id:token, item_id"):
        read_recbole.check_log(log, reader_settings("recbole"))


def test_a_log_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match="none: no such file"):
        read_table.check_log(tmp_path / "none", reader_settings("table"))
