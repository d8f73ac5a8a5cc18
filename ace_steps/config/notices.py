"""What a person should know before a run starts: remarks, none of them an error."""

import json
from pathlib import Path

import yaml

from ace_steps.config.experiment import KINDS

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
        before = yaml.safe_load((results / "config.yaml").read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return []
    if not isinstance(before, dict) or not all(isinstance(before.get(k), dict) for k in KINDS):
        return []
    remarks = []
    for kind in FOUNDATIONS:
        for name in resolved[kind].keys() & before[kind].keys():
            new, old = resolved[kind][name], before[kind][name]
            were, are = _leaves(old), _leaves(new)
            for key in sorted(were.keys() | are.keys()):
                was, now = (json.dumps(values.get(key)) for values in (were, are))
                if was != now:
                    remarks.append(
                        f"{kind}.{name}.{key} was {was} in the last run and is {now} now: what was "
                        "made from it is made anew in its place; another name of the experiment "
                        "keeps both"
                    )
    return sorted(remarks)


def _leaves(values: object, place: str = "") -> dict[str, object]:
    """Every value that is no mapping, by its dotted key."""
    if not isinstance(values, dict):
        return {place: values}
    parts = (
        _leaves(value, f"{place}.{key}" if place else str(key)) for key, value in values.items()
    )
    return {key: value for part in parts for key, value in part.items()}
