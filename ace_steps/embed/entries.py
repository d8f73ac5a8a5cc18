"""What an entry of ``encoders`` in the configuration stands for; a dry run imports this module."""

from pathlib import Path

from ace_steps.embed.registry import public_encoder
from ace_steps.embed.settings import (
    ORIGINS,
    ApiEncoderSettings,
    EntrySettings,
    HubSettings,
    LocalEncoderSettings,
    PrecomputedSettings,
)
from ace_steps.errors import InputError
from ace_steps.io.files import own_path

LOCAL, API, PRECOMPUTED = "local", "api", "vectors"


def kind_of(settings: EntrySettings) -> str:
    """Which kind of encoder it is: one that runs here, one behind an API, or a file of vectors.

    Args:
        settings: The entry, as ``ace_steps.embed.resolve.resolve_encoder`` gives it: a ``source``
            may be behind an API.
    """
    if isinstance(settings, ApiEncoderSettings):
        return API
    return PRECOMPUTED if isinstance(settings, PrecomputedSettings) else LOCAL


def model_folder(settings: EntrySettings, registry: Path) -> str | None:
    """Folder of a local entry's model: the caller's, or where fetch_encoder puts it; None if none.

    Raises:
        InputError: no such folder or public model, or one that cannot be fetched as the entry says.
    """
    if not isinstance(settings, LocalEncoderSettings):
        return None
    if settings.path:
        return own_path(settings.path)
    hub = hub_of(settings, registry)
    return f"<resources>/encoders/{folder_name(hub) if hub else settings.source}/model"


def unlisted_hub(settings: EntrySettings, registry: Path) -> HubSettings | None:
    """The repository of a local entry that the registry does not list at that commit, if any."""
    is_fetched = isinstance(settings, LocalEncoderSettings) and not settings.path
    return hub_of(settings, registry) if is_fetched else None


def folder_name(hub: HubSettings) -> str:
    """A name for a repository at one commit that can be a folder."""
    return f"{hub.repo.replace('/', '--')}--{hub.revision[:12]}"


def hub_of(settings: LocalEncoderSettings, registry: Path) -> HubSettings | None:
    """The repository that a local entry is fetched from; None where the registry says it all.

    Raises:
        InputError: no such public model, or its commit is not known and not given.
    """
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
    if settings.revision in (None, public.hub.revision):
        if public.hub.revision is None:
            raise InputError(
                f"revision: no commit of '{settings.source}' is known here; give the 40 "
                f"hexadecimal digits of one from {public.homepage}/commits/main"
            )
        return None
    return HubSettings(repo=public.hub.repo, revision=settings.revision)


def step_settings(settings: EntrySettings, origins: dict[str, str]) -> dict:
    """What the step of an entry's kind needs to know, with the paths in it filled in.

    Args:
        settings: The entry, resolved as far as planning can; the step finds what is still None.
        origins: Where its values were taken from, as ``resolve_encoder`` tells.

    Raises:
        InputError: a path names a variable that is not set, or a file that is not there.
    """
    made = settings.as_json()
    if isinstance(settings, PrecomputedSettings):
        paths = {key: own_path(made[key]) for key in ("vectors", "ids") if made[key]}
        return made | paths
    if isinstance(settings, ApiEncoderSettings):
        tokenizer = settings.api.tokenizer
        api = made["api"] | {"tokenizer": tokenizer and own_path(tokenizer)}
        return made | {"api": api, "taken_from": origins}
    hidden = (*ORIGINS, "revision")
    shown = {key: value for key, value in made.items() if key not in hidden}
    return shown | {"taken_from": origins}
