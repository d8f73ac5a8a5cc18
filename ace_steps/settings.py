"""Settings objects: strict, closed, with defaults, read from JSON with one-line errors."""

import json
from typing import Annotated, Any, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag
from pydantic import ValidationError as PydanticError

from ace_steps.errors import InputError
from ace_steps.validation import mistakes_of, unknown

Model = TypeVar("Model", bound=BaseModel)
Value = TypeVar("Value")

Count = Annotated[int, Field(ge=1)]
NonNegativeCount = Annotated[int, Field(ge=0)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0, lt=1)]
Probability = Annotated[float, Field(ge=0, le=1)]


def _value_or_grid(value: object) -> str:
    return "grid" if isinstance(value, list) else "value"


def _each_once(values: list) -> list:
    repeated = [value for i, value in enumerate(values) if value in values[:i]]
    if repeated:
        raise ValueError(f"expected each value once, got {repeated[0]!r} twice")
    return values


Distinct = AfterValidator(_each_once)
# One value, or a list of values, each of which becomes a grid point of its own.
Grid = Annotated[
    Annotated[Value, Tag("value")]
    | Annotated[list[Value], Field(min_length=1), Distinct, Tag("grid")],
    Discriminator(_value_or_grid),
]


class Settings(BaseModel):
    """Base of every settings object: unknown keys, wrong types and wrong ranges are refused.

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
    """The settings written in ``text``, one value a key.

    Args:
        model: The settings class.
        text: A JSON object.
        where: What the text is, for the error line, e.g. ``--settings``.

    Raises:
        InputError: not JSON, an unknown or missing key, a wrong type, a value out of range, or a
            list where a single value is expected; all mistakes in one line.
    """
    try:
        settings = model.model_validate_json(text)
    except PydanticError as refusal:
        raise InputError(f"{where}: {'; '.join(map(str, mistakes_of(refusal, model)))}") from None
    grids = grid_values(settings)
    if grids:
        key, values = next(iter(grids.items()))
        raise InputError(f"{where}: {key}: expected a single value, got the list {values}")
    return settings


def grid_values(settings: BaseModel) -> dict[str, list]:
    """The lists of grid values in settings, by dotted key."""
    grids: dict[str, list] = {}
    for name, field in type(settings).model_fields.items():
        key, value = field.alias or name, getattr(settings, name)
        if isinstance(value, BaseModel):
            grids |= {f"{key}.{inner}": values for inner, values in grid_values(value).items()}
        elif isinstance(value, list) and _is_grid(field.annotation, field.metadata):
            grids[key] = value
    return grids


def _is_grid(annotation: Any, metadata: list | tuple = ()) -> bool:
    """Whether a field is annotated as ``Grid``, or as one or null."""
    marks = [*metadata, *getattr(annotation, "__metadata__", ())]
    discriminators = (mark.discriminator for mark in marks if isinstance(mark, Discriminator))
    return _value_or_grid in discriminators or any(map(_is_grid, get_args(annotation)))


def parse_named(registry: dict, key: str, text: str, where: str) -> Any:
    """The settings of the registry's entry that a JSON object names in one of its keys.

    Args:
        registry: From ``ace_steps.registry``.
        key: The key that names the entry, e.g. ``method``.
        text: A JSON object.
        where: What the text is, for the error line.

    Raises:
        InputError: not a JSON object, an unknown name, or as ``parse``.
    """
    try:
        values = json.loads(text)
    except ValueError as mistake:
        raise InputError(f"{where}: not JSON ({mistake})") from None
    if not isinstance(values, dict) or key not in values:
        raise InputError(f"{where}: {key}: missing; known: {', '.join(registry)}")
    if values[key] not in registry:
        raise InputError(f"{where}: {key}: {unknown('name', str(values[key]), registry)}")
    entry = registry[values[key]]
    entry.implementation()  # the whole file first: its settings class is then the one in use
    return parse(entry.settings_class(), text, where)
