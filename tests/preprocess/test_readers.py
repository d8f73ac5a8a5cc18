"""Every reader by hand: odd rows, known answers, and refusals."""

import gzip
from importlib import import_module

import pytest

from ace_steps.errors import InputError
from ace_steps.registry import READERS
from tests.preprocess.conftest import reader_settings
from tests.preprocess.public_files import (
    ITEM,
    LOG,
    MOVIELENS,
    REVIEW_2023,
    REVIEW_YELP,
    SMALL,
    json_lines,
)


def rows(events):
    return events.select("user_id", "item_id", "timestamp", "rating").rows()


@pytest.mark.parametrize("reader", READERS)
def test_a_plan_knows_the_text_columns_that_the_reader_then_gives(write, reader):
    log, catalog = write(*SMALL[reader])
    settings = reader_settings(reader)
    raw = READERS[reader].implementation()(log, catalog, settings)
    module = import_module(READERS[reader].module)
    columns = module.catalog_columns(catalog, settings)
    assert columns == [name for name in raw.items.columns if name != "item_id"]
    # Of a catalog that is not here yet, they are those of the format, unless only a header has it.
    names_are_fixed = reader not in ("table", "recbole")
    assert module.catalog_columns(None, settings) == (columns if names_are_fixed else None)
    assert names_are_fixed or module.check_log(log, settings) == []


def test_recbole_files_keep_file_order_quotes_and_gaps(read):
    log = "\ufeff" + LOG.replace("\n", "\r\n") + "u2\ta\t4\t20\nu1\tb\t3.5\t10\r\nu2\tb\t5\t20\n\n"
    raw = read("recbole", log, ITEM + 'a\t12" "Lamp\t3\nb\t\t\nc\tVase\t7\n')
    assert rows(raw.events) == [("u2", "a", 20, 4), ("u1", "b", 10, 3.5), ("u2", "b", 20, 5)]
    assert raw.items.rows() == [("a", '12" "Lamp', "3"), ("b", None, None), ("c", "Vase", "7")]


def test_recbole_ids_stay_text_and_the_rating_is_optional_and_gzip_is_read(read):
    log = gzip.compress(b"timestamp:float\titem_id:token\tuser_id:token\n5\t007\t010\n")
    raw = read("recbole", log, "title:token_seq\titem_id:token\nBond\t007\n")
    assert rows(raw.events) == [("010", "007", 5, None)]


@pytest.mark.parametrize("release", MOVIELENS)
def test_movielens_is_read_in_its_own_formats_and_encodings(read, release):
    log, catalog, items = MOVIELENS[release]
    raw = read("movielens", log, catalog)
    assert rows(raw.events) == [("196", "242", 881250949, 3), ("186", "302", 891717742, 3)]
    assert raw.items.rows() == items


def test_amazon_2014_reads_literals_and_flattens_categories(read):
    reviews = json_lines(
        {"reviewerID": "A2", "asin": "B1", "overall": 5.0, "unixReviewTime": 1.4e9, "x": [1]},
        {"reviewerID": "A1", "asin": "B2", "overall": 1, "unixReviewTime": 1300000000},
    )
    metadata = [
        r"""{'asin': 'B1', 'title': "Women's \"Lamp\"\t&amp; more", 'price': 3.5, """
        r"""'categories': [['Home', 'Light'], ['Home', 'Red, blue']], 'salesRank': {'Home': 3}}""",
        r"""{"asin": "B2", "brand": None, "description": "caf\xe9"}""",
        r"""{'asin': 'B3', 'title': 'not in the log', 'imUrl': open('/etc/passwd')}""",
    ]
    raw = read("amazon_2014", gzip.compress(reviews.encode()), "\n".join(["", *metadata]))
    assert rows(raw.events) == [("A2", "B1", 1.4e9, 5), ("A1", "B2", 1.3e9, 1)]
    assert raw.items.columns == ["item_id", "title", "price", "brand", "categories", "description"]
    assert raw.items.rows() == [
        ("B1", 'Women\'s "Lamp"\t&amp; more', "3.5", None, "Home, Light, Red, blue", None),
        ("B2", None, None, None, None, "café"),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "__import__('os').system('touch {}')",
        "{{'asin': 'a', 'title': open('{}', 'w').name}}",
        "{{'asin': 'a', 'title': 'Lamp'",
    ],
)
def test_a_metadata_line_that_is_not_a_literal_is_refused_and_never_run(read, tmp_path, line):
    trap = tmp_path / "trap"
    with pytest.raises(InputError, match="line 1 is not a Python literal"):
        read("amazon_2014", SMALL["amazon_2014"][0], line.format(trap) + "\n")
    assert not trap.exists()


