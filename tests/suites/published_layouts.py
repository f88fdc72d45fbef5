"""Writes small sets in the published layouts."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from robench.corruptions.severities import BENCHMARK
from robench.data import digits

WNIDS = ("n01440764", "n01443537", "n02123045", "n01494475")
INDICES = (0, 1, 281, 4)


def to_jpeg(image: np.ndarray, quality: int = 85) -> bytes:
    """Return a image as JPEG bytes."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def darker(image: np.ndarray, condition: str, severity: int) -> np.ndarray:
    """Return a image that is told apart from those of every other cell by its brightness."""
    step = (BENCHMARK.index(condition) if condition in BENCHMARK else 15) * 5 + severity
    return (image * (1 - step / 120)).astype(np.uint8)


def file_name(i: int) -> str:
    """Return the name of validation image ``i``."""
    return f"ILSVRC2012_val_{i + 1:08d}.JPEG"


def write_classes(folder: Path, images: list[np.ndarray], quality: int = 95) -> Path:
    """Write images into class folders, in turn: image i is of class i mod 4."""
    for i, image in enumerate(images):
        place = folder / WNIDS[i % 4]
        place.mkdir(parents=True, exist_ok=True)
        (place / file_name(i)).write_bytes(to_jpeg(image, quality))
    return folder


def write_tree(root: Path, images: list[np.ndarray], conditions: tuple[str, ...]) -> Path:
    """Write ``CONDITION/SEVERITY/WNID/NAME.JPEG``."""
    for condition in conditions:
        for severity in range(1, 6):
            made = [darker(image, condition, severity) for image in images]
            write_classes(root / condition / str(severity), made, quality=85)
    return root


def write_cifar_c(folder: Path, conditions: tuple[str, ...]) -> Path:
    """Write arrays of five blocks and labels.npy."""
    test = digits.load("test")
    folder.mkdir(parents=True)
    np.save(folder / "labels.npy", np.tile(test.labels[:20], 5).astype(np.uint8))
    for condition in conditions:
        blocks = [darker(test.array[:20], condition, severity) for severity in range(1, 6)]
        np.save(folder / f"{condition}.npy", np.concatenate(blocks))
    return folder
