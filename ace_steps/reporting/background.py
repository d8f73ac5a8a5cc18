"""The report's section on what was run: configuration, encoders, versions."""

import platform
import string
from importlib import metadata

import yaml

import ace_steps
from ace_steps.config import grid
from ace_steps.reporting import wording
from ace_steps.reporting.artifacts import Artifacts
from ace_steps.reporting.page import Cell, Code, Column, Section, Table, Text

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
    written = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    blocks = (
        Text(text),
        _entries_table(config, "refinements", "method"),
        _entries_table(config, "backbones", "model"),
        *_encoder_tables(artifacts),
        _versions_table(),
        Code("The whole configuration", written),
    )
    return Section("What was run", "what-was-run", blocks)


def _entries_table(config: dict, kind: str, registry_key: str) -> Table:
    """The entries of one kind with their settings, grids in brackets."""
    sizes: dict[str, int] = {}
    for point in grid.expand(config[kind]).values():
        sizes[point.entry] = sizes.get(point.entry, 0) + 1
    rows = []
    for name, entry in config[kind].items():
        rest = _flat({key: value for key, value in entry.items() if key != registry_key})
        settings = ", ".join(f"{wording.dotted(k)} {_setting(v)}" for k, v in rest.items())
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
    """What the embedding found out, a column for each dataset and encoder."""
    notes = {pair: _flat(note.facts) for pair, note in artifacts.encoders.items()}
    facts = list(dict.fromkeys(fact for note in notes.values() for fact in note))
    if not facts:
        return [Text("No embedding says how it was made.", is_warning=True)]
    columns = [Column("fact", is_number=False), *(Column(" · ".join(pair)) for pair in notes)]
    rows = tuple(
        (Cell(wording.phrase(fact), fact), *(_fact(note.get(fact)) for note in notes.values()))
        for fact in facts
    )
    source = f"{artifacts.folder}/embed/<dataset>/<encoder>/item_vectors.parquet, provenance"
    return [Table("How the texts were embedded.", tuple(columns), rows, source)]


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
