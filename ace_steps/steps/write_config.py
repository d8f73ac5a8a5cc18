r"""Write a configuration with every default filled in, as YAML that can be run as it is.

python -m ace_steps.steps.write_config --config workflow/config/config.yaml --output config.yaml
"""

from pathlib import Path
from typing import Annotated

from ace_steps.command import log, main_of
from ace_steps.config import loading
from ace_steps.io.files import write_text


def run(
    *,
    config: Annotated[str, "run configuration, a file or JSON"],
    output: Annotated[Path, "YAML file to write"],
) -> None:
    """Resolve the configuration and write it."""
    experiment = loading.load(config)
    write_text(output, loading.as_yaml(experiment.as_json()))
    log.info("%s: experiment %s", output, experiment.experiment)


main = main_of(run)

if __name__ == "__main__":
    raise SystemExit(main())
