"""Digests of the code that decides a step's numbers, and objects of a module without its rest.

The package's code is parsed and never imported. From an entry, every top-level definition counts
that is named on the way, through imports within the package: a change of one table's columns or of
one backbone reruns what uses it, and not days of embedding and training beside it. Comments,
docstrings, formatting and descriptions of settings change no digest.

Names are compared as texts, so too much may count: a local variable that is named like a definition
of its module is taken for it. Texts and types in quotes are not followed: what a registry names is
an entry itself. Of other packages the imported names count, not their code.
"""

import ast
import hashlib
import json
import sys
from collections.abc import Iterable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from ace_steps.io.files import write_json

PACKAGE = Path(__file__).parents[1]
EXEMPT = {  # modules that count in no digest, and why
    "ace_steps": "a release changes no number; the provenance holds the version",
    "ace_steps.command": "options to arguments, exit codes and log lines",
    "ace_steps.validation": "words of a refusal, after which no number is made",
    "ace_steps.registry": "names to texts: what they stand for is an entry of its own",
    "ace_steps.io.code_digest": "its result is compared itself",
}
EFFECTS, ALL = "<import>", "*"  # in place of a name: what an import runs, everything in the module

Definition = tuple[str, str]  # a module and a name at its top level


def code_digest(
    *entries: str, without: Iterable[str] = (), package: Path = PACKAGE, kept: Path | None = None
) -> str:
    """A digest of the code of the package that the entries use, as this process first read it.

    To parse the whole package takes most of a second; to see in ``kept`` that no byte of it changed
    takes some hundredths.

    Args:
        entries: Definitions, e.g. ``ace_steps.refine.ace:ace``, or modules, e.g.
            ``ace_steps.steps.refine_vectors``, with all definitions in them; in any order.
        without: Modules that do not count in this digest.
        package: Folder of the package.
        kept: A JSON file of digests for later processes, replaced when the package changes.

    Returns:
        64 hexadecimal digits.

    Raises:
        ValueError: an entry does not exist in the package.
        SyntaxError: a file on the way is not Python.
        OSError: ``kept`` cannot be written.
    """
    options = frozenset(entries), frozenset(without), package
    if kept is None:
        return _digest(*options)
    known = _kept_digests(kept, package)
    key = " - ".join(" ".join(sorted(names)) for names in options[:2])
    if key not in known:
        known[key] = _digest(*options)
        write_json(kept, {"package": _digest_of_sources(package), "digests": known})
    return known[key]


@cache
def _kept_digests(kept: Path, package: Path) -> dict[str, str]:
    try:
        content = json.loads(kept.read_text())
        is_current = content["package"] == _digest_of_sources(package)
        return dict(content["digests"]) if is_current else {}
    except (OSError, ValueError, LookupError, TypeError):
        return {}


@cache
def _digest(entries: frozenset[str], without: frozenset[str], package: Path) -> str:
    waiting: set[Definition] = set()
    for entry in entries:
        module, _, name = entry.partition(":")
        _require(package, module, name)
        waiting.add((module, name or ALL))
    lines, reached = set(), set(waiting)
    while waiting:
        uses = _uses(package, *waiting.pop())
        lines |= uses.lines
        new = {other for other in uses.definitions if other[0] not in EXEMPT.keys() | without}
        waiting |= new - reached
        reached |= new
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def _require(package: Path, module: str, name: str) -> None:
    source = _module(package, module)
    if source is None or (name and name not in source.bindings):
        raise ValueError(
            f"code of {module}:{name}: no such name in {package}; look for its new name"
        )


# All caches are for the life of a process: an edit does not change the code that it runs.


@cache
def _sources(package: Path) -> dict[str, bytes]:
    """The files of a package by the names of their modules."""
    files = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        files[".".join(parts).removesuffix(".__init__")] = path.read_bytes()
    return files


@cache
def _digest_of_sources(package: Path) -> str:
    digest = hashlib.sha256()
    for module, content in _sources(package).items():
        digest.update(f"{module} {len(content)}\n".encode() + content)
    return digest.hexdigest()


class _Module:
    """The top level of a module.

    Attributes:
        bindings: The statements that give a value to a name, in order.
        imports: Module and name that an imported name may stand for; no name for a module.
        effects: Statements that run at import and are no definitions: calls, ``if``, loops.
    """

    def __init__(self, tree: ast.Module) -> None:
        self.body = tree.body
        self.bindings: dict[str, list[ast.stmt]] = {}
        self.imports: dict[str, set[Definition]] = {}
        self.effects: list[ast.stmt] = []
        for statement in tree.body:
            names = _bound_names(statement)
            for name in names:
                self.bindings.setdefault(name, []).append(statement)
            if not names or isinstance(
                statement, ast.If | ast.Try | ast.For | ast.While | ast.With
            ):
                self.effects.append(statement)
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                module = getattr(node, "module", None)
                for alias in node.names:
                    target = (module, alias.name) if module else (alias.name, "")
                    self.imports.setdefault(_local_name(alias), set()).add(target)


