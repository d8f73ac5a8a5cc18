"""The run configuration: read, checked against its closed schema, refused in one line."""

import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match

from ace_steps.errors import InputError
from ace_steps.config.mistakes import unknown

SCHEMA = Path(__file__).parents[1] / "workflow" / "schemas" / "config.schema.yaml"


def load(source: str) -> dict:
    """A checked configuration.

    Args:
        source: Path of a YAML or JSON file, or the configuration itself as a JSON object.

    Raises:
        InputError: no such file, not YAML, or not what the schema allows.
    """
    is_text = source.lstrip().startswith("{")
    try:
        text = source if is_text else Path(source).read_text(encoding="utf-8")
        config = json.loads(text) if is_text else yaml.safe_load(text)
    except FileNotFoundError:
        raise InputError(f"{source}: no such file.") from None
    except (yaml.YAMLError, ValueError) as fault:
        where = "--config" if is_text else source
        raise InputError(f"{where}: not readable: {' '.join(str(fault).split())}.") from None
    check(config)
    return config


def check(config: dict) -> None:
    """Refuse a configuration that the schema does not allow, with one line.

    Raises:
        InputError: names the key, what was found and what was wanted.
    """
    fault = best_match(Draft202012Validator(_schema()).iter_errors(config))
    if fault is not None:
        raise InputError(f"config: {_line(fault)}")
    for place, value in _numbers(config):
        if not math.isfinite(value):
            raise InputError(f"config: {place}: {value} is not a finite number.")
    _check_widths(config)


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
    if not isinstance(given, str):
        return given
    with suppress(ValueError):
        meant = json.loads(given)
        if meant is None or isinstance(meant, bool | int) or _is_finite(meant):
            return meant
    return given


def _is_finite(value: object) -> bool:
    return isinstance(value, float) and math.isfinite(value)


def expand_path(path: str) -> Path:
    """A path of the configuration with its environment variables and ``~`` filled in.

    Raises:
        InputError: a variable is not set.
    """
    expanded = os.path.expandvars(path)
    if "$" in expanded:
        raise InputError(f"path '{path}' names an environment variable that is not set.")
    return Path(expanded).expanduser()


def own_path(path: str) -> str:
    """A path of the caller's that is there, its variables filled in.

    Raises:
        InputError: a variable is not set, or nothing is there.
    """
    found = expand_path(path)
    if not found.exists():
        raise InputError(f"no such file or folder: {found}.")
    return str(found)


def _numbers(node: object, place: str = "") -> Iterator[tuple[str, float]]:
    """Every number of the configuration with its dotted key."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _numbers(value, f"{place}.{key}" if place else str(key))
    elif isinstance(node, list):
        for value in node:
            yield from _numbers(value, place)
    elif isinstance(node, int | float):
        yield place, node


def _check_widths(config: dict) -> None:
    """Every refinement meets every backbone, so all have one width."""
    kinds = ("refinements", "backbones")
    widths = {f"{kind}.{name}": e["width"] for kind in kinds for name, e in config[kind].items()}
    (first, wanted), *others = widths.items()
    for name, width in others:
        if width != wanted:
            raise InputError(
                f"config: {name}: width {width}, but {first} has width {wanted}; a table and a "
                "backbone need the same."
            )


@cache
def _schema() -> dict:
    return yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))


def _line(fault: ValidationError) -> str:
    """One line: the key, what was found, what was wanted."""
    place = ".".join(str(part) for part in fault.absolute_path) or "the configuration"
    if fault.validator == "additionalProperties" and isinstance(fault.instance, dict):
        known = fault.schema.get("properties", {})
        extra = sorted(set(fault.instance) - set(known))
        return f"{place}: {unknown('key', extra[0], list(known))}"
    if fault.validator == "enum":
        known = [str(value) for value in fault.schema["enum"]]
        return f"{place}: {unknown('value', str(fault.instance), known)}"
    choices = fault.validator_value if fault.validator == "oneOf" else []
    if choices and all("required" in choice for choice in choices):
        keys = [" and ".join(choice["required"]) for choice in choices]
        given = [key for key in keys if key in fault.instance]
        found = " and ".join(given) or "none of them"
        return f"{place}: exactly one of {', '.join(keys)} is wanted, found {found}."
    if fault.validator == "required":
        missing = [key for key in fault.validator_value if key not in fault.instance]
        return f"{place}: key '{missing[0]}' is missing."
    meaning = " ".join(str(fault.schema.get("description", "")).split())
    return f"{place}: {fault.message}{f' ({meaning})' if meaning else ''}."
