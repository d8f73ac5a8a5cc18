"""Own tables by hand: columns as mapped, units of times, types of Parquet, and refusals."""

import io
from datetime import date, time, timedelta

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ace_steps.errors import InputError
from ace_steps.preprocess import read_table
from tests.preprocess.conftest import reader_settings

LOG = "who,what,when\nu,a,5\n"
ITEMS = "sku,title\na,Lamp\nb,Vase\n"
AT_S = (44 * 365 + 11 + 203) * 86_400  # 2014-07-23: 44 years, 11 leap days, 203 days of its year


def parquet(table):
    buffer = io.BytesIO()
    table.write_parquet(buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "log",
    [
        "who,what,when\nu,a,5\nv,b,7.5\n",
        "when\twho\twhat\n5\tu\ta\n7.5\tv\tb\n",
        "who;what;when\nu;a;1970-01-01 00:00:05\nv;b;1970-01-01T00:00:07.5Z\n",
        '\ufeff"who","what","when"\n"u","a",5\n"v","b",7.5\n',
    ],
)
def test_own_tables_are_read_by_their_mapping(read, log):
    raw = read("table", log, 'sku,title\na,"Lamp, red"\nb,Vase\n')
    assert raw.events["timestamp"].to_list() == [5, 7.5]
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
    assert read("table", LOG, items).items.rows() == [("a", text)]


def test_lists_of_lists_in_a_catalog_are_refused_with_their_column(read):
    items = parquet(pl.DataFrame({"sku": ["a"], "tags": [[["x"], ["y"]]]}))
    with pytest.raises(InputError, match=r"catalog: column 'tags': .*lists of lists"):
        read("table", LOG, items)


@pytest.mark.parametrize(
    "times",
    [
        [str(AT_S), str(AT_S + 1.5)],
        ["5000", f"{AT_S}000"],  # 5 s, which alone would be 5000 s: the latest time decides
        [f"{AT_S}000000", f"{AT_S + 1}500000"],
        [f"{AT_S}000000000", f"{AT_S + 1}500000000"],
        ["2014-07-23", "2014-07-23 00:00:01.5"],
        ["2014-07-23T00:00:00Z", "2014-07-23T00:00:01.500Z"],
    ],
    ids=["seconds", "milliseconds", "microseconds", "nanoseconds", "days and times", "iso"],
)
def test_the_unit_of_times_is_seen_from_them_if_none_is_given(read, times):
    raw = read("table", f"who,what,when\nu,a,{times[0]}\nv,b,{times[1]}\n", ITEMS)
    expected = [5, AT_S] if times[0] == "5000" else [AT_S, AT_S + 1.5]
    assert raw.events["timestamp"].to_list() == expected


@pytest.mark.parametrize(
    "kind",
    [pl.Datetime("ms"), pl.Datetime("ns", "Europe/Rome"), pl.Date, pl.String, pl.Categorical],
)
def test_times_of_parquet_are_seen_from_their_type(read, kind):
    days = pl.Series([AT_S // 86_400, AT_S // 86_400 + 1], dtype=pl.Int32).cast(pl.Date)
    times = days.cast(pl.String).cast(kind) if kind == pl.Categorical else days.cast(kind)
    log = pl.DataFrame({"who": ["u", "v"], "what": ["a", "a"], "when": times})
    raw = read("table", parquet(log), ITEMS)
    assert raw.events["timestamp"].to_list() == [AT_S, AT_S + 86_400]


def test_times_with_an_offset_as_their_zone_are_moments(read):
    moments = pa.array([AT_S], pa.timestamp("s")).cast(pa.timestamp("s", "+05:30"))
    buffer = io.BytesIO()
    pq.write_table(pa.table({"who": ["u"], "what": ["a"], "when": moments}), buffer)
    raw = read("table", buffer.getvalue(), ITEMS)
    assert raw.events["timestamp"].to_list() == [AT_S]


@pytest.mark.parametrize("unit", ["seconds", "milliseconds", "microseconds", "nanoseconds"])
def test_a_unit_that_is_given_is_the_unit(read, unit):
    per_second = {"seconds": 1, "milliseconds": 1e3, "microseconds": 1e6, "nanoseconds": 1e9}
    raw = read("table", "who,what,when\nu,a,9000\n", ITEMS, timestamp_unit=unit)
    assert raw.events["timestamp"].to_list() == [9000 / per_second[unit]]


def test_the_catalogs_ids_have_the_logs_name_if_none_is_given(read):
    raw = read("table", LOG, "title,what\nLamp,a\n", item_id=None)
    assert raw.items.to_dicts() == [{"item_id": "a", "title": "Lamp"}]


def test_a_catalog_without_its_column_of_ids_is_refused_with_those_it_has(write):
    _, catalog = write("", "title;price\nLamp;3\n")
    with pytest.raises(InputError, match=r"columns\.item_id: .*'sku'.*title, price"):
        read_table.catalog_columns(catalog, reader_settings("table"))


def test_every_column_that_a_log_lacks_is_a_mistake_with_its_key_and_those_it_has(write):
    log, _ = write("customer,what,ts\nu,a,5\n", "")
    mistakes = read_table.check_log(log, reader_settings("table", rating="stars"))
    missing = {"columns.user": "who", "columns.timestamp": "when", "columns.rating": "stars"}
    assert [mistake.key for mistake in mistakes] == list(missing)
    for mistake in mistakes:
        assert f"'{missing[mistake.key]}'" in mistake.text
        assert "customer, what, ts" in mistake.text


def test_rows_of_a_table_are_counted_without_its_header(write):
    text, table = write("a,b\n1,2\n3,4\n", parquet(pl.DataFrame({"a": [1, 2, 3]})))
    assert (read_table.n_catalog_rows(text), read_table.n_catalog_rows(table)) == (2, 3)
