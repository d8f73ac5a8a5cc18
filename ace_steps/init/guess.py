"""From files to what a configuration says of them, with the reasons and the doubts."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from ace_steps.errors import InputError
from ace_steps.init.columns import MARGIN, Column, Roles, as_ids, assign, columns_of, text_columns
from ace_steps.init.formats import Known, best_pairs, recognize
from ace_steps.init.heads import DELIMITED, HEAD_BYTES, SEPARATORS, Head, read_head
from ace_steps.init.names import name_score
from ace_steps.preprocess.read_table import SEPARATORS as READABLE_SEPARATORS
from ace_steps.preprocess.settings import DatasetSettings

ENDINGS = (".csv", ".tsv", ".txt", ".dat", ".data", ".item", ".inter", ".json", ".jsonl")
PARQUET_ENDINGS = (".parquet", ".pq")
COMPRESSIONS = ("", ".gz", ".zst")
MOST_FILES = 200  # of a folder
MANY_FILES = 4  # of more than these, only short heads are compared
SHORT_HEAD = HEAD_BYTES // 16
BY_HAND = (
    "write it by hand: `columns: {user: ..., item: ..., timestamp: ..., item_id: ...}`, keys as in "
    "docs/configuration.md"
)
EXPORT = (
    "export one event a row (user, item, time) and one item a row (id, texts) as CSV or Parquet"
)


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
            parts that are needed.
    """
    heads, unread = _heads(paths)
    known = [found for found in map(recognize, heads) if found]
    unread += [f"{head.path}: {head.problem}" for head in heads if head.problem]
    pairs = best_pairs(known)
    if pairs:
        return _public(pairs)
    tables = [head for head in heads if head.table is not None and len(head.table)]
    chosen = _best_tables(tables)
    if chosen is None:
        raise InputError(_what_is_there(heads, known, unread))
    log, catalog, roles, others = chosen
    return _own(log, catalog, roles, others, unread)


def files_of(folder: Path) -> list[Path]:
    """The folder's files whose names end like a table's.

    Raises:
        InputError: none, or too many.
    """
    endings = tuple(e + c for e in ENDINGS for c in COMPRESSIONS) + PARQUET_ENDINGS
    found = sorted(p for p in folder.iterdir() if p.is_file() and p.name.lower().endswith(endings))
    found = [path for path in found if not path.name.startswith(".")]
    if not found:
        raise InputError(
            f"{folder}: expected a log and a catalog, got no file that ends in "
            f"{', '.join((*ENDINGS, *PARQUET_ENDINGS))}; name the two files."
        )
    if len(found) > MOST_FILES:
        raise InputError(
            f"{folder}: expected at most {MOST_FILES} files, got {len(found)}; name the two files."
        )
    return found


def _heads(paths: Sequence[Path]) -> tuple[list[Head], list[str]]:
    """The heads of the files, and why files of a folder could not be read."""
    is_folder = len(paths) == 1 and paths[0].is_dir()
    for path in paths:
        if path.is_dir() and not is_folder:
            raise InputError(f"{path}: expected a file, got a folder; give one folder, or files.")
    files = files_of(paths[0]) if is_folder else list(dict.fromkeys(paths))
    size = HEAD_BYTES if len(files) <= MANY_FILES else SHORT_HEAD
    heads, unread = [], []
    for path in files:
        try:
            heads.append(read_head(path, max_bytes=size))
        except InputError as refusal:
            if not is_folder:
                raise
            unread.append(str(refusal))
    return heads, unread


def _public(pairs: list[tuple[Known, Known]]) -> Guess:
    log, catalog = pairs[0]
    facts = [
        f"log: {log.head.description()}; {log.why}",
        f"catalog: {catalog.head.description()}; {catalog.why}",
        f"reader: {log.reader}, which knows the columns",
    ]
    doubts = []
    for key, place in (("interactions", 0), ("items", 1)):
        names = [str(pair[place].head.path) for pair in pairs]
        others = [name for name in dict.fromkeys(names) if name != names[0]]
        if others:
            doubts.append(f"{key}: {names[0]} was taken; {_or(others)} has the form too")
    has_rows = log.reader == "recbole" and catalog.head.is_whole  # a row an item, as it stands
    return Guess(
        log.head.path,
        catalog.head.path,
        log.reader,
        n_items=len(catalog.head.table) if has_rows else None,
        facts=facts,
        doubts=doubts,
    )


