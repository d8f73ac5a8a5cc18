import json
import os
import re
import time
from functools import cache
from pathlib import Path

import yaml

from ace_steps.config import grid
from ace_steps.registry import NAMED_BY
from ace_steps.embed import entries
from ace_steps.evaluation.completeness import CHOICE_PATTERN, FINISHED, STAGES, Places
from ace_steps.evaluation.results import chosen_run
from ace_steps.io.files import sha256_file, sha256_text
from ace_steps.io.code_digest import PACKAGE, code_digest
from ace_steps.io.parquet import read_table
from ace_steps.preprocess.settings import raw_files, step_settings
from ace_steps.io.tables import SELECTION

STARTED = time.time()  # seconds since 1970, when this run read its rules


def path(pattern):
    """A path with its pathvars filled in, for params; Snakemake does so for inputs and outputs."""
    return str(workflow.modifier.path_modifier.modify(workflow.pathvars.apply(pattern)))


def one_of(names):
    """A wildcard pattern that matches exactly the given names; nothing where there are none."""
    return "|".join(re.escape(name) for name in names) or "(?!)"


ENCODERS = EXPERIMENT.encoders
ENCODERS_OF = {  # by kind
    kind: [name for name, entry in ENCODERS.items() if entries.kind_of(entry) == kind]
    for kind in (entries.LOCAL, entries.API, entries.PRECOMPUTED)
}
RAW = {name: raw_files(entry) for name, entry in EXPERIMENT.datasets.items()}
MODELS = {
    name: entries.model_folder(entry, REGISTRIES.encoders) for name, entry in ENCODERS.items()
}
HUBS = {
    entries.folder_name(hub): hub
    for hub in (entries.unlisted_hub(entry, REGISTRIES.encoders) for entry in ENCODERS.values())
    if hub
}
SETTINGS = {
    "dataset": {n: step_settings(entry) for n, entry in EXPERIMENT.datasets.items()},
    "encoder": {name: entries.step_settings(entry, {}) for name, entry in ENCODERS.items()},
    "refinement": {name: point.settings for name, point in PLAN.refinements.items()},
    "backbone": {name: point.settings for name, point in PLAN.backbones.items()},
}
DIGESTS = Path(".snakemake/code_digests.json")  # of the code as it was last read


def settings_of(kind, name):
    """The settings of an entry or grid point; a target may name one that is none."""
    if name not in SETTINGS[kind]:
        refuse(
            f"target: expected a {kind} of the experiment '{EXPERIMENT.experiment}', got '{name}'; "
            f"it has {', '.join(SETTINGS[kind])}"
        )
    return SETTINGS[kind][name]


def code_of(kind, name):
    """The function or class that an entry is carried out by."""
    key, known = NAMED_BY[f"{kind}s"]
    entry = known[settings_of(kind, name)[key]]
    return f"{entry.module}:{entry.name}"


def code(step, *kinds):
    """A params function: a digest of the code that decides a step's numbers, so that an edit of
    it reruns the step; ``kinds`` name the wildcards whose entries bring code of their own."""
    digest = cache(lambda *more: code_digest(f"ace_steps.steps.{step}", *more, kept=DIGESTS)[:16])
    return lambda wildcards: digest(*(code_of(kind, wildcards[kind]) for kind in kinds))


def assets(*patterns):
    """A digest of files of the package that a step reads and that are no code."""
    files = sorted(file for part in patterns for file in PACKAGE.glob(part))
    return sha256_text("".join(file.read_text(encoding="utf-8") for file in files))[:16]


def settings(kind):
    """A params function: the settings of one entry or grid point as JSON, one argument."""
    written = cache(lambda name: json.dumps(settings_of(kind, name), sort_keys=True))
    return lambda wildcards: written(wildcards[kind])


def run_options(wildcards):
    """A params function: the options that say which run a step computes."""
    return " ".join(f"--{name} {wildcards[name]}" for name in grid.Run._fields)


def with_origins(wildcards, output):
    """A params function: an encoder's settings and where they were taken from. It looks at the
    output, so that Snakemake does not compare it: whether a value was written down or derived is
    no reason to embed anew."""
    name = wildcards.encoder
    made = entries.step_settings(ENCODERS[name], EXPERIMENT.origins.get(name, {}))
    return json.dumps(made, sort_keys=True)


def registry_entry(file):
    """A params function: one entry of a registry as JSON; its change fetches anew."""
    listed = yaml.safe_load(file.read_text())
    return lambda wildcards: json.dumps(listed.get(wildcards.source), sort_keys=True)


