"""Digests of the code that decides a step's numbers, and objects of a module without its rest.

The package's code is read with ``ast`` and never imported. From an entry, every top-level
definition that is named on the way counts, through imports and re-exports. Comments, docstrings,
formatting, descriptions of settings, help of options (texts in Annotated), and definitions that no
entry reaches change no digest.

Where names do not tell exactly, too much counts: a local variable that is named like a definition
of its module counts as that definition, and a module that is handed on as a value, or imported with
a star, counts whole. Statements that run at import and define nothing (calls, ``if``, loops) count
for every module that is imported on the way. A type counts where an annotation names it, in quotes
or under ``if TYPE_CHECKING`` too. Other texts are not followed: what a registry of texts names
counts where it is an entry itself. Of other packages the imported names count, not their code.
"""

import ast
import hashlib
import json
import sys
from collections.abc import Iterable, Iterator
from functools import cache, cached_property
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import NamedTuple

from ace_steps.io.files import write_json

PACKAGE = Path(__file__).parents[1]
# What counts in no digest, and why.
EXEMPT = {
    "ace_steps:__version__": "a release changes no number; the provenance holds the version",
    "ace_steps.command": "options to arguments, exit codes and log lines",
    "ace_steps.validation": "words of a refusal, after which no number is made",
    "ace_steps.registry": "names to texts: what they stand for is an entry of its own",
    "ace_steps.io.code_digest": "its result is compared itself",
}
# Arguments that are words for people, by the function that they are given to.
WORDS = {"Field": {"description", "title"}}
IMPORT, ALL = "<import>", "*"  # in place of a definition's name: what an import runs, the module
Point = tuple[str, str]  # a module of the package and the name of a definition in it


