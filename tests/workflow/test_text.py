"""The workflow read as text: one name for rule, step, log, benchmark and test."""

import ast
import re

import pytest

from tests.conftest import ROOT

RULE = re.compile(r"^(?:rule|checkpoint) (\w+):\n(.*?)(?=^\S|\Z)", re.M | re.S)
RULES = [
    pytest.param(name, body, id=name)
    for file in sorted((ROOT / "workflow/rules").glob("*.smk"))
    for name, body in RULE.findall(file.read_text())
]
STEPS = {file.stem for file in (ROOT / "ace_steps/steps").glob("[a-z]*.py")}


@pytest.mark.parametrize(("name", "body"), RULES)
def test_rule_calls_the_step_of_its_own_name(name, body):
    assert re.search(rf'"python -m ace_steps\.steps\.{name}"', body)
    assert f'"<logs>/{name}/' in body
    assert f'"<benchmarks>/{name}/' in body or name == "write_config"
    assert (ROOT / f"ace_steps/steps/{name}.py").is_file()


@pytest.mark.parametrize(("name", "body"), RULES)
def test_rule_names_its_code_its_environment_and_what_it_needs(name, body):
    assert f'code=code("{name}"' in body
    assert '"../../environment.yml"' in body
    for keyword in ("mem_mb=", "runtime="):
        assert keyword in body
    assert "script:" not in body
    assert "run:" not in body


def test_every_step_has_a_rule_and_every_rule_a_step():
    assert {case.values[0] for case in RULES} == STEPS


@pytest.mark.parametrize("step", sorted(STEPS))
def test_every_step_has_a_test_of_its_name(step):
    assert (ROOT / f"tests/steps/test_{step}.py").is_file()


@pytest.mark.parametrize("file", sorted((ROOT / "ace_steps").rglob("*.py")), ids=str)
def test_no_module_pickles(file):
    text = file.read_text()
    assert not re.search(r"\b(import pickle|pickle\.load|torch\.load|torch\.save|joblib)\b", text)


@pytest.mark.parametrize("file", sorted((ROOT / "ace_steps").rglob("*.py")), ids=str)
def test_parquet_is_read_and_written_in_one_place(file):
    if file.name in ("parquet.py", "vectors.py"):
        return
    found = re.search(r"pyarrow\.parquet|(read|scan|write|sink)_parquet\(", file.read_text())
    allowed = {"preprocess", "init"} & set(file.parts)  # which look at anyone's own tables
    assert not found or allowed


EXAMPLES = [*(ROOT / "ace_steps/steps").glob("[a-z]*.py"), *(ROOT / "benchmarks").glob("*.py")]


@pytest.mark.parametrize("file", sorted(EXAMPLES), ids=lambda file: file.stem)
def test_an_example_to_paste_names_no_place_of_one_machine(file):
    doc = ast.get_docstring(ast.parse(file.read_text())) or ""
    assert not re.search(r"(?:^|[\s=\"'])[/~]\w", doc)
