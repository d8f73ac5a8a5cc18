"""Mistakes of a configuration, each as one line: key, what was expected, what was found, a way out."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel
from pydantic import ValidationError as PydanticError

TAGS = ("value", "grid")  # how pydantic marks the two forms of a grid in the place of an error
KINDS = {
    "int": "a whole number",
    "float": "a number",
    "string": "a text",
    "bool": "true or false",
    "list": "a list",
    "dict": "a mapping of keys to values",
    "model": "a mapping of keys to values",
    "none": "null",
}
COMPARISONS = {
    "greater_than": ("gt", ">"),
    "greater_than_equal": ("ge", ">="),
    "less_than": ("lt", "<"),
    "less_than_equal": ("le", "<="),
}
N_SHOWN = 12  # known names listed where none is near


@dataclass(frozen=True)
class Mistake:
    """One mistake: the dotted key, and what is wrong with it."""

    key: str
    text: str

    def __str__(self) -> str:
        return f"{self.key}: {self.text}" if self.key else self.text

    def under(self, prefix: str) -> "Mistake":
        """The same mistake of a part of a larger tree."""
        return Mistake(f"{prefix}.{self.key}" if self.key else prefix, self.text)


def unknown(kind: str, found: str, known: Iterable[str]) -> str:
    """One line for a name that is not in a registry, with the nearest known name."""
    return f"unknown {kind} '{found}'; {suggestion(found, known)}"


def suggestion(found: str, known: Iterable[str]) -> str:
    """``did you mean 'lambda'?``, or the known names where none is near."""
    names = sorted(known)
    near = difflib.get_close_matches(found, names, n=1)
    if near:
        return f"did you mean '{near[0]}'?"
    more = f" and {len(names) - N_SHOWN} more" if len(names) > N_SHOWN else ""
    return f"known: {', '.join(names[:N_SHOWN])}{more}"


def report(where: str, mistakes: list[Mistake]) -> str:
    """All mistakes of a file, a line each under a line that counts them."""
    count = f"{len(mistakes)} error{'s' if len(mistakes) > 1 else ''}"
    return "\n".join([f"{where}: {count}", *(f"  {mistake}" for mistake in mistakes)])


def mistakes_of(refusal: PydanticError, model: type[BaseModel]) -> list[Mistake]:
    """What pydantic found, in words; a mistyped key is not reported as missing too."""
    errors = refusal.errors(include_url=False)
    extra = {error["loc"][:-1] for error in errors if error["type"] == "extra_forbidden"}
    found = []
    for error in errors:
        if error["type"] == "missing" and error["loc"][:-1] in extra:
            continue
        place = [str(part) for part in error["loc"] if part not in TAGS]
        found.append(Mistake(".".join(place), _text(error, model)))
    return list(dict.fromkeys(found))


def _text(error: dict, model: type[BaseModel]) -> str:
    kind, given = error["type"], error.get("input")
    if kind == "extra_forbidden":
        parent = _model_at(model, error["loc"][:-1]) or model
        return f"unknown key; {suggestion(str(error['loc'][-1]), _keys(parent))}"
    if kind == "missing":
        return f"missing; {_description(model, error['loc'])}".removesuffix("; ")
    if kind == "value_error":
        return str(error["ctx"]["error"])
    if kind in COMPARISONS:
        name, sign = COMPARISONS[kind]
        return f"expected a value {sign} {error['ctx'][name]}, got {given!r}"
    if kind in ("literal_error", "enum"):
        known = [part.strip().strip("'") for part in _literals(error["ctx"]["expected"])]
        hint = f"; {suggestion(given, known)}" if isinstance(given, str) else ""
        hint = hint if "did you mean" in hint else ""
        return f"expected one of {', '.join(known)}, got {_shown(given)}{hint}{_trap(given)}"
    if kind == "finite_number":
        return f"expected a finite number, got {given!r}"
    if kind in ("too_short", "string_too_short"):
        return f"expected at least {error['ctx']['min_length']} of it, got {_shown(given)}"
    if kind == "string_pattern_mismatch":
        meaning = _description(model, error["loc"])
        return f"got {_shown(given)}, expected {meaning or error['ctx']['pattern']}"
    expected = KINDS.get(kind.removesuffix("_type").removesuffix("_parsing"))
    if kind in ("int_from_float", "int_parsing_size"):
        expected = KINDS["int"]
    if expected:
        return f"expected {expected}, got {_shown(given)}{_trap(given)}"
    return f"{error['msg']}, got {_shown(given)}"


def _literals(expected: str) -> list[str]:
    return expected.replace(" or ", ", ").split(", ")


def _shown(value: object) -> str:
    """A value and, where it may surprise, its kind."""
    if isinstance(value, str):
        return f"the text '{value}'"
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return f"{str(value).lower()} (YAML reads on, off, yes and no so)"
    if isinstance(value, dict | list):
        return f"{'a mapping' if isinstance(value, dict) else 'a list'}: {str(value)[:60]}"
    if isinstance(value, int | float):
        return f"the number {value}"
    return f"{value} (YAML's {type(value).__name__})"


def _trap(value: object) -> str:
    """The way out of what YAML reads otherwise than it looks."""
    if isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            return ""
        exponent = "e" in value.lower()
        plain = f"{number:f}".rstrip("0").rstrip(".") if exponent else value
        return f"; write it without quotes{f' and as {plain}' if exponent else ''}"
    if isinstance(value, bool | int | float) or hasattr(value, "isoformat"):
        return f"; put it in quotes if a text is meant: '{value}'"
    return ""


def _keys(model: type[BaseModel]) -> dict[str, str]:
    """Every key of a model, and those of its sections with their dotted place."""
    return {field.alias or name: name for name, field in model.model_fields.items()}


def _description(model: type[BaseModel], loc: tuple) -> str:
    parent = _model_at(model, loc[:-1]) or model
    for name, field in parent.model_fields.items():
        if loc and (field.alias or name) == loc[-1]:
            return (field.description or "").rstrip(".")
    return ""


def _model_at(model: type[BaseModel], loc: tuple) -> type[BaseModel] | None:
    """The settings class at a place of the tree."""
    for part in loc:
        if part in TAGS or isinstance(part, int):
            continue
        fields = {field.alias or name: field for name, field in model.model_fields.items()}
        if part not in fields:
            return None
        inner = _models_in(fields[part].annotation)
        if not inner:
            return None
        model = inner[0]
    return model


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]
