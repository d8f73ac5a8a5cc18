"""The package by itself: importable after `pip install .`, and light to import."""

import shutil
import subprocess
import sys

from tests.conftest import ROOT


def _python(code, folder, path):
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={"PYTHONPATH": str(path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_installed_copy_is_a_library_outside_the_checkout(tmp_path):
    copy = tmp_path / "source"
    copy.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy2(ROOT / name, copy)
    shutil.copytree(ROOT / "ace_steps", copy / "ace_steps")
    target = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-build-isolation"]
    done = subprocess.run(
        [*pip, "--no-index", "--target", str(target), str(copy)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = _python(
        "from ace_steps.refine import fit; import ace_steps; print(ace_steps.__file__)",
        tmp_path,
        target,
    )
    assert found.returncode == 0, found.stderr
    assert str(target) in found.stdout


def test_what_a_plan_and_the_refinement_library_import_is_light():
    code = (
        "import sys, ace_steps.configuration, ace_steps.grid, ace_steps.refine;"
        "print([m for m in ('torch', 'transformers') if m in sys.modules])"
    )
    found = _python(code, ROOT, ROOT)
    assert found.stdout.strip() == "[]", found.stdout + found.stderr
