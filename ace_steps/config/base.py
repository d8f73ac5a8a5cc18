"""Settings objects: strict, closed, with defaults, read from JSON with one-line errors."""

from typing import Annotated, Any, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag
from pydantic import ValidationError as PydanticError

from ace_steps.config.mistakes import mistakes_of
from ace_steps.errors import InputError

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


# One value, or a list of values, each of which becomes a grid point of its own.
Grid = Annotated[
    Annotated[Value, Tag("value")]
    | Annotated[list[Value], Field(min_length=1), AfterValidator(_each_once), Tag("grid")],
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
        found = model.model_validate_json(text)
    except PydanticError as refusal:
        raise InputError(f"{where}: {'; '.join(map(str, mistakes_of(refusal, model)))}") from None
    grids = grid_values(found)
    if grids:
        key, values = next(iter(grids.items()))
        raise InputError(f"{where}: {key}: expected a single value, got the list {values}")
    return found


def grid_values(settings: BaseModel) -> dict[str, list]:
    """The lists of grid values in settings, by dotted key."""
    found: dict[str, list] = {}
    for name, field in type(settings).model_fields.items():
        key, value = field.alias or name, getattr(settings, name)
        if isinstance(value, BaseModel):
            found |= {f"{key}.{inner}": values for inner, values in grid_values(value).items()}
        elif isinstance(value, list) and takes_grid(field.annotation, field.metadata):
            found[key] = value
    return found


def takes_grid(annotation: Any, metadata: list | tuple = ()) -> bool:
    """Whether a field is annotated as ``Grid``."""
    marks = [*metadata, *getattr(annotation, "__metadata__", ())]
    if any(isinstance(mark, Discriminator) and mark.discriminator is _value_or_grid for mark in marks):
        return True
    return any(takes_grid(part) for part in get_args(annotation))
