"""What a model's own small files say of how texts become vectors; a dry run imports this module.

The files are those of sentence-transformers (``modules.json``, ``1_Pooling/config.json``,
``sentence_bert_config.json``, ``config_sentence_transformers.json``) and of transformers
(``config.json``, ``tokenizer_config.json``). Each may be missing; one that is damaged or of another
form is an InputError.
"""

from pathlib import Path, PurePosixPath
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, PositiveInt, TypeAdapter, ValidationError

from ace_steps.embed.settings import TEXT
from ace_steps.errors import InputError

MODULES = "modules.json"
PROMPTS = "config_sentence_transformers.json"
LENGTHS = "sentence_bert_config.json"
CONFIG = "config.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
TOKENIZER_FILES = (
    *("tokenizer.json", "tokenizer.model", "vocab.txt", "vocab.json", "spiece.model"),
    "sentencepiece.bpe.model",
)
LIBRARY = "sentence_transformers."  # what the type of a known module begins with
COMPUTED = (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"])
POOLINGS = {"cls": "first", "mean": "mean", "weightedmean": "weighted_mean", "lasttoken": "last"}
OLD_POOLING = "pooling_mode_"  # keys such as pooling_mode_cls_token, before version 6
OF_DOCUMENTS = ("document", "passage", "corpus")  # in the order of encode_document
DIMS = ("word_embed_proj_dim", "hidden_size", "n_embd", "dim", "d_model")  # by architecture
WAY_OUT = "give pooling and normalize in the configuration to use the model without it"

DEFAULT = "default"  # origin of a value that no file has
DEFAULTS = {
    "prompt": TEXT,
    "pooling": "mean",
    "max_tokens": 256,
    "append_eos": False,
    "normalize": True,
}


Form = TypeVar("Form")


class _Content(BaseModel):
    """The keys of all these files that are read here; no two files use one for different things."""

    model_config = ConfigDict(strict=True, extra="allow")

    pooling_mode: str | list[str] | None = None
    include_prompt: bool | None = None
    prompts: dict[str, object] | None = None
    default_prompt_name: str | None = None
    max_seq_length: PositiveInt | None = None
    model_max_length: float | None = None
    add_eos_token: bool | None = None
    word_embed_proj_dim: int | None = None
    hidden_size: int | None = None
    n_embd: int | None = None
    dim: int | None = None
    d_model: int | None = None
    max_position_embeddings: int | None = None
    n_positions: int | None = None
    weight_map: dict[str, str] | None = None
    text_config: "_Content | None" = None  # of a model that has several parts


class _Module(BaseModel):
    type: str
    path: str


def derive(key: str, folder: Path) -> tuple[object, str]:
    """The value of a key that is stated nowhere else, and the file that says it, or ``default``.

    Args:
        key: prompt, pooling, max_tokens, append_eos or normalize; files of the others stay unread.
        folder: The model's.

    Raises:
        InputError: a file cannot be read, or asks for what is not computed here.
    """
    readers = {
        "prompt": _prompt,
        "pooling": _pooling,
        "max_tokens": _max_tokens,
        "append_eos": _append_eos,
        "normalize": _normalize,
    }
    return readers[key](folder) or (DEFAULTS[key], DEFAULT)


def excludes_prompt(folder: Path) -> bool:
    """Whether the model's pooling leaves out the states of the prompt: not computed here."""
    modules = _modules(folder)
    return bool(modules) and _read(folder / _pooling_file(modules)).include_prompt is False


def folder_dim(folder: Path) -> int | None:
    """Dimension of the model's states as its config.json says; None where it does not."""
    config = _language_model(folder)
    return next((getattr(config, key) for key in DIMS if getattr(config, key) is not None), None)


def check_folder(folder: Path) -> list[str]:
    """What a model's folder lacks to be loaded, a line each; empty where nothing is missing.

    Raises:
        InputError: an index of weights cannot be read.
    """
    if not folder.is_dir():
        kind = "a file" if folder.exists() else "none"
        return [f"{folder}: expected a model's folder, got {kind}"]
    gguf = sorted(path.name for path in folder.glob("*.gguf"))
    weights = {path.name for path in folder.glob("*.safetensors")}
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
        missing = sorted(set((_read(index).weight_map or {}).values()) - weights)
        if missing:
            lines.append(f"{folder}: {index.name} names {len(missing)} missing files: {missing[0]}")
    if not any((folder / name).is_file() for name in TOKENIZER_FILES):
        lines.append(f"{folder}: expected a tokenizer.json, or another tokenizer file, got none")
    return lines


def _prompt(folder: Path) -> tuple[str, str] | None:
    """The prompt for documents, which items are, else the default one."""
    content = _read(folder / PROMPTS)
    prompts = content.prompts or {}
    name = next((name for name in OF_DOCUMENTS if name in prompts), content.default_prompt_name)
    if name is None:
        return None
    prefix = prompts.get(name)
    if not isinstance(prefix, str) or TEXT in prefix:
        raise InputError(
            f"{folder / PROMPTS}: expected a text without {TEXT} as prompt '{name}', got "
            f"{prefix!r}; give prompt in the configuration"
        )
    return prefix + TEXT, f"{PROMPTS}, prompt '{name}'"


def _pooling(folder: Path) -> tuple[str, str] | None:
    modules = _modules(folder)
    if not modules:
        return None
    name = _pooling_file(modules)
    if not (folder / name).is_file():
        raise InputError(f"{folder / name}: no such file, but {MODULES} names it; {WAY_OUT}")
    content = _read(folder / name)
    modes = content.pooling_mode
    if modes is None:
        keys = [key for key, is_used in content.model_extra.items() if is_used]
        names = [key.removeprefix(OLD_POOLING) for key in keys if key.startswith(OLD_POOLING)]
        modes = [name.removesuffix("_token").removesuffix("_tokens") for name in names]
    modes = [modes] if isinstance(modes, str) else modes
    if len(modes) != 1 or modes[0] not in POOLINGS:
        raise InputError(
            f"{folder / name}: expected one pooling of {', '.join(POOLINGS)}, got "
            f"{' and '.join(modes) or 'none'}; {WAY_OUT}"
        )
    return POOLINGS[modes[0]], name


def _normalize(folder: Path) -> tuple[bool, str] | None:
    modules = _modules(folder)
    return (len(modules) == len(COMPUTED[1]), MODULES) if modules else None


def _append_eos(folder: Path) -> tuple[bool, str] | None:
    is_appended = _read(folder / TOKENIZER_CONFIG).add_eos_token
    return None if is_appended is None else (is_appended, TOKENIZER_CONFIG)


def _max_tokens(folder: Path) -> tuple[int, str]:
    """The length that sentence-transformers cuts texts to, at most what the model can take."""
    length, config = _read(folder / LENGTHS).max_seq_length, _language_model(folder)
    longest = _read(folder / TOKENIZER_CONFIG).model_max_length  # 1e30 where there is no limit
    lengths = [
        (length, LENGTHS) if length else (DEFAULTS["max_tokens"], DEFAULT),
        (config.max_position_embeddings, f"{CONFIG}, max_position_embeddings"),
        (config.n_positions, f"{CONFIG}, n_positions"),
        (longest, f"{TOKENIZER_CONFIG}, model_max_length"),
    ]
    known = [(n, origin) for n, origin in lengths if n is not None and n > 0]
    least, origin = min(known, key=lambda pair: pair[0])
    return int(least), origin


def _modules(folder: Path) -> list[_Module]:
    """The modules of sentence-transformers, which are computed here; none without their file."""
    file = folder / MODULES
    if not file.is_file():
        return []
    modules = _validated(file, list[_Module], file.read_bytes())
    types = [module.type for module in modules]
    kinds = [name.rpartition(".")[2] if name.startswith(LIBRARY) else name for name in types]
    if kinds not in COMPUTED:
        raise InputError(
            f"{file}: expected the modules Transformer, Pooling and perhaps Normalize, "
            f"got {', '.join(kinds) or 'none'}; {WAY_OUT}"
        )
    inner = PurePosixPath(modules[1].path)
    if modules[0].path not in ("", ".") or inner.is_absolute() or ".." in inner.parts:
        raise InputError(
            f"{file}: expected the Transformer in the folder itself and the Pooling below it, got "
            f"'{modules[0].path}' and '{inner}'; give the Transformer's folder as path, with "
            "pooling and normalize"
        )
    return modules


def _pooling_file(modules: list[_Module]) -> str:
    return (PurePosixPath(modules[1].path) / CONFIG).as_posix()


def _language_model(folder: Path) -> _Content:
    """The language model's part of config.json."""
    config = _read(folder / CONFIG)
    return config.text_config or config


def _read(file: Path) -> _Content:
    """A JSON file's content; that of an empty one where there is no such file."""
    return _validated(file, _Content, file.read_bytes() if file.is_file() else b"{}")


def _validated(file: Path, form: type[Form], content: bytes) -> Form:
    try:
        return TypeAdapter(form).validate_json(content)
    except ValidationError as refusal:
        fault = refusal.errors()[0]
        where = ": ".join([str(file), *(str(part) for part in fault["loc"])])
        raise InputError(f"{where}: {fault['msg']}, got {fault['input']!r:.80}") from None
