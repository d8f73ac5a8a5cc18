"""The report's section on new items: how targets rank that training has not seen."""

from itertools import product

import polars as pl

from ace_steps.evaluation.metrics import CUTOFFS
from ace_steps.io.tables import RUN
from ace_steps.reporting import wording
from ace_steps.reporting.artifacts import Artifacts
from ace_steps.reporting.page import Cell, Column, Section, Table, Text
from ace_steps.reporting.scores import METRICS, Setup, name_cell

KINDS = {  # what stands for a new item's vector, in the order of the rows
    "folded_in": "folded in",
    "mapped": "mapped",
    "shuffled": "shuffled (control)",
    "random": "random (control)",
}
TARGETS = {  # targets and what they are ranked among, in the order of the columns
    ("new", "new"): "new among new",
    ("new", "all"): "new among all",
    ("known", "all"): "known among all",
}
SHOWN = (
    *((("new", "new"), "recall", 20), (("new", "new"), "recall", 50)),
    *((("new", "all"), "recall", 20), (("new", "all"), "recall", 50)),
    (("known", "all"), "recall", 20),
)
WORDS = (
    "A share of the items was hidden: the refinement was fitted and the backbone trained without "
    "them. Then they were given vectors, and the test targets among them were ranked. Folded in: "
    "the new text's vector, refined by the map that training started from. Mapped: moved from "
    "there by the affine map that least squares fits from the known items' refined vectors to "
    "their trained ones. The two controls know nothing of the item: another new item's folded-in "
    "vector, and normal numbers of the same deviation; what a method reaches beyond them comes "
    "from the text. Ties count as half."
)


def cold_section(artifacts: Artifacts, setups: list[Setup]) -> Section | None:
    """How new items rank, a part for each setup; None where no table of it is there."""
    parts = []
    for setup in setups:
        keys = ["dataset", "encoder", "refinement", "backbone"]
        points = setup.chosen.select(*keys, "refinement_entry", "refinement_point")
        found = points.join(artifacts.cold_items, on=keys, maintain_order="left")
        if not len(found):
            continue
        anchor = "-".join(("cold", setup.dataset, setup.encoder, setup.backbone_entry))
        tables = (_table(artifacts, setup, found), _all_metrics(artifacts, setup, found))
        parts.append(Section(setup.title, anchor, tables))
    if not parts:
        return None
    title = "New items, which training has not seen"
    return Section(title, "new-items", (Text(WORDS),), tuple(parts))


def _table(artifacts: Artifacts, setup: Setup, found: pl.DataFrame) -> Table:
    """A row for each refinement and kind of vector."""
    new = found.filter(targets="new")
    n_new = _counts(new.filter(candidates="new")["n_candidates"])
    n_all = _counts(new.filter(candidates="all")["n_candidates"])
    seed = artifacts.config["seeds"][0]
    caption = (
        f"New items as test targets, {setup.title}, seed {seed}: {n_new} of {n_all} items hidden. "
        f"Guessing finds a target among the first K of the {n_new} new items with probability "
        f"K / {n_new}, at most 1."
    )
    heads = [f"{TARGETS[kind]}: {wording.metric(*pair)}" for kind, *pair in SHOWN]
    columns = (
        *(Column(word, is_number=False) for word in ("refinement", "vectors of new items")),
        *map(Column, ["new targets", *heads]),
    )
    values = _values(found)
    n_targets = dict(new.select("refinement", "n_targets").iter_rows())
    rows = []
    for point, vectors in _rows_of(found):
        name = point["refinement"]
        cells = [_score(values.get((name, vectors, *kind, *pair))) for kind, *pair in SHOWN]
        count = Cell(wording.number(n_targets.get(name)), n_targets.get(name))
        rows.append((name_cell(point), _kind_cell(vectors), count, *cells))
    return Table(caption, columns, tuple(rows), _source(artifacts, setup))


def _all_metrics(artifacts: Artifacts, setup: Setup, found: pl.DataFrame) -> Table:
    """Every metric and cutoff of the tables, folded."""
    metrics = list(product(METRICS, CUTOFFS))
    words = ("refinement", "vectors of new items", "targets")
    columns = (
        *(Column(word, is_number=False) for word in words),
        *(Column(wording.metric(*pair)) for pair in metrics),
    )
    values = _values(found)
    rows = []
    for (point, vectors), (kind, label) in product(_rows_of(found), TARGETS.items()):
        key = (point["refinement"], vectors, *kind)
        if (*key, *metrics[0]) not in values:
            continue  # no test target of this kind
        scores = [_score(values.get((*key, *pair))) for pair in metrics]
        rows.append((name_cell(point), _kind_cell(vectors), Cell(label, label), *scores))
    caption = f"All metrics of new and of known targets, {setup.title}."
    return Table(caption, columns, tuple(rows), _source(artifacts, setup), is_folded=True)


def _rows_of(found: pl.DataFrame) -> list[tuple[dict, str]]:
    """Each refinement's point with each kind of vector it has, in the order of the rows."""
    has = set(found.select("refinement", "vectors").iter_rows())
    points = found.unique("refinement", keep="first", maintain_order=True).to_dicts()
    return [pair for pair in product(points, KINDS) if (pair[0]["refinement"], pair[1]) in has]


def _values(found: pl.DataFrame) -> dict[tuple, float]:
    keys = ("refinement", "vectors", "targets", "candidates", "metric", "cutoff")
    return {tuple(key): value for *key, value in found.select(*keys, "value").iter_rows()}


def _counts(column: pl.Series) -> str:
    """A count that all rows share; else those that there are, smallest first."""
    return " or ".join(map(wording.number, column.unique().sort()))


def _kind_cell(vectors: str) -> Cell:
    return Cell(KINDS[vectors], vectors)


def _score(value: float | None) -> Cell:
    return Cell(wording.score(value), value)


def _source(artifacts: Artifacts, setup: Setup) -> str:
    rest = "/".join(f"<{part}>" for part in RUN[2:])
    return f"{artifacts.folder}/recommend/{setup.dataset}/{setup.encoder}/{rest}/cold_items.parquet"
