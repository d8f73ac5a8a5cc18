"""Digests of code: what changes them and what does not; objects of a module without its rest."""

import json
import shutil
import subprocess
import sys
import textwrap
import traceback
from itertools import count

import pytest

from ace_steps.io import code_digest as code_module
from ace_steps.io.code_digest import EXEMPT, PACKAGE, code_digest, run_partially
from ace_steps.registry import BACKBONES, READERS, REFINEMENTS

STEPS = sorted(path.stem for path in (PACKAGE / "steps").glob("[a-z]*.py"))
ENTRY = "kit.steps.learn:run"
FILES = {
    "__init__.py": "",
    "steps/learn.py": """
        import numpy as np
        from kit import shapes, tables
        from kit.deep import fit as fit_all

        def run(*, rows):
            from kit.late import close
            total = fit_all(np.ones(rows)) * shapes.SIDE
            return close(total), getattr(tables, "first")

        def main(argv=None):
            return run(rows=argv)
    """,
    "deep/__init__.py": "from kit.deep.core import fit",  # a re-export
    "deep/core.py": """
        from typing import Annotated

        from kit.base import Base, limit, marked

        RATE = 0.5

        @marked
        def fit(rows: Annotated[int, "how many"], most=limit):
            return Model().fit(rows, RATE, most)

        class Model(Base):
            size: int = Field(3, ge=1, description="Rows.")

            def fit(self, rows, rate, most):
                return self.scaled(rows) * rate

        def unused():
            return RATE + 1
    """,
    "base.py": """
        def marked(function):
            return function

        def limit():
            global n
            n = 3

        n = 0

        class Base:
            def scaled(self, rows):
                return rows * 2

        class Other:
            pass
    """,
    "late.py": """
        from kit.effects import FOUND

        try:
            from kit.new import VALUE
        except ImportError:
            VALUE = 0

        def close(total):
            return total or VALUE or FOUND
    """,
    "new.py": "VALUE = 1\nOTHER = 1\n",
    "effects.py": "FOUND = {}\nfor name in 'ab':\n    FOUND[name] = 1\n",
    "shapes.py": "SIDE = 4\nCORNER = ':'\n",
    "tables.py": "first = 1\nsecond = 2\n",
}


@pytest.fixture
def kit(tmp_path):
    """Makes the package again with some changes, (old, new) text by file; its folder.

    Every one has a folder of its own: a process reads a package once.
    """
    numbers = count()

    def make(**changes):
        folder = tmp_path / str(next(numbers)) / "kit"
        for name, text in FILES.items():
            text = textwrap.dedent(text).lstrip()
            old, new = changes.get(name.removesuffix(".py").replace("/", "_"), ("", ""))
            assert old in text
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.replace(old, new, 1) if old else text + new)
        return folder

    return make


def digest(folder, *entries, **options):
    return code_digest(*(entries or [ENTRY]), package=folder, **options)


REACHED = {
    "the entry itself": {"steps_learn": ("total), ", "total + 1), ")},
    "a function that a package re-exports": {"deep_core": ("rows, RATE, most)", "rows, 1, most)")},
    "a constant": {"deep_core": ("RATE = 0.5", "RATE = 0.25")},
    "the kind of a constant": {"shapes": ("SIDE = 4", "SIDE = 4.0")},
    "a method": {"deep_core": ("* rate", "* rate + 1")},
    "a field's range": {"deep_core": ("ge=1", "ge=2")},
    "a base class": {"base": ("rows * 2", "rows * 3")},
    "a decorator's function": {"base": ("return function", "return None")},
    "a decorator": {"deep_core": ("@marked\n", "")},
    "a default argument": {"base": ("n = 3", "n = 4")},
    "a global that a function assigns": {"base": ("n = 0", "n = 1")},
    "a function imported in a function": {"late": ("return total", "return -total")},
    "a constant of an imported module": {"shapes": ("4", "6")},
    "any name of a module used as a value": {"tables": ("second = 2", "second = 3")},
    "a name imported in a block": {"new": ("VALUE = 1", "VALUE = 2")},
    "a loop that an import runs": {"effects": ("= 1", "= 2")},
    "a call that an import runs": {"deep_core": ("", "fit(1)\n")},
    "another package's name": {"steps_learn": ("import numpy as np", "import cupy as np")},
    "where a name comes from": {"steps_learn": ("fit as fit_all", "unused as fit_all")},
    "a second definition in place of the first": {"shapes": ("", "SIDE = 5\n")},
}


@pytest.mark.parametrize("change", REACHED.values(), ids=REACHED.keys())
def test_what_the_entry_uses_is_of_its_digest(kit, change):
    assert digest(kit(**change)) != digest(kit())


