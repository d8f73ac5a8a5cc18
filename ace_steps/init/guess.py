"""Which files are the log and the catalog, and which of their columns hold what.

Each column gets a score for each role, by its name and its content. The scores are small hand-set
weights, so that content can overrule a name and a name decides where content fits several columns.
A role is in doubt where another column scores less than ``MARGIN`` below the best.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from ace_steps.errors import InputError
from ace_steps.init.columns import Column, name_score
from ace_steps.init.file_heads import LOG, Head, public_pairs, read_head
from ace_steps.preprocess.pipeline import k_core
from ace_steps.preprocess.settings import DatasetSettings

TABLE_NAME = re.compile(
    r"[^.].*\.(?:(?:csv|tsv|txt|dat|data|item|inter|json|jsonl)(?:\.gz|\.zst)?|parquet|pq)", re.I
)
ROLES = ("user", "item", "timestamp", "rating", "item_id")
MOST_FILES = 50  # of a folder
MARGIN = 0.5
MIN_OVERLAP = 0.2  # share of the log's ids that the catalog must have, where it was read whole
N_RATING_VALUES = 101
LARGEST_RATING = 100
WAY_OUT = (
    "export one event a row (user, item, time) and one item a row (id, texts) as CSV or Parquet, "
    "or write it by hand: `columns: {user: ..., item: ..., timestamp: ..., item_id: ...}`, keys as "
    "in docs/configuration.md"
)


@dataclass(frozen=True)
class Fit:
    """Two tables as log and catalog.

    Attributes:
        score: How well the files fit; larger is better.
        columns: By role, the column: user, item, timestamp and perhaps rating of the log, item_id
            of the catalog.
        others: By role, names of other columns that fit nearly as well, best first.
        texts: Columns of the catalog that hold words.
    """

    log: Head
    catalog: Head
    score: float
    columns: dict[str, Column]
    others: dict[str, list[str]]
    texts: list[str]

    @property
    def n_items(self) -> int:
        """Items of the log with a row in the catalog, as far as both were read."""
        item = self.columns["item"]
        return round(item.share_in(self.columns["item_id"]) * len(item.distinct))

    @property
    def n_missing(self) -> int:
        """Items of the log that surely have no row in the catalog."""
        return len(self.columns["item"].distinct) - self.n_items if self.catalog.is_whole else 0


def fit_of(log: Head, catalog: Head) -> Fit | None:
    """The best columns for the roles, None where the two tables are no log and catalog."""
    columns: dict[str, Column] = {}
    others: dict[str, list[str]] = {}
    score = 0.0
    are_whole = log.is_whole and catalog.is_whole
    pairs = [(a, b) for a in log.columns for b in catalog.columns]
    scored = _ranked(pairs, lambda pair: _pair_score(*pair, are_whole=are_whole))
    if not scored:
        return None
    score, (columns["item"], columns["item_id"]) = scored[0]
    near = [pair for other, pair in scored if other > score - MARGIN]
    others["item"] = [item.name for item, _ in near]
    others["item_id"] = [item_id.name for _, item_id in near]
    scores: dict[str, Callable[[Column], float | None]] = {
        "timestamp": _time_score,
        "user": lambda column: _user_score(column, columns["item_id"]),
        "rating": _rating_score,
    }
    for role, score_of in scores.items():
        taken = {column.name for key, column in columns.items() if key != "item_id"}
        scored = _ranked([one for one in log.columns if one.name not in taken], score_of)
        if scored:
            best, columns[role] = scored[0]
            others[role] = [column.name for s, column in scored if s > best - MARGIN]
            score += best if role != "rating" else 0
        elif role != "rating":
            return None
    columns = {role: columns[role] for role in ROLES if role in columns}
    others = {role: list(dict.fromkeys(names))[1:] for role, names in others.items()}
    texts = [c.name for c in catalog.columns if c.has_words and c.name != columns["item_id"].name]
    return Fit(log, catalog, score + (0.5 if texts else -0.5), columns, others, texts)


def _ranked(candidates: list, score_of: Callable) -> list[tuple]:
    """Score and candidate of those that have a score, best first."""
    scored = [(score_of(candidate), candidate) for candidate in candidates]
    return sorted((pair for pair in scored if pair[0] is not None), key=lambda pair: -pair[0])


def _pair_score(item: Column, item_id: Column, *, are_whole: bool) -> float | None:
    """How well a column of the log and one of the catalog are the same items; None: not at all."""
    if not (item.may_be_id and item_id.may_be_id) or item_id.uniqueness < 0.5:
        return None
    names = name_score(item.name, "item"), name_score(item_id.name, "item")
    overlap = item.share_in(item_id)
    ids_may_follow = min(names) >= 0.7 and not are_whole  # further down than was read
    if overlap < MIN_OVERLAP and not ids_may_follow:
        return None
    coverage = overlap * len(item.distinct) / len(item_id.distinct)
    score = 2 * overlap + 0.5 * coverage + sum(names)
    score += 0.3 * (item.name.casefold() == item_id.name.casefold())
    return score - 2 * (1 - item_id.uniqueness)


def _time_score(column: Column) -> float | None:
    score = name_score(column.name, "timestamp")
    if column.times is None or column.filled < 0.5 or (column.times.doubt and score <= 0):
        return None
    return score + 1.5 * column.is_date - 0.5 * (column.times.unit is None)


def _user_score(column: Column, item_id: Column) -> float | None:
    if not column.may_be_id:
        return None
    score = name_score(column.name, "user")
    score -= 0.8 * (column.uniqueness > 0.98)  # the id of an event, or free text
    n_distinct = len(column.distinct)
    score -= 0.5 * (n_distinct == 1 or (n_distinct <= 12 and column.n_rows > 200))  # a kind
    return score - column.share_in(item_id) - 2 * (1 - column.filled)


def _rating_score(column: Column) -> float | None:
    """Only a name makes a rating: its numbers could be a quantity."""
    score, numbers = name_score(column.name, "rating"), column.numbers
    if score <= 0 or numbers is None or numbers.is_empty():
        return None
    is_small = numbers.abs().max() <= LARGEST_RATING and len(column.distinct) <= N_RATING_VALUES
    return score if is_small else None


@dataclass(frozen=True)
class Guess:
    """What the files are.

    Attributes:
        interactions, items: Paths of the log and the catalog.
        reader: Which reader takes them.
        columns: Settings of the key ``columns``; None unless the reader is ``table``.
        text_columns: Columns of the catalog that hold words; empty where the reader knows.
        n_items: Items of the log with a row in the catalog, None where not both were read whole.
        has_missing_items: Whether the log surely has items without a row in the catalog.
        facts: Lines that say what was recognized, and by what.
        doubts: Lines that say what could be otherwise, and what then.
    """

    interactions: Path
    items: Path
    reader: str
    columns: dict[str, str | None] | None = None
    text_columns: list[str] = field(default_factory=list)
    n_items: int | None = None
    has_missing_items: bool = False
    facts: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)


def guess(paths: Sequence[Path]) -> Guess:
    """What the files are, by their names, columns and first rows.

    Args:
        paths: Files, or one folder.

    Raises:
        InputError: no such file, none that can be read, no log, no catalog, or no columns for the
            roles that are needed.
    """
    heads, unread = _heads(paths)
    pairs = public_pairs(heads)
    if pairs:
        return _of_public_format(pairs)
    tables = [head for head in heads if head.table is not None and len(head.table)]
    fits = [fit_of(a, b) for a in tables for b in tables if a.path != b.path]
    fits = sorted(filter(None, fits), key=lambda fit: -fit.score)
    if not fits:
        raise InputError(_refusal(heads, unread))
    return _of_own_tables(fits, unread)


def _heads(paths: Sequence[Path]) -> tuple[list[Head], list[str]]:
    """The heads of the files, and why files of a folder could not be read."""
    if not (len(paths) == 1 and paths[0].is_dir()):
        return [read_head(path) for path in dict.fromkeys(paths)], []
    files = [p for p in sorted(paths[0].iterdir()) if TABLE_NAME.fullmatch(p.name) and p.is_file()]
    if not 0 < len(files) <= MOST_FILES:
        raise InputError(
            f"{paths[0]}: expected a log and a catalog among 2 to {MOST_FILES} tables, got "
            f"{len(files)}; name the two files."
        )
    heads, unread = [], []
    for path in files:
        try:
            heads.append(read_head(path))
        except InputError as refusal:
            unread.append(str(refusal))
    return heads, unread


def _of_public_format(pairs: list[tuple[Head, Head]]) -> Guess:
    log, catalog = pairs[0]
    reader = log.public[0]
    forms = (f"'{', '.join(head.fields[:3])}'" for head in pairs[0])
    is_counted = reader == "recbole" and catalog.is_whole  # a row is an item, as it stands
    return Guess(
        log.path,
        catalog.path,
        reader,
        n_items=catalog.n_rows if is_counted else None,
        facts=[
            f"log: {log.description()}",
            f"catalog: {catalog.description()}",
            f"reader: {reader}, by {' and '.join(forms)}",
        ],
        doubts=_other_files(pairs),
    )


def _of_own_tables(fits: list[Fit], unread: list[str]) -> Guess:
    best = fits[0]
    time = best.columns["timestamp"]
    if time.times.unit is None:
        raise InputError(
            f"{best.log.path}: column '{time.name}' seems to be the time, but holds "
            f"{time.times.what}; expected 2024-01-31, 2024-01-31 08:15:00 or seconds since 1970: "
            "write it so and run init again."
        )
    columns = {role: column.name for role, column in best.columns.items()}
    near = [(fit.log, fit.catalog) for fit in fits if fit.score > best.score - MARGIN]
    doubts = [
        f"{role}: '{columns[role]}' was taken; {_or(map(repr, others))} fits too"
        for role, others in best.others.items()
        if others
    ]
    if time.times.doubt:
        doubts.append(f"timestamp: '{time.name}': {time.times.doubt}")
    doubts += [*_other_files(near), *_item_doubts(best), *_short_histories(best)]
    return Guess(
        interactions=best.log.path,
        items=best.catalog.path,
        reader="table",
        columns=columns | {"timestamp_unit": time.times.unit},
        text_columns=best.texts,
        n_items=best.n_items if best.log.is_whole and best.catalog.is_whole else None,
        has_missing_items=best.n_missing > 0,
        facts=_facts(best),
        doubts=doubts + [f"left out: {reason}" for reason in unread],
    )


def _facts(fit: Fit) -> list[str]:
    details = {
        role: f"{len(column.distinct):,} distinct in {column.n_rows:,} rows"
        for role, column in fit.columns.items()
    }
    details["timestamp"] = fit.columns["timestamp"].times.what
    share = fit.columns["item"].share_in(fit.columns["item_id"])
    details["item"] += f"; {share:.1%} of them in '{fit.columns['item_id'].name}' of the catalog"
    facts = [f"log: {fit.log.description()}", f"catalog: {fit.catalog.description()}"]
    for role, column in fit.columns.items():
        is_named = name_score(column.name, "item" if role == "item_id" else role) > 0
        reason = "by its name and content" if is_named else "by its content alone"
        facts.append(f"{role}: column '{column.name}' ({details[role]}; {reason})")
    if "rating" not in fit.columns:
        facts.append("rating: none; no name of a column with small numbers says rating")
    words = ", ".join(fit.texts) or "no column of the catalog holds words"
    return [*facts, f"texts: {words}; unless text_columns says so, every column goes into the text"]


def _other_files(pairs: list[tuple[Head, Head]]) -> list[str]:
    """Lines that name the files of the pairs but the first."""
    lines = []
    for key, heads in zip(("interactions", "items"), zip(*pairs, strict=True), strict=True):
        taken, *others = dict.fromkeys(str(head.path) for head in heads)
        if others:
            lines.append(f"{key}: {taken} was taken; {_or(others)} fits too")
    return lines


def _item_doubts(fit: Fit) -> list[str]:
    """Lines on items of the log without a row in the catalog, and on items with several."""
    lines = []
    if fit.n_missing:
        at_least = "" if fit.log.is_whole else "at least "
        lines.append(
            f"missing_items: {at_least}{fit.n_missing:,} of the log's "
            f"{len(fit.columns['item'].distinct):,} items have no row in the catalog; their events "
            "are dropped (error would stop instead)"
        )
    ids = fit.columns["item_id"].ids.drop_nulls()
    repeated = ids.filter(ids.is_duplicated())
    if len(repeated):
        lines.append(
            f"items: {repeated.n_unique():,} ids have several rows, e.g. '{repeated[0]}'; the "
            "reader expects one row an item"
        )
    return lines


def _short_histories(fit: Fit) -> list[str]:
    """A line if the filters of the defaults leave less than half of the users, or of the items."""
    if not fit.log.is_whole:
        return []
    defaults = [
        DatasetSettings.model_fields[f"min_{role}_events"].default for role in ("user", "item")
    ]
    events = pl.DataFrame({role: fit.columns[role].ids for role in ("user", "item")}).drop_nulls()
    left = k_core(events, min_user=defaults[0], min_item=defaults[1])
    n_users, n_items = events["user"].n_unique(), events["item"].n_unique()
    users_left, items_left = left["user"].n_unique(), left["item"].n_unique()
    if 2 * users_left >= n_users and 2 * items_left >= n_items:
        return []
    return [
        f"min_user_events, min_item_events: {defaults[0]} and {defaults[1]} events, the defaults, "
        f"leave {users_left:,} of {n_users:,} users and {items_left:,} of {n_items:,} items"
    ]


def _refusal(heads: list[Head], unread: list[str]) -> str:
    """One line for files that are no log and catalog together: what is expected, what is there."""
    parts = []
    for head in heads:
        form = head.form
        if head.public:
            form = f"{head.public[0]} {'log' if head.public[1] == LOG else 'catalog'}"
        parts.append(f"{head.path} ({form}: {', '.join(map(repr, head.fields[:12]))})")
    return (
        "expected a log with a user, an item and a time, and a catalog whose ids are those items, "
        f"or both of one public format; got {'; '.join([*parts, *unread])}; {WAY_OUT}."
    )


def _or(names: Iterable[str]) -> str:
    names = list(names)
    return " or ".join(names[:3]) + (f" or {len(names) - 3} more" if len(names) > 3 else "")
