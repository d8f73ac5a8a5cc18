r"""Fetch a public language model and check it, or make the toy one; as a folder, in its place.

python -m ace_steps.steps.fetch_encoder --source smollm2-135m \
    --output resources/encoders/smollm2-135m/model
"""

from pathlib import Path
from typing import Annotated

from ace_steps.command import log, main_of
from ace_steps.embed.registry import fetch_hub, fetch_model, public_encoder
from ace_steps.embed.settings import HubSettings
from ace_steps.settings import parse


def run(
    *,
    source: Annotated[str, "name in the registry"],
    hub: Annotated[
        str | None,
        'JSON instead: {"repo": "owner/model", "revision": "<40 digits>"}',
    ] = None,
    output: Annotated[Path, "the folder to write"],
    registry: Annotated[Path, "the public encoders"] = Path("data/encoders.yaml"),
    downloads: Annotated[Path, "where checked archives are kept"] = Path("resources/downloads"),
) -> None:
    """Fetch a repository at its commit, or look the source up and fetch that."""
    if hub:
        title, revision = source, fetch_hub(parse(HubSettings, hub, "--hub"), output, downloads)
    else:
        encoder = public_encoder(source, registry)
        title, revision = encoder.title, fetch_model(source, encoder, output, downloads)
    n_bytes = sum(path.stat().st_size for path in output.rglob("*") if path.is_file())
    log.info("%s from %s: %d bytes in %s", title, revision, n_bytes, output)


main = main_of(run)

if __name__ == "__main__":
    raise SystemExit(main())