NOT_REACHED = {
    "a comment": {"deep_core": ("RATE = 0.5", "RATE = 0.5  # a half")},
    "a docstring": {"base": ("    return rows * 2", "    '''Twice.'''\n        return rows * 2")},
    "a module's docstring": {"base": ("def marked", "'''What the rest needs.'''\ndef marked")},
    "a setting's description": {"deep_core": ('"Rows."', '"Number of rows."')},
    "an option's help": {"deep_core": ('"how many"', '"rows"')},
    "formatting": {
        "deep_core": ("fit(rows, RATE, most)", "fit(\n        rows, RATE, most,\n    )")
    },
    "a function that nothing uses": {"deep_core": ("RATE + 1", "RATE + 2")},
    "a class that nothing uses": {"base": ("class Other:\n    pass", "class Other:\n    x = 1")},
    "a constant that nothing uses": {"shapes": ("':'", "'::'")},
    "a new definition": {"base": ("", "def new():\n    return 1\n")},
    "an import of what nothing uses": {"base": ("def marked", "import kit.new\n\ndef marked")},
    "the order of definitions": {"tables": ("first = 1\nsecond = 2", "second = 2\nfirst = 1")},
}


@pytest.mark.parametrize("change", NOT_REACHED.values(), ids=NOT_REACHED.keys())
def test_what_decides_nothing_is_of_no_digest(kit, change):
    assert digest(kit(**change)) == digest(kit())


def test_a_module_as_entry_is_all_that_stands_in_it_and_what_that_uses(kit):
    whole = "kit.steps.learn"
    assert digest(kit(steps_learn=("rows=argv", "rows=1")), whole) != digest(kit(), whole)
    assert digest(kit(shapes=("4", "6")), whole) != digest(kit(), whole)
    assert digest(kit(shapes=("':'", "'::'")), whole) == digest(kit(), whole)


def test_the_order_of_two_values_of_a_name_counts(kit):
    folders = [kit(shapes=("", f"SIDE = {one}\nSIDE = {two}\n")) for one, two in [(5, 6), (6, 5)]]
    assert digest(folders[0]) != digest(folders[1])


def test_several_entries_count_together_in_any_order(kit):
    one, two = "kit.shapes:SIDE", "kit.deep.core:RATE"
    folder = kit()
    assert digest(folder, one, two) == digest(folder, two, one)
    assert len({digest(folder, one, two), digest(folder, one), digest(folder, two)}) == 3


def test_a_module_that_is_left_out_does_not_count(kit):
    changed = kit(base=("rows * 2", "rows * 3"))
    assert digest(changed, without=["kit.base"]) == digest(kit(), without=["kit.base"])


@pytest.mark.parametrize("entry", ["kit.steps.teach", "kit.shapes:SIDES", "numpy:ones"])
def test_an_entry_that_is_not_there_is_refused_by_name(kit, entry):
    with pytest.raises(ValueError, match=entry):
        digest(kit(), entry)


def test_digests_are_kept_until_any_file_changes(kit, tmp_path):
    folder, kept = kit(), tmp_path / "kept.json"
    first = digest(folder, kept=kept)
    assert first == digest(folder)
    written = json.loads(kept.read_text())
    kept.write_text(json.dumps(written | {"digests": dict.fromkeys(written["digests"], "kept")}))
    code_module._kept_digests.cache_clear()  # as another process
    assert digest(folder, kept=kept) == "kept"
    assert digest(folder, "kit.shapes:SIDE", kept=kept) == digest(folder, "kit.shapes:SIDE")
    assert digest(folder, without=["kit.base"], kept=kept) not in ("kept", first)
    assert digest(kit(shapes=("':'", "'::'")), kept=kept) == first


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"package": 1}'])
def test_a_damaged_file_of_digests_is_written_anew(kit, tmp_path, text):
    kept, folder = tmp_path / "kept.json", kit()
    kept.write_text(text)
    assert digest(folder, kept=kept) == digest(folder)
    assert len(json.loads(kept.read_text())["digests"]) == 1


