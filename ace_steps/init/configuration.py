"""What `python -m ace_steps init` does: look at files, say what they are, write a configuration.

Its text has at most twelve lines that count, and comments to go on.
"""

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from ace_steps.backbones.settings import BackboneSettings, TrainingSettings
from ace_steps.config.experiment import DEFAULT_ENTRIES, NAME, Experiment, Registries
from ace_steps.embed.entries import encoder_dim
from ace_steps.embed.registry import public_encoder
from ace_steps.embed.settings import entry_class
from ace_steps.errors import InputError
from ace_steps.init.guess import Guess, guess
from ace_steps.io.files import write_text
from ace_steps.preprocess.settings import DatasetSettings

DEFAULT_ENCODER = "all-minilm-l6-v2"
SHORT_NAMES = {DEFAULT_ENCODER: "minilm", "smollm2-135m": "smollm2"}
VECTOR_FILES = (".parquet", ".npy", ".safetensors")
GENERAL_FOLDERS = ("data", "raw", "input", "inputs", "files", "dataset", "datasets", "tmp", "")
ENCODER_COMMENTS = """\
  # Others, one or several beside each other:
  # smollm2: {source: smollm2-135m}  # a small LLM, 98 MB
  # mine: {path: models/my-model}  # a model's folder of your own
  # hub: {hub: {repo: owner/name, revision: "<40 hexadecimal digits>"}}
  # openai: {source: text-embedding-3-small}  # an API; `snakemake estimate` says what it costs
  # ready: {vectors: vectors.parquet}  # precomputed embeddings: item_id, vector"""


def write_configuration(
    files: Sequence[Path],
    *,
    name: str | None,
    encoder: str,
    output: Path | None,
    force: bool,
) -> list[str]:
    """Write a first configuration of the files; lines for a person on what was recognized.

    Args:
        files: A log and a catalog among others, or one folder; none is the current folder.
        name: Of the experiment and the dataset, None for one made of the files' place.
        encoder: As ``encoder_entry`` takes it.
        output: The file to write, None for ``<name>.yaml`` in the current folder.
        force: Overwrite it.

    Raises:
        InputError: the file is there, or the files are no log and catalog.
    """
    registry = Registries.shipped().encoders
    entry = encoder_entry(encoder, registry)
    recognized = guess(files or [Path()])
    name = experiment_name(name, recognized.interactions)
    output = output or Path(f"{name}.yaml")
    if output.exists() and not force:
        raise InputError(
            f"{output}: already there; --output names another file, --force replaces it."
        )
    dim = smaller_dim(entry[1], registry, recognized.n_items)
    text = configuration_text(recognized, name, entry, dim)
    if not output.parent.is_dir():
        raise InputError(f"{output}: its folder is not there; make it, or name another.")
    write_text(output, text)
    lines = list(recognized.facts)
    if dim:
        lines.append(f"dim: {dim}; the encoder's vectors or the items allow no more")
    if recognized.doubts:
        lines += ["not sure; check these:", *(f"  {doubt}" for doubt in recognized.doubts)]
    return [*lines, f"wrote {output}; next: snakemake -n --configfile {output}"]


