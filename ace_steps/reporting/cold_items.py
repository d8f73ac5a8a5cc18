"""The chapter on new items: how targets rank that training has not seen."""

from itertools import product

import polars as pl

from ace_steps.evaluation.metrics import CUTOFFS
from ace_steps.io.tables import RUN
from ace_steps.reporting import formatting
from ace_steps.reporting.artifacts import Artifacts
from ace_steps.reporting.page import Section, Table, Text, cell
from ace_steps.reporting.scores import METRICS, Setup, point_name

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
            blocks = _tables(artifacts, setup, table)
            section.parts.append(Section(setup.title, setup.anchor("cold"), blocks))
    return section if section.parts else None


def _tables(artifacts: Artifacts, setup: Setup, table: pl.DataFrame) -> list[Table]:
    """Recall of each refinement and kind of vector; every metric and cutoff, folded."""
    values = {
        tuple(key): value
        for *key, value in table.select(
            "refinement", "vectors", "targets", "candidates", "metric", "cutoff", "value"
        ).iter_rows()
    }
    new = table.filter(targets="new")
    n_targets = dict(new.select("refinement", "n_targets").iter_rows())
    metrics = list(product(METRICS, CUTOFFS))
    points = table.unique("refinement", keep="first", maintain_order=True).to_dicts()
    kinds = set(table.select("refinement", "vectors").iter_rows())
    rows, all_rows = [], []
    for point, vectors in product(points, KINDS):
        key = (point["refinement"], vectors)
        if key not in kinds:
            continue
        names = [point_name(point), KINDS[vectors]]
        scores = [values.get((*key, *kind, *pair)) for kind, *pair in SHOWN]
        cells = [cell(score, formatting.score) for score in scores]
        rows.append([*names, n_targets.get(point["refinement"]), *cells])
        for kind, label in TARGETS.items():
            scores = [values.get((*key, *kind, *pair)) for pair in metrics]
            if scores[0] is not None:  # there is a test target of this kind
                all_rows.append([*names, label, *(cell(s, formatting.score) for s in scores)])
    n_new, n_all = (
        " or ".join(
            map(formatting.number, new.filter(candidates=c)["n_candidates"].unique().sort())
        )
        for c in ("new", "all")
    )
    caption = (
        f"New items as test targets, {setup.title}, seed {artifacts.config['seeds'][0]}: {n_new} "
        f"of {n_all} items held out. Guessing finds a target among the first K of the {n_new} new "
        f"items with probability K / {n_new}, at most 1."
    )
    heads = ["refinement", "vectors of new items", "new targets"]
    heads += [f"{TARGETS[kind]}: {formatting.metric(*pair)}" for kind, *pair in SHOWN]
    all_heads = ["refinement", "vectors of new items", "targets"]
    all_heads += [formatting.metric(*pair) for pair in metrics]
    path = "/".join([setup.dataset, setup.encoder, *(f"<{part}>" for part in RUN[2:])])
    source = f"{artifacts.folder}/recommend/{path}/cold_items.parquet"
    all_caption = f"All metrics of new and of known targets, {setup.title}."
    return [
        Table(caption, heads, rows, source),
        Table(all_caption, all_heads, all_rows, source, is_folded=True),
    ]
