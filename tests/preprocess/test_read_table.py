"""Own tables by hand: columns as mapped, units of times, types of Parquet, and refusals."""

import io
from datetime import date, time, timedelta

import polars as pl
import pytest

from ace_steps.errors import InputError
from ace_steps.preprocess import read_table
from tests.preprocess.conftest import reader_settings

LOG = "who,what,when\nu,a,5\n"
ITEMS = "sku,title\na,Lamp\n"


def parquet(table):
    buffer = io.BytesIO()
    table.write_parquet(buffer)
    return buffer.getvalue()


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


def test_own_parquet_is_read_whatever_its_types(read):
    log = pl.DataFrame({"who": [7, 8], "what": [1, 2], "when": [86_400_000, 0], "stars": [1, 2]})
    moments = log.with_columns(pl.col("when").cast(pl.Datetime("ms", "UTC")))
    items = pl.DataFrame({"sku": [1, 2], "tags": [["x", "y"], []], "price": [1.5, None]})
    raw = read("table", parquet(moments), parquet(items), timestamp_unit="iso", rating="stars")
    assert raw.events.rows() == [("7", "1", 86_400, 1), ("8", "2", 0, 2)]
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
def test_a_catalog_of_parquet_is_text_whatever_its_types(read, values, text):
    items = parquet(pl.DataFrame({"sku": ["a"], "field": values}))
    raw = read("table", LOG, items)
    assert raw.items.rows() == [("a", text)]


def test_lists_of_lists_in_a_catalog_are_refused_with_their_column(read):
    items = parquet(pl.DataFrame({"sku": ["a"], "tags": [[["x"], ["y"]]]}))
    with pytest.raises(InputError, match=r"catalog: column 'tags': .*lists of lists"):
        read("table", LOG, items)


@pytest.mark.parametrize(
    ("log", "unit", "words"),
    [
        ("who,what\nu,a\n", "seconds", ["'when'", "got who, what"]),
        ("who,what,when\nu,a,noon\n", "seconds", ["line 2:", "'when'", "'noon'"]),
        ("who,what,when\nu,a,noon\n", "iso", ["line 2:", "timestamp", "'noon'", "2014-07-23"]),
        ("who what when\nu a 5\n", "seconds", ["tab, semicolon or comma", "'who what when'"]),
        # With the unit left open:
        ("who,what,when\nu,a,5\nv,a,noon\nw,a,6\n", "auto", ["line 3:", "'when'", "'noon'"]),
        ("who,what,when\nu,a,\n", "auto", ["line 2:", "'timestamp' is empty or missing"]),
    ],
)
def test_a_broken_table_is_refused_with_line_column_and_value(read, log, unit, words):
    with pytest.raises(InputError) as refusal:
        read("table", log, ITEMS, timestamp_unit=unit)
    assert [word for word in words if word not in str(refusal.value)] == []


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
def test_times_of_parquet_are_seen_from_their_type(read, kind):
    days = pl.Series([AT_S // 86_400, AT_S // 86_400 + 1], dtype=pl.Int32).cast(pl.Date)
    log = pl.DataFrame({"who": ["u", "v"], "what": ["a", "a"], "when": days.cast(kind)})
    raw = read("table", parquet(log), ITEMS)
    assert raw.events["timestamp"].to_list() == [AT_S, AT_S + 86_400]


def test_the_latest_time_decides_the_unit_and_it_is_said(read, caplog):
    log = f"who,what,when\nu,a,5000\nv,a,{AT_S}000\n"  # 5 s, which alone would be 5000 s
    with caplog.at_level("INFO"):
        raw = read("table", log, ITEMS)
    assert raw.events["timestamp"].to_list() == [5, AT_S]
    assert all(part in caplog.text for part in ("log", "'when'", "milliseconds", f"{AT_S}000"))


@pytest.mark.parametrize("unit", ["seconds", "milliseconds", "microseconds", "nanoseconds"])
def test_a_unit_that_is_said_is_the_unit(read, unit):
    per_second = {"seconds": 1, "milliseconds": 1e3, "microseconds": 1e6, "nanoseconds": 1e9}
    raw = read("table", "who,what,when\nu,a,9000\n", ITEMS, timestamp_unit=unit)
    assert raw.events["timestamp"].to_list() == [9000 / per_second[unit]]


def test_the_catalogs_ids_have_the_logs_name_if_nothing_is_said(read):
    raw = read("table", "who,what,when\nu,a,5\n", "title,what\nLamp,a\n", item_id=None)
    assert raw.items.to_dicts() == [{"item_id": "a", "title": "Lamp"}]


def test_a_catalog_without_its_column_of_ids_is_refused_with_those_it_has(write):
    _, catalog = write("", "title;price\nLamp;3\n")
    with pytest.raises(InputError, match=r"columns\.item_id: .*'sku'.*title, price"):
        read_table.catalog_columns(catalog, reader_settings("table"))


def test_every_column_that_a_log_lacks_is_a_mistake_with_its_key_and_those_it_has(write):
    log, _ = write("customer,what,ts\nu,a,5\n", "")
    mistakes = read_table.check_log(log, reader_settings("table", rating="stars"))
    assert [mistake.key for mistake in mistakes] == [
        "columns.user",
        "columns.timestamp",
        "columns.rating",
    ]
    for mistake, name in zip(mistakes, ("who", "when", "stars"), strict=True):
        assert f"'{name}'" in mistake.text
        assert "customer, what, ts" in mistake.text


def test_a_log_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match="none: no such file"):
        read_table.check_log(tmp_path / "none", reader_settings("table"))