def code_digest(
    *entries: str, without: Iterable[str] = (), package: Path = PACKAGE, kept: Path | None = None
) -> str:
    """A digest of the code of the package that the entries use, as this process first read it.

    To read the whole package takes most of a second; to see in ``kept`` that no byte of it changed
    takes some hundredths.

    Args:
        entries: Definitions, e.g. ``ace_steps.refine.ace:ace``, or modules, e.g.
            ``ace_steps.steps.refine_vectors``, with all definitions in them; in any order.
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
    options = frozenset(entries), frozenset(without), package
    if kept is None:
        return _digest(*options)
    known = _kept_digests(kept, package)
    key = " - ".join(" ".join(sorted(names)) for names in options[:2])
    if key not in known:
        digest, state = _digest(*options), _code(package).state
        if _state_of(package) != state:  # a file may have changed before it was read
            return digest
        known[key] = digest
        write_json(kept, {"package": state, "digests": known})
    return known[key]


def code_parts(*entries: str, without: Iterable[str] = (), package: Path = PACKAGE) -> list[str]:
    """What ``code_digest`` covers for the same arguments, as sorted ``module:name``."""
    lines = _lines(frozenset(entries), frozenset(without), package)
    return sorted({line.partition(" ")[0] for line in lines if " = " not in line})


@cache
def _kept_digests(kept: Path, package: Path) -> dict[str, str]:
    """The digests in a file by their arguments; none where they are of another state."""
    try:
        content = json.loads(kept.read_text())
        return dict(content["digests"]) if content["package"] == _code(package).state else {}
    except (OSError, ValueError, LookupError, TypeError):
        return {}


def _state_of(package: Path) -> str:
    """A digest of all Python files of a package, byte by byte, and of what reads them."""
    digest = hashlib.sha256()
    for folder in (Path(__file__).parent, package):
        for file in sorted(folder.rglob("*.py")):
            content = file.read_bytes()
            digest.update(f"{file.relative_to(folder)} {len(content)}\n".encode() + content)
    return digest.hexdigest()


@cache  # an edit while a process runs does not change the code that it runs
def _digest(entries: frozenset[str], without: frozenset[str], package: Path) -> str:
    lines = sorted(_lines(entries, without, package))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _lines(entries: frozenset[str], without: frozenset[str], package: Path) -> set[str]:
    """A line for each statement that the entries reach, and for each import that they use."""
    code, left_out = _code(package), EXEMPT.keys() | without
    lines, waiting = set(), set()
    for entry in entries:
        module, _, name = entry.partition(":")
        code.require(module, name)
        waiting |= code.resolve(module, (name,)).points if name else {(module, ALL)}
    seen = set(waiting)
    while waiting:
        uses = code.uses(*waiting.pop())
        lines |= uses.lines
        new = {
            (module, name)
            for module, name in uses.points - seen
            if not {module, f"{module}:{name}"} & left_out
        }
        seen |= new
        waiting |= new
    return lines


class Uses(NamedTuple):
    """Lines of a digest, and points that are used in turn."""

    lines: set[str]
    points: set[Point]


@cache
def _code(package: Path) -> "_Code":
    return _Code(package)


class _Code:
    """The modules of a package, each read when it is first needed.

    Attributes:
        state: Digest of the files before any was read.
    """

    def __init__(self, package: Path) -> None:
        self.state = _state_of(package)
        self._package = package
        self._sources: dict[str, _Source | None] = {}
        self._uses: dict[Point, Uses] = {}

    def source(self, module: str) -> "_Source | None":
        """A module's code; None for what is no file of this package."""
        if module not in self._sources:
            root, *parts = module.split(".")
            path = self._package.joinpath(*parts)
            files = ([path.with_name(f"{path.name}.py")] if parts else []) + [path / "__init__.py"]
            file = next((file for file in files if file.is_file()), None)
            is_own = root == self._package.name and file
            self._sources[module] = _Source(module, file) if is_own else None
        return self._sources[module]

    def require(self, module: str, name: str) -> "_Source":
        """A module's code, refused where there is none or it has no such name."""
        source = self.source(module)
        if source is None:
            raise ValueError(
                f"code of '{module}': expected a module of {self._package}, got no such file; "
                "look for its new name."
            )
        if name and name not in source.names:
            raise ValueError(
                f"code of '{module}:{name}': expected a name at the top level of {source.path}, "
                f"which has {', '.join(sorted(source.names)) or 'none'}; look for its new name."
            )
        return source

    def uses(self, module: str, name: str) -> Uses:
        """What a point comes to."""
        if (module, name) not in self._uses:
            uses, source = Uses(set(), set()), self.source(module)
            if name == IMPORT:
                self._add_import(source, uses)
            elif name == ALL:
                uses.points.update(
                    {(module, IMPORT)}, ((module, own) for own in source.definitions)
                )
                for own, imports in source.imports.items():
                    for one in imports:
                        if one.name and not self.source(f"{one.module}.{one.name}"):
                            self._add(source, (own,), [one], uses)
            else:
                uses.points.add((module, IMPORT))
                self._add_statements(source, name, source.definitions[name], uses)
            self._uses[module, name] = uses
        return self._uses[module, name]

    def resolve(self, module: str, chain: tuple[str, ...]) -> Uses:
        """What a dotted name stands for after a module."""
        uses, source = Uses(set(), set()), self.source(module)
        submodule = f"{module}.{chain[0]}" if chain else ""
        if chain and source and chain[0] in source.names:
            uses.points.add((module, IMPORT))
            self._add(source, chain, source.imports.get(chain[0], []), uses)
        elif chain and self.source(submodule):
            return self.resolve(submodule, chain[1:])
        elif source:
            is_attribute = bool(chain) and chain[0].startswith("__")  # e.g. __name__
            uses.points.add((module, IMPORT if is_attribute else ALL))
        return uses

    def _add(
        self, source: "_Source", chain: tuple[str, ...], imports: Iterable["_Import"], uses: Uses
    ) -> None:
        """What a dotted name stands for inside of a module."""
        name, *rest = chain
        if name in source.definitions:
            uses.points.add((source.name, name))
        for one in imports:
            uses.lines.add(f"{source.name}:{name} = {one.module}:{one.name or ''}")
            target = self.resolve(one.module, (one.name, *rest) if one.name else tuple(rest))
            uses.lines.update(target.lines)
            uses.points.update(target.points)

    def _add_statements(
        self, source: "_Source", name: str, statements: list["_Statement"], uses: Uses
    ) -> None:
        """Statements, and what they name and import."""
        for i, statement in enumerate(statements):
            reading = statement.reading
            uses.lines.add(f"{source.name}:{name} {i} {reading.digest}")
            inner = [one for node in reading.imports for one in source.imports_of(node)]
            for chain in reading.chains:
                local = [one for one in inner if one.local == chain[0]]
                self._add(source, chain, [*source.imports.get(chain[0], []), *local], uses)
            self._add_run({module for one in inner for module in one.run}, uses)

    def _add_import(self, source: "_Source", uses: Uses) -> None:
        """What an import of a module runs, its packages before it."""
        self._add_statements(source, IMPORT, source.effects, uses)
        self._add_run({source.name.rpartition(".")[0], *source.run}, uses)
        self._add(source, (ALL,), source.imports.get(ALL, []), uses)

    def _add_run(self, modules: set[str], uses: Uses) -> None:
        uses.points.update((module, IMPORT) for module in modules if self.source(module))


