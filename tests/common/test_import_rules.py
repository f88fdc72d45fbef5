"""Imports between rooms go one way, as the table in CONTRIBUTING.md has it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "robench"

LINES = {
    "metrics": 2, "corruptions": 2, "data": 2, "predictions": 2,
    "suites": 3, "models": 3,
    "evaluation": 4, "results": 4,
    "tables": 5, "plots": 5, "training": 5,
    "api": 6,
    "cli": 7, "integrations": 7,
}  # fmt: skip
ROOMS = sorted(LINES)
FIRST_LINE = (
    "errors.py", "registry.py", "documents.py", "replacing.py", "files.py", "processes.py", "cpu.py", "lazy.py",
    "unchanged.py", "catalogue.py", "catalogue_detection.py", "catalogue_rows.py",
)  # fmt: skip
# Neighbours on a higher line that a room may not import all the same.
FORBIDDEN = {
    "suites": {"models", "evaluation", "results", "metrics"},
    "models": {"suites", "evaluation", "training"},
    "evaluation": {"metrics", "results", "tables", "plots", "training"},
    "results": {"models", "evaluation", "training"},
    "tables": {"plots", "evaluation", "models"},
    "plots": {"tables", "evaluation", "models"},
    "training": {"evaluation", "metrics", "results", "tables", "plots"},
}
# Libraries that a room may not import anywhere, or not while it is being imported.
NEVER = {"metrics": {"torch", "pandas"}, "predictions": {"torch"}, "results": {"torch"}, "tables": {"torch"},
         "plots": {"torch"}}  # fmt: skip
NOT_AT_TOP = {"suites": {"torch"}, "plots": {"matplotlib"}, "tables": {"matplotlib"}, "cli": {
    "torch", "matplotlib", "numpy", "pandas", "pyarrow", "scipy", "sklearn", "timm", "torchvision", "pydantic", "cv2",
    "numba", "yaml", "jinja2"}}  # fmt: skip


def _imports(tree: ast.Module) -> list[tuple[str, int, bool]]:
    """Return (module, line, runs when the file is imported) of every import that is not for type checkers only."""
    found = []

    def visit(node: ast.AST, top: bool) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
                for other in child.orelse:
                    visit(other, top)
                continue
            if isinstance(child, ast.Import):
                found.extend((alias.name, child.lineno, top) for alias in child.names)
            elif isinstance(child, ast.ImportFrom) and child.module and child.level == 0:
                found.append((child.module, child.lineno, top))
                if child.module == "robench":
                    found.extend((f"robench.{alias.name}", child.lineno, top) for alias in child.names)
            inside = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            visit(child, top and not inside)

    visit(tree, True)
    return found


def _room(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[0] == "robench" and parts[1] in LINES else None


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_rooms_above_it(room: str) -> None:
    problems = []
    for path in sorted((PACKAGE / room).rglob("*.py")):
        for module, line, top in _imports(ast.parse(path.read_text())):
            where = f"{path.relative_to(PACKAGE.parent)}:{line}"
            other = _room(module)
            library = module.split(".")[0]
            if other and other != room and LINES[other] >= LINES[room]:
                problems.append(f"{where} imports {module}, which is not above {room}")
            if other in FORBIDDEN.get(room, ()):
                problems.append(f"{where} imports {module}, forbidden to {room}")
            if module.startswith("robench.api") and room not in ("api", "cli", "integrations"):
                problems.append(f"{where} imports the public API from inside")
            if library in NEVER.get(room, ()):
                problems.append(f"{where} imports {library}, forbidden to {room}")
            if top and library in NOT_AT_TOP.get(room, ()):
                problems.append(f"{where} imports {library} while {room} is being imported")
    assert not problems, "\n".join(problems)


def test_commands_import_the_api_and_views_only() -> None:
    """Nothing may be for terminals alone: a command parses, calls a function of the API or a view, and prints."""
    allowed = {"api", "cli", "tables", "plots", "_version", *(name.removesuffix(".py") for name in FIRST_LINE)}
    problems = []
    for path in sorted((PACKAGE / "cli").rglob("*.py")):
        for module, line, _ in _imports(ast.parse(path.read_text())):
            if module.startswith("robench.") and module.split(".")[1] not in allowed:
                problems.append(
                    f"{path.relative_to(PACKAGE.parent)}:{line} imports {module}, which is not the API or a view"
                )
    assert not problems, "\n".join(problems)


def test_the_first_line_imports_the_standard_library_only() -> None:
    allowed = {
        "robench.errors",
        "robench.registry",
        "robench.documents",
        "robench.catalogue_detection",
        "robench.catalogue_rows",
        "robench.replacing",
    }
    for name in FIRST_LINE:
        for module, line, _ in _imports(ast.parse((PACKAGE / name).read_text())):
            if module.startswith("robench"):
                assert module in allowed, f"robench/{name}:{line} imports {module}"


def _files() -> dict[str, Path]:
    """Return every file of the package by its module's name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def _file_imports(path: Path, files: dict[str, Path]) -> dict[str, int]:
    """Return which files a file imports, anywhere in it, and on which line; what type checkers import is left out."""
    found: dict[str, int] = {}

    def visit(node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
                continue
            names: list[str] = []
            if isinstance(child, ast.Import):
                names = [alias.name for alias in child.names]
            elif isinstance(child, ast.ImportFrom) and child.module:
                inside = [f"{child.module}.{alias.name}" for alias in child.names]
                names = [name if name in files else child.module for name in inside]
            found.update({name: getattr(child, "lineno", 0) for name in names if name in files and files[name] != path})
            visit(child)

    visit(ast.parse(path.read_text()))
    return found


def test_no_files_import_each_other_in_a_circle() -> None:
    files = _files()
    graph = {name: _file_imports(path, files) for name, path in files.items()}
    left = dict(graph)
    while leaves := [name for name, imported in left.items() if not any(other in left for other in imported)]:
        for name in leaves:
            del left[name]
    # What is left lies on a circle, or imports one: follow the imports from any of them until one comes again.
    where, seen = next(iter(left), None), list[str]()
    while where is not None and where not in seen:
        seen.append(where)
        where = next(other for other in graph[where] if other in left)
    circle = [f"{files[name].relative_to(PACKAGE.parent)}" for name in seen[seen.index(where) :]] if where else []
    assert not circle, " -> ".join([*circle, circle[0]])


def test_metrics_import_no_room() -> None:
    """A metric added next year runs on a run of today: metrics know columns and weights, and nothing of robench."""
    allowed = {f"robench.{name}" for name in ("metrics", "catalogue", "errors", "compiled", "cpu", "lazy")}
    for path in sorted((PACKAGE / "metrics").rglob("*.py")):
        for module, line, _ in _imports(ast.parse(path.read_text())):
            if module.startswith("robench."):
                assert ".".join(module.split(".")[:2]) in allowed, f"{path.name}:{line} imports {module}"


def test_every_room_is_in_the_table() -> None:
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")} - {"_shipped"}
    assert rooms == set(LINES)
