"""What a plan can know of an experiment before anything is paid for: files, columns, shapes."""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path

from ace_steps.config.experiment import local_folder
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
from ace_steps.validation import Mistake, at_key, suggestion

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
    return mistakes + _of_dims(entries, registry)


@contextmanager
def _noted(mistakes: list[Mistake], key: str, settings: Settings) -> Iterator[None]:
    """Note the one line that a check ends with, at the key that it names, else at this one."""
    try:
        yield
    except InputError as refusal:
        mistake = at_key(str(refusal).rstrip("."), type(settings))
        mistakes.append(mistake if mistake.key else mistake.under(key))


def _of_dataset(settings: DatasetSettings) -> list[Mistake]:
    mistakes: list[Mistake] = []
    paths: dict[str, Path | None] = {}
    for role in ROLES:
        with _noted(mistakes, role, settings):
            given = getattr(settings, role)
            paths[role] = Path(own_path(given)) if given else None
    reader = import_module(READERS[settings.reader].module)
    if paths.get("interactions") and hasattr(reader, "check_log"):
        with _noted(mistakes, "interactions", settings):
            mistakes += reader.check_log(paths["interactions"], settings)
    if "items" in paths:
        with _noted(mistakes, "items", settings):
            mistakes += _of_texts(reader.catalog_columns(paths["items"], settings), settings)
    return mistakes


def _of_texts(columns: list[str] | None, settings: DatasetSettings) -> list[Mistake]:
    """Names in the template and in text_columns that are no column of the catalog."""
    if columns is None:
        return []
    mistakes = [
        _no_column("text_columns", name, "the catalog", columns)
        for name in settings.text_columns or []
        if name not in columns
    ]
    stray = re.sub(r"{[^{}]*}", "", settings.template).strip()
    if "{" in stray or "}" in stray:
        text = "expected every brace to enclose a field, such as {title}, got "
        mistakes.append(Mistake("template", f"{text}'{stray}' beside them"))
    known = [*columns, ATTRIBUTES, DATASET]
    return mistakes + [
        Mistake(
            "template",
            f"expected {{{ATTRIBUTES}}}, {{{DATASET}}} or a column of the catalog, "
            f"got {{{name}}}; {suggestion(name, known)}",
        )
        for name in template_fields(settings.template)
        if name not in known
    ]


def _no_column(key: str, name: str, where: object, columns: list[str]) -> Mistake:
    text = f"expected a column of {where}, got '{name}'; {suggestion(name, columns)}"
    return Mistake(key, text)


def _of_encoder(settings: EntrySettings) -> list[Mistake]:
    if isinstance(settings, LocalEncoderSettings):
        files = {"path": settings.path}
    elif isinstance(settings, ApiEncoderSettings):
        files = {"api.tokenizer": settings.api.tokenizer}
    else:
        files = {"vectors": settings.vectors, "ids": settings.ids}
    mistakes: list[Mistake] = []
    paths = {}
    for key, given in files.items():
        if given:
            with _noted(mistakes, key, settings):
                paths[key] = Path(own_path(given))
    if "path" in paths:
        with _noted(mistakes, "path", settings):
            mistakes += [Mistake("path", text) for text in check_folder(paths["path"])]
    if not mistakes and "vectors" in paths and paths["vectors"].suffix == ".parquet":
        with _noted(mistakes, "vectors", settings):
            columns = column_names(paths["vectors"])
            mistakes += [
                _no_column(key, name, paths["vectors"], columns)
                for key in ("id_column", "vector_column")
                if (name := getattr(settings, key)) not in columns
            ]
    return mistakes


def _of_dims(entries: dict[str, dict], registry: Path) -> list[Mistake]:
    """Refinements that an encoder's vectors, or the number of items, are too small for."""
    mistakes = []
    refinements = entries["refinements"]
    for name, encoder in entries["encoders"].items():
        dim = None
        with suppress(InputError):  # which is a mistake of the encoder's already
            dim = encoder_dim(encoder, registry, local_folder(encoder))
        for entry, settings in refinements.items() if dim else ():
            text = settings.refusal_of(dim)
            if text:
                mistake = at_key(f"{text} (encoder '{name}')", type(settings))
                mistakes.append(mistake.under(f"refinements.{entry}"))
    dims = (settings.dim for settings in refinements.values() if settings.is_bound_by_rank)
    dim = max(dims, default=0)
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
