"""Digests of the code that decides a step's numbers, and objects of a module without its rest.

The code of the package is read with ``ast`` and never imported. From an entry, every top-level
definition that is named on the way counts, through imports and re-exports. Comments, docstrings,
formatting, descriptions of settings, help of options (texts in Annotated), and definitions that no
entry reaches change no digest.

Where names do not tell exactly, too much counts: a local variable that is named like a definition
of its module counts as that definition, a module that is handed on as a value counts whole, and so
does one that is imported with a star. Statements that run at import and define nothing (calls,
``if``, loops) count for every module that is imported on the way. A type counts where an annotation
names it, in quotes or under ``if TYPE_CHECKING`` too. Names in other texts are not followed: what a
registry of texts names counts where it is an entry itself. Of other packages the imported names
count, not their code.
"""

import ast
import hashlib
import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from ace_steps.io.code_reading import Import, Source, Statement, imports_of
from ace_steps.io.files import write_json

PACKAGE = Path(__file__).parents[1]
# What counts in no digest, and why.
EXEMPT = {
    "ace_steps:__version__": "a release changes no number; the provenance holds the version",
    "ace_steps.command": "options to arguments, exit codes and log lines",
    "ace_steps.validation": "words of a refusal, after which no number is made",
    "ace_steps.registry": "names to texts: what they stand for is an entry of its own",
    "ace_steps.io.code_digest": "its result is compared itself",
    "ace_steps.io.code_reading": "it is read for that result",
}
MODULE_ATTRIBUTES = {"__doc__", "__file__", "__name__", "__package__", "__path__", "__spec__"}


def code_digest(
    *entries: str,
    without: Iterable[str] = (),
    package: Path = PACKAGE,
    kept: Path | None = None,
) -> str:
    """A digest of the code of the package that the entries use, as this process first read it.

    To read the whole package takes most of a second; to see in ``kept`` that no byte of it changed
    takes some hundredths.

    Args:
        entries: Definitions, e.g. ``ace_steps.refine.ace:ace``, or modules, e.g.
            ``ace_steps.steps.refine_vectors``, with all definitions that stand in them. Their
            order is of no matter.
        without: Modules and definitions, written likewise, that do not count in this digest.
        package: Folder of the package.
        kept: A JSON file of digests for later processes to take from. It is written anew with each
            digest that it lacks, and where a file of the package changed.

    Returns:
        64 hexadecimal digits.

    Raises:
        ValueError: an entry does not exist in the package.
        SyntaxError: a file on the way is not Python.
        OSError: ``kept`` cannot be written.
    """
    asked = frozenset(entries), frozenset(without)
    if kept is None:
        return _digest(*asked, package)
    known = _kept_digests(kept, package)
    key = " - ".join(" ".join(sorted(names)) for names in asked)
    if key not in known:
        digest, state = _digest(*asked, package), _code(package).state
        if _state_of(package) != state:  # a file may have changed before it was read
            return digest
        known[key] = digest
        write_json(kept, {"package": state, "digests": known})
    return known[key]


def code_parts(*entries: str, without: Iterable[str] = (), package: Path = PACKAGE) -> list[str]:
    """What ``code_digest`` covers for the same arguments, as sorted ``module:name``.

    Statements that run at import and define nothing are ``module:<import>``.
    """
    lines = _lines(frozenset(entries), frozenset(without), package)
    return sorted({line.partition(" ")[0] for line in lines if " = " not in line})


def run_partially(module: str, name: str, package: Path = PACKAGE) -> object:
    """The object of a top-level name of a module, without running the rest of the module.

    Only the imports and definitions that the name depends on are run. Where the module has been
    imported, the object is the module's own. What is made here stays another object than that of a
    later import; all objects made from one module share one namespace, and so their base classes.

    Args:
        module: Full name, e.g. ``ace_steps.backbones.sasrec``.
        name: Of a definition or an import at its top level.
        package: Folder of the package.

    Raises:
        ValueError: there is no such module in the package, or no such name in the module.
    """
    made = _imported_object(module, name)
    if made is None:
        _check(module, name, package)
        made = _partial(module, package).object(name)
    return made


def _state_of(package: Path) -> str:
    """A digest of all Python files of a package, byte by byte, and of what reads them."""
    digest = hashlib.sha256()
    for folder in (Path(__file__).parent, package):
        for file in sorted(folder.rglob("*.py")):
            content = file.read_bytes()
            digest.update(f"{file.relative_to(folder)} {len(content)}\n".encode() + content)
    return digest.hexdigest()


@cache
def _kept_digests(kept: Path, package: Path) -> dict[str, str]:
    """The digests in a file by what was asked; none where they are of another state."""
    try:
        found = json.loads(kept.read_text())
        return dict(found["digests"]) if found["package"] == _code(package).state else {}
    except (OSError, ValueError, LookupError, TypeError):
        return {}


