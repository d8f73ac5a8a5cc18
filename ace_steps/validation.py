"""Mistakes of a configuration, one line each: key, what was expected, what is there, a way out."""

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, get_args

from pydantic import BaseModel
from pydantic import ValidationError as PydanticError

TAGS = ("value", "grid")  # how pydantic marks the two forms of a grid in the place of an error
NAME_MARK = "[key]"  # how it marks that a key of a mapping is wrong, not its value
NAMES = "a name of a-z, 0-9, _ and -, 64 at most, that begins with a letter or a digit"
KINDS = {
    "int": "an integer",
    "int_from_float": "an integer",
    "float": "a number",
    "string": "a string",
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
MEMBERS = {"List": "value", "Dictionary": "entry"}
SWITCHES = {"on", "off", "yes", "no", "true", "false"}  # texts that YAML takes for truth values
CLOSE = 0.75  # similarity from which a key elsewhere may be meant
N_SHOWN = 12  # known names listed where none is near

Part = tuple[str, type[BaseModel]]  # where in a tree, and the settings class that stands there


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


def wrong_kind(expected: str, given: object) -> str:
    """One line for a value of another kind than expected, with the way out where there is one."""
    return f"expected {expected}, got {shown(given)}{_way_out(expected, given)}"


def of_text(text: str, model: type[BaseModel]) -> Mistake:
    """A mistake told in one line, at the key of the model that the line may begin with."""
    key, colon, rest = text.partition(": ")
    is_key = bool(colon) and _field_at(model, tuple(key.split("."))) is not None
    return Mistake(key, rest) if is_key else Mistake("", text)


def mistakes_of(
    refusal: PydanticError, model: type[BaseModel], parts: Sequence[Part] = ()
) -> list[Mistake]:
    """What pydantic found, in words; a mistyped key is not reported as missing too.

    Args:
        refusal: Pydantic's errors.
        model: The settings class that refused.
        parts: Classes below keys that the model leaves open, for what an unknown key may mean.
    """
    errors = refusal.errors(include_url=False)
    mistyped = {error["loc"] for error in errors if error["type"] == "extra_forbidden"}
    found = []
    for error in errors:
        if error["type"] == "missing" and _is_mistyped(error["loc"], mistyped):
            continue
        key = _dotted(error["loc"])
        if _is_no_text_key(error):
            depth = -1 if error["type"] == "invalid_key" else -2
            text = f"expected a string as a key, got {shown(error['input'])}; put it in quotes"
            found.append(Mistake(_dotted(error["loc"][:depth]), text))
        elif error["type"] == "value_error":
            parent = _model_at(model, error["loc"]) or model
            mistake = of_text(str(error["ctx"]["error"]), parent)
            found.append(mistake.under(key) if key else mistake)
        else:
            found.append(Mistake(key, _text(error, model, parts)))
    return list(dict.fromkeys(found))


def _is_mistyped(loc: tuple, mistyped: Iterable[tuple]) -> bool:
    """Whether a key that is missing stands there under a name that is near."""
    beside = [str(other[-1]) for other in mistyped if other[:-1] == loc[:-1]]
    return bool(difflib.get_close_matches(str(loc[-1]), beside, 1))


def _is_no_text_key(error: dict) -> bool:
    """Whether a key is no text, such as ``on``, not whether its value is wrong."""
    is_name = error["loc"][-1:] == (NAME_MARK,)
    return error["type"] == "invalid_key" or (is_name and error["type"] == "string_type")


def shown(value: object) -> str:
    """A value and, where it may surprise, its kind."""
    if isinstance(value, str):
        return f"the string '{value}'" if value else "an empty string"
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return f"{str(value).lower()} (YAML reads on, off, yes and no as true or false)"
    if isinstance(value, dict | list):
        kind = "mapping" if isinstance(value, dict) else "list"
        return f"the {kind} {_brief(value)}" if value else f"an empty {kind}"
    if isinstance(value, date):  # and its subclass for a day with a time
        return f"{value}, which YAML reads as a date"
    return f"the number {value}" if isinstance(value, int | float) else f"{value}"


def _brief(value: dict | list) -> str:
    """A list or a mapping as YAML writes it on one line, cut."""
    if isinstance(value, dict):
        text = "{" + ", ".join(f"{key}: {_plain(inner)}" for key, inner in value.items()) + "}"
    else:
        text = "[" + ", ".join(map(_plain, value)) + "]"
    return text if len(text) <= 60 else f"{text[:57]}..."


def _plain(value: object) -> str:
    if isinstance(value, dict | list):
        return _brief(value)
    return "null" if value is None else f"{value}".lower() if value in (True, False) else f"{value}"


def _dotted(loc: tuple) -> str:
    """``statistics.metrics[0]``; the key of a wrong name is the name itself."""
    text = ""
    for part in loc:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part not in (*TAGS, NAME_MARK):
            text += f".{part}" if text else str(part)
    return text


def _text(error: dict, model: type[BaseModel], parts: Sequence[Part]) -> str:
    kind, given, context = error["type"], error.get("input"), error.get("ctx", {})
    if kind == "extra_forbidden":
        return f"unknown key; {_meant(error['loc'], model, parts)}"
    if kind == "missing":
        return f"missing; {_description(model, error['loc'])}".removesuffix("; ")
    if kind in COMPARISONS:
        name, sign = COMPARISONS[kind]
        return f"expected a number {sign} {context[name]:g}, got {given}"
    if kind in ("literal_error", "enum"):
        return _not_one_of(context["expected"], given)
    if kind == "finite_number":
        return f"expected a finite number, got {given}"
    if kind == "string_too_short":
        return f"expected at least {context['min_length']} character, got {shown(given)}"
    if kind == "too_short":
        member = MEMBERS.get(context["field_type"], "value")
        return f"expected at least {context['min_length']} {member}, got {shown(given)}"
    if kind == "string_pattern_mismatch":
        return _not_like(context["pattern"], _meaning(error["loc"], model), given)
    expected = KINDS.get(kind.removesuffix("_type").removesuffix("_parsing").removesuffix("_size"))
    return wrong_kind(expected, given) if expected else f"{error['msg']}, got {shown(given)}"


def _meaning(loc: tuple, model: type[BaseModel]) -> str:
    """What is expected of a text that has a pattern."""
    return NAMES if loc[-1] == NAME_MARK else _first_clause(_description(model, loc))


def _not_like(pattern: str, meaning: str, given: str) -> str:
    """What is wrong with a text that does not have the pattern."""
    lower = given.lower()
    hint = f"; write {lower}" if lower != given and re.search(pattern, lower) else ""
    return f"expected {meaning or f'a string like {pattern}'}; got {shown(given)}{hint}"


def _not_one_of(expected: str, given: object) -> str:
    """What is wrong with a value that is none of a few, as pydantic lists them."""
    quoted = expected.replace(" or ", ", ").split(", ")
    known = [value.strip("'") for value in quoted]
    text = f"expected one of {', '.join(known)}, got {shown(given)}"
    if isinstance(given, str):
        if given in known:  # a number in quotes
            return f"{text}; write it without quotes"
        near = suggestion(given, known)
        return f"{text}; {near}" if near.startswith("did you mean") else text
    is_switch = isinstance(given, bool) and SWITCHES & set(known)
    return f"{text}; put it in quotes" if is_switch or f"'{given}'" in quoted else text


def _way_out(expected: str, given: object) -> str:
    """How to write what is meant, where a value is of another kind than expected."""
    if expected == KINDS["string"]:
        is_scalar = isinstance(given, bool | int | float | date)
        return "; put it in quotes" if is_scalar else ""
    if expected in (KINDS["int"], KINDS["float"]):
        return _as_number(expected, given)
    if expected == KINDS["bool"] and isinstance(given, str):
        return "; write it without quotes" if given.lower() in SWITCHES else ""
    if expected == KINDS["list"] and isinstance(given, str | int | float):
        return f"; write [{_plain(given)}]"
    if expected == KINDS["dict"] and isinstance(given, list):
        names = [name for name in given if isinstance(name, str)]
        return f"; write each as a key, e.g. {{{names[0]}: {{}}}}" if names else ""
    return ""


def _as_number(expected: str, given: object) -> str:
    """How to write a number that YAML, or a habit, made into something else."""
    if isinstance(given, list):
        return "; this key takes one value, no list"
    if isinstance(given, bool) or not isinstance(given, str | float):
        return ""
    try:
        number = float(given)
    except ValueError:
        return ""
    is_finite = abs(number) < float("inf")
    if not is_finite or (expected == KINDS["int"] and not number.is_integer()):
        return ""
    plain = f"{number:.17f}".rstrip("0").rstrip(".") if abs(number) < 1 else f"{number:.15g}"
    if "e" in str(given).lower() and isinstance(given, str):
        return f"; write {_shorter(number, plain)}, since YAML reads {given} as a string"
    return f"; write {plain}{' without quotes' if isinstance(given, str) else ''}"


def _shorter(number: float, plain: str) -> str:
    """A number without an exponent, or, where that is long, with one that YAML takes."""
    mantissa, _, exponent = f"{number:e}".partition("e")
    digits = mantissa.rstrip("0")
    scientific = f"{digits}{'0' if digits.endswith('.') else ''}e{exponent}"
    return plain if float(plain) == number and len(plain) <= 10 else scientific


def _meant(loc: tuple, model: type[BaseModel], parts: Sequence[Part]) -> str:
    """What an unknown key may mean: a near key beside it, or the same key elsewhere in the tree."""
    key, place = str(loc[-1]), [part for part in loc[:-1] if part not in TAGS]
    beside = _keys(_model_at(model, loc[:-1]) or model)
    here = ".".join(map(str, place))
    elsewhere = _tree(model) + [
        f"{prefix}.{inner}" for prefix, part in parts for inner in _tree(part)
    ]
    exact = [path for path in elsewhere if path.rpartition(".")[2] == key]
    if exact:
        path = min(exact, key=lambda path: path.count("."))
        outside = f", not in '{here}'" if here else ""
        typing = [f"'{name}' or " for name in difflib.get_close_matches(key, beside, 1, CLOSE)]
        return f"did you mean {''.join(typing)}'{path}'{outside}?"
    near = suggestion(key, beside)
    if near.startswith("did you mean"):
        return near
    paths = {path.rpartition(".")[2]: path for path in reversed(elsewhere)}
    close = difflib.get_close_matches(key, list(paths), 1, CLOSE)
    return f"did you mean '{paths[close[0]]}'?" if close else near


def _tree(model: type[BaseModel], prefix: str = "") -> list[str]:
    """Every key of a model and of its sections, dotted."""
    found = []
    for key, field in _keys(model).items():
        found.append(prefix + key)
        for inner in _models_in(field.annotation):
            found += _tree(inner, f"{prefix}{key}.")
    return found


def _keys(model: type[BaseModel]) -> dict[str, Any]:
    """Every field of a model by its key."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _description(model: type[BaseModel], loc: tuple) -> str:
    """What the key at a place of the tree means."""
    field = _field_at(model, loc)
    said = (field.description if field is not None else None) or ""
    return said.rstrip(".")


def _first_clause(description: str) -> str:
    """The part of a description that says what is expected, as it goes on after that word."""
    clause = re.split(r"[.;] ", description)[0]
    is_word = clause[1:2].islower() or clause[1:2] == " "
    return clause[:1].lower() + clause[1:] if is_word else clause


def _field_at(model: type[BaseModel], loc: tuple) -> Any:
    """The field at a place of the tree; that of the list for a value in a list."""
    keys = [part for part in loc if part not in TAGS and isinstance(part, str)]
    parent = _model_at(model, tuple(keys[:-1]))
    return _keys(parent).get(keys[-1]) if keys and parent is not None else None


def _model_at(model: type[BaseModel], loc: tuple) -> type[BaseModel] | None:
    """The settings class at a place of the tree."""
    for part in loc:
        if part in TAGS or isinstance(part, int):
            continue
        field = _keys(model).get(part)
        inner = _models_in(field.annotation) if field is not None else []
        if not inner:
            return None
        model = inner[0]
    return model


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]
