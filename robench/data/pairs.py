"""Images and labels in two ``.npy`` files: ``images.npy`` and ``labels.npy``, or ``NAME_data.npy`` and its labels."""

from __future__ import annotations

import re
from pathlib import Path

from robench.data.arrays import ArrayImages, load_labels, map_npy
from robench.data.splits import choose_split, kind_of
from robench.errors import RobenchError


def find_pair(path: Path, split: str = "test") -> tuple[Path, Path] | None:
    """Return (images, labels) of a ``.npy`` pair at ``path``, or None.

    Where names tell the split apart (``train_data.npy``), only that split's pair is returned.

    Raises:
        RobenchError: several pairs, or only another split's.
    """
    if path.is_file() and path.name.endswith("_data.npy"):
        labels = path.with_name(path.name.replace("_data.npy", "_labels.npy"))
        return (path, labels) if labels.is_file() else None
    if not path.is_dir():
        return None
    pairs = [(path / name, path / "labels.npy") for name in ("images.npy", "data.npy") if (path / name).is_file()]
    pairs = [pair for pair in pairs if pair[1].is_file()]
    pairs += [pair for file in sorted(path.glob("*_data.npy")) if (pair := find_pair(file))]
    pairs = _of_split(pairs, path, split)
    if len(pairs) > 1:
        raise RobenchError(
            f"{path} holds several sets of images and labels: {', '.join(images.name for images, _ in pairs[:5])}.",
            hint=f"Give one of the files itself, or move the others: {pairs[-1][0]}.",
        )
    return pairs[0] if pairs else None


def _of_split(pairs: list[tuple[Path, Path]], path: Path, split: str) -> list[tuple[Path, Path]]:
    words = [split_of_pair(images) for images, _ in pairs]
    named = choose_split([word for word in words if word], split, str(path))
    chosen = [pair for pair, word in zip(pairs, words, strict=True) if word == (named or "")]
    if pairs and not chosen:
        raise RobenchError(
            f"{path} holds arrays of the split {', '.join(sorted(set(words)))}; '{split}' is not there.",
            hint=f"Get the '{split}' arrays, or give {pairs[0][0]} itself to measure it all the same.",
        )
    return chosen


def split_of_pair(images: Path) -> str:
    """Return the word in a file's name that is that of a split (``train_data.npy``), or nothing."""
    return next((word for word in re.split(r"[^A-Za-z]+", images.stem) if kind_of(word)), "")


def load_pair(images: Path, labels: Path) -> ArrayImages:
    """Memory-map images (N, H, W, 3) and read their labels (N,).

    Raises:
        RobenchError: a file missing, damaged, of another type or rank, or of differing lengths; labels that are not
            one class for each image.
    """
    found = load_labels(labels)
    return ArrayImages(
        map_npy(images), found.numbers, found.classes, name=str(images), source=images, remarks=found.remarks
    )
