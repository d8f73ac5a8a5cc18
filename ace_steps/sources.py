"""Which files of this package a step's numbers depend on."""

import ast
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent
# What reads, writes, checks and complains, and decides no number: an edit reruns nothing.
PLUMBING = {
    *("archives.py", "command.py", "configuration.py", "devices.py", "errors.py", "fetch.py"),
    *("files.py", "parquet.py", "parquet_pieces.py", "progress.py", "provenance.py", "seal.py"),
    *("settings.py", "tables.py", "tables_of_use.py", "tensors.py", "vector_columns.py"),
    *("embed/registry.py", "preprocess/registry.py"),
}


def sources_of(step: str, package: Path = PACKAGE) -> list[Path]:
    """The step's own file and what it imports of the package, directly or not, without plumbing.

    Args:
        step: Its name, e.g. ``refine_vectors``.
        package: Folder of the package.

    Returns:
        Sorted, absolute.

    Raises:
        FileNotFoundError: there is no such step.
    """
    found, waiting = set(), [package / "steps" / f"{step}.py"]
    while waiting:
        file = waiting.pop()
        found.add(file)
        waiting += [other for other in _imported_by(file, package) if other not in found]
    return sorted(found)


@cache  # planning asks for every step, and many share their modules
def _imported_by(file: Path, package: Path) -> list[Path]:
    """Modules of the package that a file imports anywhere in it, without plumbing."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    prefix = f"{package.name}."
    paths = {
        name.removeprefix(prefix).replace(".", "/") + ".py"
        for name in names
        if name.startswith(prefix)
    }
    return [package / path for path in sorted(paths - PLUMBING) if (package / path).is_file()]
