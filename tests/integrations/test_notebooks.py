"""The notebooks of ``examples/``: every cell runs, in order, and what a cell ends with can be shown."""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path
from types import ModuleType

import matplotlib
import pytest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "examples").glob("*.ipynb"))


def sources(path: Path) -> list[str]:
    """Return the code cells of a notebook, and check its form."""
    document = json.loads(path.read_text(encoding="utf-8"))
    assert document["nbformat"] == 4
    assert document["cells"][0]["cell_type"] == "markdown"
    code = [cell for cell in document["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] for cell in code)  # outputs would age unseen
    return ["".join(cell["source"]) for cell in code]


def run(source: str, names: dict[str, object]) -> object:
    """Run a cell as Jupyter does, and return the value of the expression that it ends with."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), names)
    return None if last is None else eval(compile(ast.Expression(last.value), "cell", "eval"), names)  # type: ignore[attr-defined]


def test_there_are_notebooks() -> None:
    assert len(NOTEBOOKS) >= 2


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "__main__", ModuleType("__main__"))
    matplotlib.use("Agg")
    names: dict[str, object] = {}
    shown = [value for source in sources(path) if (value := run(source, names)) is not None]
    assert shown
    for value in shown:
        html = getattr(value, "_repr_html_", lambda: None)()
        assert html or repr(value)
        assert len(repr(value)) < 5000