def is_there(run):
    """Whether the report takes a run: any of the plan, or, if it is to be on what is finished, one
    that went through every stage."""
    if EXPERIMENT.report_on != FINISHED:
        return True
    places = Places(Path(path("<results>")), Path(path("<logs>")), RESOLVED)
    return places.lacking(run) is None


FIRST = {
    cell: runs for cell in PLAN.cells if (runs := list(filter(is_there, PLAN.first_runs(cell))))
}  # the runs of each cell that a choice is made from; a cell without any has no place in the report
if not FIRST:
    refuse(f"config: report_on: no run is finished under {path('<results>')}")
FIRST_RUNS = [run for runs in FIRST.values() for run in runs]
RANKS = f"<results>/{STAGES['rank'].pattern}"
CURVES = f"<results>/{STAGES['train'].pattern}"
CHOICES = f"<results>/{CHOICE_PATTERN}"
REFINED = "<results>/refine/{dataset}/{encoder}/{refinement}"
BY_BACKBONE = "{dataset}/{encoder}/{backbone}"  # figures of the report


def filled(pattern, identities):
    """A path pattern filled in for every run or cell, each path once."""
    return list(dict.fromkeys(pattern.format(**each._asdict()) for each in identities))


def ranks_of_cell(wildcards):
    """An input function: the ranks that a choice is made by."""
    names = (wildcards[name] for name in grid.Cell._fields)
    return filled(RANKS, FIRST[grid.Cell(*names)])


def chosen_of(cell):
    """The grid point of a cell that goes on to all seeds, on the first, as soon as it is known."""
    if len(FIRST[cell]) == 1:
        return FIRST[cell][0]
    made = checkpoints.select_points.get(**cell._asdict()).output[0]
    return choice_in(str(made), os.stat(made).st_mtime_ns)


def runs_of(cell):
    """The runs of a cell: every grid point on the first seed, the chosen one on all."""
    return list(filter(is_there, PLAN.runs(cell, chosen_of(cell))))


@cache
def choice_in(file, _changed):
    """The chosen run of a cell; ``_changed`` tells one version of the file from another."""
    return chosen_run(read_table(Path(file), SELECTION))


def each_cell(pattern):
    """Input functions, one a cell, so that no cell waits for another's choice."""
    return [lambda wildcards, cell=cell: filled(pattern, runs_of(cell)) for cell in FIRST]


def of_chosen(name):
    """Input functions, one a cell: a file of the chosen grid point's run, on the first seed."""
    pattern = (
        f"<results>/recommend/{{dataset}}/{{encoder}}/{{refinement}}/{{backbone}}/{{seed}}/{name}"
    )
    return [lambda wildcards, cell=cell: filled(pattern, [chosen_of(cell)]) for cell in FIRST]


def finished_cold_tables(wildcards):
    """A params function: the tables of new items that are there although the report waits for none;
    where others appear, it is written anew."""
    if EXPERIMENT.cold_items.in_report:
        return []
    folder = Path(path("<results>")) / "recommend"
    return sorted(file.as_posix() for file in folder.glob("*/*/*/*/*/cold_items.parquet"))


def figures(name, pattern, category):
    """An output: a folder of figures that Snakemake's own report shows, labeled by its pattern."""
    return report(
        directory(f"<results>/report/figures/{name}"),
        patterns=[f"{pattern}.svg"],
        caption=f"../report/{name}.rst",
        category=category,
        labels={key: f"{{{key}}}" for key in re.findall(r"\w+", pattern)},
    )


def print_summary():
    """Show what a run was for: the report's table, lists, estimates; never those of an older run."""
    summary = Path(path("<results>/report/summary.txt"))
    if summary.is_file() and summary.stat().st_mtime >= STARTED:
        print(summary.read_text(), flush=True)
    results = Path(path("<results>"))
    made = [*results.glob("recommend/**/*.parquet"), *results.glob("embed/*/*/estimate.json")]
    for file in sorted(file for file in made if file.stat().st_mtime >= STARTED):
        print(f"made {file}", flush=True)


wildcard_constraints:
    dataset=one_of(EXPERIMENT.datasets),
    encoder=one_of(ENCODERS),
    refinement=one_of(PLAN.refinements),
    backbone=one_of(PLAN.backbones),
    refinement_entry=one_of(EXPERIMENT.refinements),
    backbone_entry=one_of(EXPERIMENT.backbones),
    seed=r"\d+",
    source=one_of(
        [
            *yaml.safe_load(REGISTRIES.datasets.read_text()),
            *yaml.safe_load(REGISTRIES.encoders.read_text()),
            *HUBS,
        ]
    ),
    role="interactions|items",
    batch="[a-z0-9][a-z0-9._-]*",
