"""The top level of a module as ``ast`` reads it: what it defines, imports and runs, and names."""

import ast
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import NamedTuple

# Arguments that are words for people, by the function that they are given to.
WORDS = {"Field": {"description", "title"}}
FOLLOWING = {"ctx", "type_comment"}  # fields of a node that follow from where it stands
TYPES = {"annotation", "returns"}  # fields in which a text is the name of a type


class Import(NamedTuple):
    """What an imported name stands for.

    Attributes:
        local: The name.
        module: A module, of this package or another.
        name: What is taken from the module; None where the name stands for the module.
        run: Modules that the import runs.
    """

    local: str
    module: str
    name: str | None
    run: tuple[str, ...]


class Source:
    """The top level of a module.

    Attributes:
        definitions: Functions, classes and assignments by name.
        imports: What imported names stand for; ``*`` for those with a star.
        run: Imports that are always run: not those for type checkers, nor those in blocks.
        effects: Statements that run at import and define nothing, or not always.
        main: What runs where the module is the program.
        statements: All that binds a name when it runs, in order, an import for each name.
        names: All names that are bound.
    """

    def __init__(self, name: str, path: Path) -> None:
        self.name, self.path = name, path
        self.definitions: dict[str, list[Statement]] = {}
        self.imports: dict[str, list[Import]] = {}
        self.run: list[Import] = []
        self.effects: list[Statement] = []
        self.main: list[Statement] = []
        self.statements: list[Statement] = []
        for node in ast.parse(path.read_bytes(), str(path)).body:
            self._add(node)
        bound = {name for statement in self.statements for name in statement.names}
        self.names = bound | self.imports.keys()

    def _add(self, node: ast.stmt) -> None:
        if isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                one = ast.copy_location(_with_names(node, [alias]), node)
                self.run += self._add_imports([one])
                self.statements.append(Statement(one, (_local(alias, node),)))
        elif isinstance(node, ast.If) and _is_for_type_checkers(node):
            for inner in node.body:
                if isinstance(inner, ast.Import | ast.ImportFrom):
                    self._add_imports([inner])
                else:
                    self._add(inner)
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'":
            self.main.append(Statement(node))
        elif names := _defined(node):
            statement = Statement(node, names)
            self.statements.append(statement)
            for name in names:
                self.definitions.setdefault(name, []).append(statement)
        elif not _is_text(node):
            statement = Statement(node, tuple(_bound_anywhere(node)))
            self.effects.append(statement)
            self.statements.append(statement)
            self._add_imports(_import_nodes(node))

    def _add_imports(self, nodes: Iterable[ast.stmt]) -> list[Import]:
        found = list(imports_of(nodes, self))
        for one in found:
            self.imports.setdefault(one.local, []).append(one)
        return found


@dataclass(eq=False)
class Statement:
    """A statement at the top level of a module, and the names that it binds."""

    node: ast.stmt
    names: tuple[str, ...] = ()

    @cached_property
    def reading(self) -> "Reading":
        """What it says and names."""
        return Reading(self.node)


class Reading:
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
        self._is_type = False  # a text here names a type
        self._read(node)
        self.digest = hashlib.sha256("".join(self._parts).encode()).hexdigest()

    def _read(self, node: ast.AST) -> None:
        kind = type(node)
        if kind is ast.Name or kind is ast.Attribute:
            chain = _dotted(node)
            if chain:
                self._parts.append(f"<{'.'.join(chain)}>")
                self.chains.add(chain)
                return
        elif kind is ast.Constant:
            self._parts.append(repr(node.value))
            if self._is_type and isinstance(node.value, str):
                self._read_type(node.value)
            return
        elif kind is ast.Import or kind is ast.ImportFrom:
            self.imports.append(node)
        was_type = self._is_type
        if kind is ast.Call or (kind is ast.Subscript and _last_name(node.value) == "Literal"):
            self._is_type = False
        self._parts.append(f"{kind.__name__}(")
        for name in _fields(kind):
            value = _without_words(node, name, getattr(node, name, None))
            if value is None or value == []:
                continue
            self._parts.append(f"{name}=")
            is_type = self._is_type
            self._is_type = is_type or name in TYPES
            self._read_value(value)
            self._is_type = is_type
        self._is_type = was_type
        self._parts.append(")")

    def _read_value(self, value: object) -> None:
        if isinstance(value, ast.AST):
            self._read(value)
        elif isinstance(value, list):
            self._parts.append("[")
            for one in value:
                self._read_value(one)
                self._parts.append(",")
            self._parts.append("]")
        else:
            self._parts.append(repr(value))

    def _read_type(self, text: str) -> None:
        try:
            tree = ast.parse(text, mode="eval")
        except SyntaxError:
            return  # a text that names no type
        parts, self._parts = self._parts, []
        self._read(tree.body)
        self._parts = parts


