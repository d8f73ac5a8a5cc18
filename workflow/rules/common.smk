import gc
import json
import os
import re
import sys
import time
from functools import cache
from pathlib import Path

import yaml
from snakemake.utils import update_config

from ace_steps import configuration, grid
from ace_steps.embed import entries
from ace_steps.errors import InputError
from ace_steps.evaluation.found import FINISHED
from ace_steps.evaluation.gaps import Places
from ace_steps.evaluation.selection import chosen_run
from ace_steps.files import sha256_file, write_text
from ace_steps.parquet import read_table
from ace_steps.preprocess.registry import step_settings
from ace_steps.sources import PACKAGE, sources_of
from ace_steps.tables import SELECTION

# Snakemake keeps every job of a plan: to look for garbage among them as often as Python does by
# itself takes a fifth of the time that a plan of thousands needs.
gc.set_threshold(100_000, 50, 100)

STARTED = time.time()  # seconds since 1970, when this run read its rules


def refuse(mistake):
    """End with one line and exit code 2: the configuration is the caller's."""
    print(mistake, file=sys.stderr, flush=True)
    os._exit(2)


try:
    update_config(config, configuration.typed(workflow.config_settings.config))
    configuration.check(config)
    PLAN = grid.Plan(config)
except InputError as mistake:
    refuse(mistake)


def one_of(names):
    """A wildcard pattern that matches exactly the given names."""
    return "|".join(re.escape(name) for name in names)


def sources(step, *more):
    """A file that lists the package files a step's numbers depend on, with their checksums.

    It is an input of the step's rule and written anew only where it changed, so that an edit reruns
    the step, while a touch or a moved checkout reruns nothing. One file instead of many keeps the
    planning of thousands of jobs short. ``more`` are files that the step reads and does not import.
    """
    others = [file for part in more for file in PACKAGE.glob(part)]
    lines = (
        f"{sha256_file(file)}  {file.relative_to(PACKAGE).as_posix()}"
        for file in [*sources_of(step), *sorted(others)]
    )
    text = "\n".join(lines) + "\n"
    listed = Path(".snakemake/code") / f"{step}.sha256"
    if not listed.is_file() or listed.read_text() != text:
        write_text(listed, text)
    return str(listed)


def path(pattern):
    """A path with its pathvars filled in, for params; Snakemake does so for inputs and outputs."""
    return workflow.pathvars.apply(pattern)


DATASETS = Path(workflow.basedir) / "data/datasets.yaml"  # what can be fetched by name
ENCODERS = Path(workflow.basedir) / "data/encoders.yaml"


# Others' figures, relative to the run's folder as all inputs are.
PUBLISHED = os.path.relpath(Path(workflow.basedir) / "data/published.yaml")


def each(kind, build):
    """What ``build`` makes of every entry of one kind, by name; a mistake names the entry."""
    made = {}
    for name, entry in config[kind].items():
        try:
            made[name] = build(entry)
        except InputError as mistake:
            refuse(f"config: {kind}.{name}: {mistake}")
    return made


def raw_files(entry):
    """Both raw files of a data set: those the configuration names, or where fetching puts them."""
    if "source" in entry:
        folder = f"<resources>/datasets/{entry['source']}"
        return {role: f"{folder}/{role}" for role in ("interactions", "items")}
    return {role: configuration.own_path(path) for role, path in entry["files"].items()}


SETTINGS = {
    "dataset": each("datasets", lambda entry: step_settings(entry, DATASETS)),
    "encoder": each("encoders", entries.step_settings),
    "refinement": {name: point.settings for name, point in PLAN.refinements.items()},
    "backbone": {name: point.settings for name, point in PLAN.backbones.items()},
}
RAW = each("datasets", raw_files)
MODELS = each("encoders", lambda entry: entries.model_folder(entry, ENCODERS))
HUBS = {
    entries.folder_name(hub): hub
    for hub in each("encoders", lambda entry: entries.unlisted_hub(entry, ENCODERS)).values()
    if hub
}


def raw_file(role):
    """An input function: the raw file of a data set in one role."""
    return lambda wildcards: RAW[wildcards.dataset][role]


def encoders_of(kind):
    """A wildcard pattern of the configuration's encoders of one kind; of none where there is none."""
    names = [name for name, entry in config["encoders"].items() if entries.kind_of(entry) == kind]
    return one_of(names) or "(?!)"


