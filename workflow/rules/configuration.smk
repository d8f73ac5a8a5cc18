# The experiment: what the configuration says, checked, with its defaults filled in.

import sys

from ace_steps.config import checks, grid, loading
from ace_steps.config.experiment import KINDS, Registries
from ace_steps.errors import InputError


def refuse(mistake):
    """End with its lines and exit code 2: the configuration is the caller's."""
    print(mistake, file=sys.stderr, flush=True)
    sys.exit(2)


def shipped(name):
    """A file of the folder data: this checkout's, or of a repository that is fetched file by file.

    Where it lies may differ from run to run, so that no rule compares its path.
    """
    here = CHECKOUT / "data" / name
    return here if here.is_file() else Path(workflow.source_path(f"../../data/{name}"))


REGISTRIES = Registries(datasets=shipped("datasets.yaml"), encoders=shipped("encoders.yaml"))
PUBLISHED = shipped("published.yaml")
given_files = [str(file) for file in workflow.overwrite_configfiles] if is_main_workflow else []
given_keys = loading.typed(workflow.config_settings.config)

try:
    EXPERIMENT = loading.resolve(
        loading.overlaid(config, given_keys),
        where=", ".join([*given_files, *(["--config"] if given_keys else [])]) or "config",
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

if is_main_workflow and workflow.is_main_process:
    for note in checks.notes(EXPERIMENT, is_default=not given_files):
        print(f"note: {note}", file=sys.stderr, flush=True)