@cache
def _fields(kind: type[ast.AST]) -> tuple[str, ...]:
    """The fields of a kind of node that say something of their own."""
    return tuple(name for name in kind._fields if name not in FOLLOWING)


def _without_words(node: ast.AST, name: str, value: object) -> object:
    """The value of a node's field without docstrings and without words for people."""
    if name == "body" and isinstance(value, list):
        return [one for one in value if not _is_text(one)]
    if name == "slice" and _last_name(node.value) == "Annotated":  # the help of an option
        return [one for one in value.elts if not isinstance(getattr(one, "value", None), str)]
    if name == "keywords" and isinstance(node, ast.Call):
        words = WORDS.get(_last_name(node.func), ())
        return [keyword for keyword in value if keyword.arg not in words]
    return value


def _dotted(node: ast.AST) -> tuple[str, ...]:
    """The parts of a name or dotted name; none for other expressions."""
    parts = []
    while type(node) is ast.Attribute:
        parts.append(node.attr)
        node = node.value
    return (node.id, *reversed(parts)) if type(node) is ast.Name else ()


def _last_name(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _is_text(node: object) -> bool:
    """Whether a statement is a text alone, e.g. a docstring."""
    return type(node) is ast.Expr and isinstance(getattr(node.value, "value", None), str)


def _is_for_type_checkers(node: ast.If) -> bool:
    return _last_name(node.test) == "TYPE_CHECKING" and not node.orelse


def _defined(node: ast.stmt) -> tuple[str, ...]:
    """The names that a function, a class or an assignment defines; none for other statements."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return (node.name,)
    targets = node.targets if isinstance(node, ast.Assign) else []
    targets = [node.target] if isinstance(node, ast.AnnAssign) else targets
    parts = [part for target in targets for part in getattr(target, "elts", [target])]
    are_names = all(isinstance(part, ast.Name) for part in parts)
    return tuple(part.id for part in parts) if are_names else ()


def _bound_anywhere(node: ast.stmt) -> Iterator[str]:
    """All names that a statement may bind, those of functions and classes inside of it too."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
            yield inner.id
        elif isinstance(inner, ast.Import | ast.ImportFrom):
            yield from (_local(alias, inner) for alias in inner.names)
        elif isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield inner.name


def _import_nodes(node: ast.stmt) -> list[ast.stmt]:
    return [one for one in ast.walk(node) if isinstance(one, ast.Import | ast.ImportFrom)]


def _with_names(node: ast.Import | ast.ImportFrom, names: list[ast.alias]) -> ast.stmt:
    """An import statement of some of another's names."""
    if isinstance(node, ast.Import):
        return ast.Import(names)
    return ast.ImportFrom(node.module, names, node.level)


def _local(alias: ast.alias, node: ast.stmt) -> str:
    """The name that an import binds."""
    first = alias.name.partition(".")[0] if isinstance(node, ast.Import) else alias.name
    return alias.asname or first


def imports_of(nodes: Iterable[ast.stmt], source: Source) -> Iterator[Import]:
    """What the names of import statements in a module stand for."""
    for node in nodes:
        for alias in node.names:
            local = _local(alias, node)
            if isinstance(node, ast.Import):
                yield Import(local, alias.name if alias.asname else local, None, (alias.name,))
            else:
                module = _absolute(node, source)
                yield Import(local, module, alias.name, (module, f"{module}.{alias.name}"))


def _absolute(node: ast.ImportFrom, source: Source) -> str:
    """The full name of the module that something is imported from."""
    parts = source.name.split(".")
    n_up = node.level - (source.path.name == "__init__.py")
    base = parts[: len(parts) - n_up] if node.level else []
    return ".".join([*base, *([node.module] if node.module else [])])