class _Import(NamedTuple):
    """What an imported name stands for: a module, or a name in it; and the modules that it runs."""

    local: str
    module: str
    name: str | None
    run: tuple[str, ...]


class _Source:
    """The top level of a module.

    Attributes:
        definitions: Functions, classes and assignments by name.
        imports: What imported names stand for; ``*`` for those with a star.
        run: Modules that are always imported: not for type checkers, nor in blocks.
        effects: Statements that run at import and define nothing, or not always.
        statements: All that binds a name when it runs, in order, an import for each name.
        names: All names that are bound.
    """

    def __init__(self, name: str, path: Path) -> None:
        self.name, self.path = name, path
        self.definitions: dict[str, list[_Statement]] = {}
        self.imports: dict[str, list[_Import]] = {}
        self.run: set[str] = set()
        self.effects: list[_Statement] = []
        self.statements: list[_Statement] = []
        for node in ast.parse(path.read_bytes(), str(path)).body:
            self._add(node)
        bound = {name for statement in self.statements for name in statement.names}
        self.names = bound | self.imports.keys()

    def imports_of(self, node: ast.Import | ast.ImportFrom) -> Iterator[_Import]:
        """What the names of an import statement stand for."""
        for alias in node.names:
            if isinstance(node, ast.Import):
                local = alias.asname or alias.name.partition(".")[0]
                yield _Import(local, alias.name if alias.asname else local, None, (alias.name,))
                continue
            parts = self.name.split(".")
            n_up = node.level - (self.path.name == "__init__.py")
            base = parts[: len(parts) - n_up] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            run = (module, f"{module}.{alias.name}")
            yield _Import(alias.asname or alias.name, module, alias.name, run)

    def _add(self, node: ast.stmt) -> None:
        if isinstance(node, ast.Import | ast.ImportFrom):
            for one in self._add_imports(node):
                self.run.update(one.run)
            for alias in node.names:
                fields = {key: value for key, value in ast.iter_fields(node) if key != "names"}
                single = ast.copy_location(type(node)(names=[alias], **fields), node)
                (one,) = self.imports_of(single)
                self.statements.append(_Statement(single, (one.local,)))
        elif isinstance(node, ast.If) and _last_name(node.test) == "TYPE_CHECKING":
            for inner in [*node.body, *node.orelse]:
                if isinstance(inner, ast.Import | ast.ImportFrom):
                    self._add_imports(inner)
                else:
                    self._add(inner)
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'":
            self.definitions["__main__"] = [_Statement(node, ())]
        elif names := _defined(node):
            statement = _Statement(node, names)
            self.statements.append(statement)
            for name in names:
                self.definitions.setdefault(name, []).append(statement)
        elif not _is_text(node):
            names = []
            for inner in ast.walk(node):
                if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
                    names.append(inner.id)
                elif isinstance(inner, ast.Import | ast.ImportFrom):
                    names += [one.local for one in self._add_imports(inner)]
                else:
                    names += _defined(inner)
            statement = _Statement(node, tuple(names))
            self.effects.append(statement)
            self.statements.append(statement)

    def _add_imports(self, node: ast.Import | ast.ImportFrom) -> list[_Import]:
        imports = list(self.imports_of(node))
        for one in imports:
            self.imports.setdefault(one.local, []).append(one)
        return imports


class _Statement:
    """A statement at the top level of a module, and the names that it binds."""

    def __init__(self, node: ast.stmt, names: tuple[str, ...]) -> None:
        self.node, self.names = node, names

    @cached_property
    def reading(self) -> "_Reading":
        return _Reading(self.node)


