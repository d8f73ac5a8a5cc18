"""What every test shares: one thread for each library, and where things are."""

import os

for _variable in (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "POLARS_MAX_THREADS",
):
    os.environ.setdefault(_variable, "1")  # before torch, numpy and polars are imported
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # threads that wait leave the core to others
os.environ.setdefault("HF_HUB_OFFLINE", "1")  # a test that reaches for the network fails at once
os.environ.setdefault("MPLBACKEND", "agg")

from pathlib import Path  # noqa: E402

import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402

ROOT = Path(__file__).parents[1]

settings.register_profile("any machine", deadline=None)  # however busy it is
settings.load_profile("any machine")


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def amazon_beauty() -> Path:
    """The folder of the Amazon Beauty atomic files, where this machine has them."""
    beside = ROOT.parent / "shared" / "data" / "amazon-beauty"
    folder = Path(os.environ.get("ACE_BEAUTY", beside))
    if not folder.is_dir():
        pytest.skip(f"no Amazon Beauty atomic files: ACE_BEAUTY is not set and {beside} is absent")
    return folder


@pytest.fixture
def bfloat16_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Computing in bfloat16 where it is asked for, also on a processor that imitates it."""
    from ace_steps import runtime

    monkeypatch.setattr(runtime, "_multiplies_bfloat16", lambda device: True)
