"""The run configuration: read, checked against its closed schema, refused in one line."""

import json
import os
from functools import cache
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match

from ace_steps.errors import InputError
from ace_steps.settings import unknown

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


def expand_path(path: str) -> Path:
    """A path of the configuration with its environment variables and ``~`` filled in.

    Raises:
        InputError: a variable is not set.
    """
    expanded = os.path.expandvars(path)
    if "$" in expanded:
        raise InputError(f"path '{path}' names an environment variable that is not set.")
    return Path(expanded).expanduser()


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
    if fault.validator == "required":
        missing = [key for key in fault.validator_value if key not in fault.instance]
        return f"{place}: key '{missing[0]}' is missing."
    meaning = " ".join(str(fault.schema.get("description", "")).split())
    return f"{place}: {fault.message}{f' ({meaning})' if meaning else ''}."
