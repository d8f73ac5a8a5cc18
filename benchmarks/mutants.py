"""Do the tests notice broken code? Changes one operator, number or branch at a time and runs them.

python benchmarks/mutants.py refine sequences backbones training evaluation preprocess --each 60

For each package, so many of its mutants are drawn (all with --each 0). Each is a copy of
``ace_steps`` with one change in one file, for which the package's tests are run until the first
that fails: those of the same name first, then its folder, then its steps. Tests run in forks of a
process that has the libraries loaded. What survives is printed with its line, to be read: some
mutants change nothing that can be seen (an error's text, a chunk's size), the others lack a test.
"""

import argparse
import ast
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PATIENCE = 4  # a mutant that takes so many times the seconds of its unchanged code hangs: killed
LIBRARIES = ("numpy", "polars", "pyarrow.parquet", "pydantic", "scipy.linalg", "torch", "pytest")
COMPARED = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
COMPUTED = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.MatMult: ast.Add,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}


class _Changer(ast.NodeTransformer):
    """Counts the places that can be changed, and changes the one of number ``at``.

    Left alone are texts, docstrings, type annotations, decorators and what is raised or logged.
    """

    def __init__(self, at: int = -1) -> None:
        self.at, self.n_places = at, 0
        self.line, self.change = 0, ""

    def _is_here(self, node: ast.AST, change: str) -> bool:
        self.n_places += 1
        if self.n_places - 1 != self.at:
            return False
        self.line, self.change = node.lineno, change
        return True

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        for i, operator in enumerate(node.ops):
            new = COMPARED[type(operator)]
            if self._is_here(node, f"{type(operator).__name__} -> {new.__name__}"):
                node.ops[i] = new()
        return self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        new = COMPUTED.get(type(node.op))
        old = type(node.op).__name__
        if new and not _is_text(node.left) and self._is_here(node, f"{old} -> {new.__name__}"):
            node.op = new()
        return self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        new = ast.Or if isinstance(node.op, ast.And) else ast.And
        if self._is_here(node, f"{type(node.op).__name__} -> {new.__name__}"):
            node.op = new()
        return self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        is_changed = self._is_here(node, f"without {type(node.op).__name__}")
        self.generic_visit(node)
        return node.operand if is_changed else node

    def visit_If(self, node: ast.If) -> ast.AST:
        if not isinstance(node.body[0], ast.Raise) and self._is_here(node, "if -> never"):
            node.test = ast.Constant(value=False)
        return self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        if self._is_here(node, "else -> always"):
            node.test = ast.Constant(value=True)
        return self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        value = node.value
        if isinstance(value, bool) and self._is_here(node, f"{value} -> {not value}"):
            return ast.copy_location(ast.Constant(not value), node)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if is_number and self._is_here(node, f"{value} -> {value + 1}"):
            return ast.copy_location(ast.Constant(value + 1), node)
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        if isinstance(node.value, ast.Constant) or ast.unparse(node).startswith("log."):
            return node
        if isinstance(node.value, ast.Call) and self._is_here(node, "call -> none"):
            return ast.copy_location(ast.Pass(), node)
        return self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        if self._is_here(node, "raise -> none"):
            return ast.copy_location(ast.Pass(), node)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.args.defaults = [self.visit(default) for default in node.args.defaults]
        node.body = [self.visit(statement) for statement in node.body]
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        node.body = [self.visit(statement) for statement in node.body]
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if node.value is not None and not ast.unparse(node.value).startswith("Field("):
            node.value = self.visit(node.value)
        return node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        return node


def _is_text(node: ast.AST) -> bool:
    is_string = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return is_string or isinstance(node, ast.JoinedStr)


def places_of(file: Path) -> int:
    """How many mutants a file has."""
    changer = _Changer()
    changer.visit(ast.parse(file.read_text()))
    return changer.n_places


