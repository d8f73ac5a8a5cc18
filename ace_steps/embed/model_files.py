"""What a model's own small files say of how texts become vectors; a dry run imports this module.

The files are those of sentence-transformers (``modules.json``, ``1_Pooling/config.json``,
``sentence_bert_config.json``, ``config_sentence_transformers.json``) and of transformers
(``config.json``, ``tokenizer_config.json``). Each may be missing, and each value is given with the
name of the file that says it. A file that is damaged or of another form is an InputError.
"""

import json
from pathlib import Path, PurePosixPath
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, PositiveInt, RootModel, ValidationError

from ace_steps.embed.settings import TEXT
from ace_steps.errors import InputError

MODULES = "modules.json"
PROMPTS = "config_sentence_transformers.json"
LENGTHS = "sentence_bert_config.json"
CONFIG = "config.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.txt", "vocab.json", "spiece.model")
LIBRARY = "sentence_transformers."  # what the type of a known module begins with
COMPUTED = (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"])
POOLINGS = {"cls": "first", "mean": "mean", "weightedmean": "weighted_mean", "lasttoken": "last"}
OF_DOCUMENTS = ("document", "passage", "corpus")  # in the order of encode_document
DIMS = ("word_embed_proj_dim", "hidden_size", "n_embd", "dim", "d_model")  # by architecture
NO_LIMIT = 10**9  # what a tokenizer_config.json without a limit holds is far larger
WAY_OUT = "give pooling and normalize in the configuration to use the model without it"

Value = tuple[object, str]  # a setting's value, and the file that says so


class _File(BaseModel):
    """A JSON file with more keys than are read here."""

    model_config = ConfigDict(strict=True)


class _Module(_File):
    type: str
    path: str


class _Modules(RootModel[list[_Module]]):
    model_config = ConfigDict(strict=True)


class _Pooling(_File):
    pooling_mode: str | list[str] | None = None
    include_prompt: bool | None = None
    # The keys of files written before sentence-transformers 6.
    pooling_mode_cls_token: bool | None = None
    pooling_mode_mean_tokens: bool | None = None
    pooling_mode_max_tokens: bool | None = None
    pooling_mode_mean_sqrt_len_tokens: bool | None = None
    pooling_mode_weightedmean_tokens: bool | None = None
    pooling_mode_lasttoken: bool | None = None


class _Prompts(_File):
    prompts: dict[str, object] | None = None
    default_prompt_name: str | None = None


class _Lengths(_File):
    max_seq_length: PositiveInt | None = None


class _TokenizerConfig(_File):
    model_max_length: float | None = None
    add_eos_token: bool | None = None


class _Config(_File):
    word_embed_proj_dim: int | None = None
    hidden_size: int | None = None
    n_embd: int | None = None
    dim: int | None = None
    d_model: int | None = None
    max_position_embeddings: int | None = None
    n_positions: int | None = None
    text_config: "_Config | None" = None  # of a model that has several parts


Form = TypeVar("Form", bound=BaseModel)


def modules_of(folder: Path) -> dict[str, Value]:
    """Pooling and normalization that ``modules.json`` asks for; nothing without that file.

    Raises:
        InputError: it asks for a module or pooling that is not computed here.
    """
    file = folder / MODULES
    if not file.is_file():
        return {}
    modules = _read(file, _Modules).root
    types = [module.type for module in modules]
    kinds = [t.rpartition(".")[2] if t.startswith(LIBRARY) else t for t in types]
    if kinds not in COMPUTED:
        raise InputError(
            f"{file}: expected the modules Transformer, Pooling and perhaps Normalize, "
            f"got {', '.join(kinds) or 'none'}; {WAY_OUT}"
        )
    if modules[0].path not in ("", "."):
        raise InputError(
            f"{file}: expected the Transformer in the folder itself, got the subfolder "
            f"'{modules[0].path}'; give that folder as path, with pooling and normalize"
        )
    path = PurePosixPath(modules[1].path)
    if path.is_absolute() or ".." in path.parts:
        raise InputError(f"{file}: expected a path inside the folder, got '{path}'")
    name = (path / CONFIG).as_posix()
    return {
        "pooling": (_pooling(folder / name), name),
        "normalize": ("Normalize" in kinds, MODULES),
    }


def _pooling(file: Path) -> str:
    """The name here of the pooling that a pooling's file asks for."""
    if not file.is_file():
        raise InputError(f"{file}: no such file, but {MODULES} names it; {WAY_OUT}")
    content = _read(file, _Pooling)
    modes = content.pooling_mode
    if modes is None:
        old = content.model_dump(exclude={"pooling_mode", "include_prompt"})
        names = [key.removeprefix("pooling_mode_") for key, is_used in old.items() if is_used]
        modes = [name.removesuffix("_token").removesuffix("_tokens") for name in names]
    modes = [modes] if isinstance(modes, str) else modes
    if len(modes) != 1 or modes[0] not in POOLINGS:
        raise InputError(
            f"{file}: expected one pooling of {', '.join(POOLINGS)}, got "
            f"{' and '.join(modes) or 'none'}; {WAY_OUT}"
        )
    return POOLINGS[modes[0]]


def excludes_prompt(file: Path) -> bool:
    """Whether a pooling's file leaves out the states of the prompt, which is not computed here."""
    return _read(file, _Pooling).include_prompt is False


def prompt_of(folder: Path) -> Value | None:
    """The prompt for documents, which items are, else the default one; None where there is none.

    Raises:
        InputError: it cannot be a prompt here.
    """
    content = _read(folder / PROMPTS, _Prompts)
    prompts = content.prompts or {}
    names = [name for name in OF_DOCUMENTS if name in prompts]
    if not names and content.default_prompt_name is None:
        return None
    name = names[0] if names else content.default_prompt_name
    prefix = prompts.get(name)
    if not isinstance(prefix, str) or TEXT in prefix:
        raise InputError(
            f"{folder / PROMPTS}: expected a text without {TEXT} as prompt '{name}', got "
            f"{prefix!r}; give prompt in the configuration"
        )
    return prefix + TEXT, f"{PROMPTS}, prompt '{name}'"


def max_tokens_of(folder: Path) -> Value | None:
    """The length that sentence-transformers cuts texts to; None where no file says so."""
    length = _read(folder / LENGTHS, _Lengths).max_seq_length
    return None if length is None else (length, LENGTHS)


def token_limit(folder: Path) -> Value | None:
    """The longest text that model and tokenizer can take; None where no file says so."""
    config = _text_config(folder)
    longest = _read(folder / TOKENIZER_CONFIG, _TokenizerConfig).model_max_length
    limits = (
        (config.max_position_embeddings, f"{CONFIG}, max_position_embeddings"),
        (config.n_positions, f"{CONFIG}, n_positions"),
        (longest, f"{TOKENIZER_CONFIG}, model_max_length"),
    )
    return min(
        ((int(n), origin) for n, origin in limits if n is not None and 0 < n < NO_LIMIT),
        default=None,
    )


def append_eos_of(folder: Path) -> Value | None:
    """Whether the tokenizer is meant to append an end token; None where no file says so."""
    is_appended = _read(folder / TOKENIZER_CONFIG, _TokenizerConfig).add_eos_token
    return None if is_appended is None else (is_appended, TOKENIZER_CONFIG)


def folder_dim(folder: Path) -> int | None:
    """Dimension of the model's states as its config.json says; None where it does not."""
    config = _text_config(folder)
    dims = (getattr(config, key) for key in DIMS)
    return next((dim for dim in dims if dim is not None), None)


def check_folder(folder: Path) -> list[str]:
    """What a model's folder lacks to be loaded, a line each; empty where nothing is missing."""
    if not folder.is_dir():
        kind = "a file" if folder.exists() else "none"
        return [f"{folder}: expected a model's folder, got {kind}"]
    gguf = sorted(path.name for path in folder.glob("*.gguf"))
    weights = sorted(path.name for path in folder.glob("*.safetensors"))
    if gguf and not weights:
        several = f"{folder}: expected one GGUF file, got {', '.join(gguf)}; keep one in it"
        return [several] if len(gguf) > 1 else []
    lines = []
    if not (folder / CONFIG).is_file():
        lines.append(f"{folder}: expected a {CONFIG} or a .gguf file, got neither")
    if not weights:
        pickles = sorted(path.name for path in folder.glob("*.bin"))
        reason = f"; {pickles[0]} is a pickle, which is not read: convert it" if pickles else ""
        lines.append(f"{folder}: expected weights in .safetensors or .gguf, got none{reason}")
    for index in sorted(folder.glob("*.safetensors.index.json")):
        parts = set(json.loads(index.read_text(encoding="utf-8")).get("weight_map", {}).values())
        missing = sorted(parts - set(weights))
        if missing:
            lines.append(f"{folder}: {index.name} names {len(missing)} missing files: {missing[0]}")
    if not any((folder / name).is_file() for name in TOKENIZER_FILES):
        lines.append(f"{folder}: expected a tokenizer.json, or another tokenizer file, got none")
    return lines


def _text_config(folder: Path) -> _Config:
    """The language model's part of config.json."""
    config = _read(folder / CONFIG, _Config)
    return config.text_config or config


def _read(file: Path, form: type[Form]) -> Form:
    """A JSON file's content; that of an empty one where there is no such file."""
    try:
        text = file.read_text(encoding="utf-8") if file.is_file() else "{}"
        return form.model_validate_json(text)
    except ValidationError as refusal:
        fault = refusal.errors()[0]
        where = ": ".join([str(file), *[".".join(map(str, fault["loc"]))][: len(fault["loc"])]])
        raise InputError(f"{where}: {fault['msg']}, got {fault['input']!r:.80}") from None
    except UnicodeDecodeError as fault:
        raise InputError(f"{file}: not UTF-8 ({fault.reason})") from None
