"""What a person should know before a run starts: remarks, none of them an error."""

import json
from pathlib import Path

import yaml

from ace_steps.config.grid import leaves

FOUNDATIONS = ("datasets", "encoders")  # kinds whose entries' names do not hold their values


def of_other_experiments(name: str, results: Path, *, is_default: bool) -> list[str]:
    """A remark where the workflow's own experiment is asked for, but others were run here.

    Args:
        name: Name of the experiment that is asked for.
        results: Its folder of results.
        is_default: Whether no configuration was named, so that it is the workflow's own.
    """
    if not is_default or results.is_dir():
        return []
    others = sorted(file.parent.name for file in results.parent.glob("*/config.yaml"))
    if not others:
        return []
    return [
        f"this is the experiment '{name}', the workflow's own, of which nothing was run here; "
        f"{results.parent}/ has {', '.join(others)}. For its targets name its configuration: "
        f"snakemake TARGET --configfile {results.parent}/{others[0]}/config.yaml"
    ]


def of_changes(resolved: dict, results: Path) -> list[str]:
    """A remark for each dataset and encoder that was run with other values under the same name.

    Args:
        resolved: The experiment as JSON values.
        results: Its folder of results, where the last run left its ``config.yaml``.
    """
    try:
        last = yaml.safe_load((results / "config.yaml").read_text(encoding="utf-8"))
        before = {kind: dict(last[kind]) for kind in FOUNDATIONS}
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
        return []  # none was run, or the file is not one that a run left
    remarks = []
    for kind in FOUNDATIONS:
        for name in resolved[kind].keys() & before[kind].keys():
            if not isinstance(before[kind][name], dict):
                continue
            old, new = dict(leaves(before[kind][name])), dict(leaves(resolved[kind][name]))
            remarks += [
                f"{kind}.{name}.{key} was {json.dumps(old.get(key))} in the last run and is "
                f"{json.dumps(new.get(key))} now: what was made from it is made anew in its place; "
                "another name of the experiment keeps both"
                for key in old.keys() | new.keys()
                if old.get(key) != new.get(key)
            ]
    return sorted(remarks)
