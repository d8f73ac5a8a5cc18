"""What a plan can know before anything is paid for: files, columns, shapes, what was run before."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path

import yaml

from ace_steps.config.experiment import Experiment, local_folder, located
from ace_steps.config.grid import leaves
from ace_steps.embed.entries import encoder_dim
from ace_steps.embed.model_files import check_folder
from ace_steps.embed.settings import ApiEncoderSettings, EntrySettings, LocalEncoderSettings
from ace_steps.errors import InputError
from ace_steps.io.files import own_path
from ace_steps.preprocess.item_text import ATTRIBUTES, DATASET, template_fields
from ace_steps.preprocess.read_table import column_names
from ace_steps.preprocess.settings import ROLES, DatasetSettings
from ace_steps.registry import READERS
from ace_steps.settings import Settings
from ace_steps.validation import Mistake, suggestion

COUNTED_BYTES = 2**26  # a larger catalog's rows are not counted: a plan should not wait


def file_mistakes(entries: dict[str, dict], registry: Path) -> list[Mistake]:
    """Mistakes that only the user's own files show: missing ones, columns, fields, shapes.

    Headers are read, and rows of catalogs up to 64 MB counted; nothing that is still to be fetched
    is looked at.

    Args:
        entries: By kind and name, the settings of every entry that is well-formed.
        registry: ``data/encoders.yaml``.
    """
    mistakes = []
    for name, dataset in entries["datasets"].items():
        mistakes += [mistake.under(f"datasets.{name}") for mistake in _of_dataset(dataset)]
    for name, encoder in entries["encoders"].items():
        mistakes += [mistake.under(f"encoders.{name}") for mistake in _of_encoder(encoder)]
    mistakes += _of_encoder_dims(entries, registry)
    return mistakes + _of_item_counts(entries)


@contextmanager
def _noting(mistakes: list[Mistake], settings: Settings, key: str) -> Iterator[None]:
    """Note a refusal at the key of the settings that it names, else at this one."""
    try:
        yield
    except InputError as refusal:
        mistakes.append(located(refusal, type(settings), key))


def _own_files(
    files: dict[str, str | None], settings: Settings, mistakes: list[Mistake]
) -> dict[str, Path]:
    """The files that are named and are there, by key."""
    paths = {}
    for key, given in files.items():
        with _noting(mistakes, settings, key):
            if given:
                paths[key] = Path(own_path(given))
    return paths


def _of_dataset(settings: DatasetSettings) -> list[Mistake]:
    mistakes: list[Mistake] = []
    paths = _own_files({role: getattr(settings, role) for role in ROLES}, settings, mistakes)
    reader = import_module(READERS[settings.reader].module)
    if "interactions" in paths and hasattr(reader, "check_log"):
        with _noting(mistakes, settings, "interactions"):
            mistakes += reader.check_log(paths["interactions"], settings)
    if "items" in paths or not settings.items:
        with _noting(mistakes, settings, "items"):
            columns = reader.catalog_columns(paths.get("items"), settings)
            mistakes += _of_texts(columns, settings) if columns is not None else []
    return mistakes


def _of_texts(columns: list[str], settings: DatasetSettings) -> list[Mistake]:
    """Names in the template and in text_columns that are no column of the catalog."""
    mistakes = [
        _no_column("text_columns", name, "the catalog", columns)
        for name in settings.text_columns or []
        if name not in columns
    ]
    without_fields = re.sub(r"{[^{}]*}", "", settings.template).strip()
    fields = template_fields(settings.template)
    if "{" in without_fields or "}" in without_fields:
        text = "expected every brace to enclose a field, such as {title}, got "
        mistakes.append(Mistake("template", f"{text}'{without_fields}' beside them"))
    elif not fields:
        text = f"expected a field, such as {{title}}, got none in '{settings.template}'"
        mistakes.append(Mistake("template", text))
    known = [*columns, ATTRIBUTES, DATASET]
    return mistakes + [
        _no_column("template", name, "the catalog, {attributes} or {dataset}", known)
        for name in fields
        if name not in known
    ]


def _no_column(key: str, name: str, where: object, columns: list[str]) -> Mistake:
    text = f"expected a column of {where}, got '{name}'; {suggestion(name, columns)}"
    return Mistake(key, text)


def _of_encoder(settings: EntrySettings) -> list[Mistake]:
    mistakes: list[Mistake] = []
    if isinstance(settings, LocalEncoderSettings):
        paths = _own_files({"path": settings.path}, settings, mistakes)
        with _noting(mistakes, settings, "path"):
            problems = check_folder(paths["path"]) if paths else []
            mistakes += [Mistake("path", problem) for problem in problems]
    elif isinstance(settings, ApiEncoderSettings):
        _own_files({"api.tokenizer": settings.api.tokenizer}, settings, mistakes)
    else:
        files = {"vectors": settings.vectors, "ids": settings.ids}
        vectors = _own_files(files, settings, mistakes).get("vectors")
        if not mistakes and vectors.suffix == ".parquet":
            with _noting(mistakes, settings, "vectors"):
                columns = column_names(vectors)
                mistakes += [
                    _no_column(key, name, vectors, columns)
                    for key in ("id_column", "vector_column")
                    if (name := getattr(settings, key)) not in columns
                ]
    return mistakes


def _of_encoder_dims(entries: dict[str, dict], registry: Path) -> list[Mistake]:
    """Refinements that an encoder's vectors are too short for."""
    mistakes = []
    for name, encoder in entries["encoders"].items():
        dim = None
        with suppress(InputError):  # which is a mistake of the encoder's already
            dim = encoder_dim(encoder, registry, local_folder(encoder))
        for refinement, settings in entries["refinements"].items():
            text = settings.refusal_of(dim) if dim else None
            if text:
                mistake = located(InputError(f"{text} (encoder '{name}')"), type(settings))
                mistakes.append(mistake.under(f"refinements.{refinement}"))
    return mistakes


