"""Write the JSON schema of a configuration, for editors, and the reference page, for people.

python -m ace_steps.config.reference
  python -m ace_steps.config.reference --check
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import yaml
from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from ace_steps import command
from ace_steps.backbones.settings import BackboneSettings
from ace_steps.config.experiment import DEFAULT_ENTRIES, KINDS, NAME, Experiment, Registries
from ace_steps.embed.settings import ApiEncoderSettings, LocalEncoderSettings, PrecomputedSettings
from ace_steps.errors import InputError
from ace_steps.io.files import write_text
from ace_steps.preprocess.settings import ROLES, DatasetSettings
from ace_steps.refine.methods import RefinementSettings
from ace_steps.registry import BACKBONES, READERS, REFINEMENTS, Entry

ROOT = Path(__file__).parents[2]
SCHEMA, PAGE = "workflow/schemas/config.schema.json", "docs/configuration.md"
MARK = "<!-- What follows is written by python -m ace_steps.config.reference; edit above. -->"
KIND_TEXTS = {
    "datasets": "By a name of yours. With `source` nothing else is needed; files of your own are "
    "`interactions`, the log, and `items`, the catalog, in the format of a `reader`, which is "
    "`table` where it is left out.",
    "encoders": "By a name of yours. One of `source`, `path`, `hub`, `api` and `vectors` says "
    "which kind it is.",
    "refinements": "By a name of yours: a `method`, which is left out where the entry is called "
    "like it. Without this section they are `random` (std 0.02 and 0.1), `svd`, `whitening` and "
    "`ace`.",
    "backbones": "By a name of yours: a `model`, which is left out where the entry is called like "
    "it. Without this section it is `sasrec`.",
}
ENCODERS = {
    "A model that runs here": LocalEncoderSettings,
    "A model behind an API": ApiEncoderSettings,
    "Precomputed embeddings": PrecomputedSettings,
}

Fragment = dict[str, Any]  # a part of a JSON schema


class Kind(NamedTuple):
    """Entries of which a key names the settings class.

    Attributes:
        key: That key.
        registry: The classes by its value.
        shared: The class of the keys that all of them have.
    """

    key: str
    registry: dict[str, Entry]
    shared: type[BaseModel]


NAMED = {
    "datasets": Kind("reader", READERS, DatasetSettings),
    "refinements": Kind("method", REFINEMENTS, RefinementSettings),
    "backbones": Kind("model", BACKBONES, BackboneSettings),
}


class _Untitled(GenerateJsonSchema):
    """JSON schemas without titles, which would say the key again."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """No field has a title."""
        return False


def schema(registries: Registries | None = None) -> Fragment:
    """The JSON schema (draft 2020-12) of a configuration, closed at every level.

    What keys must say to each other (``num_heads`` divides ``dim``) is beyond it; the program
    checks that.

    Args:
        registries: Public datasets and encoders, whose names a ``source`` may have; those that
            ship where None.
    """
    registries = registries or Registries.shipped()
    definitions: dict[str, Fragment] = {}
    top = _of_class(Experiment, definitions)
    for kind, named in NAMED.items():
        for entry in named.registry.values():
            _add(entry.settings_class(), definitions)
        definitions[kind] = _chosen(named)
    definitions["datasets"] = _dataset(definitions, registries)
    definitions["encoders"] = _encoder(definitions, registries)
    for kind in KINDS:
        top["properties"][kind] |= _entries(kind)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Configuration of an experiment",
        **top,
        "$defs": dict(sorted(definitions.items())),
    }


def page(introduction: str, registries: Registries | None = None) -> str:
    """The reference page: every key with its default, type, range and meaning, in Markdown.

    Args:
        introduction: The page as it is; what stands above ``MARK`` is kept.
        registries: Public datasets and encoders, which the page lists; those that ship where None.
    """
    registries = registries or Registries.shipped()
    parts = [
        MARK,
        "## The experiment",
        _key_table(r for r in _rows(Experiment) if r.key not in KINDS),
    ]
    for kind in KINDS:
        parts += [f"## {kind.capitalize()}", KIND_TEXTS[kind]]
        parts += _encoder_parts() if kind == "encoders" else _kind_parts(NAMED[kind])
        if kind in ("datasets", "encoders"):
            parts += _public(kind, getattr(registries, kind))
    return "\n\n".join([introduction.partition(MARK)[0].rstrip(), *parts]) + "\n"


def _of_class(model: type[BaseModel], definitions: dict[str, Fragment]) -> Fragment:
    """The schema of a class; those of its sections go into the definitions."""
    made = model.model_json_schema(schema_generator=_Untitled)
    for name, section in made.pop("$defs", {}).items():
        if definitions.setdefault(name, _tidy(section)) != _tidy(section):
            raise ValueError(f"two settings classes are called {name}; rename one")
    return _tidy(made)


def _add(model: type[BaseModel], definitions: dict[str, Fragment]) -> None:
    made = _of_class(model, definitions)
    if definitions.setdefault(model.__name__, made) != made:
        raise ValueError(f"two settings classes are called {model.__name__}; rename one")


def _tidy(section: Fragment) -> Fragment:
    """The schema of an object without its title, and with its docstring as flowing text."""
    left = {key: value for key, value in section.items() if key != "title"}
    if "description" in left:
        left["description"] = " ".join(left["description"].split())
    return left


def _entries(kind: str) -> Fragment:
    """A mapping of names to entries; the name of a method or model needs no key that says it."""
    anything = {"$ref": f"#/$defs/{kind}"}
    found: Fragment = {"type": "object", "minProperties": 1, "additionalProperties": False}
    if kind in DEFAULT_ENTRIES:
        found["properties"] = {
            name: {
                "description": entry.settings_class().__doc__.split("\n")[0],
                "anyOf": [_definition(entry), anything, {"type": "null"}],
            }
            for name, entry in NAMED[kind].registry.items()
        }
    return found | {"patternProperties": {_others(found): anything}}


def _others(found: Fragment) -> str:
    """The pattern of every name that has no schema of its own."""
    taken = "|".join(found.get("properties", {}))
    return rf"^(?!({taken})$){NAME.removeprefix('^')}" if taken else NAME


def _chosen(named: Kind) -> Fragment:
    """An entry that says itself which class it has."""
    return {
        "type": "object",
        "required": [named.key],
        "properties": {named.key: {"enum": list(named.registry)}},
        "allOf": [
            {"if": _has(named.key, [name]), "then": _definition(entry)}
            for name, entry in named.registry.items()
        ],
    }


def _dataset(definitions: dict[str, Fragment], registries: Registries) -> Fragment:
    """A dataset: the reader that it names, or that its source is for, else tables."""
    sources = _registry(registries.datasets)
    otherwise = _definition(READERS["table"])
    for name, entry in READERS.items():
        public = [source for source, known in sources.items() if known["reader"] == name]
        keys = definitions[entry.settings]["properties"]
        keys["source"] = _names(keys["source"], public)
        of_source = [_has("source", public)] if public else []
        test = {"anyOf": [_has("reader", [name]), *of_source]}
        otherwise = {"if": test, "then": _definition(entry), "else": otherwise}
    return {
        "type": "object",
        "oneOf": [_given("source", without=ROLES), _given(*ROLES, without=("source",))],
        "properties": {
            "reader": {"enum": list(READERS)},
            "source": _names(_of_class(DatasetSettings, {})["properties"]["source"], sources),
        },
        **otherwise,
    }


def _encoder(definitions: dict[str, Fragment], registries: Registries) -> Fragment:
    """An encoder: its kind follows from its keys."""
    for model in ENCODERS.values():
        _add(model, definitions)
    local = definitions["LocalEncoderSettings"]
    local["properties"]["source"] = _names(
        local["properties"]["source"], _registry(registries.encoders)
    )
    local["oneOf"] = [_given(key) for key in ("source", "path", "hub")]
    return {
        "type": "object",
        "if": {"required": ["api"]},
        "then": {"$ref": "#/$defs/ApiEncoderSettings"},
        "else": {
            "if": {"required": ["vectors"]},
            "then": {"$ref": "#/$defs/PrecomputedSettings"},
            "else": {"$ref": "#/$defs/LocalEncoderSettings"},
        },
    }


def _names(field: Fragment, known: Iterable[str]) -> Fragment:
    """The schema of a ``source``, which has one of the registry's names."""
    kept = {key: value for key, value in field.items() if key in ("description", "default")}
    return kept | {"enum": [None, *known]}


