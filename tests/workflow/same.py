"""Whether two runs of the toy workflow wrote the same, and copies of a run that go on from it."""

import shutil
from pathlib import Path

from ace_steps.io import parquet
from ace_steps.io.tables import TRAINING_CURVE
from tests.workflow.conftest import Checkout

CLOCKED = ["seconds", "targets_per_s"]  # the only columns that may differ


def tables_of(checkout: Checkout) -> dict[str, Path]:
    """Every table and every file of tensors that a run wrote, by its name."""
    results = checkout.folder / "results/toy"
    files = [*results.rglob("*.parquet"), *results.rglob("*.safetensors")]
    return {str(f.relative_to(results)): f for f in sorted(files) if "state" not in f.parts}


def assert_same_tables(
    actual: Checkout, expected: Checkout, *, under: str = "", without: str = ""
) -> None:
    """Two runs wrote the same files with the same bytes; of clocks, all but the time.

    Args:
        actual: The run that was disturbed.
        expected: The run that was not.
        under: Compare only what lies under this folder of the results.
        without: Compare nothing in a folder of this name.
    """
    here, there = (
        {
            name: file
            for name, file in tables_of(each).items()
            if name.startswith(under) and without not in file.parts
        }
        for each in (actual, expected)
    )
    assert there
    assert here.keys() == there.keys()
    for name, file in there.items():
        if file.name == "training_curve.parquet":
            curves = [
                parquet.read_table(f, TRAINING_CURVE).drop(CLOCKED) for f in (here[name], file)
            ]
            assert curves[0].equals(curves[1]), name
        else:
            assert here[name].read_bytes() == file.read_bytes(), name


def copy_of(checkout: Checkout, folder: Path, *kept: str) -> Checkout:
    """A checkout with only some folders of another's results, and no store of vectors."""
    shutil.copytree(checkout.folder, folder, symlinks=True, ignore=shutil.ignore_patterns("logs"))
    results = folder / "results/toy"
    shutil.rmtree(folder / "resources", ignore_errors=True)
    for part in results.iterdir():
        if part.is_dir() and part.name not in kept:
            shutil.rmtree(part)
    return Checkout(folder)
