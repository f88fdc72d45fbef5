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


def to_jpeg(picture: np.ndarray, quality: int = 85) -> bytes:
    """Return a picture as JPEG bytes."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def darker(picture: np.ndarray, condition: str, severity: int) -> np.ndarray:
    """Return a picture that is told apart from those of every other cell by its brightness."""
    step = (BENCHMARK.index(condition) if condition in BENCHMARK else 15) * 5 + severity
    return (picture * (1 - step / 120)).astype(np.uint8)


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


def write_cifar_c(folder: Path, conditions: tuple[str, ...]) -> Path:
    """Write arrays of five blocks and labels.npy."""
    test = digits.load("test")
    folder.mkdir(parents=True)
    np.save(folder / "labels.npy", np.tile(test.labels[:20], 5).astype(np.uint8))
    for condition in conditions:
        blocks = [darker(test.array[:20], condition, severity) for severity in range(1, 6)]
        np.save(folder / f"{condition}.npy", np.concatenate(blocks))
    return folder
