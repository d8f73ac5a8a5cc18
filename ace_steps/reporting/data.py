"""The report's section on the data: filters, histories, popularity, texts, all that was counted."""

import re
from dataclasses import replace

import polars as pl

from ace_steps.reporting import data_drawings, wording
from ace_steps.reporting.artifacts import Artifacts
from ace_steps.reporting.data_texts import text_tables
from ace_steps.reporting.page import Block, Cell, Column, Figure, Section, Table, Text
from ace_steps.reporting.svg import figure_of

COUNTED = ("users", "items", "events")
STAGES = (  # in the order of the work; "" are the final counts
    "_raw",
    "_after_rating",
    "_after_window",
    "_after_missing_items",
    "_after_duplicates",
    "_after_core",
    "_after_sample",
    "_after_split",
    "",
)
KEY_STATISTICS = (
    "density",
    "history_length_mean",
    "history_length_median",
    "history_length_max",
    "tied_events_share",
    "tied_test_targets_share",
    "test_targets_unseen_share",
    "duplicate_events",
    "blank_texts",
    "duplicate_texts",
    "text_chars_mean",
)


def data_section(artifacts: Artifacts) -> Section:
    """What the logs held before and after each filter, the texts, and what else was counted."""
    data = artifacts.data
    texts = text_tables(artifacts.encoders, artifacts.folder)
    if not len(data):
        warning = Text("No data report was found.", is_warning=True)
        return Section("Data", "data", (warning, *texts))
    names = data["dataset"].unique(maintain_order=True).to_list()
    counts = {
        name: dict(data.filter(pl.col("dataset") == name).select("statistic", "value").iter_rows())
        for name in names
    }
    folder = f"{artifacts.folder}/preprocess"
    source = f"{folder}/<dataset>/data_report.parquet"
    shown = {
        noun + stage for found in counts.values() for stage in _stages(found) for noun in COUNTED
    }
    others = [s for s in data["statistic"].unique(maintain_order=True) if s not in shown]
    key = [statistic for statistic in KEY_STATISTICS if statistic in others]
    rest = [statistic for statistic in others if statistic not in key]
    blocks: list[Block] = [
        *_data_warnings(counts),
        _filter_table(counts, source),
        *(_dataset_figure(name, found, folder) for name, found in counts.items()),
        _statistics_table("Key figures of the data.", key, counts, source),
        *texts,
    ]
    if rest:
        caption = "Everything else that was counted."
        table = _statistics_table(caption, rest, counts, source)
        blocks.append(replace(table, is_folded=True))
    return Section("Data", "data", tuple(blocks))


def _stages(counts: dict[str, float]) -> list[str]:
    """Suffixes that users, items and events were all counted under, in the order of the work."""
    return [stage for stage in STAGES if all(noun + stage in counts for noun in COUNTED)]


def _filter_table(counts: dict[str, dict[str, float]], source: str) -> Table:
    """Users, items and events of each dataset after each filter."""
    rows = [
        (
            Cell(name, name),
            Cell(wording.phrase(stage) or "Final"),
            *(_count(counts[name][noun + stage]) for noun in COUNTED),
        )
        for name in counts
        for stage in _stages(counts[name])
    ]
    columns = (Column("dataset", is_number=False), Column("stage", is_number=False))
    caption = "Users, items and events, as they are in the source and after each filter."
    return Table(caption, (*columns, *map(Column, COUNTED)), tuple(rows), source)


def _dataset_figure(dataset: str, counts: dict[str, float], folder: str) -> Figure | Text:
    """History lengths and the popularity curve of one dataset; a line where neither was counted."""
    bins = data_drawings.history_bins(counts)
    points = data_drawings.popularity_points(counts)
    drawings = [data_drawings.history_lengths(bins)] if bins else []
    drawings += [data_drawings.popularity(points)] if points else []
    if not drawings:
        text = f"{dataset}: neither history lengths nor popularity were counted."
        return Text(text, is_warning=True)
    patterns = (data_drawings.HISTORIES, data_drawings.POPULARITY)
    drawn = [name for name in counts if any(pattern.fullmatch(name) for pattern in patterns)]
    looks = (data_drawings.CURVE, data_drawings.EQUAL) if points else ()
    table = pl.DataFrame({"statistic": drawn, "value": [counts[name] for name in drawn]})
    return figure_of(
        f"data/{dataset}.svg",
        f"The data of {dataset} after all filters: users by the length of their history, and how "
        "many of the training events fall on the most popular items.",
        drawings,
        looks={look.label: look for look in looks},
        csv=table.write_csv(),
        source=f"{folder}/{dataset}/data_report.parquet",
    )


def _statistics_table(
    caption: str, statistics: list[str], counts: dict[str, dict[str, float]], source: str
) -> Table:
    """A row for each statistic, a column for each dataset."""
    rows = tuple(
        (Cell(_phrase(name), name), *(_statistic(found, name) for found in counts.values()))
        for name in statistics
    )
    columns = (Column("statistic", is_number=False), *map(Column, counts))
    return Table(caption, columns, rows, source)


def _data_warnings(counts: dict[str, dict[str, float]]) -> list[Text]:
    """A line for each final count that differs from what the configuration expects."""
    lines = [
        f"{dataset}: {wording.number(found[f'warning_{noun}_expected'])} {noun} were expected, "
        f"but {wording.number(found[f'warning_{noun}_found'])} were found."
        for dataset, found in counts.items()
        for noun in COUNTED
        if f"warning_{noun}_expected" in found
    ]
    return [Text(line, is_warning=True) for line in lines]


def _phrase(statistic: str) -> str:
    """A statistic's name as words, numbers within it without the zeros they are sorted by."""
    words = re.sub(r"\b0+(?=\d)", "", wording.phrase(statistic))
    return words.replace("Text chars", "Characters of a text,").replace(
        "History length", "Events of a history,"
    )


def _count(value: float) -> Cell:
    return Cell(wording.number(value), value)


def _statistic(counts: dict[str, float], name: str) -> Cell:
    """A statistic of one dataset; shares in per cent."""
    is_share = name == "density" or "share" in name.split("_")
    write = wording.share if is_share else wording.number
    return Cell(write(counts.get(name)), counts.get(name))
