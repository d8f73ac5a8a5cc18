"""The chapter on the data: filters, histories, popularity, all that was counted."""

import re

import polars as pl
from matplotlib.axes import Axes

from ace_steps.reporting import formatting, plots
from ace_steps.reporting.artifacts import Artifacts
from ace_steps.reporting.page import Figure, Section, Table, Text, cell
from ace_steps.reporting.plots import PLAIN, SINGLES, Style

COUNTED = ("users", "items", "events")
STAGES = (  # in the order of the work; "" are the final counts
    *("_raw", "_after_rating", "_after_window", "_after_missing_items", "_after_duplicates"),
    *("_after_core", "_after_sample", "_after_split", ""),
)
KEY_STATISTICS = (
    *("density", "history_length_mean", "history_length_median", "history_length_max"),
    *("tied_events_share", "tied_test_targets_share", "test_targets_unseen_share"),
    *("duplicate_events", "blank_texts", "duplicate_texts", "text_chars_mean"),
)
HISTORIES = re.compile(r"users_with_history_(\d+)_to_(\d+)")
POPULARITY = re.compile(r"train_share_of_top_(\d+)_percent_items")
BLUE = SINGLES[-1]
CURVE = Style("most popular items first", BLUE, "-", "o")
EQUAL = Style("if all items were equally popular", SINGLES[0], "--", "")
N_WRITTEN = 8  # more bars leave no room for their numbers
N_TICKS = 10
Counts = dict[str, float]  # a data_report: value by statistic


def data_section(artifacts: Artifacts) -> Section:
    """What the logs held before and after each filter, and what else was counted."""
    section = Section("Data", "data")
    if not len(artifacts.data):
        section.blocks.append(Text("No data report was found.", is_warning=True))
        return section
    counts: dict[str, Counts] = {}
    for dataset, name, value in artifacts.data.select("dataset", "statistic", "value").iter_rows():
        counts.setdefault(dataset, {})[name] = value
    source = f"{artifacts.folder}/preprocess/<dataset>/data_report.parquet"
    section.blocks = [
        *_warnings(counts),
        _filter_table(counts, source),
        *(_dataset_figure(name, each, artifacts.folder) for name, each in counts.items()),
        *_statistics_tables(counts, source),
    ]
    return section


def _stages(counts: Counts) -> list[str]:
    """Suffixes that users, items and events were all counted under, in the order of the work."""
    return [stage for stage in STAGES if all(noun + stage in counts for noun in COUNTED)]


def _warnings(counts: dict[str, Counts]) -> list[Text]:
    """A line for each final count that differs from what the configuration expects."""
    lines = [
        f"{dataset}: expected {formatting.number(each[f'warning_{noun}_expected'])} {noun}, "
        f"got {formatting.number(each[f'warning_{noun}_found'])}."
        for dataset, each in counts.items()
        for noun in COUNTED
        if f"warning_{noun}_expected" in each
    ]
    return [Text(line, is_warning=True) for line in lines]


def _filter_table(counts: dict[str, Counts], source: str) -> Table:
    rows = [
        [name, formatting.phrase(stage) or "Final", *(each[noun + stage] for noun in COUNTED)]
        for name, each in counts.items()
        for stage in _stages(each)
    ]
    caption = "Users, items and events, as they are in the source and after each filter."
    return Table(caption, ["dataset", "stage", *COUNTED], rows, source)


def _statistics_tables(counts: dict[str, Counts], source: str) -> list[Table]:
    """Key figures, and folded the rest that no filter counted; a column for each dataset."""
    key, rest = [], []
    filtered = {n + stage for each in counts.values() for stage in _stages(each) for n in COUNTED}
    names = dict.fromkeys([*KEY_STATISTICS, *(name for each in counts.values() for name in each)])
    for name in names:
        if name in filtered or not any(name in each for each in counts.values()):
            continue
        is_share = name == "density" or "share" in name.split("_")
        write = formatting.share if is_share else formatting.number
        label = re.sub(r"\b0+(?=\d)", "", formatting.phrase(name))  # without sorting zeros
        label = label.replace("Text chars", "Characters of a text,")
        label = label.replace("History length", "Events of a history,")
        row = [label, *(cell(each.get(name), write) for each in counts.values())]
        (key if name in KEY_STATISTICS else rest).append(row)
    heads = ["statistic", *counts]
    return [
        Table("Key figures of the data.", heads, key, source),
        Table("Everything else that was counted.", heads, rest, source, is_folded=True),
    ]


