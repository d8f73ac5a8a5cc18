"""The report's section on what was run: configuration, encoders, versions."""

import platform
import string
from importlib import metadata

import ace_steps
from ace_steps.config import grid, loading
from ace_steps.io.provenance import Provenance
from ace_steps.reporting import wording
from ace_steps.reporting.artifacts import Artifacts
from ace_steps.reporting.page import Cell, Code, Column, Section, Table, Text

ORIGINS = "taken_from"  # the fact that says where an encoder's settings were taken from
PACKAGES = (
    "torch",
    "transformers",
    "numpy",
    "scipy",
    "polars",
    "pyarrow",
    "safetensors",
    "snakemake",
    "matplotlib",
)


def run_section(artifacts: Artifacts) -> Section:
    """What was run: counts, refinements, encoders, versions, the configuration itself."""
    config, runs = artifacts.config, artifacts.runs
    selection = wording.metric(config["selection"]["metric"], config["selection"]["cutoff"])
    counts = [
        wording.plural(len(config["datasets"]), "dataset"),
        wording.plural(len(config["encoders"]), "encoder"),
        wording.plural(runs["refinement"].n_unique(), "refinement point"),
        wording.plural(runs["backbone"].n_unique(), "backbone point"),
        wording.plural(len(config["seeds"]), "seed"),
    ]
    text = (
        f"{wording.plural(len(runs), 'run')} of {', '.join(counts)}. Every point of a grid runs on "
        f"seed {config['seeds'][0]}; the one with the best {selection} on the validation targets "
        "stands for its entry and runs on all seeds. Test targets play no part in the choice."
    )
    blocks = (
        Text(text),
        _entries_table(config, "refinements", "method"),
        _entries_table(config, "backbones", "model"),
        *_encoder_tables(artifacts),
        _versions_table(),
        Code("The whole configuration, defaults filled in", loading.as_yaml(config)),
    )
    return Section("What was run", "what-was-run", blocks)


def _entries_table(config: dict, kind: str, registry_key: str) -> Table:
    """The entries of one kind with their settings, null left out, grids in brackets."""
    sizes: dict[str, int] = {}
    for point in grid.expand(config[kind]).values():
        sizes[point.entry] = sizes.get(point.entry, 0) + 1
    rows = []
    for name, entry in config[kind].items():
        rest = _flat({key: value for key, value in entry.items() if key != registry_key})
        settings = ", ".join(
            f"{wording.dotted(k)} {_setting(v)}" for k, v in rest.items() if v is not None
        )
        made_by = entry.get(registry_key, wording.NOTHING)
        cells = (Cell(name, name), Cell(made_by, made_by), Cell(settings or wording.NOTHING))
        rows.append((*cells, Cell(str(sizes[name]), sizes[name])))
    heads = (kind.removesuffix("s"), registry_key, "settings")
    columns = (*(Column(head, is_number=False) for head in heads), Column("points"))
    caption = f"The {kind}; a list in brackets is a grid."
    return Table(caption, columns, tuple(rows), "the configuration, below")


def _setting(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(wording.scalar, value))}]"
    return wording.scalar(value)


def _encoder_tables(artifacts: Artifacts) -> list[Table | Text]:
    """What the embedding found out and where its settings came from, by dataset and encoder."""
    facts_of = {pair: {**note.facts} for pair, note in artifacts.encoders.items()}
    origins = {pair: facts.pop(ORIGINS, {}) for pair, facts in facts_of.items()}
    notes = {pair: _flat(facts) for pair, facts in facts_of.items()}
    facts = list(dict.fromkeys(fact for note in notes.values() for fact in note))
    if not facts:
        return [Text("No embedding says how it was made.", is_warning=True)]
    named = [Column(" · ".join(pair)) for pair in notes]
    columns = (Column("fact", is_number=False), *named)
    rows = tuple(
        (Cell(wording.phrase(fact), fact), *(_fact(note.get(fact)) for note in notes.values()))
        for fact in facts
    )
    source = f"{artifacts.folder}/embed/<dataset>/<encoder>/item_vectors.parquet, provenance"
    tables = [Table("How the texts were embedded.", columns, rows, source)]
    keys = list(dict.fromkeys(key for found in origins.values() for key in found))
    if keys:
        rows = tuple(
            (
                Cell(key, key),
                *(_setting_cell(key, artifacts.encoders[pair], origins[pair]) for pair in notes),
            )
            for key in keys
        )
        caption = "The encoders' settings, and in brackets where each was taken from."
        columns = (Column("setting", is_number=False), *named)
        tables.append(Table(caption, columns, rows, source))
    return tables


def _setting_cell(key: str, note: Provenance, origins: dict[str, str]) -> Cell:
    """``mean (1_Pooling/config.json)``; a dash for an encoder without the setting."""
    if key not in origins:
        return Cell(wording.NOTHING)
    value = wording.scalar(note.settings.get(key))
    return Cell(f"{value} ({origins[key]})", value)


def _fact(value: object) -> Cell:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Cell(wording.number(value), value)
    text = wording.NOTHING if value is None else wording.scalar(value)
    is_digest = len(text) == 64 and set(text) <= set(string.hexdigits)
    return Cell(f"{text[:16]}…" if is_digest else text)


def _flat(facts: dict, prefix: str = "") -> dict[str, object]:
    """Nested facts by dotted key."""
    found: dict[str, object] = {}
    for key, value in facts.items():
        found |= (
            _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
        )
    return found


def _versions_table() -> Table:
    """The versions the report was written with; one environment serves every step."""
    versions = {"ace_steps": ace_steps.__version__, "Python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    rows = tuple((Cell(name, name), Cell(version, version)) for name, version in versions.items())
    columns = (Column("package", is_number=False), Column("version"))
    source = "the environment that wrote this report"
    return Table("Versions.", columns, rows, source, is_folded=True)
