"""From files to what a configuration says of them, with the reasons and the doubts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from ace_steps.errors import InputError
from ace_steps.init.columns import (
    MARGIN,
    Column,
    Roles,
    as_ids,
    assign,
    columns_of,
    name_score,
    text_columns,
)
from ace_steps.init.heads import (
    DELIMITED,
    HEAD_BYTES,
    SEPARATORS,
    Head,
    Recognized,
    best_pairs,
    read_head,
    recognize,
)
from ace_steps.preprocess.read_table import SEPARATORS as READABLE_SEPARATORS
from ace_steps.preprocess.settings import DatasetSettings

ENDINGS = (".csv", ".tsv", ".txt", ".dat", ".data", ".item", ".inter", ".json", ".jsonl")
PARQUET_ENDINGS = (".parquet", ".pq")
COMPRESSIONS = ("", ".gz", ".zst")
MOST_FILES = 200  # of a folder
MANY_FILES = 4  # of more than these, only short heads are compared
SHORT_HEAD = HEAD_BYTES // 16
WAY_OUT = (
    "export one event a row (user, item, time) and one item a row (id, texts) as CSV or Parquet, "
    "or write it by hand: `columns: {user: ..., item: ..., timestamp: ..., item_id: ...}`, keys as "
    "in docs/configuration.md"
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
            roles that are needed.
    """
    heads, unread = _heads(paths)
    recognized = [file for file in map(recognize, heads) if file]
    unread += [f"{head.path}: {head.problem}" for head in heads if head.problem]
    pairs = best_pairs(recognized)
    if pairs:
        return _of_public_format(pairs)
    tables = [head for head in heads if head.table is not None and len(head.table)]
    best = _best_tables(tables)
    if best is None:
        raise InputError(_refusal(heads, recognized, unread))
    return _of_own_tables(*best, unread)


def _heads(paths: Sequence[Path]) -> tuple[list[Head], list[str]]:
    """The heads of the files, and why files of a folder could not be read."""
    is_folder = len(paths) == 1 and paths[0].is_dir()
    for path in paths:
        if path.is_dir() and not is_folder:
            raise InputError(f"{path}: expected a file, got a folder; give one folder, or files.")
    files = _files_of(paths[0]) if is_folder else list(dict.fromkeys(paths))
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


def _files_of(folder: Path) -> list[Path]:
    """The folder's files whose names end like a table's."""
    endings = tuple(e + c for e in ENDINGS for c in COMPRESSIONS) + PARQUET_ENDINGS
    files = sorted(
        path
        for path in folder.iterdir()
        if path.name.lower().endswith(endings) and path.name[0] != "." and path.is_file()
    )
    if not files:
        raise InputError(
            f"{folder}: expected a log and a catalog, got no file that ends in "
            f"{', '.join((*ENDINGS, *PARQUET_ENDINGS))}; name the two files."
        )
    if len(files) > MOST_FILES:
        raise InputError(
            f"{folder}: expected at most {MOST_FILES} files, got {len(files)}; name the two files."
        )
    return files


def _of_public_format(pairs: list[tuple[Recognized, Recognized]]) -> Guess:
    log, catalog = pairs[0]
    has_rows = log.reader == "recbole" and catalog.head.is_whole  # a row an item, as it stands
    return Guess(
        log.head.path,
        catalog.head.path,
        log.reader,
        n_items=len(catalog.head.table) if has_rows else None,
        facts=[
            f"log: {log.head.description()}; {log.why}",
            f"catalog: {catalog.head.description()}; {catalog.why}",
            f"reader: {log.reader}, which knows the columns",
        ],
        doubts=_other_files([(a.head, b.head) for a, b in pairs], "has the form too"),
    )


