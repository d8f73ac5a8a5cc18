"""Amazon and Yelp, by hand: odd rows, known answers, and refusals."""

import gzip
import json

import pytest

from ace_steps.errors import InputError
from tests.preprocess.test_readers import rows

REVIEWS_2014 = [
    {"reviewerID": "A2", "asin": "B1", "overall": 5.0, "unixReviewTime": 1400000000, "x": [1]},
    {"reviewerID": "A1", "asin": "B2", "overall": 1, "unixReviewTime": 1300000000},
]
META_2014 = r"""
{'asin': 'B1', 'title': "Women's \"Lamp\"\t&amp; more", 'price': 3.5, 'categories': [['Home', 'Light'], ['Home', 'Red, blue']], 'salesRank': {'Home': 3}}
{"asin": "B2", "brand": None, "description": "caf\xe9"}
{'asin': 'B3', 'title': 'not in the log', 'imUrl': open('/etc/passwd')}
"""  # noqa: E501


def json_lines(objects):
    return "".join(json.dumps(entry) + "\n" for entry in objects)


def test_amazon_2014_reads_literals_and_flattens_categories(read):
    raw = read("amazon_2014", gzip.compress(json_lines(REVIEWS_2014).encode()), META_2014)
    assert rows(raw.events) == [("A2", "B1", 1.4e9, 5), ("A1", "B2", 1.3e9, 1)]
    assert raw.items.to_dicts() == [
        {
            "item_id": "B1",
            "title": 'Women\'s "Lamp"\t&amp; more',
            "price": "3.5",
            "brand": None,
            "categories": "Home, Light, Red, blue",
            "description": None,
        },
        {
            "item_id": "B2",
            **dict.fromkeys(("title", "price", "brand", "categories")),
            "description": "café",
        },
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("__import__('os').system('touch {}')", "line 1 is not a Python literal"),
        ("{{'asin': 'B1', 'title': open('{}', 'w').name}}", "line 1 is not a Python literal"),
        ("{{'asin': 'B1', 'title': 'Lamp'", "line 1 is not a Python literal"),
        ("['asin', 'B1']", "line 1 is not a Python dictionary"),
        ("{{'title': 'Lamp'}}", "column 'asin' is missing; found title"),
    ],
)
def test_a_metadata_line_that_is_not_a_literal_is_refused_and_never_run(
    read, tmp_path, line, message
):
    trap = tmp_path / "trap"
    with pytest.raises(InputError, match=message):
        read("amazon_2014", json_lines(REVIEWS_2014), line.format(trap) + "\n")
    assert not trap.exists()


REVIEWS_2023 = [
    {"user_id": "A", "parent_asin": "B1", "asin": "X", "rating": 4.0, "timestamp": 1588687728923},
    {"user_id": "A", "parent_asin": "B2", "asin": "B2", "rating": 2, "timestamp": 1588687728923},
]
META_2023 = [
    {
        "parent_asin": "B1",
        "title": "Lamp\tred",
        "store": "Lux",
        "price": 12.5,
        "main_category": "Home",
        "categories": ["Home", "Light"],
        "features": [],
        "description": ["One.", "Two."],
        "details": {"Weight": "3"},
    },
    {"parent_asin": "B2", "title": None, "price": "from 3.00", "categories": []},
]


def test_amazon_2023_reads_milliseconds_and_lists(read):
    log = b"\xef\xbb\xbf" + json_lines(REVIEWS_2023).encode()
    raw = read("amazon_2023", log, gzip.compress(json_lines(META_2023).encode()))
    assert rows(raw.events) == [
        ("A", "B1", 1588687728.923, 4),
        ("A", "B2", 1588687728.923, 2),
    ]
    first, second = raw.items.to_dicts()
    assert first["title"] == "Lamp\tred"
    assert first["categories"] == "Home, Light"
    assert first["features"] is None
    assert first["description"] == "One., Two."
    assert (first["price"], second["price"]) == ("12.5", "from 3.00")
    assert (second["title"], second["categories"]) == (None, None)


@pytest.mark.parametrize(
    ("log", "message"),
    [
        ('{"user_id": "A"}\nnot json\n', "line 2 is not JSON"),
        ('{"user_id": "A"}\n[1, 2]\n', "line 2 is not a JSON object"),
        ('{"user_id": "A", "timestamp": "noon"}\n', "line 1: 'timestamp' is 'noon', but a number"),
        ('{"user_id": "A", "timestamp": 5}\n', "line 1: 'item_id' is empty or missing"),
        (gzip.compress(json_lines(REVIEWS_2023).encode() * 99)[:-9], "log: not readable"),
        ("", "log: holds no events"),
    ],
)
def test_a_broken_json_log_is_refused_by_line(read, log, message):
    with pytest.raises(InputError, match=message) as found:
        read("amazon_2023", log, json_lines(META_2023))
    assert "\n" not in str(found.value)


def test_a_json_field_that_should_be_a_list_is_refused(read):
    catalogue = '{"parent_asin": "B1", "categories": "Home"}\n'
    with pytest.raises(InputError, match="line 1: 'categories' is 'Home', but a list is wanted"):
        read("amazon_2023", json_lines(REVIEWS_2023), catalogue)


def test_yelp_reads_dates_as_utc(read):
    log = [
        {"user_id": "u", "business_id": "b", "stars": 4.0, "date": "2019-01-01 00:00:01"},
        {"user_id": "v", "business_id": "b", "stars": 1.0, "date": "1970-01-02"},
    ]
    shops = [{"business_id": "b", "name": "Café", "city": "Rome", "categories": None, "hours": {}}]
    raw = read("yelp", json_lines(log), json_lines(shops))
    # 2019-01-01 is 17,897 days after 1970-01-01: 49 years and 12 leap days.
    assert (49 * 365 + 12) * 86_400 == 1_546_300_800
    assert rows(raw.events) == [("u", "b", 1_546_300_801, 4), ("v", "b", 86_400, 1)]
    assert raw.items["name"].to_list() == ["Café"]


def test_yelp_refuses_a_date_that_is_none(read):
    log = json_lines([{"user_id": "u", "business_id": "b", "stars": 4.0, "date": "yesterday"}])
    with pytest.raises(InputError, match="line 1: timestamp 'yesterday' is not a time such as"):
        read("yelp", log, '{"business_id": "b"}\n')
