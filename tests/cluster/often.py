"""Snakemake's command line, asking Slurm for the states of its jobs every second.

Jobs start the interpreter that ACE_TEST_PYTHON names, this one without it.

The executor waits ten seconds longer after each answer without news, which is kind to a cluster of
thousands of jobs and most of the time of a test with jobs of seconds.
"""

import asyncio
import os
import sys

from snakemake.cli import main
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor

INTERVAL_S = 1


async def sleep_shortly(_executor: RemoteExecutor) -> None:
    """Wait until the next question."""
    await asyncio.sleep(INTERVAL_S)


if __name__ == "__main__":
    RemoteExecutor.sleep = sleep_shortly
    sys.executable = os.environ.get("ACE_TEST_PYTHON", sys.executable)
    sys.exit(main(sys.argv[1:]))