def _best_tables(tables: list[Head]) -> tuple[Roles, list[tuple[Head, Head]]] | None:
    """The columns of the log and the catalog, and the pairs of files that fit, the best first."""
    columns = {head.path: columns_of(head) for head in tables}
    fits = []
    for log in tables:
        for catalog in tables:
            are_whole = log.is_whole and catalog.is_whole
            if log.path != catalog.path:
                roles = assign(columns[log.path], columns[catalog.path], are_whole=are_whole)
                fits += [(roles, (log, catalog))] if roles else []
    if not fits:
        return None
    fits.sort(key=lambda fit: -fit[0].score)
    roles, (log, catalog) = fits[0]
    near = [pair for other, pair in fits[1:] if other.score > roles.score - MARGIN]
    if len(tables) > MANY_FILES:
        log, catalog = read_head(log.path), read_head(catalog.path)
        are_whole = log.is_whole and catalog.is_whole
        roles = assign(columns_of(log), columns_of(catalog), are_whole=are_whole) or roles
    return roles, [(log, catalog), *near]


def _of_own_tables(roles: Roles, pairs: list[tuple[Head, Head]], unread: list[str]) -> Guess:
    log, catalog = pairs[0]
    _require_readable(log)
    _require_readable(catalog)
    times = roles.timestamp.times
    if not times.is_readable:
        raise InputError(
            f"{log.path}: column '{roles.timestamp.name}' seems to be the time, but holds "
            f"{times.what}; expected 2024-01-31, 2024-01-31 08:15:00 or seconds since 1970: write "
            "it so and run init again."
        )
    columns = {role: getattr(roles, role).name for role in ("user", "item", "timestamp")}
    columns["timestamp_unit"] = times.unit
    if roles.rating:
        columns["rating"] = roles.rating.name
    columns["item_id"] = roles.item_id.name
    n_items = round(roles.overlap * len(roles.item.ids))
    n_missing = len(roles.item.ids) - n_items if catalog.is_whole else 0
    texts = text_columns(columns_of(catalog), roles.item_id.name)
    return Guess(
        interactions=log.path,
        items=catalog.path,
        reader="table",
        columns=columns,
        text_columns=texts,
        n_items=n_items if log.is_whole and catalog.is_whole else None,
        has_missing_items=n_missing > 0,
        facts=_facts(log, catalog, roles, texts),
        doubts=[
            *(
                f"{role}: '{getattr(roles, role).name}' was taken; {_or(map(repr, names))} fits too"
                for role, names in roles.others.items()
            ),
            *_other_files(pairs, "fits too"),
            *([f"timestamp: '{roles.timestamp.name}': {times.doubt}"] if times.doubt else []),
            *_item_doubts(log, catalog, roles, n_missing),
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


def _facts(log: Head, catalog: Head, roles: Roles, texts: list[str]) -> list[str]:
    part = "" if catalog.is_whole else "the part read of "
    share = f"{roles.overlap:.1%} of them in {part}the catalog's '{roles.item_id.name}'"

    def fact(key: str, column: Column, what: str, of: str = "") -> str:
        role = "item" if key == "item_id" else key
        reason = f"name like {'an' if role == 'item' else 'a'} {role}'s"
        if name_score(column.name, role) <= 0:
            reason = "by its content alone"
        return f"{key}: column '{column.name}'{of} ({what}; {reason})"

    facts = [
        f"log: {log.description()}",
        f"catalog: {catalog.description()}",
        "reader: table, your own columns",
        fact("user", roles.user, _distinct(roles.user)),
        fact("item", roles.item, f"{_distinct(roles.item)}; {share}"),
        fact("timestamp", roles.timestamp, roles.timestamp.times.what),
        fact("item_id", roles.item_id, _distinct(roles.item_id), " of the catalog"),
    ]
    if roles.rating:
        low, high = roles.rating.numbers.min(), roles.rating.numbers.max()
        facts.append(fact("rating", roles.rating, f"{low:g} to {high:g}"))
    else:
        facts.append("rating: none; no name of a column with small numbers says rating")
    words = ", ".join(texts) or "no column of the catalog holds words"
    return [*facts, f"texts: {words}; unless text_columns says so, every column goes into the text"]


def _distinct(column: Column) -> str:
    return f"{len(column.ids):,} distinct in {column.n_rows:,} rows"


def _other_files(pairs: list[tuple[Head, Head]], reason: str) -> list[str]:
    """Lines that name the files of the other pairs."""
    lines = []
    for key, heads in zip(("interactions", "items"), zip(*pairs, strict=True), strict=True):
        taken, *others = dict.fromkeys(str(head.path) for head in heads)
        if others:
            lines.append(f"{key}: {taken} was taken; {_or(others)} {reason}")
    return lines


def _item_doubts(log: Head, catalog: Head, roles: Roles, n_missing: int) -> list[str]:
    """Lines on items of the log without a row in the catalog, and on items with several."""
    lines = []
    if n_missing:
        at_least = "" if log.is_whole else "at least "
        lines.append(
            f"missing_items: {at_least}{n_missing:,} of the log's {len(roles.item.ids):,} items "
            "have no row in the catalog; their events are dropped (error would stop instead)"
        )
    ids = as_ids(catalog.table[roles.item_id.name])
    repeated = ids.filter(ids.is_duplicated() & ids.is_not_null())
    if len(repeated):
        lines.append(
            f"items: {repeated.n_unique():,} ids have several rows, e.g. '{repeated[0]}'; the "
            "reader expects one row an item"
        )
    return lines


def _short_histories(log: Head, roles: Roles) -> list[str]:
    """A line if the filters of the defaults leave less than half of the users, or of the items."""
    if not log.is_whole:
        return []
    fields = DatasetSettings.model_fields
    least = {role: fields[f"min_{role}_events"].default for role in ("user", "item")}
    events = pl.DataFrame({role: as_ids(log.table[getattr(roles, role).name]) for role in least})
    n_users, n_items = events.select(pl.all().n_unique()).row(0)
    n_events = None
    while len(events) != n_events:
        n_events = len(events)
        events = events.filter(*(pl.len().over(role) >= count for role, count in least.items()))
    users_left, items_left = events.select(pl.all().n_unique()).row(0)
    if 2 * users_left >= n_users and 2 * items_left >= n_items:
        return []
    return [
        f"min_user_events, min_item_events: {least['user']} and {least['item']} events, the "
        f"defaults, leave {users_left:,} of {n_users:,} users and {items_left:,} of "
        f"{n_items:,} items"
    ]


def _refusal(heads: list[Head], recognized: list[Recognized], unread: list[str]) -> str:
    """One line for files that are no log and catalog together: what is missing, what is there."""
    readers = {"interactions": set(), "items": set()}
    for file in recognized:
        readers[file.role].add(file.reader)
    logs, catalogs = (_or(sorted(names)) for names in readers.values())
    tables = [head for head in heads if head.table is not None]
    if logs and catalogs:
        missing = f"no pair of one format: the log is {logs}, the catalog {catalogs}"
    elif logs:
        missing = f"no catalog: expected the item file of {logs} too"
    elif catalogs:
        missing = f"no log: expected the interaction file of {catalogs} too"
    elif not tables:
        missing = "no log and no catalog: expected CSV, TSV, Parquet or a public format"
    elif len(tables) == 1:
        missing = "expected two tables, a log and a catalog, got one"
    else:
        missing = (
            "no log with a user, an item and a time whose items are the ids of a catalog; a log "
            "has no such columns, or its items are not the catalog's"
        )
    names_of_roles = {"interactions": "log", "items": "catalog"}
    forms = {file.head.path: f"{file.reader} {names_of_roles[file.role]}" for file in recognized}
    parts = []
    for head in heads:
        if head.problem and head.path not in forms:
            continue  # it stands in unread
        objects = head.objects[0] if head.objects else []
        names = ", ".join(map(repr, objects if head.table is None else head.table.columns))
        form = forms.get(head.path, head.form)
        parts.append(f"{head.path}: {form}{f' with {names}' if names else ''}")
    return f"{missing}; read: {'; '.join([*parts, *unread])}; {WAY_OUT}."


def _or(names: Iterable[str]) -> str:
    names = list(names)
    return " or ".join(names[:3]) + (f" or {len(names) - 3} more" if len(names) > 3 else "")
