"""Digests of code: what changes them and what does not; objects of a module without its rest."""

import json
import shutil
import subprocess
import sys
import traceback
from itertools import count

import pytest

from ace_steps.io import code_digest as code_module
from ace_steps.io.code_digest import (
    EXEMPT,
    PACKAGE,
    code_digest,
    code_parts,
    run_partially,
)
from ace_steps.registry import BACKBONES, READERS, REFINEMENTS

STEPS = sorted(path.stem for path in (PACKAGE / "steps").glob("[a-z]*.py"))
FILES = {
    "steps/learn.py": """
        import numpy as np
        from kit import shapes, tables
        from kit.deep import fit as fit_all
        import kit.deep.words

        def run(*, rows):
            from kit.late import close
            total = fit_all(np.ones(rows)) * shapes.SIDE
            return close(total), kit.deep.words.COLON, getattr(tables, "first")

        def main(argv=None):
            return run(rows=argv)

        if __name__ == "__main__":
            raise SystemExit(main())
    """,
    "deep/__init__.py": "from kit.deep.core import fit",  # a re-export
    "deep/core.py": """
        from typing import TYPE_CHECKING, Literal

        from kit.base import Base, limit, marked

        if TYPE_CHECKING:
            from kit.late import Result

        RATE = 0.5

        @marked
        def fit(rows: Literal["unused"], most=limit) -> "Result":
            return Model().fit(rows, RATE, most)

        class Model(Base):
            def fit(self, rows, rate, most):
                return self.scaled(rows) * rate

        def unused():
            return RATE + 1
    """,
    "deep/words.py": "COLON = ':'\nSEMICOLON = ';'",
    "base.py": """
        def marked(function):
            return function

        def limit():
            return 3

        class Base:
            def scaled(self, rows):
                return rows * 2

        class Other:
            pass
    """,
    "late.py": """
        import kit.effects

        class Result:
            pass

        def close(total):
            import kit.side
            from kit.sub.part import CLOSED
            return total or CLOSED
    """,
    "side.py": "print(1)\n",
    "sub/__init__.py": "",
    "sub/part.py": """
        try:
            import kit.new
        except ImportError:
            pass
        CLOSED = True
    """,
    "new.py": "VALUE = 1\n",
    "effects.py": "FOUND = {}\nfor name in 'ab':\n    FOUND[name] = 1\n",
    "shapes.py": "SIDE = 4\nCORNER = 5\n",
    "tables.py": "first = 1\nsecond = 2\n",
    "__init__.py": "",
}


def dedented(text):
    lines = text.strip("\n").split("\n")
    margin = len(lines[0]) - len(lines[0].lstrip())
    return "\n".join(line[margin:] for line in lines) + "\n"


@pytest.fixture
def kit(tmp_path):
    """Makes the package again with some changes, (old, new) text by file; its folder.

    Every one has a folder of its own: a process reads a package once.
    """
    numbers = count()

    def make(**changes):
        folder = tmp_path / str(next(numbers)) / "kit"
        for name, text in FILES.items():
            text = dedented(text)
            old, new = changes.get(name.removesuffix(".py").replace("/", "_"), ("", ""))
            assert old in text
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.replace(old, new, 1) if old else text + new)
        return folder

    return make


def digest(folder, *entries):
    return code_digest(*(entries or ["kit.steps.learn:run"]), package=folder)


