"""One set of versions: the lock, the conda environment and the project agree."""

import re
import tomllib

import yaml
from packaging.requirements import Requirement

from tests.conftest import ROOT

CONDA_NAMES = {"pytorch": "torch", "matplotlib-base": "matplotlib"}
LOCK = {
    name.lower().replace("_", "-"): version
    for name, version in re.findall(
        r"^([\w.-]+)==(\S+)$", (ROOT / "requirements.lock").read_text(), re.M
    )
}


def _project() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    return [Requirement(text) for group in [project["dependencies"], *extras] for text in group]


def test_the_lock_fixes_every_dependency_of_the_project_in_its_range():
    for requirement in _project():
        assert requirement.specifier.contains(LOCK[requirement.name]), requirement


def test_conda_users_get_the_locked_versions_of_the_same_packages():
    listed = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    pairs = dict(entry.split("=") for entry in listed if re.fullmatch(r"[\w-]+=[^=]+", entry))
    found = {CONDA_NAMES.get(name, name): version for name, version in pairs.items()}
    assert found == {requirement.name: LOCK[requirement.name] for requirement in _project()}
