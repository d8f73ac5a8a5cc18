"""The settings of an encoder that its entry does not state: from the registry, or its own files.

A dry run imports this module: no torch, no polars.
"""

from pathlib import Path

from ace_steps.embed import model_files
from ace_steps.embed.registry import PublicEncoder, public_encoder
from ace_steps.embed.settings import (
    DERIVED,
    TEXT,
    ApiConnection,
    ApiEncoderSettings,
    EncoderSettings,
    EntrySettings,
    LocalEncoderSettings,
    PrecomputedSettings,
    Preset,
)
from ace_steps.errors import InputError

STATED, REGISTRY, DEFAULT = "configuration", "registry", "default"
DEFAULTS = {  # where neither the registry nor a file says more
    "prompt": TEXT,
    "pooling": "mean",
    "max_tokens": 256,
    "append_eos": False,
    "normalize": True,
}
OF_AN_API = ("prompt", "max_tokens", "normalize")  # keys that may be left out with an API too

Origins = dict[str, str]


def resolve_encoder(
    settings: EntrySettings, registry: Path, folder: Path | None
) -> tuple[EntrySettings, Origins]:
    """The entry with what it leaves out, and where each value was taken from.

    A key is taken from the entry itself, else from the registry's preset of its ``source``, else
    from the model's own files, else it has its default. A ``source`` that only an API has becomes
    the settings of that API.

    Args:
        settings: An entry of ``encoders``.
        registry: ``data/encoders.yaml``.
        folder: The model's folder; None where it is not here yet, and then what only its files
            can say stays None and has no origin.

    Returns:
        The settings, and for each key that may be left out a short text: ``configuration``,
        ``registry``, the name of a file, or ``default``.

    Raises:
        InputError: no such source, a file that cannot be read, or one that asks for what is not
            computed here.
    """
    if isinstance(settings, PrecomputedSettings):
        return settings, {}
    if isinstance(settings, ApiEncoderSettings):
        return settings, origins_of_api(settings)
    public = public_encoder(settings.source, registry) if settings.source else None
    if public and public.api:
        return _of_api(settings, public)
    return fill_in(settings, public.preset if public else None, folder)


def origins_of_api(settings: ApiEncoderSettings) -> Origins:
    """Where the settings of an API that has no preset were taken from."""
    stated = settings.model_fields_set
    return {key: STATED if key in stated else DEFAULT for key in OF_AN_API}


def fill_in(
    settings: EncoderSettings, preset: Preset | None, folder: Path | None
) -> tuple[EncoderSettings, Origins]:
    """The settings of a model that runs here, as ``resolve_encoder`` finds them.

    Args:
        settings: Those of its entry.
        preset: What the registry says of it, if anything.
        folder: As for ``resolve_encoder``.

    Raises:
        InputError: as for ``resolve_encoder``.
    """
    values: dict[str, object] = {}
    origins: Origins = {}
    for where, said in ((STATED, settings), (REGISTRY, preset)):
        for key in DERIVED:
            value = getattr(said, key, None)
            if key not in values and value is not None:
                values[key], origins[key] = value, where
    if folder is not None:
        lacking = [key for key in DERIVED if key not in values]
        for key, (value, where) in _from_files(folder, lacking).items():
            values[key], origins[key] = value, where
        _check_prompt(folder, str(values["prompt"]), origins)
    return settings.model_copy(update=values), origins


def trace(origins: Origins, known: Origins) -> Origins:
    """The origins that a step found, with those that were known before it ran.

    Args:
        origins: As ``fill_in`` gives them; to a step all that it is given is stated.
        known: Where what it was given was taken from.
    """
    return {
        key: known.get(key, where) if where == STATED else where for key, where in origins.items()
    }


def describe(settings: EncoderSettings | ApiEncoderSettings, origins: Origins) -> str:
    """One line: each value that may be left out, and where it was taken from."""
    values = (f"{key} {getattr(settings, key)!r} ({where})" for key, where in origins.items())
    return ", ".join(values)


def encoder_dim(settings: EntrySettings, registry: Path, folder: Path | None) -> int | None:
    """Dimension of the vectors that an entry leads to; None where it is not known yet.

    Args:
        settings: An entry of ``encoders``, resolved or not.
        registry: ``data/encoders.yaml``.
        folder: The model's folder, where it is here.

    Raises:
        InputError: no such source, or a config.json that cannot be read.
    """
    if isinstance(settings, PrecomputedSettings):
        return None
    dim = None
    if isinstance(settings, ApiEncoderSettings):
        dim = settings.api.dim
    elif settings.source:
        dim = public_encoder(settings.source, registry).dim
    elif folder is not None:
        dim = model_files.folder_dim(folder)
    if dim is None or settings.truncate_dim is None:
        return dim
    return min(dim, settings.truncate_dim)


def _from_files(folder: Path, keys: list[str]) -> dict[str, model_files.Value]:
    """The values of the keys, from the model's files or the defaults; other files stay unread."""
    found: dict[str, model_files.Value | None] = {}
    if "pooling" in keys or "normalize" in keys:
        found |= model_files.modules_of(folder)
    if "prompt" in keys:
        found["prompt"] = model_files.prompt_of(folder)
    if "append_eos" in keys:
        found["append_eos"] = model_files.append_eos_of(folder)
    if "max_tokens" in keys:
        found["max_tokens"] = _length(folder)
    return {key: found.get(key) or (DEFAULTS[key], DEFAULT) for key in keys}


def _length(folder: Path) -> model_files.Value:
    """The length that the files ask for, or the default, at most what the model can take."""
    wanted = model_files.max_tokens_of(folder) or (DEFAULTS["max_tokens"], DEFAULT)
    limit = model_files.token_limit(folder)
    return limit if limit is not None and limit[0] < wanted[0] else wanted


def _check_prompt(folder: Path, prompt: str, origins: Origins) -> None:
    """Refuse a pooling without the prompt's states, where there is a prompt."""
    pooling = origins["pooling"]
    if pooling in (STATED, REGISTRY, DEFAULT) or prompt == TEXT:
        return
    if model_files.excludes_prompt(folder / pooling):
        raise InputError(
            f"{folder / pooling}: include_prompt is false, which is not computed here, "
            f"and the prompt is '{prompt}' ({origins['prompt']}); give pooling in the "
            "configuration to pool its states too, or prompt: '{text}'"
        )


def _of_api(
    settings: LocalEncoderSettings, public: PublicEncoder
) -> tuple[ApiEncoderSettings, Origins]:
    """The settings of a public model that only an API has."""
    for name, field in type(settings).model_fields.items():
        is_shared = name in ("source", "truncate_dim", *OF_AN_API)
        if not is_shared and getattr(settings, name) != field.default:
            raise InputError(
                f"{name}: '{settings.source}' is behind an API, which has no {name}; leave it out"
            )
    values, origins = {}, {}
    for where, said in ((STATED, settings), (REGISTRY, public.preset)):
        for key in OF_AN_API:
            value = getattr(said, key)
            if key not in values and value is not None:
                values[key], origins[key] = value, where
    origins |= {key: DEFAULT for key in OF_AN_API if key not in values}
    api = ApiConnection(**public.api.as_json(), dim=public.dim)
    return ApiEncoderSettings(api=api, truncate_dim=settings.truncate_dim, **values), origins
