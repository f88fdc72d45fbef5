"""The examples in docstrings give what they say; every module that has one is run."""

from __future__ import annotations

import doctest
from importlib import import_module
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "robench"
MODULES = [
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in sorted(PACKAGE.rglob("*.py"))
    if ">>> " in path.read_text()
]
# Modules whose public functions work on arrays or plain values: they must have an example.
WANTED = {
    "robench.api.calibrate",
    "robench.api.compare",
    "robench.api.evaluate",
    "robench.api.fourier",
    "robench.api.gallery",
    "robench.api.grid",
    "robench.api.metrics",
    "robench.api.report",
    "robench.api.table",
    "robench.api.train",
    "robench.catalogue",
    "robench.registry",
    "robench.results.comparing",
    "robench.results.labels",
    "robench.results.migrations",
    "robench.results.protocols",
    "robench.results.summaries",
    "robench.suites",
    "robench.suites.base",
    "robench.suites.clean",
    "robench.suites.drawing",
    "robench.suites.protocols",
    "robench.tables.boards",
    "robench.tables.published",
}


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    assert not doctest.testmod(import_module(name), report=True).failed


def test_modules_of_plain_functions_have_examples() -> None:
    assert set(MODULES) >= WANTED