def _definition(entry: Entry) -> Fragment:
    return {"$ref": f"#/$defs/{entry.settings}"}


def _has(key: str, values: list[str]) -> Fragment:
    """Objects in which a key has one of some values."""
    return {"type": "object", "required": [key], "properties": {key: {"enum": values}}}


def _given(*keys: str, without: Iterable[str] = ()) -> Fragment:
    """Objects in which some keys are there and not null, and others are not there or null."""
    there = {key: {"not": {"type": "null"}} for key in keys}
    return {
        "required": list(keys),
        "properties": there | {key: {"type": "null"} for key in without},
    }


def _registry(path: Path) -> dict[str, dict]:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


class _Row(NamedTuple):
    """One key of the page."""

    key: str
    default: str
    values: str
    meaning: str


def _rows(model: type[BaseModel]) -> list[_Row]:
    """Every key of a class, those of its sections dotted."""
    definitions: dict[str, Fragment] = {}
    return list(_rows_of(_of_class(model, definitions), definitions))


def _rows_of(
    section: Fragment, definitions: dict[str, Fragment], prefix: str = ""
) -> Iterator[_Row]:
    for key, field in section["properties"].items():
        if "const" in field:  # the key that names the class
            continue
        options = field.get("anyOf", [field])
        names = [option["$ref"].rpartition("/")[2] for option in options if "$ref" in option]
        default = "required" if key in section.get("required", ()) else _default(field, names)
        said = field.get("description") or "".join(definitions[n]["description"] for n in names)
        values = _section(field) if names else _values(field)
        yield _Row(prefix + key, default, values, _cell(said))
        for name in names:
            yield from _rows_of(definitions[name], definitions, f"{prefix}{key}.")