def test_amazon_2023_reads_milliseconds_and_lists(read):
    review = {"user_id": "A", "parent_asin": "B1", "asin": "X", "rating": 4, "timestamp": 15887287}
    first = {"parent_asin": "B1", "title": "Lamp\tred", "price": 12.5, "details": {"Weight": "3"}}
    first |= {"categories": ["Home", "Light"], "features": [], "description": ["One.", "Two."]}
    second = {"parent_asin": "B2", "title": None, "price": "from 3.00", "categories": []}
    log = b"\xef\xbb\xbf" + json_lines(review, review | {"parent_asin": "B2"}).encode()
    raw = read("amazon_2023", log, gzip.compress(json_lines(first, second).encode()))
    assert rows(raw.events) == [("A", "B1", 15887.287, 4), ("A", "B2", 15887.287, 4)]
    texts = ("title", "price", "categories", "features", "description")
    assert raw.items.select(texts).rows() == [
        ("Lamp\tred", "12.5", "Home, Light", None, "One., Two."),
        (None, "from 3.00", None, None, None),
    ]


def test_yelp_reads_dates_as_utc(read):
    at = [{"date": "2019-01-01 00:00:01"}, {"user_id": "v", "stars": 1.0, "date": "1970-01-02"}]
    shop = {"business_id": "a", "name": "Café", "city": "Rome", "categories": None, "hours": {}}
    raw = read("yelp", json_lines(*(REVIEW_YELP | entry for entry in at)), json_lines(shop))
    # 2019-01-01 is 17,897 days after 1970-01-01: 49 years and 12 leap days.
    at_s = (49 * 365 + 12) * 86_400
    assert rows(raw.events) == [("u", "a", at_s + 1, 5), ("v", "a", 86_400, 1)]
    assert raw.items["name"].to_list() == ["Café"]


