"""The examples in the docstrings of both rooms and of the files that every room uses."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import robench.corruptions
import robench.data

MODULES = ["robench.files", "robench.documents", "robench.errors", "robench.registry"] + [
    one.name
    for room in (robench.corruptions, robench.data)
    for one in pkgutil.walk_packages(room.__path__, f"{room.__name__}.")
]


@pytest.mark.parametrize("name", ["robench.corruptions", "robench.data", *MODULES])
def test_the_examples_are_true(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0
