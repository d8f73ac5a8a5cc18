r"""Begin with files of your own, and look at what the pipeline made.

python -m ace_steps init logs.csv products.parquet --name shop
  python -m ace_steps config shop.yaml --diff
  python -m ace_steps show results/shop
  python -m ace_steps show results/shop/report/metrics.parquet
  python -m ace_steps show --json results/shop/train/shop/minilm/random/sasrec/1/best.safetensors
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from ace_steps.command import main_of


def init(
    files: Annotated[Sequence[Path], "a log and a catalog, or one folder (the current one)"] = (),
    *,
    name: Annotated[str | None, "of the experiment; by default the folder's or the log's"] = None,
    encoder: Annotated[
        str,
        "a public model, a model's folder, owner/name@commit of the hub, or a file of vectors",
    ] = "all-minilm-l6-v2",
    output: Annotated[Path | None, "the file to write; by default <name>.yaml"] = None,
    force: Annotated[bool, "replace the file if it is there"] = False,
) -> None:
    """Write a first configuration of a user's files, and print what was recognized by what."""
    from ace_steps.init.configuration import write_configuration

    lines = write_configuration(files, name=name, encoder=encoder, output=output, force=force)
    print("\n".join(lines))


def config(
    files: Annotated[list[Path], "YAML files; a later one's values go before"],
    *,
    diff: Annotated[bool, "only what differs from the defaults"] = False,
) -> None:
    """Print the experiment of configuration files with every default, or what differs from them."""
    from ace_steps.config import loading

    experiment = loading.load(*files, with_files=True)
    values = loading.without_defaults(experiment) if diff else experiment.as_json()
    sys.stdout.write(loading.as_yaml(values))
    for name, origins in experiment.origins.items():
        taken = ", ".join(f"{key} ({where})" for key, where in origins.items())
        if taken:
            print(f"# encoders.{name}: {taken}")


def show(
    path: Annotated[Path, "a file of the pipeline, or a results folder"],
    *,
    rows: Annotated[int, "first rows to show"] = 5,
    json_: Annotated[bool, "as JSON, for machines"] = False,
) -> None:
    """Print a file, or the runs of a results folder, for a person or as one JSON value."""
    from ace_steps.show import console, describe, print_description, print_runs, runs_table

    is_folder = path.is_dir()
    shown = runs_table(path) if is_folder else describe(path, rows)
    if json_:
        value = {"folder": str(path), "runs": shown.to_dicts()} if is_folder else shown
        print(json.dumps(value, indent=2, ensure_ascii=False))
    elif is_folder:
        print_runs(console(), shown)
    else:
        print_description(console(), shown)


main = main_of(init, config, show)

if __name__ == "__main__":
    raise SystemExit(main())
