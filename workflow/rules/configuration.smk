# The experiment: what the configuration says, checked, with its defaults filled in.

import gc
import os
import sys
from pathlib import Path

from ace_steps.config import grid, loading, notices
from ace_steps.config.experiment import KINDS, Registries
from ace_steps.errors import InputError

# Snakemake keeps every job of a plan: to look for garbage among them as often as Python does by
# itself takes a fifth of the time that a plan of thousands needs.
gc.set_threshold(100_000, 50, 100)


def refuse(mistake):
    """End with its lines and exit code 2: the configuration is the caller's."""
    print(mistake, file=sys.stderr, flush=True)
    os._exit(2)


def shipped(name):
    """A file of the folder data: this checkout's, or of a repository that is fetched file by file.

    Where it lies may differ from run to run, so that no rule compares its path.
    """
    here = CHECKOUT / "data" / name
    return here if here.is_file() else Path(workflow.source_path(f"../../data/{name}"))


REGISTRIES = Registries(datasets=shipped("datasets.yaml"), encoders=shipped("encoders.yaml"))
PUBLISHED = shipped("published.yaml")

try:
    given_files = [str(file) for file in workflow.overwrite_configfiles] if is_main_workflow else []
    EXPERIMENT = loading.resolve(
        loading.overlaid(config, loading.typed(workflow.config_settings.config)),
        where=", ".join([*given_files, *(["--config"] if workflow.config_settings.config else [])])
        or "config",
        registries=REGISTRIES,
        mistakes=loading.read(*given_files)[1],
        with_files=True,
    )
    RESOLVED = EXPERIMENT.as_json()
    PLAN = grid.Plan(RESOLVED)
except InputError as mistake:
    refuse(mistake)

# Captions of Snakemake's own report see the configuration alone.
config.update({key: RESOLVED[key] for key in (*KINDS, "selection", "statistics")})


def notify():
    """Say what a person should know before the run; only the process that plans it does."""
    results = Path(EXPERIMENT.paths()["results"])
    remarks = notices.of_changes(RESOLVED, results) + notices.of_other_experiments(
        EXPERIMENT.experiment, results, is_default=not given_files
    )
    for remark in remarks:
        print(f"note: {remark}", file=sys.stderr, flush=True)


if is_main_workflow and workflow.is_main_process:
    notify()
