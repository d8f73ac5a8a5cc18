"""The chapter on new items: how targets rank that training has not seen."""

import polars as pl

from ace_steps.io.tables import RUN
from ace_steps.reporting import formatting
from ace_steps.reporting.artifacts import Artifacts
from ace_steps.reporting.page import Section, Table, Text, cell
from ace_steps.reporting.scores import Setup, point_name

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
    (("new", "new"), "recall", 20),
    (("new", "new"), "recall", 50),
    (("new", "all"), "recall", 20),
    (("new", "all"), "recall", 50),
    (("known", "all"), "recall", 20),
)
EXPLANATION = (
    "A share of the items was held out: the refinement was fitted and the backbone trained without "
    "them. Then they were given vectors, and the test targets among them were ranked. Folded in: "
    "the new text's vector, refined by the map that training started from. Mapped: moved from "
    "there by the affine map that least squares fits from the known items' refined vectors to "
    "their trained ones. The two controls know nothing of the item: another new item's folded-in "
    "vector, and normal numbers of the same scale; what a method reaches beyond them comes from "
    "the text. Ties count as half."
)


def cold_section(artifacts: Artifacts, setups: list[Setup]) -> Section | None:
    """How new items rank, a part for each setup; None where no table of it is there."""
    section = Section("New items, which training has not seen", "new-items", [Text(EXPLANATION)])
    for setup in setups:
        keys = ["dataset", "encoder", "refinement", "backbone"]
        points = setup.chosen.select(*keys, "refinement_entry", "refinement_point")
        table = points.join(artifacts.cold_items, on=keys, maintain_order="left")
        if len(table):
            blocks = [_recall_table(artifacts, setup, table)]
            section.parts.append(Section(setup.title, setup.anchor("cold"), blocks))
    return section if section.parts else None


def _recall_table(artifacts: Artifacts, setup: Setup, table: pl.DataFrame) -> Table:
    """A row for each refinement and kind of vector, a column for each of ``SHOWN``."""
    keys = ["targets", "candidates", "metric", "cutoff"]
    rows = []
    for point in table.unique("refinement", keep="first", maintain_order=True).to_dicts():
        for vectors, kind in KINDS.items():
            group = table.filter(refinement=point["refinement"], vectors=vectors)
            if not len(group):
                continue
            values = {tuple(key): value for *key, value in group.select(*keys, "value").iter_rows()}
            scores = [values.get((*kinds, metric, cutoff)) for kinds, metric, cutoff in SHOWN]
            n_targets = group.filter(targets="new")["n_targets"][0]
            cells = (cell(score, formatting.score) for score in scores)
            rows.append([point_name(point), kind, n_targets, *cells])
    heads = ["refinement", "vectors of new items", "new targets"]
    heads += [f"{TARGETS[kind]}: {formatting.metric(*pair)}" for kind, *pair in SHOWN]
    new = table.filter(targets="new")
    n_new, n_all = (
        " or ".join(map(formatting.number, counts.unique().sort()))
        for counts in (new.filter(candidates=name)["n_candidates"] for name in ("new", "all"))
    )
    caption = (
        f"New items as test targets, {setup.title}, seed {artifacts.config['seeds'][0]}: {n_new} "
        f"of {n_all} items held out. Guessing finds a target among the first K of the {n_new} new "
        f"items with probability K / {n_new}, at most 1. Other metrics are in the file."
    )
    path = "/".join([setup.dataset, setup.encoder, *(f"<{part}>" for part in RUN[2:])])
    source = f"{artifacts.folder}/recommend/{path}/cold_items.parquet"
    return Table(caption, heads, rows, source)