def _best_tables(tables: list[Head]) -> tuple[Head, Head, Roles, list[tuple[Head, Head]]] | None:
    """The log, the catalog and their columns, and other pairs of files that fit nearly as well."""
    columns = {head.path: columns_of(head) for head in tables}
    found = []
    for log in tables:
        for catalog in tables:
            if log.path == catalog.path:
                continue
            are_whole = log.is_whole and catalog.is_whole
            roles = assign(columns[log.path], columns[catalog.path], are_whole=are_whole)
            if roles is not None:
                found.append((roles.score, log, catalog, roles))
    if not found:
        return None
    found.sort(key=lambda entry: -entry[0])
    score, log, catalog, roles = found[0]
    near = [(entry[1], entry[2]) for entry in found[1:] if entry[0] > score - MARGIN]
    if len(tables) > MANY_FILES:
        log, catalog = read_head(log.path), read_head(catalog.path)
        are_whole = log.is_whole and catalog.is_whole
        roles = assign(columns_of(log), columns_of(catalog), are_whole=are_whole) or roles
    return log, catalog, roles, near


def _own(
    log: Head, catalog: Head, roles: Roles, others: list[tuple[Head, Head]], unread: list[str]
) -> Guess:
    for head in (log, catalog):
        _require_readable(head)
    times = roles.timestamp.times
    if not times.is_readable:
        raise InputError(
            f"{log.path}: column '{roles.timestamp.name}' seems to be the time, but holds "
            f"{times.what}; expected 2024-01-31, 2024-01-31 08:15:00 or seconds since 1970: write "
            "it so and run init again."
        )
    columns: dict[str, str | None] = {
        "user": roles.user.name,
        "item": roles.item.name,
        "timestamp": roles.timestamp.name,
        "timestamp_unit": times.unit,
    }
    if roles.rating:
        columns["rating"] = roles.rating.name
    columns["item_id"] = roles.item_id.name
    missing = _missing_items(log, catalog, roles)
    are_whole = log.is_whole and catalog.is_whole
    words = text_columns(columns_of(catalog), roles.item_id.name)
    return Guess(
        interactions=log.path,
        items=catalog.path,
        reader="table",
        columns=columns,
        text_columns=words,
        n_items=round(roles.overlap * len(roles.item.ids)) if are_whole else None,
        has_missing_items=bool(missing),
        facts=_facts(log, catalog, roles, words),
        doubts=[
            *_doubts(log, catalog, roles, others),
            *missing,
            *_repeated_items(catalog, roles.item_id),
            *_short_histories(log, roles),
            *(f"left out: {reason}" for reason in unread),
        ],
    )


def _require_readable(head: Head) -> None:
    """Refuse a table that the reader would refuse, while the way out is cheap."""
    if not head.is_utf8:
        raise InputError(
            f"{head.path}: expected UTF-8, got another encoding; convert it, e.g. "
            f"`iconv -f latin1 -t utf-8`, and run init again."
        )
    if head.form != DELIMITED:
        return
    read_as = next((s for s in READABLE_SEPARATORS if s in head.lines[0]), None)
    if read_as != head.separator:
        raise InputError(
            f"{head.path}: expected fields between tabs, semicolons or commas, got "
            f"{SEPARATORS[head.separator]}s in the header '{head.lines[0][:60]}'; write it as CSV."
        )


def _facts(log: Head, catalog: Head, roles: Roles, words: list[str]) -> list[str]:
    part = "" if catalog.is_whole else "the part read of "
    share = f"{roles.overlap:.1%} of them in {part}the catalog's '{roles.item_id.name}'"
    of = f"{len(roles.item_id.ids):,} distinct in {roles.item_id.n_rows:,} rows"
    lines = [
        f"log: {log.description()}",
        f"catalog: {catalog.description()}",
        "reader: table, your own columns",
        f"user: column '{roles.user.name}' ({_distinct(roles.user)}{_name(roles.user, 'user')})",
        f"item: column '{roles.item.name}' ({_distinct(roles.item)}; {share}"
        f"{_name(roles.item, 'item')})",
        f"timestamp: column '{roles.timestamp.name}' ({roles.timestamp.times.what}"
        f"{_name(roles.timestamp, 'timestamp')})",
        f"item_id: column '{roles.item_id.name}' of the catalog ({of}"
        f"{_name(roles.item_id, 'item')})",
    ]
    if roles.rating:
        low, high = roles.rating.numbers.min(), roles.rating.numbers.max()
        lines.append(
            f"rating: column '{roles.rating.name}' ({low:g} to {high:g}"
            f"{_name(roles.rating, 'rating')})"
        )
    else:
        lines.append("rating: none; no name of a column with small numbers says rating")
    said = ", ".join(words) or "no column of the catalog holds words"
    lines.append(f"texts: {said}; unless text_columns says so, every column goes into the text")
    return lines


def _distinct(column: Column) -> str:
    return f"{len(column.ids):,} distinct in {column.n_rows:,} rows"


def _name(column: Column, role: str) -> str:
    if name_score(column.name, role) <= 0:
        return "; by its content alone"
    article = "an item's" if role == "item" else f"a {role}'s"
    return f"; name like {article}"