# The package itself.


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A copy of the package, which nobody edits while the tests run."""
    folder = tmp_path_factory.mktemp("original") / "ace_steps"
    return shutil.copytree(PACKAGE, folder, ignore=shutil.ignore_patterns("__pycache__"))


@pytest.fixture
def copied(original, tmp_path):
    """Another copy, to be edited."""
    return shutil.copytree(original, tmp_path / "ace_steps")


def edit(path, change):
    path.write_text(change(path.read_text()))


def step_digests(folder):
    return {step: digest(folder, f"ace_steps.steps.{step}") for step in STEPS}


def test_every_implementation_that_a_registry_names_has_a_digest_of_its_own():
    registries = (READERS, REFINEMENTS, BACKBONES)
    names = {f"{e.module}:{e.name}" for registry in registries for e in registry.values()}
    assert len({code_digest(name) for name in names}) == len(names)


def test_what_is_exempt_is_there():
    for name in EXEMPT:
        code_digest(name)  # refuses what does not exist


def test_words_and_a_new_method_with_its_line_in_the_registry_change_nothing(original, copied):
    (copied / "refine" / "new_method.py").write_text("def new_method():\n    return 1\n")
    entry = "Entry('ace_steps.refine.new_method', 'NewSettings', 'new_method')"
    edit(copied / "registry.py", lambda text: f"{text}REFINEMENTS['new'] = {entry}\n")
    for path in copied.rglob("*.py"):
        edit(path, '"""Other words."""\n# a comment\n{}'.format)
    assert step_digests(copied) == step_digests(original)


def test_a_fix_in_reading_vectors_is_of_the_steps_that_read_them(original, copied):
    changed = ("def iter_vectors(", "@fixed\ndef iter_vectors(")
    edit(copied / "io" / "vectors.py", lambda text: text.replace(*changed))
    before, after = step_digests(original), step_digests(copied)
    steps = {step for step in STEPS if before[step] != after[step]}
    assert {"refine_vectors", "gram_vectors", "train_backbone"} <= steps
    assert not {"fetch_dataset", "preprocess_dataset", "compare_runs"} & steps


def test_other_processes_have_the_same_digests_and_import_nothing_for_them_or_for_settings(
    original,
):
    code = f"""
import json, sys
from pathlib import Path
from ace_steps.io.code_digest import code_digest
from ace_steps.registry import BACKBONES
folder = Path({str(original)!r})
digests = {{step: code_digest("ace_steps.steps." + step, package=folder) for step in {STEPS}}}
models = [entry.settings_class()().model for entry in BACKBONES.values()]
heavy = sorted({{"torch", "transformers", "polars"}} & sys.modules.keys())
print(json.dumps([digests, models, heavy]))
"""
    environment = {"PYTHONHASHSEED": "1", "PYTHONPATH": str(PACKAGE.parent)}
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert json.loads(result.stdout) == [step_digests(original), list(BACKBONES), []]


# Objects of a module without its rest.


@pytest.fixture
def parts(tmp_path, monkeypatch):
    """A package of one module that cannot be imported, and one that can."""
    folder = tmp_path / "kit_parts"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "shapes.py").write_text("SIDE = 2\n")
    net = """
        import absent_library
        from typing import Annotated, Literal

        from pydantic import BaseModel, Field, field_validator

        from kit_parts.shapes import SIDE

        Length = Annotated[int, Field(ge=SIDE)]
        STEP = 1
        STEP += 1

        class Base(BaseModel):
            kind: str

        class First(Base):
            kind: Literal["first"] = "first"
            length: Length = 5

            @field_validator("length")
            @classmethod
            def _even(cls, length: int) -> int:
                return rounded(length) if length % STEP else length

        def rounded(length):
            return length + 1

        class Network(absent_library.Module):
            pass

        BROKEN = 1 / 0
    """
    (folder / "net.py").write_text(textwrap.dedent(net))
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name in [name for name in sys.modules if name.startswith("kit_parts")]:
        del sys.modules[name]


def test_a_class_is_made_without_the_rest_of_its_module(parts):
    first = run_partially("kit_parts.net", "First", parts)
    assert first(length=7).model_dump() == {"kind": "first", "length": 8}
    assert first.__module__ == "kit_parts.net"
    with pytest.raises(ValueError, match="greater than or equal to 2"):
        first(length=1)
    assert "kit_parts.net" not in sys.modules
    assert run_partially("kit_parts.net", "First", parts) is first


def test_an_error_names_the_file_and_the_line(parts):
    with pytest.raises(ZeroDivisionError) as failure:
        run_partially("kit_parts.net", "BROKEN", parts)
    last = traceback.extract_tb(failure.value.__traceback__)[-1]
    assert (last.filename, last.line) == (str(parts / "net.py"), "BROKEN = 1 / 0")


def test_an_imported_module_gives_its_own_object(parts):
    import kit_parts.shapes

    kit_parts.shapes.SIDE = object()
    assert run_partially("kit_parts.shapes", "SIDE", parts) is kit_parts.shapes.SIDE


@pytest.mark.parametrize(("module", "name"), [("kit_parts.gone", "X"), ("kit_parts.net", "Gone")])
def test_what_is_not_there_cannot_be_run(parts, module, name):
    with pytest.raises(ValueError, match=module):
        run_partially(module, name, parts)