def _dataset_figure(dataset: str, counts: Counts, folder: str) -> Figure | Text:
    """History lengths and the popularity curve of one dataset; a line where neither was counted."""
    bins, points = history_bins(counts), popularity_points(counts)
    if not bins and not points:
        text = f"{dataset}: neither history lengths nor popularity were counted."
        return Text(text, is_warning=True)
    with plots.panels(bool(bins) + bool(points)) as axes:
        if bins:
            draw_histories(axes[0], bins)
        if points:
            draw_popularity(axes[-1], points)
    drawn = {n: v for n, v in counts.items() if HISTORIES.fullmatch(n) or POPULARITY.fullmatch(n)}
    return plots.finished(
        axes,
        f"data/{dataset}.svg",
        f"The data of {dataset} after all filters: users by the length of their history, and how "
        "many of the training events fall on the most popular items.",
        legend=[CURVE, EQUAL] if points else [],
        data=pl.DataFrame({"statistic": drawn.keys(), "value": drawn.values()}),
        source=f"{folder}/preprocess/{dataset}/data_report.parquet",
    )


def history_bins(counts: Counts) -> list[tuple[int, int, int]]:
    """(shortest, longest, users) of each bin of history lengths, in events, shortest first."""
    matches = [(HISTORIES.fullmatch(name), value) for name, value in counts.items()]
    return sorted((int(m[1]), int(m[2]), int(value)) for m, value in matches if m)


def popularity_points(counts: Counts) -> list[tuple[int, float]]:
    """(percent of the items, share of the training events), the most popular items first."""
    matches = [(POPULARITY.fullmatch(name), value) for name, value in counts.items()]
    return sorted((int(m[1]), value) for m, value in matches if m)


def draw_histories(axes: Axes, bins: list[tuple[int, int, int]]) -> None:
    """Users by the length of their history, a bar from each bin's first length to the next's."""
    for low, high, n_users in bins:
        width = 0.97 * (high + 1 - low)  # a gap shows between bars
        axes.bar(low, n_users, width, align="edge", color=BLUE)
        if len(bins) <= N_WRITTEN:
            middle = ((low * (high + 1)) ** 0.5, n_users)  # on a logarithmic axis
            style = {"textcoords": "offset points", "ha": "center", "fontsize": 8}
            axes.annotate(formatting.number(n_users), middle, (0, 3), **style)
    edges = sorted({edge for low, high, _ in bins for edge in (low, high + 1)})
    axes.set_xscale("log", base=2)
    axes.set_xticks(edges[:: 1 + len(edges) // (N_TICKS + 1)])
    axes.set_xticks([], minor=True)
    axes.xaxis.set_major_formatter(PLAIN)
    axes.grid(visible=False, axis="x")
    axes.margins(y=0.1)
    axes.set(title="History lengths", ylabel="users")
    axes.set(xlabel="history length, events; each bin twice as wide")


def draw_popularity(axes: Axes, points: list[tuple[int, float]]) -> None:
    """Share of the training events on the most popular items, beside that of equal items."""
    x = [0, *(percent for percent, _ in points), 100]
    y = [0.0, *(100 * share for _, share in points), 100.0]
    axes.plot([0, 100], [0, 100], color=EQUAL.color, linestyle=EQUAL.line, linewidth=1.2)
    style = {"marker": CURVE.marker, "markersize": 4.5, "markevery": slice(1, -1)}
    axes.plot(x, y, color=CURVE.color, linewidth=1.5, **style)
    axes.set(title="Popularity of the items", xlim=(0, 100), ylim=(0, 102))
    axes.set(xlabel="% of the items, most popular first", ylabel="% of the training events")
