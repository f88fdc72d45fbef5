"""What a value is called stands in the catalogue alone: no other file has titles or a list of such names."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from robench.catalogue import row

PACKAGE = Path(__file__).parents[2] / "robench"
FILES = [path for path in sorted(PACKAGE.rglob("*.py")) if path.name != "catalogue.py"]
LONGEST = 3  # a plot or a page may choose a few; a longer list is a list of its own


def is_name(node: ast.AST | None) -> bool:
    """Return whether a node is the name of a metric or of a summary value."""
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and row(node.value).unit != "as stored"


def is_title(node: ast.AST) -> bool:
    """Return whether a node holds words to print: text with a space, a capital or a unit."""
    texts = [n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    return any(" " in text or "%" in text or text != text.lower() for text in texts)


def lists_of_names(source: str) -> Iterator[tuple[int, str]]:
    """Yield (line, what is wrong) of tables of titles and of long lists of names of values."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Dict):
            pairs = [(key, value) for key, value in zip(node.keys, node.values, strict=True) if is_name(key)]
            if len(pairs) > 1 and any(is_title(value) for _, value in pairs):
                yield node.lineno, "titles of values"
        if isinstance(node, ast.Tuple | ast.List | ast.Set):
            rows = [one for one in node.elts if isinstance(one, ast.Tuple | ast.List | ast.Call)]
            named = [one for one in rows if any(is_name(part) for part in ast.iter_child_nodes(one))]
            if len(named) > 1 and any(is_title(one) for one in named):
                yield node.lineno, "titles of values"
            if sum(map(is_name, node.elts)) > LONGEST:
                yield node.lineno, "a list of names"


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('TITLES = {"mce": "mCE (baseline = 100)", "mean_ece": "ECE, %"}', "titles of values"),
        ('ROWS = (("error", "Error"), ("clean_ece", "clean ECE"))', "titles of values"),
        ('ROWS = [Label("error", "error, %"), Label("nll", "NLL")]', "titles of values"),
        ('ORDER = ("mce", "mean_error", "error", "clean_error")', "a list of names"),
    ],
)
def test_a_list_would_be_found(source: str, found: str) -> None:
    assert [what for _, what in lists_of_names(source)] == [found]


@pytest.mark.parametrize(
    "source",
    [
        'TRIO = ("error", "rms_calibration_error", "brier")',
        'found = {"ece": total / n, "nll": nll.mean()}',
        'HOMES = {"ece": "calibration", "soft_f1": "selective"}',
        'print("error, %")',
    ],
)
def test_what_is_no_list_of_titles_is_left_alone(source: str) -> None:
    assert list(lists_of_names(source)) == []


def test_titles_and_lists_of_names_stand_in_the_catalogue_alone() -> None:
    problems = [
        f"{path.relative_to(PACKAGE.parent)}:{line} holds {what}; robench/catalogue.py is the place"
        for path in FILES
        for line, what in lists_of_names(path.read_text())
    ]
    assert not problems, "\n".join(problems)
