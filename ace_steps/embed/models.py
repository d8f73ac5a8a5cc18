"""A language model and its tokenizer out of a folder, ready to encode texts."""

import hashlib
import io
import json
import logging
import struct
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from pathlib import Path

import torch
import transformers
from safetensors import SafetensorError

from ace_steps.embed.fused import fuse_layers
from ace_steps.embed.model_files import check_folder
from ace_steps.embed.registry import SOURCE_NOTE
from ace_steps.embed.settings import EncoderSettings
from ace_steps.errors import InputError
from ace_steps.io.files import sha256_file
from ace_steps.runtime import computing_precision

log = logging.getLogger(__name__)

UNREADABLE = (  # what transformers and the libraries under it raise for files that they cannot read
    *(OSError, ValueError, LookupError, RuntimeError, ImportError),
    *(SafetensorError, struct.error),
)
DTYPES = {"bfloat16": torch.bfloat16, "float32": torch.float32}


@dataclass(frozen=True)
class Encoder:
    """A language model that turns token ids into states.

    Attributes:
        tokenizer: A fast tokenizer.
        model: The model without a head, in evaluation mode, on ``device``.
        is_fused: Whether its layers are those of ``ace_steps.embed.fused``, which several threads
            may use at once.
        device: Where it computes.
        is_causal: Whether no state depends on later tokens: padding on the right needs no mask.
        pad: Token id that fills short rows.
        dim: Entries of one state.
        n_ids: Token ids that the model knows.
    """

    tokenizer: transformers.PreTrainedTokenizerFast
    model: transformers.PreTrainedModel
    is_fused: bool
    device: torch.device
    is_causal: bool
    pad: int
    dim: int
    n_ids: int


def load_encoder(folder: Path, settings: EncoderSettings, device: torch.device) -> Encoder:
    """The model of a folder: a GGUF file, or what ``save_pretrained`` writes; never a pickle.

    The weights once in ``dtype``; a GGUF file is unpacked to float32 first, one tensor at a time.

    Args:
        folder: One ``.gguf`` file, or config.json, ``.safetensors`` and tokenizer files.
        settings: Resolved.
        device: Where to compute.

    Raises:
        InputError: no such folder, no tokenizer, no readable weights, code where it is not
            trusted, or settings beyond what the model has.
    """
    with _reading(folder, settings) as options:
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **options)
    if not tokenizer.is_fast or not len(tokenizer):
        raise InputError(f"{folder}: expected tokenizer.json or a GGUF file, got no fast tokenizer")
    model = load_model(folder, settings)
    _check_shape(model.config, tokenizer.model_max_length, settings, folder)
    return encoder_of(tokenizer, model, device)


def load_model(folder: Path, settings: EncoderSettings) -> transformers.PreTrainedModel:
    """The model alone, on the CPU in evaluation mode, its layers as transformers computes them.

    Raises:
        InputError: as for ``load_encoder``.
    """
    with _reading(folder, settings) as options:
        # Dense weights out of a GGUF file: its packed ones are multiplied far more slowly.
        unpacking = transformers.GgufConfig(dequantize=True) if "gguf_file" in options else None
        model, loading = transformers.AutoModel.from_pretrained(
            folder,
            dtype=DTYPES[settings.dtype],
            use_safetensors=True,
            quantization_config=unpacking,
            output_loading_info=True,
            **options,
        )
    # Weights that the files lack would be random; the pooler's are never used.
    missing = sorted(name for name in loading["missing_keys"] if "pooler" not in name)
    if missing:
        raise InputError(f"{folder}: lacks {len(missing)} weights, e.g. {missing[0]}.")
    model.config.use_cache = False
    return model.eval()


def encoder_of(
    tokenizer: transformers.PreTrainedTokenizerFast,
    model: transformers.PreTrainedModel,
    device: torch.device,
) -> Encoder:
    """The model on its device, where its layers are fused if it is a CPU.

    Args:
        tokenizer: A fast tokenizer.
        model: Without a head, in evaluation mode; it is changed in place.
        device: Where to compute.
    """
    # Every attention layer must say that it is causal; where none says anything, False is safe.
    flags = [module.is_causal for module in model.modules() if hasattr(module, "is_causal")]
    is_fused = device.type == "cpu" and fuse_layers(model) > 0
    return Encoder(
        tokenizer=tokenizer,
        model=model.to(device),
        is_fused=is_fused,
        device=device,
        is_causal=bool(flags) and all(flags),
        pad=tokenizer.pad_token_id or 0,
        dim=model.config.get_text_config().hidden_size,
        n_ids=model.get_input_embeddings().num_embeddings,
    )


def settings_on(device: torch.device, settings: EncoderSettings) -> EncoderSettings:
    """The settings as a device carries them out: a processor may have no bfloat16."""
    dtype = computing_precision(settings.dtype, device)
    if dtype != settings.dtype:
        log.info("no %s on this %s; computing in float32", settings.dtype, device.type)
    return settings.model_copy(update={"dtype": dtype})


def model_facts(folder: Path) -> dict[str, str | None]:
    """What the folder holds: name, revision where one is known, and SHA-256 of its files.

    The digest covers names and bytes of every visible file but the note of ``fetch_encoder``.
    """
    note = folder / SOURCE_NOTE
    known = json.loads(note.read_text(encoding="utf-8")) if note.is_file() else {}
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        is_hidden = any(part.startswith(".") for part in name.parts)
        if path.is_file() and path != note and not is_hidden:
            digest.update(f"{name.as_posix()} {sha256_file(path)}\n".encode())
    return {
        "model": known.get("source", folder.name),
        "revision": known.get("revision"),
        "model_sha256": digest.hexdigest(),
    }


@contextmanager
def _reading(folder: Path, settings: EncoderSettings) -> Iterator[dict]:
    """The arguments of a ``from_pretrained`` call; transformers quiet, its refusals one line."""
    if lines := check_folder(folder):
        raise InputError("; ".join(lines))
    options = {"local_files_only": True, "trust_remote_code": settings.trust_remote_code}
    if not any(folder.glob("*.safetensors")):
        options["gguf_file"] = next(folder.glob("*.gguf")).name
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    try:
        with redirect_stderr(io.StringIO()):  # the GGUF reader's bars listen to no setting
            yield options
    except UNREADABLE as refusal:
        reason = " ".join(str(refusal).split())
        raise InputError(
            f"{folder}: not readable ({type(refusal).__name__}: {reason[:300]})"
        ) from None


def _check_shape(
    config: transformers.PretrainedConfig, longest: int, settings: EncoderSettings, folder: Path
) -> None:
    """Refuse settings that the model cannot follow; ``longest`` is its tokenizer's limit."""
    if config.is_encoder_decoder:
        raise InputError(f"{folder}: expected an encoder or a decoder, got a model of both")
    shape = config.get_text_config()
    n_layers, dim = shape.num_hidden_layers, shape.hidden_size
    longest = min(longest, getattr(shape, "max_position_embeddings", longest))
    limits = {
        "max_tokens": (1, longest),
        "layer": (-n_layers - 1, n_layers),
        "truncate_dim": (1, dim),
    }
    for key, (least, most) in limits.items():
        value = getattr(settings, key)
        if value is not None and not least <= value <= most:
            raise InputError(f"{key}: expected {least} to {most} with {folder}, got {value}")
