"""What an entry of ``encoders`` in the configuration stands for; a dry run imports this module."""

from pathlib import Path

from ace_steps.configuration import own_path
from ace_steps.embed.registry import Hub, public_encoder
from ace_steps.errors import InputError

LOCAL, API, OWN = "local", "api", "vectors"
ORIGINS = ("source", "revision", "path", "hub")  # keys of a local entry that name its folder


def kind_of(entry: dict) -> str:
    """Which kind of encoder it is: one that runs here, one behind an API, or a file of vectors."""
    return next((kind for kind in (API, OWN) if kind in entry), LOCAL)


def model_folder(entry: dict, registry: Path) -> str | None:
    """Folder of a local entry's model: the caller's, or where fetch_encoder puts it; None if none.

    Raises:
        InputError: no such folder or public model, or one that cannot be fetched as the entry says.
    """
    if kind_of(entry) != LOCAL:
        return None
    if "revision" in entry and "source" not in entry:
        raise InputError("`revision` belongs to `source`; `hub` has one of its own.")
    if "path" in entry:
        return own_path(entry["path"])
    if entry["trust_remote_code"]:
        raise InputError(
            "trust_remote_code: true is only for a model's folder, `path`; no code is fetched with "
            "`source` or `hub`."
        )
    hub = hub_of(entry, registry)
    return f"<resources>/encoders/{folder_name(hub) if hub else entry['source']}/model"


def unlisted_hub(entry: dict, registry: Path) -> Hub | None:
    """The repository of a local entry that the registry does not list at that commit, if any."""
    is_fetched = kind_of(entry) == LOCAL and "path" not in entry
    return hub_of(entry, registry) if is_fetched else None


def folder_name(hub: Hub) -> str:
    """A name for a repository at one commit that can be a folder."""
    return f"{hub.repo.replace('/', '--')}--{hub.revision[:12]}"


def hub_of(entry: dict, registry: Path) -> Hub | None:
    """The repository that a local entry is fetched from; None where the registry says it all.

    Raises:
        InputError: no such public model, or its commit is not known and not given.
    """
    if "hub" in entry:
        return Hub(**entry["hub"])
    public = public_encoder(entry["source"], registry)
    if public.api:
        raise InputError(
            f"'{entry['source']}' is behind an API; write `api` instead of `source`, as "
            "docs/encoders.md shows."
        )
    if public.hub is None:
        if "revision" in entry:
            raise InputError(f"'{entry['source']}' is one checked archive and has no `revision`.")
        return None
    revision = entry.get("revision", public.hub.revision)
    if revision == public.hub.revision and revision is not None:
        return None
    if revision is None:
        raise InputError(
            f"no commit of '{entry['source']}' is known here; give `revision`, the 40 hexadecimal "
            f"digits of one from {public.homepage}/commits/main."
        )
    return Hub(repo=public.hub.repo, revision=revision)


def step_settings(entry: dict) -> dict:
    """What the step of an entry's kind needs to know, with the paths in it filled in.

    Raises:
        InputError: a path names a variable that is not set, or a file that is not there.
    """
    if kind_of(entry) == LOCAL:
        return {key: value for key, value in entry.items() if key not in ORIGINS}
    if kind_of(entry) == OWN:
        paths = {key: own_path(entry[key]) for key in ("vectors", "ids") if key in entry}
        return {**entry, **paths}
    tokenizer = entry["api"]["tokenizer"]
    found = tokenizer and own_path(tokenizer)
    return {**entry, "api": {**entry["api"], "tokenizer": found}}
