"""Paths as a configuration writes them."""

import os
from pathlib import Path

from ace_steps.errors import InputError


def expand_path(path: str) -> Path:
    """A path of the configuration with its environment variables and ``~`` filled in.

    Raises:
        InputError: a variable is not set.
    """
    expanded = os.path.expandvars(path)
    if "$" in expanded:
        raise InputError(f"path '{path}' names an environment variable that is not set")
    return Path(expanded).expanduser()


def own_path(path: str) -> str:
    """A path of the caller's that is there, its variables filled in.

    Raises:
        InputError: a variable is not set, or nothing is there.
    """
    found = expand_path(path)
    if not found.exists():
        raise InputError(f"no such file or folder: {found}")
    return str(found)
