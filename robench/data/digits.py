"""The embedded data: real scans of handwritten digits as 32x32 RGB images, there on every machine.

Source: the UCI "Optical Recognition of Handwritten Digits" test set (Alpaydin and Kaynak, 1998, CC BY 4.0) as
scikit-learn ships it: 1,797 scans of 8x8 pixels with values 0..16, ten classes of about 180.

From 8x8 to 32x32: values are scaled linearly (0..16 -> 0..255, that is times 15.9375), enlarged four times by
Pillow's bicubic filter in floating point, rounded to the nearest integer, clipped to 0..255, and repeated for the
three channels.

The split is stratified and fixed: the scans of class ``c`` are put in the order of
``numpy.random.RandomState(c).permutation``, a stream that numpy has frozen; the first third (rounded) is the test
set, the next 20 are for validation, the rest for training: 998, 200 and 599 images. The same writers occur in
all three, so the clean error says nothing of new handwritings; corruptions are what these images are here for.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from robench.data.arrays import ArrayImages
from robench.errors import RobenchError, did_you_mean

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
CLASSES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SIZE = 32
VALIDATION_PER_CLASS = 20


def load(split: str = "test") -> ArrayImages:
    """Return one split of the digits: uint8 images (N, 32, 32, 3), labels, and ``indices`` as stable ids.

    ``indices`` are the rows of ``sklearn.datasets.load_digits()``, rising; a row is in exactly one split.

    Raises:
        RobenchError: there is no such split.
    """
    if split not in SPLITS:
        raise RobenchError(f"The digits have no split '{split}'.", hint=did_you_mean(split, SPLITS))
    images, labels = _all()
    rows = split_rows(labels)[split]
    return ArrayImages(images[rows], labels[rows], CLASSES, indices=rows, name=f"digits/{split}")


def split_rows(labels: npt.NDArray[np.int64]) -> dict[str, npt.NDArray[np.int64]]:
    """Return the rising row numbers of each split, by the rule in the module's docstring."""
    parts: dict[str, list[npt.NDArray[np.int64]]] = {split: [] for split in SPLITS}
    for label in range(len(CLASSES)):
        rows = np.flatnonzero(labels == label)
        rows = rows[np.random.RandomState(label).permutation(len(rows))]
        test = round(len(rows) / 3)
        parts["test"].append(rows[:test])
        parts["validation"].append(rows[test : test + VALIDATION_PER_CLASS])
        parts["train"].append(rows[test + VALIDATION_PER_CLASS :])
    return {split: np.sort(np.concatenate(rows)) for split, rows in parts.items()}


@cache
def _all() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    from PIL import Image

    scans, labels = _scans()
    scaled = (scans * (255.0 / 16.0)).astype(np.float32)
    images = np.empty((len(scaled), SIZE, SIZE, 3), np.uint8)
    for row, scan in enumerate(scaled):
        large = np.asarray(Image.fromarray(scan).resize((SIZE, SIZE), Image.Resampling.BICUBIC))
        images[row] = np.clip(np.rint(large), 0, 255).astype(np.uint8)[..., None]
    images.setflags(write=False)
    return images, labels.astype(np.int64)


def _scans() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the scans, (n, 8, 8) of 0..16, and their labels.

    The file is read as scikit-learn reads it, but without importing it, which with SciPy and pandas takes longer than a
    small run.
    """
    import gzip

    package = find_spec("sklearn")
    places = (package.submodule_search_locations if package is not None else None) or ()
    for place in places:
        path = Path(place) / "datasets" / "data" / "digits.csv.gz"
        if path.is_file():
            with gzip.open(path, "rt", encoding="ascii") as file:
                rows = np.loadtxt(file, delimiter=",")
            return rows[:, :-1].reshape(-1, 8, 8), rows[:, -1]
    from sklearn.datasets import load_digits  # a version that keeps the file elsewhere

    digits = load_digits()
    return digits.images, digits.target
