"""Small sets in the published layouts, made from real pictures."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from robench.corruptions.severities import BENCHMARK
from robench.data import digits
from robench.data.base import Geometry
from robench.data.decode import resize_and_crop

WNIDS = ("n01440764", "n01443537", "n02123045", "n01494475")
INDICES = (0, 1, 281, 4)


def to_jpeg(picture: np.ndarray, quality: int = 85) -> bytes:
    """Return a picture as JPEG bytes."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def darker(picture: np.ndarray, condition: str, severity: int) -> np.ndarray:
    """Return a picture that is told apart from those of every other cell by its brightness."""
    step = (BENCHMARK.index(condition) if condition in BENCHMARK else 15) * 5 + severity
    return (picture * (1 - step / 120)).astype(np.uint8)


@pytest.fixture(scope="session")
def photos() -> list[np.ndarray]:
    """Eight crops of scikit-learn's two photographs, each a little different in size."""
    from sklearn.datasets import load_sample_images

    large = load_sample_images().images
    return [np.ascontiguousarray(large[i % 2][9 * i : 9 * i + 260 + i, 20 * i : 20 * i + 340]) for i in range(8)]


@pytest.fixture(scope="session")
def squares(photos: list[np.ndarray]) -> list[np.ndarray]:
    """The same pictures at 224 x 224, as ImageNet-C keeps them."""
    return [resize_and_crop(photo, Geometry(256, 224)) for photo in photos]


def file_name(i: int) -> str:
    """Return the name of validation picture ``i``."""
    return f"ILSVRC2012_val_{i + 1:08d}.JPEG"


def write_classes(folder: Path, pictures: list[np.ndarray], quality: int = 95) -> Path:
    """Write pictures into class folders, in turn: picture i is of class i mod 4."""
    for i, picture in enumerate(pictures):
        place = folder / WNIDS[i % 4]
        place.mkdir(parents=True, exist_ok=True)
        (place / file_name(i)).write_bytes(to_jpeg(picture, quality))
    return folder


def write_tree(root: Path, pictures: list[np.ndarray], conditions: tuple[str, ...]) -> Path:
    """Write ``CONDITION/SEVERITY/WNID/NAME.JPEG``."""
    for condition in conditions:
        for severity in range(1, 6):
            made = [darker(picture, condition, severity) for picture in pictures]
            write_classes(root / condition / str(severity), made, quality=85)
    return root


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


def write_cifar_c(folder: Path, conditions: tuple[str, ...]) -> Path:
    """Write arrays of five blocks and labels.npy."""
    test = digits.load("test")
    folder.mkdir(parents=True)
    np.save(folder / "labels.npy", np.tile(test.labels[:20], 5).astype(np.uint8))
    for condition in conditions:
        blocks = [darker(test.array[:20], condition, severity) for severity in range(1, 6)]
        np.save(folder / f"{condition}.npy", np.concatenate(blocks))
    return folder