@cache  # an edit while a process runs does not change the code that it runs
def _digest(entries: frozenset[str], without: frozenset[str], package: Path) -> str:
    lines = sorted(_lines(entries, without, package))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _lines(entries: frozenset[str], without: frozenset[str], package: Path) -> set[str]:
    """A line for each statement that the entries reach, and for each import that they use."""
    code = _code(package)
    left_out = EXEMPT.keys() | without
    waiting = [_entry_point(entry, package) for entry in entries]
    lines, seen = set(), set(waiting)
    while waiting:
        uses = code.uses(waiting.pop())
        lines |= uses.lines
        new = {point for point in uses.points - seen if not point.is_among(left_out)}
        seen |= new
        waiting += new
    return lines


def _entry_point(entry: str, package: Path) -> "_Point":
    module, _, name = entry.partition(":")
    _check(module, name, package)
    return _Point("name", module, (name,)) if name else _Point("entry", module)


def _check(module: str, name: str, package: Path) -> None:
    """Refuse what is no module of the package, or no name at the top level of one."""
    source = _code(package).source(module)
    if source is None:
        raise ValueError(
            f"code of '{module}': expected a module of the package {package.name}, found no such "
            f"file in {package}; look for its new name."
        )
    if name and name not in source.names:
        raise ValueError(
            f"code of '{module}:{name}': expected a name at the top level of {source.path}, found "
            f"{', '.join(sorted(source.names)) or 'none'}; look for its new name."
        )


class _Point(NamedTuple):
    """What is used.

    Attributes:
        kind: ``name``: what a dotted name stands for after ``module``; ``definition``: the one in
            ``module`` named by ``chain``; ``import``: what the import of ``module`` runs;
            ``value``: ``module``, from which anything may be taken; ``entry``: all its definitions.
        module: Full name of a module of the package.
        chain: Parts of the dotted name.
    """

    kind: str
    module: str
    chain: tuple[str, ...] = ()

    def is_among(self, left_out: Iterable[str]) -> bool:
        """Whether it is, or is part of, something left out."""
        return self.module in left_out or f"{self.module}:{''.join(self.chain[:1])}" in left_out


@dataclass
class _Uses:
    """What a point comes to: lines of the digest, and points that it uses in turn."""

    lines: set[str] = field(default_factory=set)
    points: set[_Point] = field(default_factory=set)


@cache
def _code(package: Path) -> "_Code":
    return _Code(package)


