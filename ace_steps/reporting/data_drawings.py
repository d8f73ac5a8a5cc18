"""The report's drawings of a dataset: history lengths as bars, popularity of items as a curve."""

import re

from matplotlib.axes import Axes

from ace_steps.reporting import wording
from ace_steps.reporting.figures import PLAIN
from ace_steps.reporting.svg import SINGLES, Drawing, Style

HISTORIES = re.compile(r"users_with_history_(\d+)_to_(\d+)")
POPULARITY = re.compile(r"train_share_of_top_(\d+)_percent_items")
BLUE = SINGLES[-1]
CURVE = Style("most popular items first", BLUE, "-", "o")
EQUAL = Style("if all items were equally popular", SINGLES[0], "--", "")
N_WRITTEN = 8  # more bars leave no room for their numbers
N_TICKS = 10


def history_bins(counts: dict[str, float]) -> list[tuple[int, int, int]]:
    """(shortest, longest, users) of each bin of history lengths, in events, shortest first."""
    found = [(HISTORIES.fullmatch(name), value) for name, value in counts.items()]
    return sorted((int(m[1]), int(m[2]), int(value)) for m, value in found if m)


def popularity_points(counts: dict[str, float]) -> list[tuple[int, float]]:
    """(per cent of the items, share of the training events), the most popular items first."""
    found = [(POPULARITY.fullmatch(name), value) for name, value in counts.items()]
    return sorted((int(m[1]), value) for m, value in found if m)


def history_lengths(bins: list[tuple[int, int, int]]) -> Drawing:
    """Users by the length of their history, a bar from each bin's first length to the next's.

    Args:
        bins: As ``history_bins`` gives them, at least one; lengths that no bin has stay empty.
    """
    lows = [low for low, _, _ in bins]
    users = [n_users for _, _, n_users in bins]
    widths = [high + 1 - low for low, high, _ in bins]
    edges = sorted({*lows, *(high + 1 for _, high, _ in bins)})

    def draw(axes: Axes) -> None:
        inner = [0.97 * width for width in widths]  # a gap shows on light and on dark pages
        axes.bar(lows, users, inner, align="edge", color=BLUE)
        for low, high, n_users in bins if len(bins) <= N_WRITTEN else ():
            place = ((low * (high + 1)) ** 0.5, n_users)  # the middle on a logarithmic axis
            pen = {"textcoords": "offset points", "ha": "center", "fontsize": 8}
            axes.annotate(wording.number(n_users), place, (0, 3), **pen)
        axes.set_xscale("log", base=2)
        axes.set_xticks(edges[:: 1 + len(edges) // (N_TICKS + 1)])
        axes.set_xticks([], minor=True)
        axes.xaxis.set_major_formatter(PLAIN)
        axes.grid(visible=False, axis="x")
        axes.margins(y=0.1)
        axes.set(xlabel="history length, events; each bin twice as wide", ylabel="users")

    spoken = ", ".join(f"{low} to {high}: {wording.number(n_users)}" for low, high, n_users in bins)
    return Drawing(
        "History lengths", f"Bar chart. Users by events in their history: {spoken}.", draw
    )


def popularity(points: list[tuple[int, float]]) -> Drawing:
    """Share of the training events on the most popular items, beside that of equal items.

    Args:
        points: As ``popularity_points`` gives them; both ends of the curve follow of themselves.
    """
    x = [0, *(percent for percent, _ in points), 100]
    y = [0.0, *(100 * share for _, share in points), 100.0]

    def draw(axes: Axes) -> None:
        pen = {"color": EQUAL.color, "linestyle": EQUAL.line, "linewidth": 1.2}
        axes.plot([0, 100], [0, 100], **pen)
        pen = {"color": CURVE.color, "linestyle": CURVE.line, "linewidth": 1.5}
        axes.plot(x, y, **pen, marker=CURVE.marker, markersize=4.5, markevery=slice(1, -1))
        axes.set(xlim=(0, 100), ylim=(0, 102))
        axes.set(xlabel="% of the items, most popular first", ylabel="% of the training events")

    spoken = ", ".join(
        f"{wording.share(share)} on the top {percent} %" for percent, share in points
    )
    alt = f"Line chart above the diagonal of equal items. Training events: {spoken} of the items."
    return Drawing("Popularity of the items", alt, draw)
