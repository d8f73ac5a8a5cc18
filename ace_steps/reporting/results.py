"""The report's first section: what came out, a table and a sentence for each setup."""

import polars as pl

from ace_steps.evaluation.results import relative
from ace_steps.reporting import wording
from ace_steps.reporting.artifacts import Artifacts
from ace_steps.reporting.page import Block, Section, Text
from ace_steps.reporting.scores import HEADLINE, Setup, against, baseline_score, score_table


def result_section(artifacts: Artifacts, setups: list[Setup]) -> Section:
    """The main table of each setup, with its best entry in a sentence; of several a part each."""
    found = [_blocks(artifacts, setup) for setup in setups]
    remark = "One seed: how much the scores vary from training to training is not known."
    remarks = [Text(remark)] if len(artifacts.config["seeds"]) == 1 else []
    if len(setups) == 1:
        return Section("Result", "result", (*found[0], *remarks))
    parts = [
        Section(
            setup.title,
            "-".join(("result", setup.dataset, setup.encoder, setup.backbone_entry)),
            tuple(blocks),
        )
        for setup, blocks in zip(setups, found, strict=True)
    ]
    return Section("Result", "result", tuple(remarks), tuple(parts))


def _blocks(artifacts: Artifacts, setup: Setup) -> list[Block]:
    """What came out in one setup."""
    selection = artifacts.config["selection"]
    caption = (
        f"The chosen points on the targets they were chosen by (valid) and on the test "
        f"targets, {setup.title}. Best of a column bold, second underlined{against(setup)}."
    )
    chosen_by = ("valid", selection["metric"], selection["cutoff"])
    columns = [chosen_by, *(("test", *metric) for metric in HEADLINE)]
    source = f"{artifacts.folder}/report/metrics.parquet"
    table = score_table(setup, setup.chosen, columns, caption=caption, source=source)
    return [Text(_headline(setup, selection)), table]


def best_by_validation(setup: Setup, selection: dict) -> tuple[dict, float]:
    """The chosen point with the best selection metric on validation, and that score."""
    scores = setup.scores(setup.chosen, "valid", **selection)["mean"]
    place = scores.arg_max()
    return setup.chosen.row(place, named=True), scores[place]


def _headline(setup: Setup, selection: dict) -> str:
    """Which entry validation prefers, and what it reaches on test."""
    point, score = best_by_validation(setup, selection)
    name = wording.point(point["refinement_entry"], point["refinement_point"])
    metric = wording.metric(selection["metric"], selection["cutoff"])
    wanted = [("recall", 20), ("ndcg", 20)]
    row = setup.chosen.filter(pl.col("refinement") == point["refinement"])
    values = [setup.scores(row, "test", *pair)["mean"][0] for pair in wanted]
    reached = " and ".join(
        f"{wording.metric(*pair)} {wording.score(value)}"
        for pair, value in zip(wanted, values, strict=True)
    )
    text = (
        f"On {setup.title}, {name} has the best {metric} on validation "
        f"({wording.score(score)}); on test it reaches {reached}"
    )
    baselines = [baseline_score(setup, "test", *pair) for pair in wanted]
    changes = [relative(*pair) for pair in zip(values, baselines, strict=True)]
    if point["refinement_entry"] == setup.baseline or None in changes:
        return f"{text}."
    return f"{text}, {' and '.join(map(wording.change, changes))} against {setup.baseline}."