REACHED = {
    "the entry itself": {"steps_learn": ("total), kit", "total + 1), kit")},
    "a function that a package re-exports": {"deep_core": ("rows, RATE, most)", "rows, 1, most)")},
    "a constant": {"deep_core": ("RATE = 0.5", "RATE = 0.25")},
    "the kind of a constant": {"shapes": ("SIDE = 4", "SIDE = 4.0")},
    "a method": {"deep_core": ("* rate", "* rate + 1")},
    "a base class": {"base": ("rows * 2", "rows * 3")},
    "a decorator's function": {"base": ("return function", "return None")},
    "a decorator": {"deep_core": ("@marked\n", "")},
    "a default argument": {"base": ("return 3", "return 4")},
    "a function imported in a function": {"late": ("return total", "return -total")},
    "a constant of an imported module": {"shapes": ("4", "6")},
    "a constant of a module with dots": {"deep_words": ("':'", "'::'")},
    "a type that an annotation names in quotes": {"late": ("pass", "x = 1")},
    "what any name of a module used as a value stands for": {
        "tables": ("second = 2", "second = 3")
    },
    "a loop that an import runs": {"effects": ("= 1", "= 2")},
    "a call that an import runs": {"deep_core": ("", "fit(1)\n")},
    "a call that the import of a package runs": {"__init__": ("", "print(1)\n")},
    "a call that the import of a package runs, if only of a part": {
        "sub___init__": ("", "print(1)\n")
    },
    "a call that an import in a function runs": {"side": ("print(1)", "print(2)")},
    "a call that an import in a block runs": {"new": ("", "print(1)\n")},
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
    "a module's docstring": {"base": ("def marked", "'''What the rest stands on.'''\ndef marked")},
    "formatting": {
        "deep_core": ("fit(rows, RATE, most)", "fit(\n        rows, RATE, most,\n    )")
    },
    "quotes": {"deep_words": ("':'", '":"')},
    "a definition that nothing uses": {"deep_core": ("RATE + 1", "RATE + 2")},
    "a class that nothing uses": {"base": ("class Other:\n    pass", "class Other:\n    x = 1")},
    "a constant that nothing uses": {"deep_words": ("';'", "','")},
    "a new definition": {"base": ("", "def new():\n    return 1\n")},
    "a module that nothing imports": {"new": ("1", "2")},
    "what is run as a program": {"steps_learn": ("SystemExit(main())", "SystemExit(main([]))")},
    "an import of what nothing uses": {"base": ("def marked", "import kit.new\n\ndef marked")},
    "the prefix of a text": {"deep_words": ("':'", "u':'")},
    "the order of definitions": {"shapes": ("SIDE = 4\nCORNER = 5", "CORNER = 5\nSIDE = 4")},
}


@pytest.mark.parametrize("change", NOT_REACHED.values(), ids=NOT_REACHED.keys())
def test_what_decides_nothing_is_of_no_digest(kit, change):
    assert digest(kit(**change)) == digest(kit())


def test_the_parts_of_a_digest_are_those_definitions(kit):
    assert code_parts("kit.steps.learn:run", package=kit()) == [
        "kit.base:Base",
        "kit.base:limit",
        "kit.base:marked",
        "kit.deep.core:Model",
        "kit.deep.core:RATE",
        "kit.deep.core:fit",
        "kit.deep.words:COLON",
        "kit.effects:<import>",
        "kit.effects:FOUND",
        "kit.late:Result",
        "kit.late:close",
        "kit.shapes:SIDE",
        "kit.side:<import>",
        "kit.steps.learn:run",
        "kit.sub.part:<import>",
        "kit.sub.part:CLOSED",
        "kit.tables:first",
        "kit.tables:second",
    ]


def test_a_module_as_entry_is_all_that_stands_in_it_and_its_program(kit):
    whole = "kit.steps.learn"
    assert digest(kit(steps_learn=("run(rows=argv)", "run(rows=1)")), whole) != digest(kit(), whole)
    assert digest(kit(steps_learn=("main())", "main([]))")), whole) != digest(kit(), whole)
    assert digest(kit(deep_core=("RATE + 1", "RATE")), whole) == digest(kit(), whole)


def test_of_a_module_that_an_entry_imports_only_what_it_uses_counts(kit):
    changed = kit(shapes=("CORNER = 5", "CORNER = 6"))
    assert digest(changed, "kit.steps.learn") == digest(kit(), "kit.steps.learn")


