"""Mistakes of a configuration, one line each: key, what was expected, what was given, a way out."""

import difflib
import json
import re
import textwrap
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple, get_args

from pydantic import BaseModel
from pydantic import ValidationError as PydanticError

TAGS = ("value", "grid")  # how pydantic marks the two forms of a grid in an error's location
NAME_MARK = "[key]"  # how it marks that a key of a mapping is wrong, not its value
NAMES = "a name of a-z, 0-9, _ and -, 64 at most, that begins with a letter or a digit"
MAPPING = "a mapping of keys to values"
KINDS = {  # by the first word of pydantic's error type
    "int": "an integer",
    "float": "a number",
    "string": "a string",
    "bool": "true or false",
    "list": "a list",
    "dict": MAPPING,
    "model": MAPPING,
}
LIMITS = {  # by pydantic's name for them
    "gt": "a number >",
    "ge": "a number >=",
    "lt": "a number <",
    "le": "a number <=",
    "min_length": "a length of at least",
}
SWITCHES = ("on", "off", "yes", "no", "true", "false")  # what YAML reads as true or false
CLOSE = 0.75  # similarity from which another key may be meant
N_SHOWN = 12  # known names listed where none is near

Part = tuple[str, type[BaseModel]]  # where in a tree, and the settings class that stands there


class Mistake(NamedTuple):
    """One mistake: the dotted key, and what is wrong with it."""

    key: str
    text: str

    def __str__(self) -> str:
        return f"{self.key}: {self.text}" if self.key else self.text

    def under(self, prefix: str) -> "Mistake":
        """The same mistake of a part of a larger tree."""
        return Mistake(f"{prefix}.{self.key}" if self.key else prefix, self.text)


def unknown(kind: str, given: str, known: Iterable[str]) -> str:
    """One line for a name that is not in a registry, with the nearest known name."""
    return f"unknown {kind} '{given}'; {suggestion(given, known)}"


def suggestion(given: str, known: Iterable[str]) -> str:
    """``did you mean 'lambda'?``, or the known names where none is near."""
    names = sorted(known)
    near = difflib.get_close_matches(given, names, n=1)
    if near:
        return f"did you mean '{near[0]}'?"
    more = f" and {len(names) - N_SHOWN} more" if len(names) > N_SHOWN else ""
    return f"known: {', '.join(names[:N_SHOWN])}{more}"


def shown(value: object) -> str:
    """A value and its kind, and how YAML came to it where that may surprise."""
    if isinstance(value, str):
        return f"the string '{value}'"
    if isinstance(value, bool):
        return f"{_as_yaml(value)} (YAML reads on, off, yes and no as true or false)"
    if isinstance(value, date):
        return f"{value}, which YAML reads as a date"
    if value is None:
        return "nothing (null)"
    if isinstance(value, dict | list):
        kind = "mapping" if isinstance(value, dict) else "list"
        return f"the {kind} {textwrap.shorten(_as_yaml(value), 60, placeholder=' ...')}"
    return f"the number {value}"


def _as_yaml(value: object) -> str:
    text = json.dumps(value, default=str, skipkeys=True, ensure_ascii=False)
    return text.replace('"', "")


def wrong_kind(expected: str, given: object) -> str:
    """One line for a value of another kind than expected, with the way out where there is one."""
    text = f"expected {expected}, got {shown(given)}"
    if expected == KINDS["string"] and isinstance(given, bool | int | float | date):
        return f"{text}; put it in quotes"
    if expected in (KINDS["int"], KINDS["float"]) and isinstance(given, list):
        return f"{text}; this key takes one value"
    if expected in (KINDS["int"], KINDS["float"]) and isinstance(given, str | float):
        number = _as_number(given, is_whole=expected == KINDS["int"])
        return f"{text}; write {number}" if number else text
    if expected == KINDS["bool"] and isinstance(given, str) and given.lower() in SWITCHES:
        return f"{text}; write it without quotes"
    if expected == KINDS["list"] and isinstance(given, str | int | float):
        return f"{text}; write [{_as_yaml(given)}]"
    if expected == MAPPING and isinstance(given, list) and given and isinstance(given[0], str):
        return f"{text}; write each as a key, e.g. {{{given[0]}: {{}}}}"
    return text


def _as_number(given: str | float, *, is_whole: bool) -> str:
    """A number as YAML reads it: without quotes and, as 1e-3 is a string to it, exponents."""
    try:
        number = Decimal(str(given))
    except InvalidOperation:
        return ""
    if not number.is_finite() or (is_whole and number % 1):
        return ""
    return str(int(number)) if is_whole else f"{number:f}"


def at_key(line: str, model: type[BaseModel]) -> Mistake:
    """A mistake written as one line, at the key of the model that the line may begin with."""
    key, colon, text = line.partition(": ")
    is_key = colon and _at(model, key.split("."))[1] is not None
    return Mistake(key, text) if is_key else Mistake("", line)


