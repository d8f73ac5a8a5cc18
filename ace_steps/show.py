"""Looking at artifacts: what a file holds and how it was made, a folder of results as a table."""

import json
import math
from functools import partial
from itertools import islice
from pathlib import Path

import polars as pl
import pyarrow as pa
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ace_steps.errors import InputError
from ace_steps.evaluation.metrics import mean_metric
from ace_steps.io import tensors
from ace_steps.io.parquet import TABLE_KEY, open_parquet, read_provenance, read_table
from ace_steps.io.provenance import METADATA_KEY
from ace_steps.io.tables import RANKS, RUN, RUNS, TRAINING_CURVE

VECTOR_ENTRIES = 4  # that are shown of a vector
LINE_CHARS = 2**16  # a longer line counts as several, so that none fills the memory
TEXTS = (".csv", ".tsv", ".json", ".yaml", ".log", ".txt", ".md", ".tex")
PAGES = (".svg", ".html")
TEST_METRICS = (("recall", 10), ("recall", 20), ("ndcg", 10), ("ndcg", 20))
VALIDATION = "valid_ndcg_10"
PLAIN_WIDTH = 240  # of text that no terminal wraps
LONGEST_CELL = 60


def describe(path: Path, n_rows: int) -> dict:
    """A file as JSON values; large files are not read as a whole.

    Args:
        path: A Parquet or safetensors file, which is verified, a text, or a page for a browser.
        n_rows: Rows, or lines of a text, to take from its beginning.

    Returns:
        ``file``, ``kind``, ``figures`` (numbers by name) and, as the kind has them: ``table``,
        ``key``, ``columns`` (name, type, meaning, least, largest), ``tensors`` (name, type,
        shape), ``rows``, ``provenance`` (None where the file does not say), ``lines``.

    Raises:
        InputError: no such file, a damaged one, or one of an unknown kind.
    """
    kinds = (".parquet", ".safetensors", *TEXTS, *PAGES)
    if path.suffix not in kinds:
        raise InputError(
            f"{path}: cannot be shown; expected a results folder or a file that ends in "
            f"{', '.join(kinds)}."
        )
    if not path.is_file():
        raise InputError(f"{path}: no such file.")
    described = {"file": str(path), "kind": path.suffix[1:]}
    figures = {"bytes": path.stat().st_size}
    if path.suffix == ".parquet":
        return described | _parquet(path, max(n_rows, 0), figures)
    if path.suffix == ".safetensors":
        return described | _safetensors(path, figures)
    if path.suffix in PAGES:
        return described | {"figures": figures, "lines": ["open it in a browser"]}
    return described | {"figures": figures, "lines": _lines(path, max(n_rows, 0))}


def _parquet(path: Path, n_rows: int, figures: dict[str, int]) -> dict:
    with open_parquet(path) as file:
        schema, footer = file.schema_arrow, file.metadata
        note = schema.metadata or {}
        first = next(file.iter_batches(max(n_rows, 1)), None)
        columns = [_column(field, footer) for field in schema]
    rows = [] if first is None else first.slice(0, n_rows).to_pylist()
    return {
        "table": note.get(TABLE_KEY, b"").decode(),
        "key": note.get(b"key", b"").decode(),
        "figures": {"rows": footer.num_rows, "row groups": footer.num_row_groups} | figures,
        "columns": columns,
        "rows": [{name: _json_value(value) for name, value in row.items()} for row in rows],
        "provenance": _provenance(note.get(METADATA_KEY.encode()), path),
    }


def _column(field: pa.Field, footer: object) -> dict:
    """Name, type and meaning, and the range of a plain column as the file's footer has it."""
    meaning = (field.metadata or {}).get(b"meaning", b"").decode()
    column = {"name": field.name, "type": str(field.type), "meaning": meaning}
    if pa.types.is_nested(field.type):
        return column
    place = next(i for i in range(footer.num_columns) if footer.schema.column(i).path == field.name)
    groups = [footer.row_group(i).column(place) for i in range(footer.num_row_groups)]
    known = [g.statistics for g in groups if g.is_stats_set and g.statistics.has_min_max]
    if known and len(known) == len(groups):
        column["least"] = _json_value(min(each.min for each in known))
        column["largest"] = _json_value(max(each.max for each in known))
    return column


