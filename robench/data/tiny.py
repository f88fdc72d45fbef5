"""Tiny ImageNet as published: the validation pictures lie in one folder, their classes in a table beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from robench.data.base import Geometry
from robench.data.encoded import EncodedImages
from robench.data.trees import FolderTree, TreeSource
from robench.errors import RobenchError

TABLE = "val_annotations.txt"


def find_tiny(path: Path) -> Path | None:
    """Return the folder with ``wnids.txt`` and ``val``: ``path`` or ``tiny-imagenet-200`` in it; else None."""
    for place in (path, path / "tiny-imagenet-200"):
        if (place / "wnids.txt").is_file() and (place / "val" / TABLE).is_file():
            return place
    return None


def load_tiny(
    root: Path, split: str = "test", *, geometry: Geometry | None = None, workers: int | None = None
) -> EncodedImages:
    """Read Tiny ImageNet; labels count the 200 WordNet ids in sorted order. ``test`` is the validation set.

    Raises:
        RobenchError: the table names a class or picture that is not there.
    """
    wnids = tuple(sorted((root / "wnids.txt").read_text().split()))
    if split == "train":
        return _train(root, wnids, geometry, workers)
    rank = {wnid: label for label, wnid in enumerate(wnids)}
    rows = [line.split("\t") for line in (root / "val" / TABLE).read_text().splitlines() if line]
    for row in rows:
        if len(row) < 2 or row[1] not in rank:
            raise RobenchError(f"{root / 'val' / TABLE}: '{row[0]}' has no known class.", hint="Unpack the set again.")
    rows.sort(key=lambda row: (row[1], row[0]))  # as the pictures would be in class folders
    files = [row[0] for row in rows]
    tree = FolderTree(root / "val" / "images")
    missing = set(files) - set(tree.files())
    if missing:
        raise RobenchError(
            f"{tree.root} lacks {len(missing)} pictures that {TABLE} names, such as {min(missing)}.",
            hint="Unpack the set again.",
        )
    labels = np.array([rank[row[1]] for row in rows], np.int64)
    return EncodedImages(TreeSource(tree, files), labels, wnids, files=files, geometry=geometry, workers=workers)


def _train(root: Path, wnids: tuple[str, ...], geometry: Geometry | None, workers: int | None) -> EncodedImages:
    """Read the training pictures: ``train/WNID/images/NAME.JPEG``."""
    tree = FolderTree(root / "train")
    files = [f"{wnid}/images/{name}" for wnid in wnids for name in tree.files(f"{wnid}/images")]
    rank = {wnid: label for label, wnid in enumerate(wnids)}
    labels = np.array([rank[file.partition("/")[0]] for file in files], np.int64)
    return EncodedImages(TreeSource(tree, files), labels, wnids, files=files, geometry=geometry, workers=workers)
