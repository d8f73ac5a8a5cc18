r"""Fetch one raw file of a public dataset, check it, and put it in place.

python -m ace_steps.steps.fetch_dataset --source ml-100k --role interactions \
    --output resources/datasets/ml-100k/interactions
"""

import logging
from pathlib import Path

from ace_steps import command
from ace_steps.io.fetch import deliver
from ace_steps.preprocess.settings import ROLES, public_dataset

log = logging.getLogger(__name__)


def run(*, source: str, role: str, output: Path, registry: Path, downloads: Path) -> None:
    """Look the source up, fetch the file that plays the role, copy it to the output."""
    public = public_dataset(source, registry)
    deliver(getattr(public.files, role), output, downloads, advice=public.advice(role))
    log.info("%s of %s: %d bytes in %s", role, public.title, output.stat().st_size, output)


def main(argv: list[str] | None = None) -> int:
    """Parse the options and run the step; the exit code."""
    options = command.parser(__doc__)
    options.add_argument("--source", required=True, help="name in the registry")
    options.add_argument("--role", choices=ROLES, required=True, help="which of its two files")
    options.add_argument("--output", type=Path, required=True, help="the raw file to write")
    options.add_argument(
        "--registry", type=Path, default=Path("data/datasets.yaml"), help="the public datasets"
    )
    options.add_argument(
        "--downloads",
        type=Path,
        default=Path("resources/downloads"),
        help="where checked archives are kept, and files got by hand are looked for",
    )
    return command.execute(run, options.parse_args(argv))


if __name__ == "__main__":
    raise SystemExit(main())
