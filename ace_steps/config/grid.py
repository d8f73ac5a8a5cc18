"""From entries of the experiment to the grid points of their grids, and to runs.

A grid point's name is its folder: the entry's name, and every value that is not its default, so
that a changed value has results of its own and an added one keeps those of the others.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any, NamedTuple

from ace_steps.errors import InputError
from ace_steps.registry import BACKBONES, REFINEMENTS
from ace_steps.settings import Settings, grid_values

LONGEST_NAME = 120  # characters; a file's name may have 255
LONGEST_VALUE = 24
DIALS = ("lambda", "lambda_rel")  # always in the name, as what a reader looks for
UNNAMED = {"method", "model"}  # never in the name, which begins with the entry's


@dataclass(frozen=True)
class Point:
    """One setting of an entry, every grid value fixed.

    Attributes:
        name: Unique among all grid points of its kind; a folder name.
        entry: Name of the entry in the configuration.
        settings: The entry's settings, no value a grid.
        values: The values that were chosen from grids, by dotted key.
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


class Cell(NamedTuple):
    """What one choice by validation is made in: the grid of one refinement on one backbone."""

    dataset: str
    encoder: str
    refinement_entry: str
    backbone_entry: str


class Plan:
    """What a configuration asks for, before and after the choice by validation.

    Every grid point of a cell runs on the first seed; the one that is chosen runs on all seeds.
    A refinement that knows nothing of the encoder gives the same numbers with each: its cells are
    run with the first encoder alone and stand for the others.

    Attributes:
        refinements, backbones: Grid points by name.
        cells: The cells that are run, in the order of the experiment.
        encoders: Names of the encoders.
        names: Every value of each part of a run's identity, in the order of the experiment.
        free_entries, free_points: Refinements that know nothing of the encoder.
    """

    def __init__(self, config: dict) -> None:
        """``config``: a resolved experiment as JSON values.

        Raises:
            InputError: two grid points would share a name.
        """
        self.refinements = expand(config["refinements"])
        self.backbones = expand(config["backbones"])
        self.encoders = list(config["encoders"])
        self.free_entries = [
            name
            for name, settings in config["refinements"].items()
            if not _settings_class(settings).uses_encoder
        ]
        self.free_points = [
            point.name for point in self.refinements.values() if point.entry in self.free_entries
        ]
        self.names = {
            "dataset": list(config["datasets"]),
            "encoder": self.encoders,
            "refinement": list(self.refinements),
            "backbone": list(self.backbones),
            "seed": config["seeds"],
        }
        kinds = ("datasets", "encoders", "refinements", "backbones")
        self.cells = [
            cell
            for cell in map(Cell._make, product(*(config[kind] for kind in kinds)))
            if cell.encoder == self.encoders[0] or cell.refinement_entry not in self.free_entries
        ]

    def home_run(self, run: Run) -> Run:
        """The run that a run's numbers come from: itself, or that with the first encoder."""
        is_free = run.refinement in self.free_points
        return run._replace(encoder=self.encoders[0]) if is_free else run

    def first_runs(self, cell: Cell) -> list[Run]:
        """Every grid point of a cell on the first seed."""
        seed = self.names["seed"][0]
        return [
            Run(cell.dataset, cell.encoder, refinement.name, backbone.name, seed)
            for refinement in self.refinements.values()
            if refinement.entry == cell.refinement_entry
            for backbone in self.backbones.values()
            if backbone.entry == cell.backbone_entry
        ]

    def runs(self, cell: Cell, chosen: Run) -> list[Run]:
        """All runs of a cell: every grid point on the first seed, the chosen one on all."""
        of_chosen = [chosen._replace(seed=seed) for seed in self.names["seed"]]
        return list(dict.fromkeys([*self.first_runs(cell), *of_chosen]))


def expand(entries: dict[str, dict]) -> dict[str, Point]:
    """Every grid point of every refinement or backbone, by name, in the order of the experiment.

    Several grids in one entry are crossed.

    Args:
        entries: Resolved settings of each entry, as JSON values.

    Raises:
        InputError: two grid points would share a name.
    """
    points: dict[str, Point] = {}
    for entry, settings in entries.items():
        model = _settings_class(settings)
        grids = grid_values(model.model_validate(settings))
        for combination in product(*grids.values()):
            values = dict(zip(grids, map(_plain, combination), strict=True))
            single = _with(settings, values)
            point = Point(_name(entry, single, model), entry, single, values)
            if point.name in points:
                raise InputError(f"two grid points are called '{point.name}'; rename an entry")
            points[point.name] = point
    return points


def leaves(settings: dict, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every value that is no mapping, by dotted key."""
    for key, value in settings.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _settings_class(settings: dict) -> type[Settings]:
    named = BACKBONES[settings["model"]] if "model" in settings else REFINEMENTS[settings["method"]]
    return named.settings_class()


def _with(settings: dict, values: dict[str, Any], prefix: str = "") -> dict:
    """The settings with their grid values put in."""
    return {
        key: _with(value, values, f"{prefix}{key}.")
        if isinstance(value, dict)
        else values.get(prefix + key, value)
        for key, value in settings.items()
    }


def _name(entry: str, settings: dict, model: type[Settings]) -> str:
    """``ace-lambda_50-gamma_0.4``: no '=', which Parquet readers take for a partition."""
    defaults = _defaults(model)
    unnamed = UNNAMED | ({"dim"} if "model" in settings else set())  # the refinement's name has it
    parts = [entry]
    for place, value in leaves(settings):
        key = place.rpartition(".")[2]
        is_named = value is not None if key in DIALS else value != defaults.get(place)
        if is_named and key not in unnamed:
            parts.append(f"{key}_{_short(value)}")
    name = "-".join(parts)
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[: LONGEST_NAME - 9]}-{_digest(settings)}"


@cache
def _defaults(model: type[Settings]) -> dict[str, Any]:
    return dict(leaves(model().as_json()))


def _short(value: Any) -> str:
    """A value as a part of a name: itself, or a digest of what is long or odd."""
    text = value if isinstance(value, str) else json.dumps(_plain(value))
    is_plain = re.fullmatch(r"[A-Za-z0-9._+-]+", text) and len(text) <= LONGEST_VALUE
    return text if is_plain else _digest(value)


def _plain(value: Any) -> Any:
    """5 for 5.0, as a person writes it."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:8]
