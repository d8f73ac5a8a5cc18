"""What docs/security.md promises and a reader of the source can see."""

import re

import pytest
import yaml

from tests.conftest import ROOT

MODULES = sorted((ROOT / "ace_steps").rglob("*.py"))
OF_THIS_PACKAGE = [ROOT / "ace_steps/io/code_digest.py"]  # runs statements of the package itself
NEVER = {  # what, how it looks, and an example that the pattern must find
    "runs text as code": (r"(?<![\w.])(eval|exec)\(|os\.system|shell=True", "eval(text)"),
    "reads YAML that makes objects": (r"yaml\.(load|full_load|unsafe_load)\(", "yaml.load(f)"),
    "unpacks a whole archive": (r"\.extractall\(|unpack_archive", "opened.extractall(folder)"),
    "trusts any server": (r"verify=False|CERT_NONE", "get(url, verify=False)"),
    "reads NumPy's pickles": (r"allow_pickle=True", "np.load(f, allow_pickle=True)"),
}


@pytest.mark.parametrize(("pattern", "example"), NEVER.values(), ids=NEVER)
def test_there_is_no_module_that(pattern, example):
    assert re.search(pattern, example)
    modules = [module for module in MODULES if re.search(pattern, module.read_text())]
    assert [module.name for module in modules if module not in OF_THIS_PACKAGE] == []


def test_the_environment_is_read_for_a_key_and_for_a_number_of_jobs_and_for_nothing_else():
    readers = {f.name for f in MODULES if re.search(r"os\.environ(\.get\(|\[)", f.read_text())}
    assert readers == {"api_client.py", "runtime.py"}


@pytest.mark.parametrize(
    "file", sorted((ROOT / "workflow/config").glob("*.yaml")), ids=lambda file: file.stem
)
def test_no_shipped_configuration_runs_a_models_code_or_holds_a_key(file):
    for name, encoder in yaml.safe_load(file.read_text())["encoders"].items():
        assert not encoder.get("trust_remote_code"), name
    assert not re.search(r"\bsk-\w{8}|api_key:", file.read_text())
