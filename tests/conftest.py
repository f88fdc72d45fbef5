"""What all tests share: tests marked ``gpu`` are skipped without a card, and compiled loops compile once."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:
    # Before PyTorch is imported: threads of several test processes would wait for one another's turn at full speed.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is marked ``gpu`` where PyTorch finds no CUDA device."""
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if not marked:
        return
    import torch

    if not torch.cuda.is_available() and "ROBENCH_GPU_TESTS" not in os.environ:
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


@pytest.fixture(scope="session")
def compiled_loops() -> None:
    """Compile the augmentation's loops before the first test that asks for them, or load them from numba's cache.

    Of several test processes one compiles and the others wait for its cache, instead of all compiling the same.
    """
    import numpy as np
    from filelock import FileLock

    from robench.training.ops import kernels_cpu, operations

    with FileLock(Path(tempfile.gettempdir()) / "robench-compiled-loops.lock"):
        images = np.zeros((1, 3, 8, 8), dtype=np.uint8)
        ops = np.arange(len(operations.NAMES)).reshape(1, 1, -1)
        values = np.ones(ops.shape)
        kernels_cpu.apply(images, ops[0], values[0])
        kernels_cpu.mix(images, ops, values, np.ones((1, 1), np.float32), np.ones(1, np.float32))
