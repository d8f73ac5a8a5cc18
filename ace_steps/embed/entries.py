"""What an entry of ``encoders`` stands for: its kind, its folder, its resolved settings.

A key that the entry leaves out has the value of the registry's preset of its ``source``, else of
the model's own files, else its default. A dry run imports this module: no torch, no polars.
"""

from pathlib import Path

from ace_steps.embed import model_files
from ace_steps.embed.model_files import DEFAULT
from ace_steps.embed.registry import Preset, PublicEncoder, public_encoder
from ace_steps.embed.settings import (
    DERIVED,
    ORIGINS,
    TEXT,
    ApiEncoderSettings,
    EncoderSettings,
    EntrySettings,
    HubSettings,
    LocalEncoderSettings,
    PrecomputedSettings,
)
from ace_steps.errors import InputError
from ace_steps.io.files import own_path

LOCAL, API, PRECOMPUTED = "local", "api", "vectors"  # kinds
STATED, REGISTRY = "configuration", "registry"  # origins beside file names and the default
OF_AN_API = ("prompt", "max_tokens", "normalize")  # keys that may be left out with an API too

Origins = dict[str, str]


def kind_of(settings: EntrySettings) -> str:
    """``LOCAL``, ``API`` or ``PRECOMPUTED``; of a resolved entry, as a source may be an API's."""
    if isinstance(settings, ApiEncoderSettings):
        return API
    return PRECOMPUTED if isinstance(settings, PrecomputedSettings) else LOCAL


def resolve_encoder(
    settings: EntrySettings, registry: Path, folder: Path | None
) -> tuple[EntrySettings, Origins]:
    """The entry with what it leaves out, and where each value was taken from.

    Args:
        settings: An entry of ``encoders``; a ``source`` that only an API has becomes that API.
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
    """The settings of a model that runs here, resolved as by ``resolve_encoder``.

    Args:
        settings: Those of its entry.
        preset: What the registry says of it, if anything.
        folder: As for ``resolve_encoder``.
    """
    values, origins = {}, {}
    for key in DERIVED:
        if getattr(settings, key) is not None:
            origins[key] = STATED
        elif getattr(preset, key, None) is not None:
            values[key], origins[key] = getattr(preset, key), REGISTRY
        elif folder is not None:
            values[key], origins[key] = model_files.derive(key, folder)
    resolved = settings.model_copy(update=values)
    is_from_file = origins.get("pooling") not in (None, STATED, REGISTRY)
    if is_from_file and resolved.prompt != TEXT and model_files.excludes_prompt(folder):
        raise InputError(
            f"{folder / origins['pooling']}: include_prompt is false, which is not computed here, "
            f"and the prompt is '{resolved.prompt}' ({origins['prompt']}); give pooling in the "
            "configuration to pool its states too, or prompt: '{text}'"
        )
    return resolved, origins


def trace(origins: Origins, known: Origins) -> Origins:
    """The origins that a step finds, with those that were known before it ran.

    Args:
        origins: As ``fill_in`` gives them; to a step all that it is given is stated.
        known: Where what it was given was taken from.
    """
    return {
        key: known.get(key, origin) if origin == STATED else origin
        for key, origin in origins.items()
    }


def describe(settings: EncoderSettings | ApiEncoderSettings, origins: Origins) -> str:
    """One line: each value that may be left out, and where it was taken from."""
    return ", ".join(f"{key} {getattr(settings, key)!r} ({o})" for key, o in origins.items())


def encoder_dim(settings: EntrySettings, registry: Path, folder: Path | None) -> int | None:
    """Dimension of the vectors that an entry leads to; None where it is not known yet.

    Args:
        settings: An entry of ``encoders``, resolved or not.
        registry: ``data/encoders.yaml``.
        folder: The model's folder, where it is here.
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


def model_folder(settings: EntrySettings, registry: Path) -> str | None:
    """Folder of a local entry's model: the caller's, or where fetch_encoder puts it; None if none.

    Raises:
        InputError: no such folder or public model, or one that cannot be fetched as the entry says.
    """
    if not isinstance(settings, LocalEncoderSettings):
        return None
    if settings.path:
        return own_path(settings.path)
    hub = unlisted_hub(settings, registry)
    return f"<resources>/encoders/{folder_name(hub) if hub else settings.source}/model"


def unlisted_hub(settings: EntrySettings, registry: Path) -> HubSettings | None:
    """The repository of a local entry that the registry does not list at that commit, if any.

    Raises:
        InputError: no such public model, or one that has no such commit.
    """
    if not isinstance(settings, LocalEncoderSettings) or settings.path:
        return None
    if settings.hub:
        return settings.hub
    public = public_encoder(settings.source, registry)
    if public.hub is None:
        if settings.revision:
            raise InputError(
                f"revision: '{settings.source}' has no revisions, as it comes from no repository; "
                "leave it out"
            )
        return None
    revision = settings.revision or public.hub.revision
    if revision is None:
        raise InputError(
            f"revision: no commit of '{settings.source}' is known here; give the 40 hexadecimal "
            f"digits of one from {public.homepage}/commits/main"
        )
    is_listed = revision == public.hub.revision
    return None if is_listed else HubSettings(repo=public.hub.repo, revision=revision)


def folder_name(hub: HubSettings) -> str:
    """A name for a repository at one commit that can be a folder."""
    return f"{hub.repo.replace('/', '--')}--{hub.revision[:12]}"


def step_settings(settings: EntrySettings, origins: Origins) -> dict:
    """What the step of an entry's kind needs to know, with the paths in it filled in.

    Args:
        settings: The entry, resolved as far as planning can; the step fills in what is still None.
        origins: Where its values were taken from.

    Raises:
        InputError: a path names a variable that is not set, or a file that is not there.
    """
    content = settings.as_json()
    if isinstance(settings, PrecomputedSettings):
        return content | {k: own_path(content[k]) for k in ("vectors", "ids") if content[k]}
    if isinstance(settings, ApiEncoderSettings):
        tokenizer = settings.api.tokenizer
        content["api"]["tokenizer"] = tokenizer and own_path(tokenizer)
    else:
        content = {k: v for k, v in content.items() if k not in (*ORIGINS, "revision")}
    return content | {"taken_from": origins}


def _of_api(
    settings: LocalEncoderSettings, public: PublicEncoder
) -> tuple[ApiEncoderSettings, Origins]:
    """The settings of a public model that only an API has."""
    shared = ("source", "truncate_dim", *OF_AN_API)
    for name, field in type(settings).model_fields.items():
        if name not in shared and getattr(settings, name) != field.default:
            raise InputError(
                f"{name}: '{settings.source}' is behind an API, which has no {name}; leave it out"
            )
    filled, origins = fill_in(settings, public.preset, None)
    values = {key: getattr(filled, key) for key in OF_AN_API if key in origins}
    resolved = ApiEncoderSettings(api=public.api, truncate_dim=settings.truncate_dim, **values)
    return resolved, {key: origins.get(key, DEFAULT) for key in OF_AN_API}
