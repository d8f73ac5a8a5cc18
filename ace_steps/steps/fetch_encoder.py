r"""Fetch a public language model and check it, or make the toy one; as a folder, in its place.

python -m ace_steps.steps.fetch_encoder --source smollm2-135m \
    --output resources/encoders/smollm2-135m/model
"""

import logging
from pathlib import Path

from ace_steps import command
from ace_steps.embed.registry import fetch_hub, fetch_model, public_encoder
from ace_steps.embed.settings import HubSettings
from ace_steps.settings import parse

log = logging.getLogger(__name__)


def run(*, source: str, hub: str | None, output: Path, registry: Path, downloads: Path) -> None:
    """Fetch a repository at its commit, or look the source up and fetch that."""
    if hub:
        title, revision = source, fetch_hub(parse(HubSettings, hub, "--hub"), output, downloads)
    else:
        encoder = public_encoder(source, registry)
        title, revision = encoder.title, fetch_model(source, encoder, output, downloads)
    n_bytes = sum(path.stat().st_size for path in output.rglob("*") if path.is_file())
    log.info("%s from %s: %d bytes in %s", title, revision, n_bytes, output)


def main(argv: list[str] | None = None) -> int:
    """Parse the options and run the step; the exit code."""
    options = command.parser(__doc__)
    options.add_argument("--source", required=True, help="name in the registry")
    options.add_argument(
        "--hub",
        help="a repository of the Hugging Face hub instead, as JSON: "
        '{"repo": "owner/model", "revision": "<40 digits>"}',
    )
    options.add_argument("--output", type=Path, required=True, help="the folder to write")
    options.add_argument(
        "--registry", type=Path, default=Path("data/encoders.yaml"), help="the public encoders"
    )
    options.add_argument(
        "--downloads",
        type=Path,
        default=Path("resources/downloads"),
        help="where checked archives are kept",
    )
    return command.execute(run, options.parse_args(argv))


if __name__ == "__main__":
    raise SystemExit(main())
