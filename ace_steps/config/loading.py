"""Configuration files: read safely, laid over each other, every repeated key noticed."""

import json
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import yaml

from ace_steps.config.experiment import KINDS, Experiment, Registries, draft
from ace_steps.embed.entries import STATED
from ace_steps.errors import ConfigurationError, InputError
from ace_steps.preprocess.settings import DatasetSettings, expected_counts
from ace_steps.registry import NAMED_BY
from ace_steps.validation import MAPPING, Mistake, wrong_kind


def load(*sources: str | Path, with_files: bool = False) -> Experiment:
    """The experiment of configuration files; a later file's values go before an earlier's.

    Args:
        sources: Paths of YAML or JSON files, or a configuration itself as a JSON object.
        with_files: Whether the user's own files are looked at too.

    Raises:
        OSError: no such file.
        InputError: not YAML, or mistakes, all of them a line each.
    """
    values, mistakes = read(*sources)
    where = ", ".join(map(_name, sources))
    return resolve(values, where, mistakes=mistakes, with_files=with_files)


def resolve(
    values: object,
    where: str = "config",
    registries: Registries | None = None,
    *,
    mistakes: Sequence[Mistake] = (),
    with_files: bool = False,
) -> Experiment:
    """The experiment that a configuration asks for, defaults filled in.

    Args:
        values: What YAML or JSON gave.
        where: What the configuration is, for the error's first line.
        registries: Public datasets and encoders; those that ship where None.
        mistakes: Those that are known already.
        with_files: Whether the user's own files are looked at too.

    Raises:
        InputError: all mistakes, one a line: unknown, missing and wrong keys with what was
            expected, what was found, and a way out.
    """
    registries = registries or Registries.shipped()
    drafted = draft(values, registries)
    known = [*mistakes, *drafted.mistakes]
    if with_files:
        from ace_steps.config.checks import file_mistakes  # polars, for headers alone

        of_files = file_mistakes(drafted.entries, registries.encoders)
        if any(mistake.key == "dim" for mistake in known):  # the default was checked in its place
            of_files = [mistake for mistake in of_files if mistake.key.split(".")[-1] != "dim"]
        known += of_files
    if known or drafted.experiment is None:
        count = f"{len(known)} error{'s' if len(known) > 1 else ''}"
        raise ConfigurationError("\n  ".join([f"{where}: {count}", *map(str, known)]))
    return drafted.experiment


def read(*sources: str | Path) -> tuple[dict, list[Mistake]]:
    """The files' values, later over earlier, and keys that one file gives twice.

    Raises:
        OSError: no such file.
        InputError: not YAML.
    """
    merged: dict = {}
    mistakes: list[Mistake] = []
    for source in sources:
        values, repeated = _parsed(source)
        origin = f" (in {source})" if len(sources) > 1 else ""
        mistakes += [Mistake(key, line + origin) for key, line in repeated]
        merged = overlaid(merged, values)
    return merged, mistakes


def overlaid(base: Mapping, over: Mapping) -> dict:
    """The values of two configurations; where both have one that is no mapping, ``over``'s."""
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = overlaid(merged[key], value) if both else value
    return merged


def typed(given: object) -> object:
    """What Snakemake made of ``--config``, with numbers where its lists and mappings hold text.

    ``--config 'seeds=[1, 2]'`` arrives as a list of the texts ``1`` and ``2``. A text is a
    number, a truth value or null as JSON writes it; any other stays as it is, a commit of digits
    with zeros in front among them.
    """
    if isinstance(given, Mapping):
        return {key: typed(value) for key, value in given.items()}
    if isinstance(given, list):
        return [typed(value) for value in given]
    with suppress(ValueError, TypeError, OverflowError):
        value = json.loads(given)
        if value is None or (isinstance(value, bool | int | float) and math.isfinite(value)):
            return value
    return given


def as_yaml(values: Mapping) -> str:
    """A configuration as a YAML file that ``load`` takes, keys in their order."""
    form = {"sort_keys": False, "allow_unicode": True, "width": 100}
    return yaml.safe_dump(dict(values), default_flow_style=None, **form)


def without_defaults(experiment: Experiment) -> dict:
    """What an experiment says that is no default: the shortest configuration of the same runs."""
    form = {"mode": "json", "by_alias": True, "exclude_defaults": True}
    short = experiment.model_dump(**form, exclude=set(KINDS)) | {kind: {} for kind in KINDS}
    for kind in KINDS:
        for name, entry in getattr(experiment, kind).items():
            values = entry.model_dump(**form)
            if kind == "datasets" and _has_registrys_counts(entry):
                del values["expected"]
            if kind in NAMED_BY:
                key, _ = NAMED_BY[kind]
                assumed = name
                if kind == "datasets":
                    assumed = entry.reader if entry.source else "table"
                if getattr(entry, key) != assumed:
                    values = {key: getattr(entry, key)} | values
            if values.get("dim") == experiment.dim:
                del values["dim"]
            origins = experiment.origins.get(name, {}) if kind == "encoders" else {}
            short[kind][name] = {
                key: value for key, value in values.items() if origins.get(key, STATED) == STATED
            }
    return {key: short[key] for key in type(experiment).model_fields if key in short}


def _has_registrys_counts(entry: DatasetSettings) -> bool:
    """Whether the counts to expect are those that leaving them out gives."""
    if not (entry.source and entry.expected):
        return False
    registry = Registries.shipped().datasets
    return entry.expected == expected_counts(entry.source, entry.as_json(), registry)


def _is_json(source: str | Path) -> bool:
    return isinstance(source, str) and source.lstrip().startswith("{")


def _name(source: str | Path) -> str:
    return "config" if _is_json(source) else str(source)


def _parsed(source: str | Path) -> tuple[dict, list[Mistake]]:
    """What a file, or a text of JSON, holds, and keys that stand twice in it."""
    name = _name(source)
    try:
        loader = _Loader(source if _is_json(source) else Path(source).read_text("utf-8-sig"))
        values = loader.get_single_data()
        json.dumps(values, default=str, skipkeys=True)  # refuses a tree that holds itself
    except (yaml.YAMLError, ValueError, RecursionError) as fault:
        mark = getattr(fault, "problem_mark", None)
        place = f"line {mark.line + 1}: " if mark else ""
        parts = (getattr(fault, "context", None), getattr(fault, "problem", None))
        problem = ": ".join(part for part in parts if part) or " ".join(str(fault).split())
        raise InputError(f"{name}: {place}not readable as YAML: {problem}") from None
    if not isinstance(values, dict):
        raise InputError(f"{name}: {wrong_kind(MAPPING, values)}")
    return values, loader.repeated


class _Loader(yaml.SafeLoader):
    """A safe loader that notes keys given twice, of which YAML would take the later silently."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.repeated: list[Mistake] = []
        self._checked: set[yaml.Node] = set()

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Look at a mapping's keys as they are written, then replace ``<<`` by what it means."""
        keys = [key for key, _ in node.value] if node not in self._checked else []
        self._checked.add(node)
        lines: dict[str, int] = {}
        for key in keys:
            name, line = str(key.value), key.start_mark.line + 1
            if name in lines:
                where = f"in lines {lines[name]} and {line}"
                self.repeated.append(Mistake(name, f"given twice, {where}; keep one of them"))
            lines[name] = line
        super().flatten_mapping(node)
