import json
import re
from pathlib import Path

import yaml

from ace_steps import configuration, grid
from ace_steps.errors import InputError
from ace_steps.settings import unknown


def refuse(mistake):
    """End with one line and exit code 2: the configuration is the caller's."""
    print(mistake, file=sys.stderr, flush=True)
    os._exit(2)


try:
    configuration.check(config)
    REFINEMENTS = grid.expand(config["refinements"])
    BACKBONES = grid.expand(config["backbones"])
    RUNS = grid.runs(config)
except InputError as mistake:
    refuse(mistake)


def one_of(names):
    """A wildcard pattern that matches exactly the given names."""
    return "|".join(re.escape(name) for name in names)


def sources(*parts):
    """The package files a step's numbers depend on; listed as inputs so that an edit reruns it."""
    package = Path(workflow.basedir) / "ace_steps"
    found = sorted(file for part in parts for file in package.glob(part))
    if not found:
        raise WorkflowError(f"no source file matches {parts} under {package}")
    return found


def path(pattern):
    """A path with its pathvars filled in, for params; Snakemake does so for inputs and outputs."""
    return workflow.pathvars.apply(pattern)


def registry_file(kind):
    """The file that says what can be fetched by name."""
    return Path(workflow.basedir) / f"data/{kind}.yaml"


def registry(kind):
    """What can be fetched by name."""
    return yaml.safe_load(registry_file(kind).read_text())


def registry_entry(kind):
    """A params function: one entry of the registry as JSON; its change fetches anew."""
    return lambda wildcards: json.dumps(registry(kind)[wildcards.source], sort_keys=True)


def fetched_or_own(kind, name, role):
    """A raw file or folder: the one the configuration names, or where fetching puts it."""
    entry = config[kind][name]
    if "source" not in entry:
        own = entry["files"][role] if kind == "datasets" else entry["path"]
        return str(configuration.expand_path(own))
    if entry["source"] not in registry(kind):
        raise InputError(
            f"config: {kind}.{name}: {unknown('source', entry['source'], registry(kind))}"
        )
    return f"<resources>/{kind}/{entry['source']}/{role}"


try:
    RAW = {
        (name, role): fetched_or_own("datasets", name, role)
        for name in config["datasets"]
        for role in ("interactions", "items")
    }
    MODELS = {name: fetched_or_own("encoders", name, "model") for name in config["encoders"]}
except InputError as mistake:
    refuse(mistake)


def raw_file(role):
    """An input function: the raw file of a data set in one role."""
    return lambda wildcards: RAW[wildcards.dataset, role]


def model_folder(wildcards):
    """An input function: the folder of an encoder."""
    return MODELS[wildcards.encoder]


def settings(kind, *, without=()):
    """A params function: the settings of one entry as JSON, one argument for its step."""

    def of(wildcards):
        points = {"refinement": REFINEMENTS, "backbone": BACKBONES}
        name = wildcards[kind]
        found = points[kind][name].settings if kind in points else config[f"{kind}s"][name]
        kept = {key: value for key, value in found.items() if key not in without}
        return json.dumps(kept, sort_keys=True)

    return of


def whole_config(wildcards):
    """A params function: the configuration as JSON, one argument for its step."""
    return json.dumps(config, sort_keys=True)


def each_run(pattern):
    """A path pattern filled in for every run of the configuration."""
    return [pattern.format(**run._asdict()) for run in RUNS]


def print_summary():
    """Show the table that the report step wrote, at the end of a run that wrote one."""
    summary = Path(path("<results>/report/summary.txt"))
    if summary.is_file():
        print(summary.read_text(), flush=True)


wildcard_constraints:
    dataset=one_of(config["datasets"]),
    encoder=one_of(config["encoders"]),
    refinement=one_of(REFINEMENTS),
    backbone=one_of(BACKBONES),
    seed=r"\d+",
    source="[a-z0-9][a-z0-9._-]*",
    role="interactions|items",
    batch="[a-z0-9][a-z0-9._-]*",