def _safetensors(path: Path, figures: dict[str, int]) -> dict:
    listed, note = tensors.list_tensors(path)
    n_entries = sum(math.prod(each.shape) for each in listed)
    return {
        "figures": {"tensors": len(listed), "entries": n_entries} | figures,
        "tensors": [each._asdict() for each in listed],
        "provenance": _provenance(note, path),
    }


def _provenance(note: str | bytes | None, path: Path) -> dict | None:
    """The note of one of our files, whatever version wrote it; None for a foreign file."""
    try:
        return None if note is None else json.loads(note)
    except ValueError:
        raise InputError(f"{path}: its provenance is not JSON.") from None


def _json_value(value: object) -> object:
    """A value that JSON holds; of a vector its first entries and its length."""
    if isinstance(value, list):
        shown = [_json_value(each) for each in value[:VECTOR_ENTRIES]]
        return shown + [f"... {len(value)} entries"] * (len(value) > VECTOR_ENTRIES)
    is_finite = not isinstance(value, float) or math.isfinite(value)
    return value if isinstance(value, bool | int | float | str | None) and is_finite else str(value)


def _lines(path: Path, n_rows: int) -> list[str]:
    try:
        with path.open(encoding="utf-8") as file:
            lines = islice(iter(partial(file.readline, LINE_CHARS), ""), n_rows)
            return [line.removesuffix("\n") for line in lines]
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a text in UTF-8.") from None


def runs_table(folder: Path) -> pl.DataFrame:
    """One row per run that was trained or ranked.

    Args:
        folder: Results, with ``train/**/training_curve.parquet`` and ``rank/**/ranks.parquet``.

    Returns:
        The run's identity; epochs, best_epoch, valid_ndcg_10 (at the best epoch), seconds (of
        training), device; test_recall_10, test_recall_20, test_ndcg_10, test_ndcg_20; is_chosen
        (null before there is a report); settings (of a grid: the values of this grid point, JSON).
        A run that has not come so far has nulls.

    Raises:
        InputError: there is no run, or a table is damaged or another one.
    """
    curves = sorted(folder.glob("train/**/training_curve.parquet"))
    ranks = sorted(folder.glob("rank/**/ranks.parquet"))
    if not curves and not ranks:
        raise InputError(
            f"{folder}: expected a results folder with train/.../training_curve.parquet or "
            "rank/.../ranks.parquet, got no run."
        )
    identity = {name: pl.Int64 if name == "seed" else pl.String for name in RUN}
    trained = pl.DataFrame(
        [_trained(path) for path in curves],
        identity
        | {"epochs": pl.Int64, "best_epoch": pl.Int64, VALIDATION: pl.Float64}
        | {"seconds": pl.Float64, "device": pl.String},
    )
    tested = pl.DataFrame(
        [_tested(path) for path in ranks],
        identity | {f"test_{metric}_{cutoff}": pl.Float64 for metric, cutoff in TEST_METRICS},
    )
    runs = trained.join(tested, on=RUN, how="full", coalesce=True)
    collected = folder / "report" / "runs.parquet"
    if collected.is_file():
        runs = runs.join(_choices(read_table(collected, RUNS)), on=RUN, how="left")
    else:
        runs = runs.with_columns(is_chosen=pl.lit(None, pl.Boolean), settings=pl.lit(""))
    return runs.sort(RUN)


def _trained(path: Path) -> dict:
    """Identity and figures of one training."""
    curve = read_table(path, TRAINING_CURVE)
    best = curve.filter("is_best").row(0, named=True)
    return {name: best[name] for name in (*RUN, VALIDATION)} | {
        "epochs": len(curve),
        "best_epoch": best["epoch"],
        "seconds": curve["seconds"].sum(),
        "device": read_provenance(path).facts.get("device"),
    }


