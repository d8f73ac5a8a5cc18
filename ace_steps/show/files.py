"""What one artifact is: schema with meanings, provenance, first rows, key figures; JSON values."""

import json
import math
from pathlib import Path

import pyarrow as pa

from ace_steps.errors import InputError
from ace_steps.io import tensors
from ace_steps.io.parquet import TABLE_KEY, open_parquet
from ace_steps.io.provenance import METADATA_KEY
from ace_steps.show import texts

SHOWN_ENTRIES = 4  # of a vector


def describe(path: Path, n_rows: int) -> dict:
    """A file as JSON values; large files are not read as a whole.

    Args:
        path: A Parquet or safetensors file, which is verified, or a text of a kind in ``READERS``.
        n_rows: Rows, or lines of a text, to take from its beginning.

    Returns:
        ``file``, ``kind`` and, as the kind has them: ``table``, ``key``, ``figures`` by name,
        ``columns`` (name, type, meaning, least, largest), ``tensors`` (name, type, shape),
        ``rows``, ``provenance`` (None where the file does not say), ``lines``.

    Raises:
        InputError: no such file, a damaged one, or one of no kind that is known.
    """
    if path.suffix not in READERS:
        raise InputError(
            f"{path}: cannot be shown; wanted a results folder or a file that ends in "
            f"{', '.join(READERS)}."
        )
    if not path.is_file():
        raise InputError(f"{path}: no such file.")
    return {"file": str(path), **READERS[path.suffix](path, max(n_rows, 0))}


def _parquet(path: Path, n_rows: int) -> dict:
    with open_parquet(path) as file:
        schema, footer = file.schema_arrow, file.metadata
        note = schema.metadata or {}
        first = next(file.iter_batches(max(n_rows, 1)), None)
        figures = {
            "rows": footer.num_rows,
            "row groups": footer.num_row_groups,
            "bytes": path.stat().st_size,
        }
        columns = [_column(field, footer) for field in schema]
    rows = [] if first is None else first.slice(0, n_rows).to_pylist()
    return {
        "kind": "parquet",
        "table": note.get(TABLE_KEY, b"").decode(),
        "key": note.get(b"key", b"").decode(),
        "figures": figures,
        "columns": columns,
        "rows": [{name: _cell(value) for name, value in row.items()} for row in rows],
        "provenance": _provenance(note.get(METADATA_KEY.encode()), path),
    }


def _column(field: pa.Field, footer: object) -> dict:
    """Name, type and meaning, and the range of a plain column as the file's footer has it."""
    meaning = (field.metadata or {}).get(b"meaning", b"").decode()
    found = {"name": field.name, "type": str(field.type), "meaning": meaning}
    if pa.types.is_nested(field.type):
        return found
    place = next(i for i in range(footer.num_columns) if footer.schema.column(i).path == field.name)
    groups = [footer.row_group(i).column(place) for i in range(footer.num_row_groups)]
    known = [g.statistics for g in groups if g.is_stats_set and g.statistics.has_min_max]
    if not known or len(known) < len(groups):
        return found
    least, largest = min(each.min for each in known), max(each.max for each in known)
    return found | {"least": _cell(least), "largest": _cell(largest)}


def _safetensors(path: Path, n_rows: int) -> dict:
    found, told = tensors.list_tensors(path)
    figures = {
        "tensors": len(found),
        "entries": sum(math.prod(each.shape) for each in found),
        "bytes": path.stat().st_size,
    }
    return {
        "kind": "safetensors",
        "figures": figures,
        "tensors": [each._asdict() for each in found],
        "provenance": _provenance(told, path),
    }


def _provenance(note: str | bytes | None, path: Path) -> dict | None:
    """The note of one of our files, whatever version wrote it; None for a foreign file."""
    if note is None:
        return None
    try:
        return json.loads(note)
    except ValueError:
        raise InputError(f"{path}: its provenance is not JSON.") from None


def _cell(value: object) -> object:
    """A value that JSON holds; of a vector its first entries and its width."""
    if isinstance(value, list):
        shown = [_cell(each) for each in value[:SHOWN_ENTRIES]]
        return [*shown, f"... {len(value)} entries"] if len(value) > SHOWN_ENTRIES else shown
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)


READERS = {
    ".parquet": _parquet,
    ".safetensors": _safetensors,
    **dict.fromkeys(texts.DELIMITERS, texts.describe_separated),
    **dict.fromkeys(texts.MARKUP, texts.describe_markup),
    **dict.fromkeys((".json", ".yaml", ".log", ".txt", ".md", ".tex"), texts.describe_lines),
}
