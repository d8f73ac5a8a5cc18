"""The package by itself: importable after `pip install .`, and light to import."""

import ast
import shutil
import subprocess
import sys
import tomllib
from graphlib import TopologicalSorter

from packaging.requirements import Requirement

from tests.conftest import ROOT


def _python(code, folder, path):
    """What a new process prints."""
    environment = {"PYTHONPATH": str(path), "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-c", code]
    result = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_an_installed_copy_is_a_library_outside_the_checkout(tmp_path):
    copy = tmp_path / "source"
    copy.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy2(ROOT / name, copy)
    for name in ("ace_steps", "data", "snakemake_logger_plugin_ace"):
        shutil.copytree(ROOT / name, copy / name)
    target = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-build-isolation"]
    pip += ["--no-index", "--target", str(target), str(copy)]
    result = subprocess.run(pip, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    code = "from ace_steps.refine import fit; import ace_steps; print(ace_steps.__file__)"
    assert str(target) in _python(code, tmp_path, target)


def test_what_a_plan_and_the_refinement_library_import_is_light():
    code = (
        "import sys; from ace_steps.config import grid, loading; import ace_steps.refine;"
        "grid.Plan(loading.load('workflow/config/config.yaml', with_files=True).as_json());"
        "print([m for m in ('torch', 'transformers') if m in sys.modules])"
    )
    assert _python(code, ROOT, ROOT) == "[]"


def test_the_refinement_library_needs_no_package_of_the_pipeline(tmp_path):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = [Requirement(text).name for text in project["optional-dependencies"]["pipeline"]]
    imported = {"pyyaml": "yaml"}
    code = f"""
import sys
class Refusing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {[imported.get(name, name) for name in names]}:
            raise ImportError(name)
sys.meta_path.insert(0, Refusing())
import numpy as np
from ace_steps.refine import Refinement, fit
vectors = np.random.default_rng(0).standard_normal((50, 20))
fit(vectors, 8).save("map.safetensors")
print(Refinement.load("map.safetensors").transform(vectors[:3]).shape)
"""
    assert _python(code, tmp_path, ROOT) == "(3, 8)"


def _package_of(module: str) -> str:
    """``refine`` for ``ace_steps.refine.ace``, ``errors`` for ``ace_steps.errors``."""
    return module.split(".")[1] if "." in module else ""


def test_no_package_imports_in_a_circle():
    imports: dict[str, set[str]] = {}
    for file in (ROOT / "ace_steps").rglob("*.py"):
        own = _package_of(".".join(file.relative_to(ROOT).with_suffix("").parts))
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            else:
                continue
            inner = [name for name in names if name.startswith("ace_steps.")]
            imports.setdefault(own, set()).update(map(_package_of, inner))
    assert len(imports) > 10
    TopologicalSorter({name: used - {name} for name, used in imports.items()}).prepare()
