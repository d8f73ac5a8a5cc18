"""Which public format a file has, and whether it is its log or its catalog.

What each format looks like is the readers' knowledge; here stands what tells it from a stranger's
table at a glance.
"""

import difflib
from dataclasses import dataclass
from typing import Literal

from ace_steps.init.heads import DELIMITED, JSON_LINES, Head

Role = Literal["interactions", "items"]
RECBOLE_KINDS = ("token", "token_seq", "float", "float_seq")
N_FIELDS_U_ITEM = 24
# Fields of the JSON objects: those that a line has, and those that it must not have.
JSON_FORMATS: dict[tuple[str, Role], tuple[set[str], set[str]]] = {
    ("amazon_2014", "interactions"): ({"reviewerID", "asin", "unixReviewTime"}, set()),
    ("amazon_2014", "items"): ({"asin"}, {"reviewerID", "parent_asin", "user_id"}),
    ("amazon_2023", "interactions"): ({"user_id", "parent_asin", "timestamp"}, set()),
    ("amazon_2023", "items"): ({"parent_asin"}, {"user_id"}),
    ("yelp", "interactions"): ({"user_id", "business_id", "date", "stars"}, set()),
    ("yelp", "items"): ({"business_id", "name"}, {"user_id"}),
}
USUAL_NAMES = ("u.data", "u.item", "ratings.", "movies.", "review", "business", "meta")


@dataclass(frozen=True)
class Known:
    """A file in a public format: the reader of it, its part, and what gave it away."""

    head: Head
    reader: str
    role: Role
    why: str


def recognize(head: Head) -> Known | None:
    """The public format of a file, None where it has none."""
    if head.form == JSON_LINES:
        return _json_format(head)
    if head.form == DELIMITED:
        return _recbole(head) or _movielens_table(head)
    return _double_colons(head)


def _json_format(head: Head) -> Known | None:
    if not head.objects:
        return None
    keys = set.intersection(*(set(found) for found in head.objects))
    seen = set.union(*(set(found) for found in head.objects))
    for (reader, role), (has, lacks) in JSON_FORMATS.items():
        if has <= keys and not lacks & seen:
            return Known(head, reader, role, f"its lines have {', '.join(sorted(has))}")
    return None


def _recbole(head: Head) -> Known | None:
    names = _names(head)
    if (
        not names
        or head.separator != "\t"
        or not all(n.rpartition(":")[2] in RECBOLE_KINDS for n in names)
    ):
        return None
    bare = {name.rpartition(":")[0] for name in names}
    why = f"a header of name:kind ({', '.join(names[:3])})"
    if {"user_id", "item_id", "timestamp"} <= bare:
        return Known(head, "recbole", "interactions", why)
    if "item_id" in bare and "user_id" not in bare:
        return Known(head, "recbole", "items", why)
    return None


def _movielens_table(head: Head) -> Known | None:
    """The CSV releases (20M, 25M, 32M, latest) and 100K, which has no header."""
    names, fields = _names(head), _fields(head, head.separator)
    if names == ["userId", "movieId", "rating", "timestamp"] and head.separator == ",":
        return Known(head, "movielens", "interactions", "the header of MovieLens' ratings.csv")
    if names == ["movieId", "title", "genres"] and head.separator == ",":
        return Known(head, "movielens", "items", "the header of MovieLens' movies.csv")
    if head.separator == "\t" and fields and all(_is_rating_row(row) for row in fields):
        return Known(head, "movielens", "interactions", "four tab-separated numbers and no header")
    if head.separator == "|" and fields and all(_is_u_item_row(row) for row in fields):
        return Known(head, "movielens", "items", "24 fields between bars and no header, as u.item")
    return None


def _double_colons(head: Head) -> Known | None:
    """The releases 1M and 10M."""
    fields = _fields(head, "::")
    if fields and all(_is_rating_row(row) for row in fields):
        return Known(head, "movielens", "interactions", "user::item::rating::time")
    if fields and all(len(row) == 3 and row[0].isdigit() for row in fields):
        return Known(head, "movielens", "items", "item::title::genres")
    return None


def _names(head: Head) -> list[str]:
    return head.table.columns if head.table is not None else []


def _fields(head: Head, separator: str) -> list[list[str]]:
    return [line.split(separator) for line in head.lines[:20] if line]


def _is_rating_row(row: list[str]) -> bool:
    return len(row) == 4 and all(value.replace(".", "", 1).isdigit() for value in row)


def _is_u_item_row(row: list[str]) -> bool:
    return len(row) == N_FIELDS_U_ITEM and row[0].isdigit() and set(row[5:]) <= {"0", "1"}


def best_pairs(known: list[Known]) -> list[tuple[Known, Known]]:
    """Logs with catalogs of the same format, the likeliest pair first.

    Likely: the names that the publisher gives; then names that resemble each other, as
    ``reviews_Beauty_5`` and ``meta_Beauty``; then the larger file.
    """

    def likeliness(pair: tuple[Known, Known]) -> tuple[int, float, int]:
        names = [found.head.path.name for found in pair]
        n_usual = sum(name.lower().startswith(USUAL_NAMES) for name in names)
        alike = difflib.SequenceMatcher(None, *names).ratio()
        return n_usual, round(alike, 1), sum(found.head.n_rows for found in pair)

    logs = [found for found in known if found.role == "interactions"]
    catalogs = [found for found in known if found.role == "items"]
    pairs = [(log, cat) for log in logs for cat in catalogs if log.reader == cat.reader]
    return sorted(pairs, key=likeliness, reverse=True)