def _doubts(log: Head, catalog: Head, roles: Roles, others: list[tuple[Head, Head]]) -> list[str]:
    lines = []
    for key, names in roles.others.items():
        taken = getattr(roles, key).name
        lines.append(f"{key}: '{taken}' was taken; {_or([repr(n) for n in names])} fits too")
    for key, taken, place in (("interactions", log, 0), ("items", catalog, 1)):
        paths = dict.fromkeys(str(pair[place].path) for pair in others)
        names = [path for path in paths if path != str(taken.path)]
        if names:
            lines.append(f"{key}: {taken.path} was taken; {_or(names)} fits too")
    times = roles.timestamp.times
    if times.doubt:
        lines.append(f"timestamp: '{roles.timestamp.name}': {times.doubt}")
    return lines


def _missing_items(log: Head, catalog: Head, roles: Roles) -> list[str]:
    """A line if the log has items that the catalog, read whole, has not."""
    if not catalog.is_whole or roles.overlap == 1:
        return []
    n_missing = len(roles.item.ids) - round(roles.overlap * len(roles.item.ids))
    at_least = "" if log.is_whole else "at least "
    return [
        f"missing_items: {at_least}{n_missing:,} of the log's {len(roles.item.ids):,} items have "
        "no row in the catalog; their events are dropped (error would stop instead)"
    ]


def _repeated_items(catalog: Head, item_id: Column) -> list[str]:
    ids = as_ids(catalog.table[item_id.name])
    repeated = ids.filter(ids.is_duplicated() & ids.is_not_null())
    if repeated.is_empty():
        return []
    return [
        f"items: {repeated.n_unique():,} ids have several rows, e.g. '{repeated[0]}'; the reader "
        "expects one row an item"
    ]


def _short_histories(log: Head, roles: Roles) -> list[str]:
    """A line if the filters of the defaults leave less than half of the users, or of the items."""
    if not log.is_whole:
        return []
    floors = {
        "user": DatasetSettings.model_fields["min_user_events"].default,
        "item": DatasetSettings.model_fields["min_item_events"].default,
    }
    events = pl.DataFrame({role: as_ids(log.table[getattr(roles, role).name]) for role in floors})
    n_before = events.select(pl.all().n_unique()).row(0)
    while True:
        kept = events.filter(*(pl.len().over(role) >= floor for role, floor in floors.items()))
        if len(kept) == len(events):
            break
        events = kept
    n_after = events.select(pl.all().n_unique()).row(0)
    if all(2 * after >= before for before, after in zip(n_before, n_after, strict=True)):
        return []
    return [
        f"min_user_events, min_item_events: {floors['user']} and {floors['item']} events, the "
        f"defaults, leave {n_after[0]:,} of {n_before[0]:,} users and {n_after[1]:,} of "
        f"{n_before[1]:,} items"
    ]


def _what_is_there(heads: list[Head], known: list[Known], unread: list[str]) -> str:
    """One line for files that are no log and catalog together."""
    parts = []
    roles = {"interactions": "log", "items": "catalog"}
    by_path = {found.head.path: f"{found.reader} {roles[found.role]}" for found in known}
    for head in heads:
        if head.problem and head.path not in by_path:
            continue  # it stands in unread
        what = by_path.get(head.path, head.form)
        names = (
            head.table.columns
            if head.table is not None
            else list(head.objects[0] if head.objects else [])
        )
        parts.append(
            f"{head.path}: {what}" + (f" with {', '.join(map(repr, names))}" if names else "")
        )
    missing = _missing_part(heads, known)
    return f"{missing}; read: {'; '.join([*parts, *unread])}; {EXPORT}, or {BY_HAND}."


def _missing_part(heads: list[Head], known: list[Known]) -> str:
    """Which part is not there."""
    logs, catalogs = (
        {found.reader for found in known if found.role == role}
        for role in ("interactions", "items")
    )
    if logs and not catalogs:
        return f"no catalog: expected the item file of {_or(sorted(logs))} too"
    if catalogs and not logs:
        return f"no log: expected the interaction file of {_or(sorted(catalogs))} too"
    if logs and catalogs:
        forms = f"the log is {_or(sorted(logs))}, the catalog {_or(sorted(catalogs))}"
        return f"no pair of one format: {forms}"
    tables = [head for head in heads if head.table is not None]
    if not tables:
        return "no log and no catalog: expected CSV, TSV, Parquet or a public format"
    if len(tables) == 1:
        return "expected two tables, a log and a catalog, got one"
    return (
        "no log with a user, an item and a time whose items are the ids of a catalog; a log has no "
        "such columns, or its items are not the catalog's"
    )


def _or(names: list[str]) -> str:
    return " or ".join(names[:3]) + (f" or {len(names) - 3} more" if len(names) > 3 else "")