def mistakes_of(
    refusal: PydanticError, model: type[BaseModel], parts: Sequence[Part] = ()
) -> list[Mistake]:
    """Pydantic's errors in words; a mistyped key is not reported as missing too.

    Args:
        refusal: Pydantic's errors.
        model: The settings class that refused.
        parts: Classes below keys that the model leaves open, for what an unknown key may mean.
    """
    errors = refusal.errors(include_url=False)
    unknown_keys = [error["loc"] for error in errors if error["type"] == "extra_forbidden"]
    mistakes = []
    for error in errors:
        kind, loc = error["type"], error["loc"]
        beside = [str(other[-1]) for other in unknown_keys if other[:-1] == loc[:-1]]
        if kind == "missing" and difflib.get_close_matches(str(loc[-1]), beside, 1):
            continue
        if kind == "value_error":
            mistake = at_key(str(error["ctx"]["error"]), _at(model, loc)[0] or model)
            mistakes.append(mistake.under(_dotted(loc)) if loc else mistake)
        elif kind == "invalid_key" or (kind == "string_type" and loc[-1] == NAME_MARK):
            text = f"expected a string as a key, got {shown(error['input'])}; put it in quotes"
            mistakes.append(Mistake(_dotted(loc[: -1 if kind == "invalid_key" else -2]), text))
        else:
            mistakes.append(Mistake(_dotted(loc), _text(error, model, parts)))
    return list(dict.fromkeys(mistakes))


def _dotted(loc: tuple) -> str:
    """``statistics.metrics[0]``; the key of a wrong name is the name itself."""
    keys = (part for part in loc if part not in (*TAGS, NAME_MARK))
    parts = (f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys)
    return "".join(parts).removeprefix(".")


def _text(error: dict, model: type[BaseModel], parts: Sequence[Part]) -> str:
    """What is wrong at one place, and the way out."""
    kind, loc, given, context = (error.get(key) for key in ("type", "loc", "input", "ctx"))
    field = _at(model, loc)[1]
    meaning = ((field.description if field else None) or "").rstrip(".")
    if kind == "extra_forbidden":
        return f"unknown key; {_nearest_key(loc, model, parts)}"
    if kind == "missing":
        return f"missing; {meaning}".removesuffix("; ")
    if kind == "literal_error":
        known = context["expected"].replace("'", "").replace(" or ", ", ")
        near = difflib.get_close_matches(str(given), known.split(", "), 1)
        hint = f"; did you mean '{near[0]}'?" if near and near[0] != given else ""
        return f"expected one of {known}, got {shown(given)}{hint}"
    if kind == "string_pattern_mismatch":
        clause = re.split(r"[.;] ", meaning)[0]
        expected = clause[:1].lower() + clause[1:] or f"a string like {context['pattern']}"
        return f"expected {NAMES if loc[-1] == NAME_MARK else expected}, got {shown(given)}"
    for name, limit in (context or {}).items():
        if name in LIMITS:
            number = given if isinstance(given, int | float) else shown(given)
            return f"expected {LIMITS[name]} {limit:g}, got {number}"
    expected = KINDS.get(kind.split("_")[0])
    if expected and kind.endswith(("_type", "_parsing", "_from_float")):
        return wrong_kind(expected, given)
    return f"{error['msg'].replace('Input should be', 'expected')}, got {shown(given)}"


def _nearest_key(loc: tuple, model: type[BaseModel], parts: Sequence[Part]) -> str:
    """What an unknown key may mean: a near key beside it, or one elsewhere in the tree."""
    key, section = str(loc[-1]), _dotted(loc[:-1])
    beside = _keys(_at(model, loc[:-1])[0] or model)
    near = difflib.get_close_matches(key, beside, 1, CLOSE)
    if near:
        return f"did you mean '{near[0]}'?"
    elsewhere = [*_tree(model), *(path for name, part in parts for path in _tree(part, f"{name}."))]
    elsewhere.sort(key=lambda path: path.count("."), reverse=True)  # the highest goes before
    paths = {path.rpartition(".")[2]: path for path in elsewhere}
    for name in difflib.get_close_matches(key, paths, 1, CLOSE):
        outside = f", not in '{section}'" if section and name == key else ""
        return f"did you mean '{paths[name]}'{outside}?"
    return suggestion(key, beside)


def _tree(model: type[BaseModel], prefix: str = "") -> list[str]:
    """Every key of a model and of its sections, dotted."""
    paths = []
    for key, field in _keys(model).items():
        paths.append(prefix + key)
        for section in _models_in(field.annotation):
            paths += _tree(section, f"{prefix}{key}.")
    return paths


def _at(model: type[BaseModel] | None, loc: Iterable) -> tuple[type[BaseModel] | None, Any]:
    """The settings class and the field at a place of the tree, None where there is none."""
    field = None
    for key in loc:
        if key not in TAGS and isinstance(key, str):
            field = _keys(model).get(key) if model else None
            model = next(iter(_models_in(field.annotation)), None) if field else None
    return model, field


def _keys(model: type[BaseModel]) -> dict[str, Any]:
    """Every field of a model by its key."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]