def mutant_of(file: Path, at: int) -> tuple[str, int, str]:
    """The code of a mutant, the line that differs, and how."""
    changer = _Changer(at)
    tree = ast.fix_missing_locations(changer.visit(ast.parse(file.read_text())))
    return ast.unparse(tree), changer.line, changer.change


def tests_of(package: str, file: Path) -> list[str]:
    """Test files, those first that are named like the file, then the package's steps."""
    folder = ROOT / "tests" / package
    own = [folder / f"test_{file.stem}.py"]
    rest = sorted(folder.glob("test_*.py"), key=lambda f: file.stem.split("_")[0] not in f.stem)
    steps = sorted(
        ROOT / "tests/steps" / f"test_{step.name}"
        for step in (ROOT / "ace_steps/steps").glob("*.py")
        if f"ace_steps.{package}" in step.read_text()
    )
    return [str(f) for f in dict.fromkeys([*own, *rest, *steps]) if f.is_file()]


def run_tests(copy: Path, tests: list[str], limit_s: float) -> tuple[bool, float]:
    """Whether the tests pass on a copy of the project, in a fork, and the seconds they took."""
    start, child = time.monotonic(), os.fork()
    if child == 0:
        _run_in_child(copy, tests)
    while time.monotonic() - start < limit_s:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status == 0, time.monotonic() - start
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False, limit_s


def _run_in_child(copy: Path, tests: list[str]) -> None:
    import pytest

    os.setpgid(0, 0)
    os.chdir(copy)
    sys.path[0] = str(copy)
    os.environ["PYTHONPATH"] = str(copy)
    sys.dont_write_bytecode = True  # two mutants of one second would share it
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--no-header"]
    os._exit(int(pytest.main([*options, *tests])))


def mutants(package: str, each: int, rng: random.Random) -> Iterator[tuple[Path, int]]:
    """The drawn mutants of a package, by file."""
    files = sorted((ROOT / "ace_steps" / package).glob("*.py"))
    every = [(file, at) for file in files for at in range(places_of(file))]
    drawn = rng.sample(every, each) if 0 < each < len(every) else every
    print(f"{package}: {len(every)} mutants, {len(drawn)} drawn", flush=True)
    yield from sorted(drawn)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("packages", nargs="+")
    parser.add_argument("--each", type=int, default=60, help="mutants a package; 0 for all")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for name in LIBRARIES:
        __import__(name)
    import torch

    torch.set_num_threads(1)
    copy = Path(tempfile.mkdtemp(prefix="mutants-"))
    try:
        for name in ("ace_steps", "tests", "workflow", "data", "docs"):
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("Snakefile", "pyproject.toml", "README.md"):
            shutil.copy(ROOT / name, copy / name)
        for package in options.packages:
            _run_package(package, copy, options)
    finally:
        shutil.rmtree(copy, ignore_errors=True)


def _run_package(package: str, copy: Path, options: argparse.Namespace) -> None:
    rng, n_run, survivors, seconds = random.Random(options.seed), 0, [], {}
    for file, at in mutants(package, options.each, rng):
        target = copy / file.relative_to(ROOT)
        tests = [str(Path(test).relative_to(ROOT)) for test in tests_of(package, file)]
        key = frozenset(tests)
        if key not in seconds:
            passes, seconds[key] = run_tests(copy, tests, 1800)
            if not passes:
                sys.exit(f"the tests of {file.name} fail without a change: {' '.join(tests)}")
        code, line, change = mutant_of(file, at)
        target.write_text(code)
        survives, _ = run_tests(copy, tests, 10 + PATIENCE * seconds[key])
        shutil.copy(file, target)
        n_run += 1
        if survives:
            survivors.append(f"  {file.relative_to(ROOT)}:{line}: {change}")
            print(survivors[-1], flush=True)
    killed = n_run - len(survivors)
    print(f"{package}: {killed} of {n_run} killed ({killed / n_run:.0%})", flush=True)


if __name__ == "__main__":
    main()
