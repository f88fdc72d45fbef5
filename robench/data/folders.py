"""Pictures in one folder per class, on the disk or in a tar."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from robench.data.base import Geometry
from robench.data.classes import WORDNET_ID
from robench.data.encoded import EncodedImages
from robench.data.trees import Tree, TreeSource, join, open_tree, pictures_in
from robench.errors import RobenchError

_SPLITS = {
    "test": ("test", "val", "validation"),
    "validation": ("val", "validation", "valid"),
    "train": ("train", "training"),
}


def load_folders(
    path: Path | Tree,
    classes: Sequence[str] | None = None,
    *,
    below: str = "",
    split: str = "test",
    geometry: Geometry | None = None,
    workers: int | None = None,
) -> EncodedImages:
    """Read pictures in one folder per class.

    Args:
        path: folder, tar archive, or an opened tree.
        classes: the folders' names by label; None: the folders as sorted, by number where all are numbers.
        below: folder in the tree that holds the class folders.
        split: ``test``, ``validation`` or ``train``: its folder is entered where there is one.
        geometry: resize and crop.
        workers: decoding threads.

    Raises:
        RobenchError: no class folders, folders that are no classes of ``classes``, duplicates, or no pictures.
    """
    tree = open_tree(path) if isinstance(path, Path) else path
    below = _enter_split(tree, below, split)
    folders = tree.folders(below)
    if not folders:
        raise RobenchError(f"{tree.root}/{below} has no class folders.", hint="Expected one folder per class.")
    labels_of = _labels_of(folders, classes, f"{tree.root}/{below}".rstrip("/"))
    paths: list[str] = []
    labels: list[int] = []
    for folder, label in labels_of.items():
        names = pictures_in(tree, join(below, folder))
        paths += [join(below, folder, name) for name in names]
        labels += [label] * len(names)
    if not paths:
        raise RobenchError(f"{tree.root}/{below} has class folders but no pictures.", hint="Check that it is complete.")
    _refuse_repeated(tree, paths)
    names_by_label = tuple(classes) if classes is not None else tuple(labels_of)
    files = [path_[len(below) :].lstrip("/") for path_ in paths]
    source = TreeSource(tree, paths)
    return EncodedImages(
        source, np.array(labels, np.int64), names_by_label, files=files, geometry=geometry, workers=workers
    )


def class_folders(tree: Tree, below: str) -> list[str]:
    """Return the folders directly in ``below`` that are WordNet ids."""
    return [name for name in tree.folders(below) if WORDNET_ID.fullmatch(name)]


def _enter_split(tree: Tree, below: str, split: str) -> str:
    """Go down through folders that only wrap (``set/set``), and into the split's own folder."""
    for _ in range(3):
        folders = tree.folders(below)
        inner = next((name for name in _SPLITS.get(split, (split,)) if name in folders), None)
        if inner is None and len(folders) == 1 and not pictures_in(tree, join(below, folders[0])):
            inner = folders[0]
        if inner is None:
            return below
        below = join(below, inner)
    return below


def _labels_of(folders: list[str], classes: Sequence[str] | None, where: str) -> dict[str, int]:
    if classes is None:
        if all(name.isdigit() for name in folders):
            # "10" sorts before "2" as text; a numeric folder is its own label's rank.
            folders = sorted(folders, key=int)
        return {name: label for label, name in enumerate(folders)}
    rank = {name: label for label, name in enumerate(classes)}
    strange = [name for name in folders if name not in rank]
    if strange:
        kind = "WordNet id of the suite" if WORDNET_ID.fullmatch(str(classes[0])) else "class of the suite"
        raise RobenchError(
            f"{where}: {len(strange)} of {len(folders)} folders are no {kind}: {', '.join(strange[:5])}.",
            hint="Remove or rename them; every folder must be one class.",
        )
    return {name: rank[name] for name in folders}


def _refuse_repeated(tree: Tree, paths: list[str]) -> None:
    """Refuse a validation picture of ImageNet that lies in two class folders: its label would be arbitrary."""
    seen: dict[str, str] = {}
    for path in paths:
        name = path.rpartition("/")[2]
        if not name.startswith("ILSVRC2012_val_"):
            continue
        if name in seen:
            raise RobenchError(
                f"{tree.root}: {name} is in two class folders: {seen[name]} and {path}.",
                hint="One of them is in the wrong place; unpack the set again.",
            )
        seen[name] = path
