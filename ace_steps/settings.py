"""Settings objects: strict, closed, read from JSON with one-line errors."""

import difflib
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from ace_steps.errors import InputError

Model = TypeVar("Model", bound=BaseModel)


class Settings(BaseModel):
    """Base of every settings object: unknown keys, missing keys and wrong types are refused.

    A key that is a Python keyword has a field with a trailing underscore (``lambda_``).
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        populate_by_name=True,
        alias_generator=lambda field: field.removesuffix("_"),
    )

    def as_json(self) -> dict:
        """The settings as plain JSON values, under the keys of the configuration."""
        return self.model_dump(mode="json", by_alias=True)


def parse(model: type[Model], text: str, where: str) -> Model:
    """The settings written in ``text``.

    Args:
        model: The settings class.
        text: A JSON object.
        where: What the text is, for the error line, e.g. ``--settings``.

    Raises:
        InputError: not JSON, an unknown or missing key, a wrong type, a value out of range.
    """
    try:
        return model.model_validate_json(text)
    except ValidationError as refusal:
        raise InputError(f"{where}: {_first_line(refusal, model)}") from None


def unknown(kind: str, found: str, known: list[str] | tuple[str, ...] | set[str]) -> str:
    """One line for a name that is not in a registry, with the nearest known name."""
    names = sorted(known)
    near = difflib.get_close_matches(found, names, n=1)
    hint = f"did you mean '{near[0]}'? " if near else ""
    return f"unknown {kind} '{found}'; {hint}Known: {', '.join(names)}."


def _first_line(refusal: ValidationError, model: type[BaseModel]) -> str:
    errors = refusal.errors(include_url=False)
    # A mistyped key is also a missing one: name the mistake, not its shadow.
    error = min(errors, key=lambda found: found["type"] != "extra_forbidden")
    place = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        known = [field.alias or name for name, field in model.model_fields.items()]
        return unknown("key", place, known)
    if error["type"] == "missing":
        return f"key '{place}' is missing."
    prefix = f"key '{place}': " if place else ""
    if error["type"] == "value_error":  # a rule between keys says it all itself
        return f"{prefix}{error['ctx']['error']}."
    return f"{prefix}{error['msg']}, found {error['input']!r}."