class _Dumper(yaml.SafeDumper):
    """Quotes every text that any YAML reader could take for something else."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    is_plain = re.fullmatch(r"[^\W\d][\w./ -]*", value) and value == value.strip()
    style = None if is_plain else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def line(key: str, value: Any) -> str:
    """``key: value`` as one line of YAML, mappings and lists in braces and brackets."""
    form = {"Dumper": _Dumper, "sort_keys": False, "allow_unicode": True, "width": float("inf")}
    if isinstance(value, dict | list):
        braces = yaml.dump(value, default_flow_style=True, **form).strip()
        return f"{line(key, None).removesuffix(' null')} {braces}"
    return yaml.dump({key: value}, default_flow_style=False, **form).strip()


def experiment_name(given: str | None, interactions: Path) -> str:
    """The name given, or one made of the log's folder or, in a folder named as any, of its own.

    Raises:
        InputError: the given name cannot be a folder under results/.
    """
    if given is not None:
        if not re.match(NAME, given):
            raise InputError(
                f"--name: expected a-z, 0-9, _ and -, 64 at most, got '{given}'; "
                f"'{_as_name(given)}' would do."
            )
        return given
    folder = interactions.parent.name.lower()
    if folder not in GENERAL_FOLDERS and folder != "..":
        return _as_name(folder)
    return _as_name(interactions.name.partition(".")[0])


def _as_name(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9_-]+", "-", plain).strip("-_")[:64]
    return name or "experiment"


def encoder_entry(encoder: str, registry: Path) -> tuple[str, dict]:
    """An entry of ``encoders`` with its name.

    Args:
        encoder: A folder of a model, a file of vectors, ``owner/name@commit`` of the hub, or a
            name of the registry.
        registry: ``data/encoders.yaml``.

    Raises:
        InputError: none of them.
    """
    if Path(encoder).is_dir():
        return _as_name(Path(encoder).resolve().name), {"path": encoder}
    if encoder.endswith(VECTOR_FILES) and Path(encoder).is_file():
        return _as_name(Path(encoder).name.partition(".")[0]), {"vectors": encoder}
    repo, _, revision = encoder.partition("@")
    if re.fullmatch(r"[\w.-]+/[\w.-]+", repo):
        if not re.fullmatch(r"[0-9a-f]{40}", revision):
            raise InputError(
                f"--encoder {encoder}: no such folder or file of vectors; for a repository of the "
                f"hub name its commit too: {repo}@<40 hexadecimal digits>."
            )
        return _as_name(repo.partition("/")[2]), {"hub": {"repo": repo, "revision": revision}}
    try:
        public_encoder(encoder, registry)
    except InputError as refusal:
        raise InputError(
            f"--encoder: {str(refusal).rstrip('.')}; or a model's folder, a file of vectors "
            f"({', '.join(VECTOR_FILES)}), or owner/name@commit of the hub."
        ) from None
    return SHORT_NAMES.get(encoder, _as_name(encoder)), {"source": encoder}


def smaller_dim(encoder: dict, registry: Path, n_items: int | None) -> int | None:
    """Dimensions of refined vectors where the default has more than encoder or items allow.

    Args:
        encoder: The entry.
        registry: ``data/encoders.yaml``.
        n_items: Items, None where unknown.

    Returns:
        The largest power of two that both allow, so that attention heads divide it; None where
        the default fits.
    """
    settings = entry_class(encoder).model_validate(encoder)
    folder = Path(encoder["path"]) if "path" in encoder else None
    limits = [limit for limit in (encoder_dim(settings, registry, folder), n_items) if limit]
    if not limits or min(limits) >= _default(Experiment, "dim"):
        return None
    return 1 << min(limits).bit_length() - 1


def configuration_text(
    files: Guess, name: str, encoder: tuple[str, dict], dim: int | None = None
) -> str:
    """The YAML file: what must be said, then the next most useful keys as comments.

    A comment ``# key: value`` states a default and can be uncommented as it stands; only the other
    encoders are examples.

    Args:
        files: What the files are.
        name: Of the experiment and the dataset.
        encoder: An entry of ``encoders`` with its name.
        dim: Of refined vectors, None for the default.
    """
    label, entry = encoder
    default_dim = line("dim", _default(Experiment, "dim"))
    dataset = [
        line("interactions", files.interactions.as_posix()),
        line("items", files.items.as_posix()),
    ]
    dataset += [line("columns", files.columns)] if files.columns else [line("reader", files.reader)]
    if files.has_missing_items:
        dataset.append(line("missing_items", "drop"))
    return "\n".join(
        [
            "# Written by `python -m ace_steps init`; docs/configuration.md has every key.",
            line("experiment", name),
            *([line("dim", dim)] if dim else []),
            "datasets:",
            f"  {line(name, None).removesuffix(' null')}",
            *(f"    {text}" for text in dataset),
            *(f"    # {text}" for text in _dataset_comments(files)),
            "encoders:",
            f"  {line(label, entry)}",
            ENCODER_COMMENTS,
            "# What is compared where nothing is said; a list of values is a grid:",
            *(f"# {text}" for text in _entries("refinements")),
            *(f"# {text}" for text in _entries("backbones")),
            f"#     {line('max_length', _default(BackboneSettings, 'max_length'))}",
            f"#     {line('training', {'epochs': _default(TrainingSettings, 'epochs')})}",
            *([] if dim else [f"# {default_dim}  # of refined vectors and backbones"]),
            f"# {line('seeds', _default(Experiment, 'seeds'))}",
            "",
        ]
    )


def _dataset_comments(files: Guess) -> list[str]:
    fields = ["min_rating"] if files.columns is None or files.columns.get("rating") else []
    fields += ["min_user_events", "min_item_events", "duplicates", "split"]
    lines = [line(key, _default(DatasetSettings, key)) for key in fields]
    if not files.has_missing_items:
        lines.append(line("missing_items", _default(DatasetSettings, "missing_items")))
    if files.text_columns:
        lines.append(
            f"{line('text_columns', files.text_columns)}  # these alone; left out: all columns"
        )
    return lines


def _entries(kind: str) -> list[str]:
    entries = DEFAULT_ENTRIES[kind]
    if kind == "backbones":  # its keys follow on lines of their own
        return [f"{kind}:", *(f"  {name}:" for name in entries)]
    return [f"{kind}:", *(f"  {line(name, entry)}" for name, entry in entries.items())]


def _default(settings: type, key: str) -> Any:
    return settings.model_fields[key].default