def test_what_every_module_has_is_no_use_of_its_code(kit):
    named = {"steps_learn": ("shapes.SIDE", "len(shapes.__name__)")}
    assert digest(kit(**named, shapes=("4", "6"))) == digest(kit(**named))


def test_a_name_that_is_imported_in_a_block_is_followed(kit):
    block = "try:\n    from kit.new import VALUE\nexcept ImportError:\n    VALUE = 0\n\n"
    trying = {"shapes": ("SIDE = 4", f"{block}SIDE = VALUE")}
    assert digest(kit(**trying, new=("1", "2"))) != digest(kit(**trying))


def test_a_package_as_entry_offers_what_it_imports(kit):
    changed = kit(deep_core=("* rate", "* rate + 1"))
    assert digest(changed, "kit.deep") != digest(kit(), "kit.deep")


def test_what_a_function_assigns_globally_is_of_its_digest(kit):
    def counting(first):
        return {"base": ("    return 3", f"    global n\n    n = 3\n\nn = {first}\n")}

    assert digest(kit(**counting(1))) != digest(kit(**counting(2)))


def test_a_star_imports_all_of_a_module(kit):
    star = {"shapes": ("SIDE = 4", "from kit.new import *\n\nSIDE = 4")}
    assert digest(kit(**star)) != digest(kit())
    assert digest(kit(**star, new=("1", "2"))) != digest(kit(**star))


def test_relative_imports_are_followed(kit):
    same_folder = {"deep___init__": ("from kit.deep.core", "from .core")}
    parts = code_parts("kit.steps.learn:run", package=kit())
    relative = {"steps_learn": ("from kit import shapes, tables", "from .. import shapes, tables")}
    assert code_parts("kit.steps.learn:run", package=kit(**relative, **same_folder)) == parts


def test_words_for_people_are_of_no_digest(kit):
    before = "def marked(function: Annotated[str, 'x'] = 'y'):\n    size: int = Field(3, ge=1)\n"
    described = before.replace("ge=1", "ge=1, description='Rows.'").replace("'x'", "'X'")
    another = before.replace("ge=1", "ge=2")
    old = "def marked(function):\n"
    first = digest(kit(base=(old, before)))
    assert digest(kit(base=(old, described))) == first
    assert digest(kit(base=(old, another))) != first


def test_several_entries_count_together_in_any_order(kit):
    one, two = "kit.shapes:SIDE", "kit.deep.words:COLON"
    folder = kit()
    assert digest(folder, one, two) == digest(folder, two, one)
    assert len({digest(folder, one, two), digest(folder, one), digest(folder, two)}) == 3


def test_what_is_left_out_does_not_count_nor_what_it_alone_uses(kit):
    changes = {"base": ("rows * 2", "rows * 3")}
    left_out = {"without": ["kit.deep.core:Model"]}
    entry = "kit.steps.learn:run"
    first = code_digest(entry, package=kit(), **left_out)
    assert code_digest(entry, package=kit(**changes), **left_out) == first
    assert first != code_digest(entry, package=kit())
    parts = code_parts(entry, without=["kit.base"], package=kit())
    assert not [part for part in parts if part.startswith("kit.base:")]


@pytest.mark.parametrize(
    ("entry", "named"),
    [
        ("kit.steps.teach", "kit.steps.teach"),
        ("kit.shapes:SIDES", "SIDES"),
        ("numpy:ones", "numpy"),
        ("kit:shapes", "shapes"),
    ],
)
def test_an_entry_that_is_not_there_is_refused_by_name(kit, entry, named):
    with pytest.raises(ValueError, match=named):
        digest(kit(), entry)


@pytest.fixture
def new_process():
    """Forgets what this process read of files of digests, as another process would not know it."""
    code_module._kept_digests.cache_clear()
    return code_module._kept_digests.cache_clear


