"""Tiny ImageNet as published: the validation images lie in one folder, their classes in a table beside it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from robench.data.base import Geometry
from robench.data.encoded import EncodedImages
from robench.data.trees import FolderTree, TreeSource, images_in, is_image_name
from robench.errors import RobenchError

TABLE = "val_annotations.txt"


def find_tiny(path: Path) -> Path | None:
    """Return the folder with ``wnids.txt`` and ``val`` or ``train``: ``path`` or the folder in it, or None."""
    for place in (path, path / "tiny-imagenet-200"):
        if (place / "wnids.txt").is_file() and ((place / "val" / TABLE).is_file() or (place / "train").is_dir()):
            return place
    return None


def load_tiny(
    root: Path, split: str = "test", *, geometry: Geometry | None = None, workers: int | None = None
) -> EncodedImages:
    """Read Tiny ImageNet; labels count the 200 WordNet ids in sorted order. ``test`` is the validation set.

    Raises:
        RobenchError: the table names a class or image that is not there.
    """
    wnids = tuple(sorted(_read(root / "wnids.txt").split()))
    if split == "train":
        return _train(root, wnids, geometry, workers)
    if not (root / "val" / TABLE).is_file():
        raise RobenchError(
            f"{root} holds the split train; '{split}' is not there ({root / 'val' / TABLE} is missing).",
            hint="Unpack the whole set.",
        )
    rank = {wnid: label for label, wnid in enumerate(wnids)}
    rows = [line.split("\t") for line in _read(root / "val" / TABLE).splitlines() if line]
    for row in rows:
        if len(row) < 2 or row[1] not in rank:
            raise RobenchError(f"{root / 'val' / TABLE}: '{row[0]}' has no known class.", hint="Unpack the set again.")
    rows.sort(key=lambda row: (row[1], row[0]))  # as the images would be in class folders
    files = [row[0] for row in rows]
    tree = FolderTree(root / "val" / "images")
    missing = set(files) - set(tree.files())
    if missing:
        raise RobenchError(
            f"{tree.root} lacks {len(missing)} images that {TABLE} names, such as {min(missing)}.",
            hint="Unpack the set again.",
        )
    twice = [file for file, count in Counter(files).items() if count > 1]
    if twice:
        raise RobenchError(f"{root / 'val' / TABLE} names {twice[0]} twice.", hint="Unpack the set again.")
    labels = np.array([rank[row[1]] for row in rows], np.int64)
    beside = sorted(name for name in set(tree.files()) - set(files) if is_image_name(name))
    remarks = (f"{tree.root}: {len(beside):,} images without a label in {TABLE} were not read.",) if beside else ()
    return EncodedImages(
        TreeSource(tree, files), labels, wnids, files=files, geometry=geometry, workers=workers, remarks=remarks
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RobenchError(f"{path} cannot be read: {error}.", hint="Unpack the set again.") from error


def _train(root: Path, wnids: tuple[str, ...], geometry: Geometry | None, workers: int | None) -> EncodedImages:
    """Read the training images: ``train/WNID/images/NAME.JPEG``."""
    tree = FolderTree(root / "train")
    files = [f"{wnid}/images/{name}" for wnid in wnids for name in images_in(tree, f"{wnid}/images")]
    rank = {wnid: label for label, wnid in enumerate(wnids)}
    labels = np.array([rank[file.partition("/")[0]] for file in files], np.int64)
    return EncodedImages(TreeSource(tree, files), labels, wnids, files=files, geometry=geometry, workers=workers)
