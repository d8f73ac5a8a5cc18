"""What a plan can know of an experiment before anything is paid for: files, columns, shapes."""

import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from ace_steps.config.experiment import local_folder
from ace_steps.embed.entries import encoder_dim
from ace_steps.embed.model_files import check_folder
from ace_steps.embed.settings import ApiEncoderSettings, LocalEncoderSettings, PrecomputedSettings
from ace_steps.errors import InputError
from ace_steps.io.files import own_path
from ace_steps.preprocess.item_text import ATTRIBUTES, DATASET, template_fields
from ace_steps.preprocess.read_table import column_names
from ace_steps.preprocess.settings import DatasetSettings
from ace_steps.registry import READERS
from ace_steps.validation import Mistake, at_key, suggestion

COUNTED_BYTES = 2**26  # of a catalog whose rows a plan counts


def file_mistakes(entries: dict[str, dict], registry: Path) -> list[Mistake]:
    """Mistakes that only the user's own files show: missing ones, columns, fields, shapes.

    Args:
        entries: By kind and name, the settings of every entry that is well-formed.
        registry: ``data/encoders.yaml``.

    Cost:
        Headers are read, and rows of catalogs up to 64 MB counted; nothing that is still to be
        fetched is looked at.
    """
    found: list[Mistake] = []
    for name, dataset in entries["datasets"].items():
        found += [mistake.under(f"datasets.{name}") for mistake in _of_dataset(dataset)]
    for name, encoder in entries["encoders"].items():
        found += [mistake.under(f"encoders.{name}") for mistake in _of_encoder(encoder)]
    return found + _of_shapes(entries, registry)


def _of_dataset(settings: DatasetSettings) -> list[Mistake]:
    paths, found = {}, []
    for role in ("interactions", "items"):
        given = getattr(settings, role)
        try:
            paths[role] = None if given is None else Path(own_path(given))
        except InputError as mistake:
            found.append(Mistake(role, str(mistake)))
    reader = import_module(READERS[settings.reader].module)
    if paths.get("interactions") and hasattr(reader, "check_log"):
        log = paths["interactions"]
        found += _read(lambda: reader.check_log(log, settings), "interactions", settings)
    if "items" in paths:
        catalog = paths["items"]
        found += _read(
            lambda: _of_texts(reader.catalog_columns(catalog, settings), settings),
            "items",
            settings,
        )
    return found


def _read(
    check: Callable[[], list[Mistake]], role: str, settings: DatasetSettings
) -> list[Mistake]:
    """What a check of a raw file finds, or the one line that it ends with, at its key."""
    try:
        return check()
    except InputError as refusal:
        mistake = at_key(str(refusal).rstrip("."), type(settings))
        return [mistake if mistake.key else mistake.under(role)]


def _of_texts(columns: list[str] | None, settings: DatasetSettings) -> list[Mistake]:
    """Names in the template and in text_columns that are no column of the catalog."""
    if columns is None:
        return []
    found = [
        Mistake(
            "text_columns",
            f"expected a column of the catalog, got '{name}'; {suggestion(name, columns)}",
        )
        for name in settings.text_columns or []
        if name not in columns
    ]
    stray = re.sub(r"{[^{}]*}", "", settings.template)
    if "{" in stray or "}" in stray:
        text = f"expected every brace to enclose a field, such as {{title}}, got '{stray.strip()}'"
        found.append(Mistake("template", f"{text} beside them"))
    fields = [name for name in template_fields(settings.template) if name not in columns]
    return found + [
        Mistake(
            "template",
            f"expected {{{ATTRIBUTES}}}, {{{DATASET}}} or a column of the catalog, "
            f"got {{{name}}}; {suggestion(name, [*columns, ATTRIBUTES, DATASET])}",
        )
        for name in fields
        if name not in (ATTRIBUTES, DATASET)
    ]


def _of_encoder(
    settings: LocalEncoderSettings | ApiEncoderSettings | PrecomputedSettings,
) -> list[Mistake]:
    if isinstance(settings, LocalEncoderSettings):
        if settings.path is None:
            return []
        return _tried(
            lambda: [Mistake("path", text) for text in check_folder(Path(own_path(settings.path)))],
            "path",
        )
    if isinstance(settings, ApiEncoderSettings):
        given = {"api.tokenizer": settings.api.tokenizer}
    else:
        given = {"vectors": settings.vectors, "ids": settings.ids}
    found = []
    for key, path in given.items():
        if path is not None:
            found += _tried(lambda path=path: own_path(path) and [], key)
    if not found and isinstance(settings, PrecomputedSettings):
        found += _tried(lambda: _of_vectors(settings), "vectors")
    return found


def _of_vectors(settings: PrecomputedSettings) -> list[Mistake]:
    """Columns that the settings name and a Parquet file of vectors does not have."""
    path = Path(own_path(settings.vectors))
    if path.suffix != ".parquet":
        return []
    columns = column_names(path)
    return [
        Mistake(key, f"expected a column of {path}, got '{name}'; {suggestion(name, columns)}")
        for key, name in (
            ("id_column", settings.id_column),
            ("vector_column", settings.vector_column),
        )
        if name not in columns
    ]


def _of_shapes(entries: dict[str, dict], registry: Path) -> list[Mistake]:
    """Refinements that an encoder's vectors, or the number of items, are too small for."""
    found = []
    for name, encoder in entries["encoders"].items():
        dim = _tried(
            lambda encoder=encoder: encoder_dim(encoder, registry, local_folder(encoder)), None
        )
        if not isinstance(dim, int):
            continue
        for entry, settings in entries["refinements"].items():
            text = settings.refusal_of(dim)
            if text:
                mistake = at_key(f"{text} (encoder '{name}')", type(settings))
                found.append(mistake.under(f"refinements.{entry}"))
    for name, dataset in entries["datasets"].items():
        n_items = _n_items_at_most(dataset)
        dims = [each.dim for each in entries["refinements"].values() if each.is_bound_by_rank]
        if n_items and dims and max(dims) > n_items:
            text = f"expected at most the items of '{name}', {n_items}, got {max(dims)}"
            found.append(Mistake("dim", f"{text}; set dim: {n_items} or less"))
    return found


def _n_items_at_most(settings: DatasetSettings) -> int | None:
    """The items that a dataset will have, or as many as its catalog has rows; None if not known."""
    if settings.expected:
        return settings.expected.items
    reader = import_module(READERS[settings.reader].module)
    if settings.items is None or not hasattr(reader, "n_catalog_rows"):
        return None
    found = _tried(lambda: _n_rows(reader, Path(own_path(settings.items))), None)
    return found if isinstance(found, int) else None


def _n_rows(reader: ModuleType, path: Path) -> int | None:
    """Rows of a catalog, None where to count them would keep a plan waiting."""
    return reader.n_catalog_rows(path) if path.stat().st_size <= COUNTED_BYTES else None


def _tried(check: Callable[[], Any], key: str | None = "") -> Any:
    """What a check finds, or the one line that it ends with."""
    try:
        return check()
    except InputError as mistake:
        return [] if key is None else [Mistake(key, str(mistake).rstrip("."))]
