"""From named entries of the configuration to points of their grids, and to runs."""

from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

from ace_steps.errors import InputError


@dataclass(frozen=True)
class Point:
    """One setting of an entry, every grid value fixed.

    Attributes:
        name: Unique among all points of its kind; a folder name. The entry's own name where the
            entry holds no grid.
        entry: Name of the entry in the configuration.
        settings: The entry's settings, no value a list.
        values: The values that were chosen from lists, by dotted key.
    """

    name: str
    entry: str
    settings: dict[str, Any]
    values: dict[str, Any]


class Run(NamedTuple):
    """What identifies one trained and ranked model."""

    dataset: str
    encoder: str
    refinement: str
    backbone: str
    seed: int


def expand(entries: dict[str, dict]) -> dict[str, Point]:
    """Every point of every entry, by name, in the order of the configuration.

    A value that is a list, at any depth, is a grid; several grids in one entry are crossed.

    Raises:
        InputError: two points would share a name.
    """
    points: dict[str, Point] = {}
    for entry, settings in entries.items():
        grids = _grids(settings)
        for combination in product(*grids.values()):
            values = dict(zip(grids, combination, strict=True))
            point = Point(_name(entry, values), entry, _with(settings, values), values)
            if point.name in points:
                raise InputError(f"config: two points are called '{point.name}'; rename an entry.")
            points[point.name] = point
    return points


def runs(config: dict) -> list[Run]:
    """Every run of a configuration: datasets x encoders x refinements x backbones x seeds."""
    parts = (
        config["datasets"],
        config["encoders"],
        expand(config["refinements"]),
        expand(config["backbones"]),
        config["seeds"],
    )
    return [Run(*identity) for identity in product(*parts)]


def _grids(settings: dict, prefix: str = "") -> dict[str, list]:
    """The list values of nested settings, by dotted key."""
    found: dict[str, list] = {}
    for key, value in settings.items():
        if isinstance(value, dict):
            found |= _grids(value, f"{prefix}{key}.")
        elif isinstance(value, list):
            found[prefix + key] = value
    return found


def _with(settings: dict, values: dict[str, Any], prefix: str = "") -> dict:
    """The settings with their grid values put in."""
    return {
        key: _with(value, values, f"{prefix}{key}.")
        if isinstance(value, dict)
        else values.get(prefix + key, value)
        for key, value in settings.items()
    }


def _name(entry: str, values: dict[str, Any]) -> str:
    """``ace-lambda_50``: no '=', which readers of Parquet folders take for a partition."""
    return "-".join([entry, *(f"{key.rpartition('.')[2]}_{v}" for key, v in values.items())])
