r"""Write a configuration with every default filled in, as YAML that can be run as it is.

python -m ace_steps.steps.write_config --config workflow/config/config.yaml --output config.yaml
"""

import logging
from pathlib import Path

from ace_steps import command
from ace_steps.config import loading
from ace_steps.io.files import write_text

log = logging.getLogger(__name__)


def run(*, config: str, output: Path) -> None:
    """Resolve the configuration and write it."""
    experiment = loading.load(config)
    write_text(output, loading.as_yaml(experiment.as_json()))
    log.info("%s: experiment %s", output, experiment.experiment)


def main(argv: list[str] | None = None) -> int:
    """Parse the options and run the step; the exit code."""
    options = command.parser(__doc__)
    options.add_argument("--config", required=True, help="run configuration, a file or JSON")
    options.add_argument("--output", type=Path, required=True, help="YAML file to write")
    return command.execute(run, options.parse_args(argv))


if __name__ == "__main__":
    raise SystemExit(main())
