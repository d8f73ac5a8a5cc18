"""What a model's own small files say of how texts become vectors; a dry run imports this module.

The files are those of sentence-transformers (``modules.json``, ``1_Pooling/config.json``,
``sentence_bert_config.json``, ``config_sentence_transformers.json``) and of transformers
(``config.json``, ``tokenizer_config.json``). Each may be missing.
"""

import json
from pathlib import Path, PurePosixPath

from ace_steps.embed.settings import TEXT
from ace_steps.errors import InputError

MODULES = "modules.json"
PROMPTS = "config_sentence_transformers.json"
LENGTHS = "sentence_bert_config.json"
CONFIG = "config.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.txt", "vocab.json", "spiece.model")
LIBRARY = "sentence_transformers."  # what the type of a module that we know begins with
COMPUTED = (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"])
POOLINGS = {"cls": "first", "mean": "mean", "weightedmean": "weighted_mean", "lasttoken": "last"}
OLD_POOLINGS = {  # keys of files written before sentence-transformers 6
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
OF_DOCUMENTS = ("document", "passage", "corpus")  # in the order of encode_document
DIMS = ("word_embed_proj_dim", "hidden_size", "n_embd", "dim", "d_model")  # by architecture
LIMITS = (
    (CONFIG, "max_position_embeddings"),
    (CONFIG, "n_positions"),
    (TOKENIZER_CONFIG, "model_max_length"),
)
NO_LIMIT = 10**9  # what a tokenizer_config.json without a limit holds is far larger
WAY_OUT = "give pooling and normalize in the configuration to use the model without it"

Value = tuple[object, str]  # a setting's value, and the file that says so


def modules_of(folder: Path) -> dict[str, Value]:
    """Pooling and normalization that ``modules.json`` and the pooling's own file ask for.

    Args:
        folder: A model's folder.

    Returns:
        ``pooling`` and ``normalize``, each with the file that says so; nothing without a
        modules.json.

    Raises:
        InputError: a file cannot be read, or asks for a module or pooling that is not computed
            here.
    """
    if not (folder / MODULES).is_file():
        return {}
    modules = _read(folder / MODULES, list)
    kinds = [_kind(module, folder / MODULES) for module in modules]
    if kinds not in COMPUTED:
        raise InputError(
            f"{folder / MODULES}: expected the modules Transformer, Pooling and perhaps Normalize, "
            f"got {', '.join(kinds) or 'none'}; {WAY_OUT}"
        )
    if modules[0]["path"] not in ("", "."):
        raise InputError(
            f"{folder / MODULES}: expected the Transformer in the folder itself, got the subfolder "
            f"'{modules[0]['path']}'; give that folder as path, with pooling and normalize"
        )
    name = (PurePosixPath(modules[1]["path"]) / CONFIG).as_posix()
    return {
        "pooling": (_pooling(folder / name), name),
        "normalize": ("Normalize" in kinds, MODULES),
    }


def prompt_of(folder: Path) -> Value | None:
    """The prompt for documents, which items are, else the default one; None where there is none.

    Raises:
        InputError: the file cannot be read, or its prompt cannot be one here.
    """
    file = folder / PROMPTS
    found = _read(file, dict) if file.is_file() else {}
    prompts = _typed(found, "prompts", dict, file) or {}
    names = [name for name in OF_DOCUMENTS if name in prompts]
    default = _typed(found, "default_prompt_name", str, file)
    if not names and default is None:
        return None
    name = names[0] if names else default
    prefix = _typed(prompts, name, str, file)
    if prefix is None or TEXT in prefix:
        raise InputError(
            f"{file}: expected a text without {TEXT} as prompt '{name}', got {prefix!r}; give "
            "prompt in the configuration"
        )
    return prefix + TEXT, f"{PROMPTS}, prompt '{name}'"


def excludes_prompt(file: Path) -> bool:
    """Whether a pooling's file leaves out the states of the prompt, which is not computed here."""
    return _typed(_read(file, dict), "include_prompt", bool, file) is False


def max_tokens_of(folder: Path) -> Value | None:
    """The length that sentence-transformers cuts texts to; None where no file says so.

    Raises:
        InputError: the file cannot be read.
    """
    file = folder / LENGTHS
    length = _typed(_read(file, dict), "max_seq_length", int, file) if file.is_file() else None
    if length is not None and length < 1:
        raise InputError(f"{file}: max_seq_length: expected a number >= 1, got {length}")
    return None if length is None else (length, LENGTHS)


def token_limit(folder: Path) -> Value | None:
    """The longest text that model and tokenizer can take; None where no file says so.

    Raises:
        InputError: a file cannot be read.
    """
    limits = []
    for name, key in LIMITS:
        file = folder / name
        found = _read(file, dict) if file.is_file() else {}
        limit = _typed(_text_part(found), key, int | float, file)
        if limit is not None and 0 < limit < NO_LIMIT:
            limits.append((int(limit), f"{name}, {key}"))
    return min(limits, default=None)


def append_eos_of(folder: Path) -> Value | None:
    """Whether the tokenizer is meant to append an end token; None where no file says so.

    Raises:
        InputError: the file cannot be read.
    """
    file = folder / TOKENIZER_CONFIG
    found = _typed(_read(file, dict), "add_eos_token", bool, file) if file.is_file() else None
    return None if found is None else (found, TOKENIZER_CONFIG)


def folder_dim(folder: Path) -> int | None:
    """Dimension of the model's states as its config.json says; None where it does not.

    Raises:
        InputError: config.json cannot be read.
    """
    file = folder / CONFIG
    config = _text_part(_read(file, dict)) if file.is_file() else {}
    found = (_typed(config, key, int, file) for key in DIMS)
    return next((dim for dim in found if dim is not None), None)


def check_folder(folder: Path) -> list[str]:
    """What a model's folder lacks to be loaded, a line each; empty where nothing is missing."""
    if not folder.is_dir():
        found = "a file" if folder.exists() else "none"
        return [f"{folder}: expected a model's folder, got {found}"]
    gguf = sorted(path.name for path in folder.glob("*.gguf"))
    weights = sorted(path.name for path in folder.glob("*.safetensors"))
    if gguf and not weights:
        several = f"{folder}: expected one GGUF file, got {', '.join(gguf)}; keep one in it"
        return [several] if len(gguf) > 1 else []
    lacking = []
    if not (folder / CONFIG).is_file():
        lacking.append(f"{folder}: expected a {CONFIG} or a .gguf file, got neither")
    if not weights:
        pickles = sorted(path.name for path in folder.glob("*.bin"))
        reason = f"; {pickles[0]} is a pickle, which is not read: convert it" if pickles else ""
        lacking.append(f"{folder}: expected weights in .safetensors or .gguf, got none{reason}")
    lacking += _missing_parts(folder, weights)
    if not any((folder / name).is_file() for name in TOKENIZER_FILES):
        lacking.append(f"{folder}: expected a tokenizer.json, or another tokenizer file, got none")
    return lacking


def _missing_parts(folder: Path, weights: list[str]) -> list[str]:
    """A line where weights in several files are not whole."""
    lines = []
    for index in sorted(folder.glob("*.safetensors.index.json")):
        parts = set((_typed(_read(index, dict), "weight_map", dict, index) or {}).values())
        missing = sorted(map(str, parts - set(weights)))
        if missing:
            lines.append(f"{folder}: {index.name} names {len(missing)} missing files: {missing[0]}")
    return lines


def _read(file: Path, kind: type) -> dict | list:
    """A JSON file that holds an object or a list."""
    expected = f"{file}: expected a JSON {'object' if kind is dict else 'list'}"
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{file}: no such file, but {MODULES} names it; {WAY_OUT}") from None
    except ValueError as fault:
        raise InputError(f"{expected}, got {' '.join(str(fault).split())}") from None
    if not isinstance(found, kind):
        raise InputError(f"{expected}, got {type(found).__name__}")
    return found


def _typed(found: dict, key: str, kind: type, file: Path) -> object:
    """A key's value, None where it is missing or null."""
    value = found.get(key)
    if value is None:
        return None
    is_misread = isinstance(value, bool) and kind is not bool  # a bool is an int
    if not isinstance(value, kind) or is_misread:
        names = {bool: "true or false", str: "a string", dict: "an object"}
        raise InputError(f"{file}: {key}: expected {names.get(kind, 'a number')}, got {value!r}")
    return value


def _text_part(config: dict) -> dict:
    """The language model's part of a configuration that has several."""
    part = config.get("text_config")
    return part if isinstance(part, dict) else config


def _kind(module: object, file: Path) -> str:
    """The class name of a module of sentence-transformers; any other type in full."""
    keys = {"type", "path"}
    if not isinstance(module, dict) or not all(isinstance(module.get(key), str) for key in keys):
        raise InputError(f"{file}: expected modules with a type and a path, got {module!r:.80}")
    path = PurePosixPath(module["path"])
    if path.is_absolute() or ".." in path.parts:
        raise InputError(f"{file}: expected a path inside the folder, got '{module['path']}'")
    kind = module["type"]
    return kind.rpartition(".")[2] if kind.startswith(LIBRARY) else kind


def _pooling(file: Path) -> str:
    """The name here of the pooling that a pooling's file asks for."""
    found = _read(file, dict)
    new = found.get("pooling_mode")
    if new is None:
        modes = [name for key, name in OLD_POOLINGS.items() if _typed(found, key, bool, file)]
    else:
        modes = new if isinstance(new, list) else [new]
    if len(modes) != 1 or modes[0] not in POOLINGS:
        raise InputError(
            f"{file}: expected one pooling of {', '.join(POOLINGS)}, got "
            f"{' and '.join(map(str, modes)) or 'none'}; {WAY_OUT}"
        )
    return POOLINGS[modes[0]]
