"""The chapters on what was run (configuration, encoders, versions) and what could not run."""

import platform
import string
from importlib import metadata

import ace_steps
from ace_steps.config import grid, loading
from ace_steps.evaluation.completeness import Gap
from ace_steps.reporting import formatting
from ace_steps.reporting.artifacts import Artifacts
from ace_steps.reporting.page import Code, Section, Table, TableCell, Text, value_cell
from ace_steps.reporting.scores import selection_metric

ORIGINS = "taken_from"  # the fact that says where an encoder's settings were taken from
PACKAGES = (
    *("torch", "transformers", "numpy", "scipy", "polars", "pyarrow", "safetensors"),
    *("snakemake", "matplotlib"),
)


def run_section(artifacts: Artifacts) -> Section:
    """What was run: counts, refinements, encoders, versions, the configuration itself."""
    config, runs = artifacts.config, artifacts.runs
    selection = formatting.metric(*selection_metric(config))
    counts = [
        formatting.plural(len(config["datasets"]), "dataset"),
        formatting.plural(len(config["encoders"]), "encoder"),
        formatting.plural(runs["refinement"].n_unique(), "refinement grid point"),
        formatting.plural(runs["backbone"].n_unique(), "backbone grid point"),
        formatting.plural(len(config["seeds"]), "seed"),
    ]
    text = (
        f"{formatting.plural(len(runs), 'run')} of {', '.join(counts)}. Every grid point runs on "
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
    points = [point.entry for point in grid.expand(config[kind]).values()]
    rows = []
    for name, entry in config[kind].items():
        rest = _flat({key: value for key, value in entry.items() if key != registry_key})
        settings = ", ".join(
            f"{formatting.dotted(key)} {_setting(value)}"
            for key, value in rest.items()
            if value is not None
        )
        words = (formatting.entry(name), entry.get(registry_key), settings)
        cells = (TableCell(word or formatting.MISSING) for word in words)
        rows.append((*cells, value_cell(points.count(name))))
    heads = (kind.removesuffix("s"), registry_key, "settings", "grid points")
    caption = f"The {kind}; a list in brackets is a grid."
    return Table(caption, heads, tuple(rows), "the configuration, below")


def _setting(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(formatting.scalar, value))}]"
    return formatting.scalar(value)


def _encoder_tables(artifacts: Artifacts) -> list[Table | Text]:
    """How each embedding was made and where its settings came from, by dataset and encoder."""
    encoders = artifacts.encoders.values()
    names = [" · ".join(pair) for pair in artifacts.encoders]
    facts = [
        _flat({key: value for key, value in each.facts.items() if key != ORIGINS})
        for each in encoders
    ]
    keys = list(dict.fromkeys(key for each in facts for key in each))
    if not keys:
        return [Text("No embedding says how it was made.", is_warning=True)]
    rows = [
        (TableCell(formatting.phrase(key)), *(_fact_cell(each.get(key)) for each in facts))
        for key in keys
    ]
    source = f"{artifacts.folder}/embed/<dataset>/<encoder>/item_vectors.parquet, provenance"
    tables = [Table("How the texts were embedded.", ("fact", *names), tuple(rows), source)]
    origins = [each.facts.get(ORIGINS, {}) for each in encoders]
    rows = []
    for key in dict.fromkeys(key for each in origins for key in each):
        settings = (
            f"{formatting.scalar(each.settings.get(key))} ({origin[key]})"
            if key in origin
            else formatting.MISSING
            for each, origin in zip(encoders, origins, strict=True)
        )
        rows.append((TableCell(key), *map(TableCell, settings)))
    if rows:
        caption = "The encoders' settings, and in brackets where each was taken from."
        tables.append(Table(caption, ("setting", *names), tuple(rows), source))
    return tables


def _fact_cell(value: object) -> TableCell:
    """A number, or a text; of a digest its beginning."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value_cell(value)
    text = formatting.MISSING if value is None else formatting.scalar(value)
    is_digest = len(text) == 64 and set(text) <= set(string.hexdigits)
    return TableCell(f"{text[:16]}…" if is_digest else text)


def _flat(facts: dict, prefix: str = "") -> dict[str, object]:
    """Nested facts by dotted key."""
    flat: dict[str, object] = {}
    for key, value in facts.items():
        is_nested = isinstance(value, dict)
        flat |= _flat(value, f"{prefix}{key}.") if is_nested else {prefix + key: value}
    return flat


def _versions_table() -> Table:
    """The versions the report was written with; one environment serves every step."""
    versions = {"ace_steps": ace_steps.__version__, "Python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    rows = tuple((TableCell(name), TableCell(version)) for name, version in versions.items())
    source = "the environment that wrote this report"
    return Table("Versions.", ("package", "version"), rows, source, is_folded=True)


def missing_section(gaps: list[Gap], folder: str) -> Section:
    """What could not be shown, and the last line of the log of the job that was to make it."""
    title, anchor = "What could not run", "missing"
    if not gaps:
        text = Text("Nothing is missing: every artifact of the configuration was found.")
        return Section(title, anchor, (text,))
    n_runs = sum(gap.n_runs for gap in gaps)
    lacking = f"{formatting.plural(n_runs, 'run')} without a result. " if n_runs else ""
    text = (
        f"{lacking}All else in this report is made from what is there. A job that stopped says "
        "why in the last line of its log; a job without a log was never started."
    )
    rows = tuple(
        (
            TableCell(gap.what),
            TableCell(gap.last_line or formatting.MISSING),
            TableCell(gap.log or "none: never started"),
            value_cell(gap.n_runs),
        )
        for gap in gaps
    )
    heads = ("missing artifact", "last line of its log", "log", "runs without a result")
    caption = "Missing artifacts, the runs they hold up, and the log of their job."
    table = Table(caption, heads, rows, f"{folder}/ and the logs named in the rows")
    return Section(title, anchor, (Text(text, is_warning=True), table))