class _Code:
    """The modules of a package, each read when it is first asked for.

    Attributes:
        state: Digest of the files before any was read.
    """

    def __init__(self, package: Path) -> None:
        self.state = _state_of(package)
        self._package = package
        self._sources: dict[str, Source | None] = {}
        self._uses: dict[_Point, _Uses] = {}

    def source(self, module: str) -> Source | None:
        """A module's code; None for what is no file of this package."""
        if module not in self._sources:
            self._sources[module] = self._read(module)
        return self._sources[module]

    def uses(self, point: _Point) -> _Uses:
        """What a point uses directly."""
        if point not in self._uses:
            self._uses[point] = self._look_up(point)
        return self._uses[point]

    def _read(self, module: str) -> Source | None:
        root, *parts = module.split(".")
        if root != self._package.name:
            return None
        path = self._package.joinpath(*parts)
        files = ([path.with_name(f"{path.name}.py")] if parts else []) + [path / "__init__.py"]
        return next((Source(module, file) for file in files if file.is_file()), None)

    def _look_up(self, point: _Point) -> _Uses:
        uses, source = _Uses(), self.source(point.module)
        if source is None:  # of another package, or a folder without __init__.py
            if point.kind == "name" and point.chain:
                uses.points.add(_Point("name", f"{point.module}.{point.chain[0]}", point.chain[1:]))
        elif point.kind == "name":
            self._add_name(source, point.chain, uses)
        elif point.kind == "definition":
            name = point.chain[0]
            uses.points.add(_Point("import", source.name))
            self._add_statements(source, name, source.definitions[name], uses)
        elif point.kind == "import":
            self._add_import(source, uses)
        else:
            self._add_all(source, point.kind, uses)
        return uses

    def _add_name(self, source: Source, chain: tuple[str, ...], uses: _Uses) -> None:
        """What a dotted name stands for after a module."""
        submodule = f"{source.name}.{chain[0]}" if chain else ""
        if not chain:
            uses.points.add(_Point("value", source.name))
        elif chain[0] in source.names:
            uses.points.add(_Point("import", source.name))
            self._add_resolved(source, chain, source.imports.get(chain[0], []), uses)
        elif self.source(submodule):
            uses.points.add(_Point("name", submodule, chain[1:]))
        elif chain[0] in MODULE_ATTRIBUTES:
            uses.points.add(_Point("import", source.name))
        else:
            uses.points.add(_Point("value", source.name))

    def _add_resolved(
        self, source: Source, chain: tuple[str, ...], imports: Iterable[Import], uses: _Uses
    ) -> None:
        """What a dotted name stands for inside of a module."""
        name, *rest = chain
        if name in source.definitions:
            uses.points.add(_Point("definition", source.name, (name,)))
        for one in imports:
            uses.lines.add(f"{source.name}:{name} = {one.module}:{one.name or ''}")
            taken = (one.name, *rest) if one.name else tuple(rest)
            self._add_point(_Point("name", one.module, taken), uses)

    def _add_point(self, point: _Point, uses: _Uses) -> None:
        """A point, unless it is of another package."""
        if point.module.partition(".")[0] == self._package.name:
            uses.points.add(point)

    def _add_statements(
        self, source: Source, name: str, statements: list[Statement], uses: _Uses
    ) -> None:
        """Statements, and what they name and import."""
        for i, statement in enumerate(statements):
            reading = statement.reading
            uses.lines.add(f"{source.name}:{name} {i} {reading.digest}")
            inner = list(imports_of(reading.imports, source))
            for chain in reading.chains:
                imports = [one for one in inner if one.local == chain[0]]
                self._add_resolved(
                    source, chain, [*source.imports.get(chain[0], []), *imports], uses
                )
            self._add_run(inner, uses)

    def _add_import(self, source: Source, uses: _Uses) -> None:
        """What an import of a module runs, its packages before it."""
        parent = source.name.rpartition(".")[0]
        if parent:
            uses.points.add(_Point("import", parent))
        self._add_statements(source, "<import>", source.effects, uses)
        self._add_run(source.run, uses)
        for one in source.imports.get("*", []):
            uses.lines.add(f"{source.name}:* = {one.module}")
            self._add_point(_Point("value", one.module), uses)

    def _add_run(self, imports: Iterable[Import], uses: _Uses) -> None:
        for module in {module for one in imports for module in one.run}:
            if self.source(module):
                uses.points.add(_Point("import", module))

    def _add_all(self, source: Source, kind: str, uses: _Uses) -> None:
        """All that stands in a module, and what it offers of other modules.

        Of a value, the imported modules count as values too; of an entry, as far as it uses them.
        """
        uses.points.add(_Point("import", source.name))
        uses.points |= {_Point("definition", source.name, (name,)) for name in source.definitions}
        for name, imports in source.imports.items():
            if kind == "value" or not any(self._is_module(one) for one in imports):
                self._add_resolved(source, (name,), imports, uses)
        if kind == "entry":
            self._add_statements(source, "<main>", source.main, uses)

    def _is_module(self, one: Import) -> bool:
        if one.name is None:
            return True
        source = self.source(one.module)
        is_own = source is not None and one.name in source.names
        return not is_own and self.source(f"{one.module}.{one.name}") is not None


@cache
def _partial(module: str, package: Path) -> "_Partial":
    return _Partial(_code(package).source(module))


class _Partial:
    """A module of which only some statements were run."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._module: ModuleType = module_from_spec(
            spec_from_file_location(source.name, source.path)
        )
        self._done: set[Statement] = set()

    def object(self, name: str) -> object:
        """The object of a name, after what it depends on was run."""
        needed = self._needed(name)
        is_import = {one: isinstance(one.node, ast.Import | ast.ImportFrom) for one in needed}
        self._run(one for one in needed if is_import[one])
        imported = _imported_object(self._source.name, name)  # by one of those imports
        if imported is not None:
            return imported
        before = sys.modules.get(self._source.name)  # half imported
        sys.modules[self._source.name] = self._module  # where pydantic looks up types by name
        try:
            self._run(one for one in needed if not is_import[one])
            for made in list(vars(self._module).values()):
                is_own = getattr(made, "__module__", None) == self._source.name
                if is_own and not getattr(made, "__pydantic_complete__", True):
                    made.model_rebuild()  # with a type that was defined later
        finally:
            del sys.modules[self._source.name]
            if before is not None:
                sys.modules[self._source.name] = before
        return getattr(self._module, name)

    def _run(self, statements: Iterable[Statement]) -> None:
        for statement in statements:
            tree = ast.Module([statement.node], type_ignores=[])
            exec(compile(tree, str(self._source.path), "exec"), vars(self._module))
            self._done.add(statement)

    def _needed(self, name: str) -> list[Statement]:
        """Statements not run yet that a name depends on, in their order."""
        names, waiting, found = {name}, [name], set()
        while waiting:
            wanted = waiting.pop()
            for statement in self._source.statements:
                if wanted in statement.names and statement not in found:
                    found.add(statement)
                    new = {chain[0] for chain in statement.reading.chains} - names
                    names |= new
                    waiting += new
        return [one for one in self._source.statements if one in found - self._done]


def _imported_object(module: str, name: str) -> object | None:
    """A module's own object, where the module has been imported."""
    return getattr(sys.modules.get(module), name, None)
