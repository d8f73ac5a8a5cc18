r"""Begin with files of your own, and look at what the pipeline made.

python -m ace_steps init logs.csv products.parquet --name shop
  python -m ace_steps config shop.yaml --diff
  python -m ace_steps show results/shop
  python -m ace_steps show results/shop/report/metrics.parquet
  python -m ace_steps show --json results/shop/train/shop/minilm/random/sasrec/1/best.safetensors
"""

import argparse
import json
import sys
from pathlib import Path

from ace_steps import command


def init(
    *, files: list[Path], name: str | None, encoder: str, output: Path | None, force: bool
) -> None:
    """Write a first configuration of a user's files, and print what was recognized by what."""
    from ace_steps.init.command import write_configuration

    lines = write_configuration(files, name=name, encoder=encoder, output=output, force=force)
    print("\n".join(lines))


def config(*, files: list[Path], diff: bool) -> None:
    """Print the experiment of configuration files with every default, or what differs from them."""
    from ace_steps.config import loading

    experiment = loading.load(*files, with_files=True)
    found = experiment.as_json()
    if diff:
        found = loading.without_defaults(experiment)
    sys.stdout.write(loading.as_yaml(found))
    for name, origins in experiment.origins.items():
        taken = ", ".join(f"{key} ({where})" for key, where in origins.items())
        if taken:
            print(f"# encoders.{name}: {taken}")


def show(*, path: Path, rows: int, json_: bool) -> None:
    """Print a file, or the runs of a results folder, for a person or as one JSON value."""
    from ace_steps.show.files import describe
    from ace_steps.show.render import console, print_description, print_runs
    from ace_steps.show.runs import runs_table

    is_folder = path.is_dir()
    found = runs_table(path) if is_folder else describe(path, rows)
    if json_:
        value = {"folder": str(path), "runs": found.to_dicts()} if is_folder else found
        json.dump(value, sys.stdout, indent=2, ensure_ascii=False)
        print()
    elif is_folder:
        print_runs(console(), found)
    else:
        print_description(console(), found)


def _add_init(commands: argparse._SubParsersAction) -> None:
    one = commands.add_parser("init", help="write a first configuration of your own files")
    one.add_argument(
        "files", nargs="*", type=Path, help="a log and a catalog, or one folder (the current one)"
    )
    one.add_argument("--name", help="of the experiment (made of the folder's or the log's name)")
    one.add_argument(
        "--encoder",
        default="all-minilm-l6-v2",
        help="a public model's name, a model's folder, owner/name@commit of the hub, or a file of "
        "vectors (all-minilm-l6-v2)",
    )
    one.add_argument("--output", type=Path, help="the file to write (<name>.yaml)")
    one.add_argument("--force", action="store_true", help="replace the file if it is there")
    one.set_defaults(run=init)


def _add_config(commands: argparse._SubParsersAction) -> None:
    one = commands.add_parser("config", help="print a configuration with every default filled in")
    one.add_argument(
        "files", nargs="+", type=Path, help="YAML files; a later one's values go before"
    )
    one.add_argument("--diff", action="store_true", help="only what differs from the defaults")
    one.set_defaults(run=config)


def _add_show(commands: argparse._SubParsersAction) -> None:
    one = commands.add_parser("show", help="print an artifact, or a results folder's runs")
    one.add_argument("path", type=Path, help="a file of the pipeline, or a results folder")
    one.add_argument("--rows", type=int, default=5, help="first rows to show (5)")
    one.add_argument("--json", action="store_true", dest="json_", help="as JSON, for machines")
    one.set_defaults(run=show)


def main(argv: list[str] | None = None) -> int:
    """Parse the options and run the command; the exit code."""
    options = command.parser(__doc__)
    commands = options.add_subparsers(required=True, metavar="command")
    for add in (_add_init, _add_config, _add_show):
        add(commands)
    given = options.parse_args(argv)
    run = given.run
    del given.run
    return command.execute(run, given)


if __name__ == "__main__":
    raise SystemExit(main())
