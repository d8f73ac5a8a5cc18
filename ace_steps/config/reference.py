"""Write the JSON schema of a configuration, for editors, and the reference page, for people.

python -m ace_steps.config.reference
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic.json_schema import models_json_schema

from ace_steps.backbones.settings import BackboneSettings
from ace_steps.config.experiment import DEFAULT_ENTRIES, KINDS, NAME, Experiment, Registries
from ace_steps.embed.settings import ApiEncoderSettings, LocalEncoderSettings, PrecomputedSettings
from ace_steps.io.files import write_text
from ace_steps.preprocess.settings import ROLES, DatasetSettings
from ace_steps.refine.methods import RefinementSettings
from ace_steps.registry import NAMED_BY, READERS, Entry

ROOT = Path(__file__).parents[2]
SCHEMA, PAGE = "workflow/schemas/config.schema.json", "docs/configuration.md"
MARK = "<!-- What follows is written by python -m ace_steps.config.reference; edit above. -->"
KIND_TEXTS = {
    "datasets": "Give `source`, or files of your own: `interactions`, the log, and `items`, the "
    "catalog, in the format of a `reader` (`table` if you name none).",
    "encoders": "One of the keys `source`, `path`, `hub`, `api` and `vectors` says which kind an "
    "entry is.",
    "refinements": "`method` may be left out of an entry that has the method's name. Without this "
    "section the refinements are `random` (std 0.02 and 0.1), `svd`, `whitening` and `ace`.",
    "backbones": "`model` may be left out of an entry that has the model's name. Without this "
    "section the backbone is `sasrec`.",
}
ENCODERS = {
    "A model that runs here": LocalEncoderSettings,
    "A model behind an API": ApiEncoderSettings,
    "Precomputed embeddings": PrecomputedSettings,
}
SHARED = {  # the common base of a kind's settings classes
    "datasets": DatasetSettings,
    "refinements": RefinementSettings,
    "backbones": BackboneSettings,
}
SIGNS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}

Fragment = dict[str, Any]  # a part of a JSON schema
Row = tuple[str, str, str, str]  # of the page: key, default, values, meaning


def _class_schemas() -> dict[str, Fragment]:
    """The schema of every settings class of a configuration, by class name."""
    entries = [entry for _, registry in NAMED_BY.values() for entry in registry.values()]
    models = [Experiment, *ENCODERS.values(), *SHARED.values()]
    models += [entry.settings_class() for entry in entries]
    inputs = [(model, "validation") for model in models]
    definitions = models_json_schema(inputs)[1]["$defs"]
    for definition in definitions.values():
        for titled in (definition, *definition["properties"].values()):
            titled.pop("title", None)  # which repeats the key
        definition["description"] = " ".join(definition["description"].split())
    return definitions


def schema() -> Fragment:
    """The JSON schema (draft 2020-12) of a configuration, closed at every level.

    Relations between keys (``num_heads`` divides ``dim``) are beyond it; ``loading`` checks them.
    """
    definitions = _class_schemas()
    top = definitions.pop("Experiment")
    for shared in SHARED.values():
        del definitions[shared.__name__]
    definitions["datasets"] = _dataset(definitions, _public("datasets"))
    definitions["encoders"] = _encoder(definitions, _public("encoders"))
    for kind in ("refinements", "backbones"):
        key, registry = NAMED_BY[kind]
        options = [_reference(entry) | {"required": [key]} for entry in registry.values()]
        definitions[kind] = {"anyOf": options}
    for kind in KINDS:
        top["properties"][kind] |= _entries(kind)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Configuration of an experiment",
        **top,
        "$defs": dict(sorted(definitions.items())),
    }


def _entries(kind: str) -> Fragment:
    """A mapping of names to entries; one called like a method or model need not name it."""
    any_entry = {"$ref": f"#/$defs/{kind}"}
    mapping: Fragment = {"type": "object", "minProperties": 1, "additionalProperties": False}
    pattern = NAME
    if kind in DEFAULT_ENTRIES:
        _, registry = NAMED_BY[kind]
        mapping["properties"] = {
            name: {
                "description": entry.settings_class().__doc__.split("\n")[0],
                "anyOf": [_reference(entry), any_entry, {"type": "null"}],
            }
            for name, entry in registry.items()
        }
        pattern = rf"^(?!({'|'.join(registry)})$){NAME.removeprefix('^')}"
    return mapping | {"patternProperties": {pattern: any_entry}}


def _dataset(definitions: dict[str, Fragment], sources: dict[str, dict]) -> Fragment:
    """A dataset: the reader that it names, or that its source is for, else tables."""
    options = []
    for name, entry in READERS.items():
        keys = definitions[entry.settings]["properties"]
        public = [source for source, known in sources.items() if known["reader"] == name]
        keys["source"] = _one_of(keys["source"], public)
        is_named = {} if name == "table" else {"anyOf": [_given("reader"), _given("source")]}
        options.append(_reference(entry) | is_named)
    origins = [_given("source", without=ROLES), _given(*ROLES, without=("source",))]
    return {"oneOf": origins, "anyOf": options}


def _encoder(definitions: dict[str, Fragment], sources: dict[str, dict]) -> Fragment:
    """An encoder: its kind follows from its keys."""
    local = definitions["LocalEncoderSettings"]
    local["properties"]["source"] = _one_of(local["properties"]["source"], sources)
    local["oneOf"] = [_given(key) for key in ("source", "path", "hub")]
    return {"anyOf": [{"$ref": f"#/$defs/{model.__name__}"} for model in ENCODERS.values()]}


def _one_of(field: Fragment, sources: Iterable[str]) -> Fragment:
    """The schema of a ``source``, which is one of some names or null."""
    kept = {key: value for key, value in field.items() if key in ("description", "default")}
    return kept | {"enum": [None, *sources]}


def _reference(entry: Entry) -> Fragment:
    return {"$ref": f"#/$defs/{entry.settings}"}


def _given(*keys: str, without: Iterable[str] = ()) -> Fragment:
    """Objects in which some keys are there and not null, and others are absent or null."""
    present = {key: {"not": {"type": "null"}} for key in keys}
    absent = {key: {"type": "null"} for key in without}
    return {"required": list(keys), "properties": present | absent}


def _public(kind: str) -> dict[str, dict]:
    """The registry of public datasets or encoders."""
    return yaml.safe_load(getattr(Registries.shipped(), kind).read_text(encoding="utf-8"))


def page(current: str) -> str:
    """The reference page: every key with its default, type, range and meaning, in Markdown.

    What stands above ``MARK`` in the ``current`` page is kept.
    """
    definitions = _class_schemas()
    top = [row for row in _rows("Experiment", definitions) if row[0].strip("`") not in KINDS]
    parts = [current.partition(MARK)[0].rstrip(), MARK, "## The experiment", _key_table(top)]
    for kind in KINDS:
        parts += [f"## {kind.capitalize()}", KIND_TEXTS[kind]]
        parts += _classes(kind, definitions)
        if kind in ("datasets", "encoders"):
            fact = {"datasets": "reader", "encoders": "dim"}[kind]
            parts.append(f"### Public {kind}: values of `source`")
            rows = (
                (f"`{name}`", *(_escaped(str(known[key])) for key in ("title", fact, "license")))
                for name, known in _public(kind).items()
            )
            parts.append(_table(("source", "name", fact, "license"), rows))
    return "\n\n".join(parts) + "\n"


def _classes(kind: str, definitions: dict[str, Fragment]) -> Iterator[str]:
    """A heading, a summary and a table for each settings class of a kind of entry."""
    classes = {title: model.__name__ for title, model in ENCODERS.items()}
    shared: list[Row] = []
    if kind in NAMED_BY:
        key, registry = NAMED_BY[kind]
        classes = {f"`{key}: {name}`": entry.settings for name, entry in registry.items()}
        shared = [row for row in _rows(SHARED[kind].__name__, definitions) if row[0] != f"`{key}`"]
        yield "### Keys of all entries"
        yield _key_table(
            (name, "the experiment's" if name == "`dim`" else default, *rest)
            for name, default, *rest in shared
        )
    for title, name in classes.items():
        own = [row for row in _rows(name, definitions) if row not in shared]
        yield f"### {title}"
        yield _escaped(definitions[name]["description"])
        yield _key_table(own) if own else "It has no keys of its own."


def _rows(name: str, definitions: dict[str, Fragment], prefix: str = "") -> Iterator[Row]:
    """Every key of a class, those of its sections dotted."""
    model = definitions[name]
    for key, field in model["properties"].items():
        if "const" in field:  # the key that names the class
            continue
        options = field.get("anyOf", [field])
        sections = [option["$ref"].rpartition("/")[2] for option in options if "$ref" in option]
        values = _values(field)
        if sections:
            values = "section or null" if "anyOf" in field else "section"
        default = "required" if key in model.get("required", ()) else _default(field)
        of_section = [definitions[section]["description"] for section in sections]
        meaning = field.get("description") or "".join(of_section)
        yield f"`{prefix}{key}`", default, values, _escaped(meaning)
        for section in sections:
            yield from _rows(section, definitions, f"{prefix}{key}.")


def _default(field: Fragment) -> str:
    if isinstance(field.get("default", {}), dict):  # there is none, or it is a section's
        return ""
    value = field["default"]
    is_line = isinstance(value, str) and "\n" not in value
    return f"`{value if is_line else json.dumps(value)}`"


def _values(field: Fragment) -> str:
    """The type of a key and its range, in words."""
    options = field.get("anyOf") or field.get("oneOf")
    if options:
        kinds = [option for option in options if option != {"type": "null"}]
        if len(kinds) == 2 and kinds[1].get("items") == kinds[0]:
            return f"{_values(kinds[0])}; grid"
        return " or ".join([*map(_values, kinds), *["null"] * (len(kinds) < len(options))])
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    kind = field.get("type")
    if kind == "array":
        return f"list of: {_values(field['items'])}"
    # 2**63, the bound of a seed, is no range that anybody would look up.
    bounds = [
        f"{sign} {field[key]}" for key, sign in SIGNS.items() if field.get(key, 2**63) < 2**63
    ]
    word = {"boolean": "true or false", "object": "mapping", None: "mapping"}.get(kind, kind)
    return f"{word} {', '.join(bounds)}".rstrip()


def _key_table(rows: Iterable[Iterable[str]]) -> str:
    return _table(("key", "default", "values", "meaning"), rows)


def _table(head: tuple[str, ...], rows: Iterable[Iterable[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _escaped(text: str) -> str:
    """A text that a table of Markdown shows as it is."""
    return text.replace("|", "\\|").replace("<", "\\<").replace("*", "\\*").replace("\n", " ")


def main() -> None:
    """Write both files into the checkout."""
    text = json.dumps(schema(), indent=1, ensure_ascii=False, allow_nan=False)
    write_text(ROOT / SCHEMA, text + "\n")
    write_text(ROOT / PAGE, page((ROOT / PAGE).read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
