"""What `python -m ace_steps init` does: look, say, write."""

from collections.abc import Sequence
from pathlib import Path

from ace_steps.config.experiment import Registries
from ace_steps.errors import InputError
from ace_steps.init.configuration_text import (
    configuration_text,
    encoder_entry,
    experiment_name,
    smaller_dim,
)
from ace_steps.init.guess import guess
from ace_steps.io.files import write_text


def write_configuration(
    files: Sequence[Path],
    *,
    name: str | None,
    encoder: str,
    output: Path | None,
    force: bool,
) -> list[str]:
    """Write a first configuration of the files; lines for a person on what was recognized.

    Args:
        files: A log and a catalog among others, or one folder; none is the current folder.
        name: Of the experiment and the dataset, None for one made of the files' place.
        encoder: As ``encoder_entry`` takes it.
        output: The file to write, None for ``<name>.yaml`` in the current folder.
        force: Overwrite it.

    Raises:
        InputError: the file is there, or the files are no log and catalog.
    """
    registry = Registries.shipped().encoders
    entry = encoder_entry(encoder, registry)
    found = guess(files or [Path()])
    name = experiment_name(name, found.interactions)
    output = output or Path(f"{name}.yaml")
    if output.exists() and not force:
        raise InputError(
            f"{output}: already there; --output names another file, --force replaces it."
        )
    dim = smaller_dim(entry[1], registry, found.n_items)
    text = configuration_text(found, name, entry, dim)
    if not output.parent.is_dir():
        raise InputError(f"{output}: its folder is not there; make it, or name another.")
    write_text(output, text)
    lines = list(found.facts)
    if dim:
        lines.append(f"dim: {dim}; the encoder's vectors or the items allow no more")
    if found.doubts:
        lines += ["not sure; check these:", *(f"  {doubt}" for doubt in found.doubts)]
    return [*lines, f"wrote {output}; next: snakemake -n --configfile {output}"]
