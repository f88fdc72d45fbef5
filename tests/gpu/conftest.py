"""Tests of a CUDA device: everything in this folder is marked ``gpu``.

``ROBENCH_GPU_TESTS=cpu`` runs them on the CPU, to try the tests themselves where there is no card.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder."""
    for item in items:
        if HERE in Path(item.path).parents:
            item.add_marker(pytest.mark.gpu)


@pytest.fixture(scope="session")
def device() -> str:
    """The device that is tested."""
    return os.environ.get("ROBENCH_GPU_TESTS", "cuda")
