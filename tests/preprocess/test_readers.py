"""RecBole, MovieLens and own tables, by hand: odd rows, known answers, and refusals."""

import gzip

import polars as pl
import pytest

from ace_steps.errors import InputError
from ace_steps.preprocess.readers import READERS


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
        READERS["recbole"](tmp_path, tmp_path, None)


def test_a_missing_raw_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none: no such file"):
        READERS["recbole"](tmp_path / "none", tmp_path / "none", None)


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
