"""Small sets in the published layouts, made from real images."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from published_layouts import write_cifar_c

from robench.corruptions.severities import BENCHMARK
from robench.data import digits
from robench.data.base import Geometry
from robench.data.decode import resize_and_crop


@pytest.fixture(scope="session")
def photos() -> list[np.ndarray]:
    """Eight crops of scikit-learn's two photographs, each a little different in size."""
    from sklearn.datasets import load_sample_images

    large = load_sample_images().images
    return [np.ascontiguousarray(large[i % 2][9 * i : 9 * i + 260 + i, 20 * i : 20 * i + 340]) for i in range(8)]


@pytest.fixture(scope="session")
def squares(photos: list[np.ndarray]) -> list[np.ndarray]:
    """The same images at 224 x 224, as ImageNet-C keeps them."""
    return [resize_and_crop(photo, Geometry(256, 224)) for photo in photos]


@pytest.fixture
def cifar_clean(tmp_path: Path) -> Path:
    """A small cifar-10-batches-py of 20 test digits."""
    test = digits.load("test")
    folder = tmp_path / "clean" / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    data = test.array[:20].transpose(0, 3, 1, 2).reshape(20, -1)
    batch = {b"data": data, b"labels": test.labels[:20].tolist()}
    for name in ("test_batch", *(f"data_batch_{i}" for i in range(1, 6))):
        (folder / name).write_bytes(pickle.dumps(batch, protocol=2))
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    (folder / "batches.meta").write_bytes(pickle.dumps({b"label_names": [n.encode() for n in names]}, protocol=2))
    return folder.parent


@pytest.fixture
def cifar_c(tmp_path: Path) -> Path:
    """A small CIFAR-10-C of the same 20 digits."""
    return write_cifar_c(tmp_path / "CIFAR-10-C", tuple(BENCHMARK))