def _tested(path: Path) -> dict:
    """Identity and test metrics of one run."""
    table = read_table(path, RANKS)
    ranks = table.filter(split="test")["rank"].to_numpy()
    scores = {
        f"test_{name}_{cutoff}": mean_metric(ranks, name, cutoff) for name, cutoff in TEST_METRICS
    }
    return table.select(RUN).row(0, named=True) | scores


def _choices(runs: pl.DataFrame) -> pl.DataFrame:
    """The identity of each collected run, is_chosen, settings."""
    settings = []
    for refinement, backbone in runs.select("refinement_point", "backbone_point").iter_rows():
        values = json.loads(refinement) | json.loads(backbone)
        settings.append(json.dumps(values) if values else "")
    return runs.select(*RUN, "is_chosen", settings=pl.Series(settings, dtype=pl.String))


def console() -> Console:
    """Standard output; without colors, boxes and wrapping where it is no terminal."""
    screen = Console(highlight=False)
    return screen if screen.is_terminal else Console(highlight=False, width=PLAIN_WIDTH)


def print_description(screen: Console, described: dict) -> None:
    """Print what ``describe`` returns."""
    figures = ", ".join(f"{value:,} {name}" for name, value in described["figures"].items())
    table, key = described.get("table"), described.get("key")
    kind = f"table {table}" if table else described["kind"]
    keyed = f", unique in and sorted by {key}" if key else ""
    screen.print(Text(described["file"], style="bold"))
    screen.print(Text(f"{kind}: {figures}{keyed}"))
    if "columns" in described:
        _print_table(
            screen, "columns", described["columns"], ("name", "type", "least", "largest", "meaning")
        )
    if "tensors" in described:
        _print_table(screen, "tensors", described["tensors"], ("name", "type", "shape"))
    if "provenance" in described:
        _print_provenance(screen, described["provenance"])
    if described.get("rows"):
        _print_table(screen, "first rows", described["rows"], list(described["rows"][0]))
    for line in described.get("lines", ()):
        screen.print(Text(line))


def print_runs(screen: Console, runs: pl.DataFrame) -> None:
    """Print a table of runs; a column in which all rows agree becomes part of the heading."""
    shared = [name for name in runs.columns if runs[name].n_unique() == 1 and len(runs) > 1]
    values = ", ".join(f"{name} {text}" for name in shared if (text := _text(runs[name][0])))
    heading = f"{len(runs)} runs" + (f"; all: {values}" if values else "")
    rest = runs.drop(shared)
    _print_table(screen, heading, rest.to_dicts(), rest.columns)


def _print_provenance(screen: Console, note: dict | None) -> None:
    if note is None:
        screen.print(Text("\nprovenance: the file does not say how it was made"))
        return
    values = {"step": note.get("step"), "version": note.get("version")}
    for part in ("settings", "facts", "inputs"):
        for key, value in (note.get(part) or {}).items():
            values[f"{part}: {key}"] = "none" if value is None else value
    rows = [{"what": key, "value": value} for key, value in values.items()]
    _print_table(screen, "provenance", rows, ("what", "value"))


def _print_table(screen: Console, title: str, rows: list[dict], columns: tuple[str, ...]) -> None:
    """Numbers to the right, everything else to the left."""
    table = Table(
        box=box.SIMPLE_HEAD if screen.is_terminal else None, padding=(0, 1), pad_edge=False
    )
    for name in columns:
        is_number = rows and all(isinstance(row.get(name), int | float | None) for row in rows)
        table.add_column(Text(name), justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_text(row.get(name))) for name in columns))
    screen.print()
    screen.print(Text(title, style="bold"))
    screen.print(table)


def _text(value: object) -> str:
    """A value as a short text; nothing for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4f}" if 1e-3 <= abs(value) < 1e5 or not value else f"{value:.3g}"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_CELL else f"{text[: LONGEST_CELL - 3]}..."