def _of_item_counts(entries: dict[str, dict]) -> list[Mistake]:
    """Datasets that have fewer items than the refinements that they bound have dimensions."""
    refinements = entries["refinements"].values()
    dim = max((settings.dim for settings in refinements if settings.is_bound_by_rank), default=0)
    mistakes = []
    for name, dataset in entries["datasets"].items():
        n_items = _n_items_at_most(dataset)
        if n_items and dim > n_items:
            text = f"expected at most the items of '{name}', {n_items}, got {dim}"
            mistakes.append(Mistake("dim", f"{text}; set dim: {n_items} or less"))
    return mistakes


def _n_items_at_most(settings: DatasetSettings) -> int | None:
    """The items that a dataset will have, or its catalog's rows; None if not known."""
    if settings.expected:
        return settings.expected.items
    reader = import_module(READERS[settings.reader].module)
    if settings.items and hasattr(reader, "n_catalog_rows"):
        with suppress(InputError):  # which is a mistake of the dataset's already
            path = Path(own_path(settings.items))
            if path.stat().st_size <= COUNTED_BYTES:
                return reader.n_catalog_rows(path)
    return None


def notes(experiment: Experiment, *, is_default: bool) -> list[str]:
    """What a person should know before a run that is no mistake.

    Datasets and encoders that the last run had with other values under the same name, as their
    results are made anew in place; and other experiments in this folder where the workflow's own
    is about to run.

    Args:
        experiment: What is to be run.
        is_default: Whether no configuration was named, so that it is the workflow's own.
    """
    results = Path(experiment.paths()["results"])
    others = sorted(results.parent.glob("*/config.yaml"))
    if is_default and others and not results.is_dir():
        return [
            f"this is the workflow's own experiment, '{experiment.experiment}'; for another that "
            f"was run here add --configfile {others[0]} after the targets"
        ]
    try:
        before = _foundations(yaml.safe_load((results / "config.yaml").read_text("utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError):
        return []  # nothing was run, or the file is not one that a run left
    now = _foundations(experiment.as_json())
    return [
        f"{place}.{key} was {json.dumps(before[place].get(key))} in the last run and is "
        f"{json.dumps(now[place].get(key))} now: what was made from it is made anew in its place; "
        "another name of the experiment keeps both"
        for place in sorted(before.keys() & now.keys())
        for key in sorted(before[place].keys() | now[place].keys())
        if before[place].get(key) != now[place].get(key)
    ]


def _foundations(experiment: dict) -> dict[str, dict]:
    """The values of each dataset and encoder, whose names, unlike others', do not hold them."""
    return {
        f"{kind}.{name}": dict(leaves(entry))
        for kind in ("datasets", "encoders")
        for name, entry in experiment[kind].items()
    }