BAD_2023 = (REVIEW_2023 | {"timestamp": "noon"}, {"user_id": "u", "timestamp": 5})
TRUNCATED = gzip.compress((LOG + "u\ta\t1\t5\n" * 99).encode())[:-9]
BROKEN_LOGS = [
    ("recbole", "", ["log:", "header line"]),
    ("recbole", LOG, ["log:", "no events"]),
    ("recbole", LOG + "u\ta\t1\t5\nu\ta\t1\n", ["line 3:", "'timestamp'", "nothing"]),
    ("recbole", LOG + "u\ta\t1\t5\n\n\ta\t1\t6\n", ["line 4:", "'user_id'", "nothing"]),
    ("recbole", LOG + "u\ta\t1\t5\t9\n", ["line 2:", "expected 4", "got 5", "user_id:token, "]),
    ("recbole", LOG + "u\ta\t1\tnoon\n", ["line 2:", "'timestamp'", "'noon'", "number"]),
    ("recbole", LOG + "u\ta\tgood\t5\n", ["line 2:", "'rating'", "'good'", "number"]),
    ("recbole", LOG + "u\ta\t1\t5\nu\ta\t1\t-3\n", ["line 3:", "timestamp", "-3"]),
    ("recbole", LOG + "u\ta\t1\tinf\n", ["line 2:", "timestamp", "inf"]),
    ("recbole", LOG + "u\ta\t1\tnan\n", ["line 2:", "timestamp", "nan"]),
    ("recbole", LOG + "u\ta\t1\t1400000000000\n", ["line 2:", "timestamp", "1400000000000"]),
    ("recbole", LOG.replace("item_id", "item"), ["'item_id'", "got user_id, item, rating"]),
    ("recbole", LOG.replace(":float", ""), ["'rating'", "name:kind", "token_seq"]),
    ("recbole", LOG.encode() + b"u\xe9\ta\t1\t5\n", ["log:", "not readable (invalid utf"]),
    ("recbole", TRUNCATED, ["log:", "not readable"]),
    ("movielens", "1;2;3\n", ["MovieLens", "'1;2;3'"]),
    ("movielens", "1::2::3::4\n1::2::3\n", ["line 2:", "'timestamp'", "nothing"]),
    ("movielens", "userId,movie\n1,2\n", ["'movieId'", "got userId, movie"]),
    ("amazon_2023", json_lines(REVIEW_2023) + "not json\n", ["line 2", "not JSON"]),
    ("amazon_2023", json_lines(REVIEW_2023, [1, 2]), ["line 2", "not a JSON object"]),
    ("amazon_2023", json_lines(BAD_2023[0]), ["line 1:", "'noon'", "a number", "milliseconds"]),
    ("amazon_2023", json_lines(BAD_2023[1]), ["line 1:", "'item_id'"]),
    ("amazon_2023", gzip.compress(json_lines(REVIEW_2023).encode())[:-9], ["not readable"]),
    ("amazon_2023", "", ["log:", "no events"]),
    ("yelp", json_lines(REVIEW_YELP | {"date": "noon"}), ["line 1:", "'noon'", "2014-07-23"]),
    ("table", "who,what\nu,a\n", ["'when'", "got who, what"]),
    ("table", 'who,what,when\n"a,b",a,5\nu,a,5,6\n', ["line 3:", "expected 3", "got 4"]),
    ("table", "who,what,when\nu,a,5\nv,a,noon\n", ["line 3:", "'timestamp'", "'noon'"]),
    ("table", "who,what,when\nu,a,2014-07-23\nv,a,noon\n", ["line 3:", "'noon'", "2014-07-23"]),
    ("table", 'who,what,when\n"",a,5\n', ["line 2:", "'user_id'", "nothing"]),
    ("table", "who what when\nu a 5\n", ["tab, semicolon or comma", "'who what when'"]),
]
BROKEN_CATALOGS = [
    ("recbole", ITEM + "a\tLamp\t3\na\tVase\t4\n", ["one row an item", "1 items, e.g. a"]),
    ("recbole", ITEM + "a\tLamp\t3\n\tVase\t4\n", ["row 2", "no item id"]),
    ("recbole", ITEM.replace("item_id", "id"), ["'item_id'", "got id, title, price"]),
    ("movielens", "1::A\n", ["line 1:", "expected 3", "'::'", "got 2"]),
    ("movielens", "movieId,name\n1,A\n", ["'title'", "got movieId, name"]),
    ("amazon_2014", "['asin', 'a']\n", ["line 1", "not a Python dictionary"]),
    ("amazon_2014", "{'title': 'Lamp'}\n", ["'asin'", "got title"]),
    ("amazon_2023", '{"parent_asin": "a", "categories": "Home"}\n', ["line 1", "a list", "'Home'"]),
]
CASES = [(reader, log, SMALL[reader][1], words) for reader, log, words in BROKEN_LOGS]
CASES += [(reader, SMALL[reader][0], catalog, words) for reader, catalog, words in BROKEN_CATALOGS]
NAMES = [f"{case[0]} {number}" for number, case in enumerate(CASES)]


@pytest.mark.parametrize(("reader", "log", "catalog", "words"), CASES, ids=NAMES)
def test_a_broken_file_is_refused_in_one_line_that_says_where(read, reader, log, catalog, words):
    with pytest.raises(InputError) as refusal:
        read(reader, log, catalog)
    text = str(refusal.value)
    assert [word for word in words if word not in text] == [], text
    assert "\n" not in text


@pytest.mark.parametrize(("name", "word"), [("", "got a folder"), ("none", "none: no such file")])
def test_a_folder_and_a_missing_file_are_named(tmp_path, name, word):
    with pytest.raises(InputError, match=word):
        READERS["recbole"].implementation()(tmp_path / name, tmp_path / name)


def test_a_plan_refuses_a_recbole_log_without_a_field(write):
    log, _ = write("user_id:token\titem_id:token\nu\ta\n", "")
    module = import_module(READERS["recbole"].module)
    with pytest.raises(InputError, match="'timestamp', got user_id, item_id"):
        module.check_log(log, reader_settings("recbole"))