def test_digests_are_kept_until_any_file_changes(kit, tmp_path, new_process):
    folder, options = kit(), {"kept": tmp_path / "kept.json"}
    entry, side = "kit.steps.learn:run", "kit.shapes:SIDE"
    first = code_digest(entry, package=folder, **options)
    assert first == digest(folder)
    written = json.loads(options["kept"].read_text())
    marked = written | {"digests": dict.fromkeys(written["digests"], "kept")}
    options["kept"].write_text(json.dumps(marked))
    new_process()
    assert code_digest(entry, package=folder, **options) == "kept"
    assert code_digest(entry, package=kit(), **options) == "kept"  # the same bytes elsewhere
    assert code_digest(side, package=folder, **options) == digest(folder, side)
    assert code_digest(entry, package=folder, without=["kit.base"], **options) not in (
        "kept",
        first,
    )
    changed = kit(shapes=("CORNER = 5", "CORNER = 6"))
    assert code_digest(entry, package=changed, **options) == first


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"package": 1}'])
def test_a_damaged_file_of_digests_is_written_anew(kit, tmp_path, text, new_process):
    kept, folder = tmp_path / "kept.json", kit()
    kept.write_text(text)
    assert code_digest("kit.shapes:SIDE", package=folder, kept=kept) == digest(
        folder, "kit.shapes:SIDE"
    )
    assert len(json.loads(kept.read_text())["digests"]) == 1


def test_what_was_read_before_a_file_changed_is_not_kept(kit, tmp_path, new_process):
    kept, folder = tmp_path / "kept.json", kit()
    before = digest(folder)
    (folder / "shapes.py").write_text("SIDE = 6\n")
    assert code_digest("kit.steps.learn:run", package=folder, kept=kept) == before
    assert not kept.exists()


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
    return {step: code_digest(f"ace_steps.steps.{step}", package=folder) for step in STEPS}


def entries():
    for registry in (READERS, REFINEMENTS, BACKBONES):
        for entry in registry.values():
            yield f"{entry.module}:{entry.name}"


def test_every_implementation_that_a_registry_names_has_a_digest_of_its_own():
    assert len({code_digest(entry) for entry in entries()}) == len(set(entries()))


def test_a_new_method_and_its_line_in_the_registry_change_nothing(original, copied):
    (copied / "refine" / "new_method.py").write_text("def new_method():\n    return 1\n")
    line = (
        "REFINEMENTS['new'] = Entry('ace_steps.refine.new_method', 'NewSettings', 'new_method')\n"
    )
    edit(copied / "registry.py", lambda text: text + line)
    assert step_digests(copied) == step_digests(original)


def test_what_is_exempt_is_there():
    for name in EXEMPT:
        code_digest(name)  # refuses what does not exist


def test_a_fix_in_reading_vectors_is_of_the_steps_that_read_them(original, copied):
    changed = ("def iter_vectors(", "@fixed\ndef iter_vectors(")
    edit(copied / "io" / "vectors.py", lambda text: text.replace(*changed))
    before, after = step_digests(original), step_digests(copied)
    steps = {step for step in STEPS if before[step] != after[step]}
    assert {"refine_vectors", "gram_vectors", "train_backbone"} <= steps
    assert not {"fetch_dataset", "preprocess_dataset", "compare_runs"} & steps


def test_comments_and_docstrings_of_the_whole_package_are_of_no_digest(original, copied):
    for path in copied.rglob("*.py"):
        edit(path, '"""Other words."""\n# a comment\n{}'.format)
    assert step_digests(copied) == step_digests(original)


def test_digests_are_the_same_in_another_process(original):
    code = (
        "import json; from pathlib import Path; from ace_steps.io.code_digest import code_digest;"
        f"folder = Path('{original}');"
        "digests = {s: code_digest('ace_steps.steps.' + s, package=folder) for s in "
        + f"{STEPS}}};"
        "print(json.dumps(digests))"
    )
    environment = {"PYTHONHASHSEED": "1", "PYTHONPATH": str(PACKAGE.parent)}
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert json.loads(result.stdout) == step_digests(original)