def model_folder(wildcards):
    """An input function: the folder of an encoder that runs here."""
    return MODELS[wildcards.encoder]


def hub_option(wildcards):
    """A params function: the repository that a folder is named after, where it is no source."""
    hub = HUBS.get(wildcards.source)
    return ["--hub", hub.model_dump_json()] if hub else []


def own_files(wildcards):
    """An input function: the files of an encoder that is a file of vectors."""
    settings = SETTINGS["encoder"][wildcards.encoder]
    return [settings[key] for key in ("vectors", "ids") if key in settings]


def settings(kind):
    """A params function: the settings of one entry or point as JSON, one argument for its step."""
    written = {name: json.dumps(made, sort_keys=True) for name, made in SETTINGS[kind].items()}
    return lambda wildcards: written[wildcards[kind]]


def registry_entry(registry):
    """A params function: one entry of a registry as JSON; its change fetches anew."""
    listed = yaml.safe_load(registry.read_text())
    return lambda wildcards: json.dumps(listed.get(wildcards.source), sort_keys=True)


def whole_config(wildcards):
    """A params function: the configuration as JSON, in its own order, one argument for its step."""
    return json.dumps(config)


def is_there(run):
    """Whether the report takes a run: any of the plan, or, if it is to be on what is finished, one
    that went through every stage."""
    if config.get("report_on") != FINISHED:
        return True
    places = Places(Path(path("<results>")), Path(path("<logs>")), config)
    return places.lacking(run) is None


FIRST = {
    cell: runs for cell in PLAN.cells if (runs := list(filter(is_there, PLAN.first_runs(cell))))
}  # the runs of each cell that a choice is made from; a cell without any has no place in the report
if not FIRST:
    refuse(f"config: report_on: no run is finished under {path('<results>')}.")
RANKS = "<results>/rank/{dataset}/{encoder}/{refinement}/{backbone}/{seed}/ranks.parquet"
CURVES = "<results>/train/{dataset}/{encoder}/{refinement}/{backbone}/{seed}/training_curve.parquet"
CHOICES = (
    "<results>/select/{dataset}/{encoder}/{refinement_entry}/{backbone_entry}/selection.parquet"
)


def filled(pattern, identities):
    """A path pattern filled in for every run or cell, each path once."""
    return list(dict.fromkeys(pattern.format(**each._asdict()) for each in identities))


def each_first_run(pattern):
    """A path pattern filled in for every point of every grid, on the first seed."""
    return filled(pattern, (run for runs in FIRST.values() for run in runs))


def points_of_cell(wildcards):
    """An input function: the ranks that a choice is made by."""
    names = (wildcards[name] for name in grid.Cell._fields)
    return filled(RANKS, FIRST[grid.Cell(*names)])


def chosen_of(cell):
    """The point of a cell that goes on to all seeds, on the first, as soon as it is known."""
    if len(FIRST[cell]) == 1:
        return FIRST[cell][0]
    made = checkpoints.select_points.get(**cell._asdict()).output[0]
    return read_choice(str(made), os.stat(made).st_mtime_ns)


def runs_of(cell):
    """The runs of a cell: every point on the first seed, the chosen one on all."""
    return list(filter(is_there, PLAN.runs(cell, chosen_of(cell))))


@cache
def read_choice(file, _changed):
    """The chosen run of a cell; ``_changed`` tells one version of the file from another."""
    return chosen_run(read_table(Path(file), SELECTION))


def each_cell(pattern):
    """Input functions, one a cell, so that no cell waits for another's choice."""
    return [lambda wildcards, cell=cell: filled(pattern, runs_of(cell)) for cell in FIRST]


def print_summary():
    """Show the table of the report, at the end of a run that wrote one; never an older one."""
    summary = Path(path("<results>/report/summary.txt"))
    if summary.is_file() and summary.stat().st_mtime >= STARTED:
        print(summary.read_text(), flush=True)


wildcard_constraints:
    dataset=one_of(config["datasets"]),
    encoder=one_of(config["encoders"]),
    refinement=one_of(PLAN.refinements),
    backbone=one_of(PLAN.backbones),
    refinement_entry=one_of(config["refinements"]),
    backbone_entry=one_of(config["backbones"]),
    seed=r"\d+",
    source=one_of(
        [*yaml.safe_load(DATASETS.read_text()), *yaml.safe_load(ENCODERS.read_text()), *HUBS]
    ),
    role="interactions|items",
    batch="[a-z0-9][a-z0-9._-]*",
