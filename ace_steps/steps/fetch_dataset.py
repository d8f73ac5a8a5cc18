r"""Fetch one raw file of a public dataset, check it, and put it in place.

python -m ace_steps.steps.fetch_dataset --source ml-100k --role interactions \
    --output resources/datasets/ml-100k/interactions
"""

from pathlib import Path
from typing import Annotated, Literal

from ace_steps.command import log, main_of
from ace_steps.io.fetch import deliver
from ace_steps.preprocess.settings import ROLES, public_dataset


def run(
    *,
    source: Annotated[str, "name in the registry"],
    role: Annotated[Literal[*ROLES], "which of its two files"],
    output: Annotated[Path, "the raw file to write"],
    registry: Annotated[Path, "the public datasets"] = Path("data/datasets.yaml"),
    downloads: Annotated[Path, "archives, and files got by hand"] = Path("resources/downloads"),
) -> None:
    """Look the source up, fetch the file that plays the role, copy it to the output."""
    public = public_dataset(source, registry)
    deliver(getattr(public.files, role), output, downloads, advice=public.advice(role))
    log.info("%s of %s: %d bytes in %s", role, public.title, output.stat().st_size, output)


main = main_of(run)

if __name__ == "__main__":
    raise SystemExit(main())
