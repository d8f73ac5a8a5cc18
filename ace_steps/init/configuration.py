"""What `python -m ace_steps init` does: look at files, say what they are, write a configuration.

Its text has at most twelve lines that count, and comments to go on.
"""

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from ace_steps.config.experiment import NAME, Experiment, Registries
from ace_steps.embed.entries import encoder_dim
from ace_steps.embed.registry import public_encoder
from ace_steps.embed.settings import entry_class
from ace_steps.errors import InputError
from ace_steps.init.guess import Guess, guess
from ace_steps.io.files import write_text

DEFAULT_DIM = Experiment.model_fields["dim"].default
SHORT_NAMES = {"all-minilm-l6-v2": "minilm", "smollm2-135m": "smollm2"}
VECTOR_FILES = (".parquet", ".npy", ".safetensors")
GENERAL_FOLDERS = ("data", "raw", "input", "inputs", "files", "dataset", "datasets", "tmp", "")
# A comment `# key: value` states a default and can be uncommented as it stands; only the other
# encoders and text_columns are examples.
TEMPLATE = """\
# Written by `python -m ace_steps init`; docs/configuration.md has every key.
{top}
datasets:
  {name}
    {dataset}
    # min_user_events: 5
    # min_item_events: 5
    # duplicates: all
    # split: leave_one_out
encoders:
  {encoder}
  # Others, one or several beside each other:
  # smollm2: {{source: smollm2-135m}}  # a small LLM, 98 MB
  # mine: {{path: models/my-model}}  # a model's folder of your own
  # hub: {{hub: {{repo: owner/name, revision: "<40 hexadecimal digits>"}}}}
  # openai: {{source: text-embedding-3-small}}  # an API; `snakemake estimate` says what it costs
  # ready: {{vectors: vectors.parquet}}  # precomputed embeddings: item_id, vector
# What is compared by default; a list of values is a grid:
# refinements:
#   random: {{std: [0.02, 0.1]}}
#   svd: {{}}
#   whitening: {{}}
#   ace: {{}}
# backbones:
#   sasrec:
#     max_length: 50
#     training: {{epochs: 200}}
# seeds: [1]
"""


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
        name: Of the experiment and the dataset, None for one made of the files' folder.
        encoder: As ``encoder_entry`` takes it.
        output: The file to write, None for ``<name>.yaml`` in the current folder.
        force: Overwrite it.

    Raises:
        InputError: the file is there, or the files are no log and catalog.
    """
    registry = Registries.shipped().encoders
    label, entry = encoder_entry(encoder, registry)
    recognized = guess(files or [Path()])
    name = experiment_name(name, recognized.interactions)
    output = output or Path(f"{name}.yaml")
    if output.exists() and not force:
        raise InputError(
            f"{output}: already there; --output names another file, --force replaces it."
        )
    if not output.parent.is_dir():
        raise InputError(f"{output}: its folder is not there; make it, or name another.")
    dim = smaller_dim(entry, registry, recognized.n_items)
    write_text(output, configuration_text(recognized, name, {label: entry}, dim))
    lines = list(recognized.facts)
    if dim:
        lines.append(f"dim: {dim}; the encoder's vectors or the items allow no more")
    if recognized.doubts:
        lines += ["not sure; check these:", *(f"  {doubt}" for doubt in recognized.doubts)]
    return [*lines, f"wrote {output}; next: snakemake -n --configfile {output}"]


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
    hub = re.fullmatch(r"([\w.-]+/([\w.-]+))@([0-9a-f]{40})", encoder)
    if hub:
        return _as_name(hub[2]), {"hub": {"repo": hub[1], "revision": hub[3]}}
    try:
        public_encoder(encoder, registry)
    except InputError as refusal:
        raise InputError(
            f"--encoder: {str(refusal).rstrip('.')}; or a model's folder, a file of vectors "
            f"({', '.join(VECTOR_FILES)}), or owner/name@<40 hexadecimal digits> of the hub."
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
    if not limits or min(limits) >= DEFAULT_DIM:
        return None
    return 1 << min(limits).bit_length() - 1


def configuration_text(
    files: Guess, name: str, encoders: dict[str, dict], dim: int | None = None
) -> str:
    """The YAML file: what must be said, then the next most useful keys as comments.

    Args:
        files: What the files are.
        name: Of the experiment and the dataset.
        encoders: One entry, by its name.
        dim: Of refined vectors, None for the default.
    """
    entry = {
        "interactions": files.interactions.as_posix(),
        "items": files.items.as_posix(),
    }
    entry |= {"columns": files.columns} if files.columns else {"reader": files.reader}
    if files.has_missing_items:
        entry["missing_items"] = "drop"
    dataset = [_line(key, value) for key, value in entry.items()]
    if not files.has_missing_items:
        dataset.append("# missing_items: error")
    if files.columns is None or files.columns.get("rating"):
        dataset.append("# min_rating: null")
    if files.text_columns:
        texts = _line("text_columns", files.text_columns)
        dataset.append(f"# {texts}  # these alone; left out: all columns")
    top = [_line("experiment", name), _line("dim", dim) if dim else f"# dim: {DEFAULT_DIM}"]
    return TEMPLATE.format(
        top="\n".join(top),
        name=_line(name, None).removesuffix(" null"),
        dataset="\n    ".join(dataset),
        encoder=_line(*next(iter(encoders.items()))),
    )


class _Dumper(yaml.SafeDumper):
    """Quotes every text that any YAML reader could take for something else."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    is_plain = re.fullmatch(r"[^\W\d][\w./ -]*", value) and value == value.strip()
    style = None if is_plain else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def _line(key: str, value: Any) -> str:
    """``key: value`` as one line of YAML, mappings and lists in braces and brackets."""
    form = {"sort_keys": False, "allow_unicode": True, "width": float("inf")}
    return yaml.dump({key: value}, Dumper=_Dumper, default_flow_style=True, **form).strip()[1:-1]