class _Reading:
    """A statement as a text without places and words for people, and the names in it.

    Attributes:
        digest: Of the text.
        chains: Names and dotted names that are read, as their parts.
        imports: Import statements inside of it.
    """

    def __init__(self, node: ast.stmt) -> None:
        self.chains: set[tuple[str, ...]] = set()
        self.imports: list[ast.stmt] = []
        self._parts: list[str] = []
        self._read(node, is_type=False)
        self.digest = hashlib.sha256("".join(self._parts).encode()).hexdigest()

    def _read(self, value: object, *, is_type: bool) -> None:
        """A node, a list of nodes or a field's value; in a type, texts are names of types."""
        if isinstance(value, list):
            self._parts.append("[")
            for one in value:
                if not _is_text(one):
                    self._read(one, is_type=is_type)
            self._parts.append("]")
        elif chain := _dotted(value):
            self._parts.append(f"{'.'.join(chain)},")
            self.chains.add(chain)
        elif isinstance(value, ast.Constant):
            self._parts.append(f"{value.value!r},")
            if is_type and _is_string(value):
                self._read_type(value.value)
        elif isinstance(value, ast.AST):
            self._read_fields(value, is_type=is_type)
        else:
            self._parts.append(f"{value!r},")

    def _read_fields(self, node: ast.AST, *, is_type: bool) -> None:
        if isinstance(node, ast.Import | ast.ImportFrom):
            self.imports.append(node)
        is_call = isinstance(node, ast.Call)
        words = WORDS.get(_last_name(node.func), ()) if is_call else ()
        is_literal = isinstance(node, ast.Subscript) and _last_name(node.value) == "Literal"
        is_type = is_type and not is_call and not is_literal
        self._parts.append(f"{type(node).__name__}(")
        for name, value in ast.iter_fields(node):
            if name == "keywords" and words:
                value = [keyword for keyword in value if keyword.arg not in words]
            if name == "slice" and _last_name(node.value) == "Annotated":  # an option's help
                value = [one for one in value.elts if not _is_string(one)]
            if value is None or value == [] or name in ("ctx", "type_comment"):
                continue
            self._parts.append(f"{name}=")
            self._read(value, is_type=is_type or name in ("annotation", "returns"))
        self._parts.append(")")

    def _read_type(self, text: str) -> None:
        try:
            tree = ast.parse(text, mode="eval")
        except SyntaxError:
            return  # a text that names no type
        parts, self._parts = self._parts, []
        self._read(tree.body, is_type=True)
        self._parts = parts


def _dotted(node: object) -> tuple[str, ...]:
    """The parts of a name or dotted name; none for anything else."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return (node.id, *reversed(parts)) if isinstance(node, ast.Name) else ()


def _last_name(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _is_string(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _is_text(node: object) -> bool:
    """Whether a statement is a text alone, e.g. a docstring."""
    return isinstance(node, ast.Expr) and _is_string(node.value)


def _defined(node: ast.AST) -> tuple[str, ...]:
    """The names that a function, a class or an assignment defines; none for other statements."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return (node.name,)
    targets = node.targets if isinstance(node, ast.Assign) else []
    targets = [node.target] if isinstance(node, ast.AnnAssign) else targets
    parts = [part for target in targets for part in getattr(target, "elts", [target])]
    are_names = all(isinstance(part, ast.Name) for part in parts)
    return tuple(part.id for part in parts) if are_names else ()


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
    own = getattr(sys.modules.get(module), name, None)
    if own is not None:
        return own
    _code(package).require(module, name)
    return _partial_module(module, package).object(name)


@cache
def _partial_module(module: str, package: Path) -> "_PartialModule":
    return _PartialModule(_code(package).source(module))


class _PartialModule:
    """A module of which only some statements were run."""

    def __init__(self, source: _Source) -> None:
        self._source = source
        self._module = module_from_spec(spec_from_file_location(source.name, source.path))
        self._have_run: set[_Statement] = set()

    def object(self, name: str) -> object:
        """The object of a name, after what it depends on was run."""
        needed = self._needed(name)
        imports = [one for one in needed if isinstance(one.node, ast.Import | ast.ImportFrom)]
        self._run(imports)
        module = sys.modules.get(self._source.name)
        if hasattr(module, name):  # by one of those imports
            return getattr(module, name)
        sys.modules[self._source.name] = self._module  # where pydantic looks up types by name
        try:
            self._run(one for one in needed if one not in imports)
            for value in list(vars(self._module).values()):
                is_own = getattr(value, "__module__", None) == self._source.name
                if is_own and not getattr(value, "__pydantic_complete__", True):
                    value.model_rebuild()  # with a type that was defined later
        finally:
            del sys.modules[self._source.name]
            if module is not None:  # half imported
                sys.modules[self._source.name] = module
        return getattr(self._module, name)

    def _run(self, statements: Iterable[_Statement]) -> None:
        for statement in statements:
            tree = ast.Module([statement.node], type_ignores=[])
            exec(compile(tree, str(self._source.path), "exec"), vars(self._module))
            self._have_run.add(statement)

    def _needed(self, name: str) -> list[_Statement]:
        """Statements not run yet that a name depends on, in their order."""
        names, waiting, needed = {name}, [name], set()
        while waiting:
            current = waiting.pop()
            for statement in self._source.statements:
                if current in statement.names and statement not in needed:
                    needed.add(statement)
                    new = {chain[0] for chain in statement.reading.chains} - names
                    names |= new
                    waiting += new
        return [one for one in self._source.statements if one in needed - self._have_run]