def test_nothing_is_imported_for_a_digest_or_a_backbones_settings():
    code = (
        "import sys\n"
        "from ace_steps.registry import BACKBONES\n"
        "from ace_steps.io.code_digest import code_digest\n"
        "for entry in BACKBONES.values():\n"
        "    code_digest('ace_steps.steps.train_backbone', f'{entry.module}:{entry.name}')\n"
        "    made = entry.settings_class()\n"
        "    print(made.__module__, made().model)\n"
        "print(sorted({'torch', 'transformers', 'polars'} & sys.modules.keys()))\n"
    )
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, check=True, capture_output=True, text=True, cwd=PACKAGE.parent)
    lines = [f"{entry.module} {name}" for name, entry in BACKBONES.items()]
    assert result.stdout.splitlines() == [*lines, "[]"]


# Objects of a module without its rest.

MODULE = """
    import absent_library
    from kit_parts import absent_name, shapes
    from typing import Annotated, Literal

    from pydantic import BaseModel, Field, field_validator

    from kit_parts.shapes import SIDE

    Length = Annotated[int, Field(ge=SIDE)]
    STEP = 1
    STEP += 1

    try:
        import absent_too
    except ImportError:
        FOUND = "no"

    class Base(BaseModel):
        kind: str

    class First(Base):
        kind: Literal["first"] = "first"
        length: Length = 5
        then: "Later | None" = None

        @field_validator("length")
        @classmethod
        def _even(cls, length: int) -> int:
            if length % STEP:
                return rounded(length)
            return length

    class Second(Base):
        pass

    class Later(BaseModel):
        x: int

    def rounded(length):
        return length + 1

    class Network(absent_library.Module):
        pass

    def broken():
        return 1 / 0

    BROKEN = broken()
"""


@pytest.fixture
def parts(tmp_path, monkeypatch):
    """A package of one module that cannot be imported."""
    folder = tmp_path / "kit_parts"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "shapes.py").write_text("SIDE = 2\n")
    (folder / "net.py").write_text(dedented(MODULE))
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name in [name for name in sys.modules if name.startswith("kit_parts")]:
        del sys.modules[name]


def test_a_class_is_made_without_the_rest_of_its_module(parts):
    first = run_partially("kit_parts.net", "First", parts)
    assert first(length=7, then={"x": 1}).model_dump() == {
        "kind": "first",
        "length": 8,
        "then": {"x": 1},
    }
    assert first.__module__ == "kit_parts.net"
    with pytest.raises(ValueError, match="greater than or equal to 2"):
        first(length=1)
    assert "kit_parts.net" not in sys.modules


def test_the_objects_of_a_module_share_their_base_classes(parts):
    first, second = (run_partially("kit_parts.net", name, parts) for name in ("First", "Second"))
    assert first.__mro__[1] is second.__mro__[1] is run_partially("kit_parts.net", "Base", parts)


def test_a_name_that_is_bound_in_a_block_or_changed_later_is_as_after_an_import(parts):
    assert run_partially("kit_parts.net", "STEP", parts) == 2
    assert run_partially("kit_parts.net", "FOUND", parts) == "no"


def test_an_error_names_the_file_and_the_line(parts):
    with pytest.raises(ZeroDivisionError) as failure:
        run_partially("kit_parts.net", "BROKEN", parts)
    last = traceback.extract_tb(failure.value.__traceback__)[-1]
    assert last.filename == str(parts / "net.py")
    assert last.line == "return 1 / 0"


def test_an_imported_module_gives_its_own_object(parts):
    import kit_parts.shapes

    kit_parts.shapes.SIDE = object()
    assert run_partially("kit_parts.shapes", "SIDE", parts) is kit_parts.shapes.SIDE


@pytest.mark.parametrize(("module", "name"), [("kit_parts.gone", "X"), ("kit_parts.net", "Gone")])
def test_what_is_not_there_cannot_be_run(parts, module, name):
    with pytest.raises(ValueError, match=module):
        run_partially(module, name, parts)