def _section(field: Fragment) -> str:
    return "section or null" if "anyOf" in field else "section"


def _default(field: Fragment, sections: list[str]) -> str:
    value = field.get("default")
    if "default" not in field:
        return ""
    if sections:
        return "" if isinstance(value, dict) else "`null`"
    text = value if isinstance(value, str) and "\n" not in value else json.dumps(value)
    return f"`{text}`"


def _values(field: Fragment) -> str:
    """The type of a key and its range, in words."""
    options = field.get("anyOf") or field.get("oneOf")
    if options:
        kinds = [option for option in options if option != {"type": "null"}]
        grid = len(kinds) == 2 and kinds[1].get("items") == kinds[0]
        words = f"{_values(kinds[0])}; grid" if grid else " or ".join(map(_values, kinds))
        return f"{words} or null" if len(kinds) < len(options) and not grid else words
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    kind = field.get("type")
    if kind in ("integer", "number"):
        return " ".join(["integer" if kind == "integer" else "number", *_range(field)])
    if kind == "array":
        return f"list of: {_values(field['items'])}"
    return {"boolean": "true or false", "string": "string"}.get(kind, "mapping")


def _range(field: Fragment) -> list[str]:
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    # 2**63, the bound of a seed, is no range that anybody would look up.
    bounds = [(sign, field[key]) for key, sign in signs.items() if field.get(key, 2**63) < 2**63]
    return [", ".join(f"{sign} {value}" for sign, value in bounds)] if bounds else []


def _cell(text: str) -> str:
    """A text that a table of Markdown shows as it is."""
    return text.replace("|", "\\|").replace("<", "\\<").replace("*", "\\*").replace("\n", " ")


def _markdown(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    names = list(head)
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _key_table(rows: Iterable[_Row]) -> str:
    cells = ([f"`{row.key}`", row.default, row.values, row.meaning] for row in rows)
    return _markdown(("key", "default", "values", "meaning"), cells)


def _kind_parts(named: Kind) -> list[str]:
    """The keys that all members of a kind have, once, and each member's own."""
    shared = [row for row in _rows(named.shared) if row.key != named.key]
    told = [row._replace(default="the experiment's") if row.key == "dim" else row for row in shared]
    parts = ["### Keys that all of them have", _key_table(told)]
    for name, entry in named.registry.items():
        model = entry.settings_class()
        own = [row for row in _rows(model) if row not in shared]
        parts += [f"### `{named.key}: {name}`", _cell(_flowing(model.__doc__))]
        parts.append(_key_table(own) if own else "It has no keys of its own.")
    return parts


def _encoder_parts() -> list[str]:
    parts = []
    for title, model in ENCODERS.items():
        parts += [f"### {title}", _cell(_flowing(model.__doc__)), _key_table(_rows(model))]
    return parts


def _public(kind: str, registry: Path) -> list[str]:
    """What a ``source`` may be."""
    fact = {"datasets": "reader", "encoders": "dim"}[kind]
    rows = (
        [f"`{name}`", _cell(known["title"]), str(known[fact]), _cell(known["license"])]
        for name, known in _registry(registry).items()
    )
    title = f"### Public {kind}: values of `source`"
    return [title, _markdown(("source", "name", fact, "license"), rows)]


def _flowing(docstring: str) -> str:
    return " ".join(docstring.split())


def files(introduction: str) -> dict[str, str]:
    """Both files by their path in the checkout; for the introduction see ``page``."""
    text = json.dumps(schema(), indent=1, ensure_ascii=False, allow_nan=False)
    return {SCHEMA: text + "\n", PAGE: page(introduction)}


def run(
    *,
    check: Annotated[bool, "write nothing; 1 where a file differs"] = False,
    root: Annotated[Path, "the checkout"] = ROOT,
) -> None:
    """Write both files, or look whether they are as they would be written.

    Args:
        check: Whether to write nothing.
        root: The checkout.

    Raises:
        InputError: ``check``, and a file differs.
    """
    current = (root / PAGE).read_text(encoding="utf-8")
    made = {root / name: text for name, text in files(current).items()}
    if not check:
        for path, text in made.items():
            write_text(path, text)
        return
    stale = [str(p) for p, text in made.items() if not p.is_file() or p.read_text("utf-8") != text]
    if stale:
        raise InputError(
            f"{' and '.join(stale)}: expected what the settings classes say, got another text; run "
            "python -m ace_steps.config.reference"
        )


def main(argv: list[str] | None = None) -> int:
    """Parse the options and run; 1 where a file differs."""
    return 1 if command.main_of(run)(argv) else 0


if __name__ == "__main__":
    raise SystemExit(main())