@cache
def _module(package: Path, module: str) -> _Module | None:
    """A module without its words for people; None for what is no file of the package."""
    content = _sources(package).get(module)
    return None if content is None else _Module(_WithoutWords().visit(ast.parse(content)))


class _WithoutWords(ast.NodeTransformer):
    """Removes docstrings, descriptions of settings and help of options."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        return None if _is_text(node.value) else self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if getattr(node.func, "id", None) == "Field":
            node.keywords = [
                one for one in node.keywords if one.arg not in ("description", "title")
            ]
        return self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        if getattr(node.value, "id", None) == "Annotated":
            node.slice.elts = [one for one in node.slice.elts if not _is_text(one)]
        return self.generic_visit(node)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _local_name(alias: ast.alias) -> str:
    return alias.asname or alias.name.partition(".")[0]


def _bound_names(statement: ast.stmt) -> set[str]:
    """The names that a statement at the top level gives a value."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {statement.name}
    parts = [statement]
    if isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
        parts = getattr(statement, "targets", None) or [statement.target]
    nodes = [node for part in parts for node in ast.walk(part)]
    assigned = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    return assigned | {_local_name(node) for node in nodes if isinstance(node, ast.alias)}


def _used_names(statement: ast.stmt) -> set[tuple[str, str]]:
    """The names in a statement, each with the attribute that is taken of it or no text."""
    nodes = list(ast.walk(statement))
    attributes = {id(node.value): node.attr for node in nodes if isinstance(node, ast.Attribute)}
    return {(n.id, attributes.get(id(n), "")) for n in nodes if isinstance(n, ast.Name)}


class _Uses(NamedTuple):
    """What a definition adds to a digest, and the definitions that it uses in turn."""

    lines: set[str]
    definitions: set[Definition]


@cache
def _uses(package: Path, module: str, name: str) -> _Uses:
    source, uses = _module(package, module), _Uses(set(), {(module, EFFECTS)})
    if name == ALL:
        uses.definitions.update((module, own) for own in source.bindings.keys() - source.imports)
        return uses
    for target in source.imports.get(name, ()):
        _add_import(package, target, "", uses)
    statements = source.effects if name == EFFECTS else source.bindings.get(name, [])
    for i, statement in enumerate(statements):
        if isinstance(statement, ast.Import | ast.ImportFrom):
            continue
        digest = hashlib.sha256(ast.dump(statement).encode()).hexdigest()
        uses.lines.add(f"{module}:{name} {i} {digest}")
        for local, attribute in _used_names(statement):
            for target in source.imports.get(local, ()):
                _add_import(package, target, attribute, uses)
            if local in source.bindings and local not in source.imports:
                uses.definitions.add((module, local))
    return uses


def _add_import(package: Path, target: Definition, attribute: str, uses: _Uses) -> None:
    """Add what an imported name, or an attribute of an imported module, stands for."""
    module, name = target
    uses.lines.add(f"{module}:{name}")
    if f"{module}.{name}" in _sources(package):
        module, name = f"{module}.{name}", attribute
    if f"{module}.{name}" in _sources(package):
        module, name = f"{module}.{name}", ""
    if module in _sources(package):
        uses.definitions.add((module, name or ALL))


def run_partially(module: str, name: str, package: Path = PACKAGE) -> object:
    """The object of a top-level name of a module, without running the rest of the module.

    Only the statements that the name depends on are run: the settings of a backbone without torch,
    which takes seconds. Where the module is imported, the object is the module's own.

    Args:
        module: Full name, e.g. ``ace_steps.backbones.sasrec``.
        name: Of a definition at its top level.
        package: Folder of the package.

    Raises:
        ValueError: there is no such module in the package, or no such name in the module.
    """
    import_module(module.rpartition(".")[0])  # which may import the module itself
    own = getattr(sys.modules.get(module), name, None)
    return own if own is not None else _made_partially(module, name, package)


@cache
def _made_partially(module: str, name: str, package: Path) -> object:
    _require(package, module, name)
    source = _Module(ast.parse(_sources(package)[module]))
    names, needed = [name], []
    for current in names:  # which grow
        for statement in source.bindings.get(current, []):
            if statement not in needed:
                needed.append(statement)
                names += sorted({used for used, _ in _used_names(statement)} - set(names))
    path = package.parent.joinpath(*module.split(".")).with_suffix(".py")
    in_order = [statement for statement in source.body if statement in needed]
    namespace = {"__name__": module}
    exec(compile(ast.Module(in_order, []), path, "exec"), namespace)
    return namespace[name]
