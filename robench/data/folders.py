"""Images in one folder per class, on the disk or in a tar."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from robench.data.base import Geometry
from robench.data.classes import WORDNET_ID
from robench.data.encoded import EncodedImages
from robench.data.splits import NAMES, choose_split, read_instead
from robench.data.trees import Tree, TreeSource, images_in, is_image_name, join, omitted, open_tree
from robench.errors import RobenchError

_SPLIT_NAMES = frozenset(name for names in NAMES.values() for name in names) | {
    "dev", "development", "holdout", "held-out", "held_out", "eval", "evaluation", "testing", "unlabeled", "unlabelled",
}  # fmt: skip


# Names of folders that hold images of any class, and beginnings of tables that hold their labels.
_GENERAL = frozenset({"image", "images", "img", "imgs", "jpegimages", "picture", "pictures", "photos", "data", "all"})
_TABLES = ("metadata.", "labels.", "annotations.")


class NoClassFoldersError(RobenchError):
    """The place has no class folders with images, so it may hold images in another form."""


def load_folders(
    path: Path | Tree,
    classes: Sequence[str] | None = None,
    *,
    below: str = "",
    split: str = "test",
    first: int | None = None,
    geometry: Geometry | None = None,
    workers: int | None = None,
) -> EncodedImages:
    """Read images in one folder per class.

    Args:
        path: folder, tar archive, or an opened tree.
        classes: the folders' names by label; None: the folders as sorted, or as numbered where all are numbers.
        below: folder in the tree that holds the class folders.
        split: ``test``, ``validation`` or ``train``: its folder is entered where there is one.
        first: the number of the first class where folders are numbered; None: 0 or 1, as the numbers tell.
        geometry: resize and crop after decoding.
        workers: decoding threads.

    Raises:
        NoClassFoldersError: no class folders, or none with images.
        RobenchError: only another split's folder, folders that are not in ``classes``, a class folder without
            images, numbers that leave it open which class they mean, or duplicates.
    """
    tree = open_tree(path) if isinstance(path, Path) else path
    below = _enter_split(tree, below, split)
    where = f"{tree.root}/{below}".rstrip("/")
    folders = tree.folders(below)
    if not folders:
        raise NoClassFoldersError(f"{where} has no class folders.", hint="Expected one folder per class.")
    images = {folder: images_in(tree, join(below, folder)) for folder in folders}
    if not any(images.values()):
        said = omitted((name for folder in folders for name in tree.files(join(below, folder))), where)
        deeper = [name for folder in folders for name in tree.folders(join(below, folder))]
        inner = f"; there are folders in them: {', '.join(dict.fromkeys(deeper[:3]))}" if deeper else ""
        raise NoClassFoldersError(
            said[0] if said else f"{where} has folders ({', '.join(folders[:3])}...) without images{inner}.",
            hint="Give the folder that holds one folder per class." if deeper else "Check that it is complete.",
        )
    _refuse_unlabelled(tree, below, [folder for folder, files in images.items() if files], where)
    labels_of, names_by_label, numbering = number_classes(images, classes, where, first)
    paths: list[str] = []
    labels: list[int] = []
    for folder, label in labels_of.items():
        paths += [join(below, folder, name) for name in images[folder]]
        labels += [label] * len(images[folder])
    _refuse_repeated(tree, paths)
    return EncodedImages(
        TreeSource(tree, paths),
        np.array(labels, np.int64),
        names_by_label,
        files=[path_[len(below) :].lstrip("/") for path_ in paths],
        geometry=geometry,
        workers=workers,
        remarks=(*numbering, *_of_validation(below, split, folders, where), *_left_out(tree, below, images, where)),
    )


def has_class_folders(path: Path, split: str) -> bool:
    """Return whether there are at least two folders of images that :func:`load_folders` would read as classes."""
    try:
        tree = open_tree(path)
        below = _enter_split(tree, "", split)
        filled = [True for folder in tree.folders(below) if images_in(tree, join(below, folder))]
    except (RobenchError, OSError):
        return False
    return len(filled) > 1


def _refuse_unlabelled(tree: Tree, below: str, filled: Sequence[str], where: str) -> None:
    """Refuse images in one folder whose name is that of a split or says that they are images: it is no class."""
    if len(filled) != 1 or filled[0].lower() not in _SPLIT_NAMES | _GENERAL:
        return
    tables = [
        join(folder, name)
        for folder in ("", filled[0])
        for name in tree.files(join(below, folder))
        if name.lower().startswith(_TABLES)
    ]
    raise RobenchError(
        f"{where}/{filled[0]} holds images without class folders, so that their labels are not known."
        + (f" Labels in {tables[0]} are not read." if tables else ""),
        hint="Give one folder per class, or the set as datasets saves it: load an imagefolder, then save_to_disk.",
    )


def _of_validation(below: str, split: str, folders: Sequence[str], where: str) -> tuple[str, ...]:
    """Say that validation images stand for the test images, except of ImageNet, whose test labels are hidden."""
    name = below.rpartition("/")[2].lower()
    return () if all(map(WORDNET_ID.fullmatch, folders)) else read_instead(where, split, name)


def class_folders(tree: Tree, below: str) -> list[str]:
    """Return the folders directly in ``below`` that are WordNet ids."""
    return [name for name in tree.folders(below) if WORDNET_ID.fullmatch(name)]


def _enter_split(tree: Tree, below: str, split: str) -> str:
    """Go down through folders that only wrap (``set/set``), and into the split's own folder.

    A folder with another split's name wraps nothing: its images are not those that were asked for. Upper and lower case
    are the same here.
    """
    entered = False
    for _ in range(3):
        folders = tree.folders(below)
        there = None if entered else choose_split(folders, split, join(str(tree.root), below))
        if there and images_in(tree, join(below, there)) and not tree.folders(join(below, there)):
            there = None  # a class of that name, as CIFAR-100's "train"
        others = [] if entered else [name for name in folders if name.lower() in _SPLIT_NAMES]
        if there:
            inner, entered = there, True
        elif others and not any(images_in(tree, join(below, name)) for name in folders):
            raise RobenchError(
                f"{join(str(tree.root), below)} holds the split {', '.join(others)}; '{split}' is not there.",
                hint=f"Get the '{split}' images, or give {join(str(tree.root), below, others[0])} itself to measure"
                " those all the same.",
            )
        elif len(folders) == 1 and not images_in(tree, join(below, folders[0])):
            inner = folders[0]
        else:
            break
        below = join(below, inner)
    return below


def number_classes(
    images: Mapping[str, Sequence[Any]], classes: Sequence[str] | None, where: str, first: int | None = None
) -> tuple[dict[str, int], tuple[str, ...], tuple[str, ...]]:
    """Return the label of every class folder, class names by label, and remarks.

    Args:
        images: what every folder holds, by its name, folders in the order of their names.
        classes, first: see :func:`load_folders`.
        where: the place, for messages.

    Raises:
        RobenchError: see :func:`load_folders`.
    """
    if classes is not None:
        return _known(list(images), classes, where), tuple(classes), ()
    filled = [name for name, files in images.items() if files]
    empty = [name for name in images if name not in filled]
    if all(name.isdecimal() and name.isascii() for name in filled):
        said = _not_classes([name for name in empty if not name.isdecimal()], where)
        return (*_numbered([name for name in images if name.isdecimal()], where, first), said)
    if empty:
        raise RobenchError(
            f"{where}: {len(empty)} of {len(images)} class folders hold no images: {', '.join(empty[:5])}.",
            hint="Remove folders that are not classes and complete the others: a missing class shifts all labels.",
        )
    return {name: label for label, name in enumerate(images)}, tuple(images), _in_text_order(list(images), where)


def _in_text_order(names: Sequence[str], where: str) -> tuple[str, ...]:
    """Return a remark where names end in numbers that their order as text does not follow: class_10 before class_2."""
    found = [re.fullmatch(r"(.*?\D)(\d+)", name, re.DOTALL) for name in names]
    parts = [(one[1], int(one[2])) for one in found if one is not None]
    if len(parts) < len(names) or len({lead for lead, _ in parts}) > 1 or parts == sorted(parts):
        return ()
    return (
        f"{where}: class folders were numbered in the order of their names as text ({', '.join(names[:3])}...), as"
        f" torchvision's ImageFolder does, not in that of the numbers in them.",
    )


def _numbered(folders: list[str], where: str, first: int | None) -> tuple[dict[str, int], tuple[str, ...]]:
    """Return labels and class names of folders that are numbers: the numbers themselves, from 0 or from 1."""
    numbers = {name: int(name) for name in folders}
    if len(set(numbers.values())) < len(numbers):
        raise RobenchError(
            f"{where}: several folders are the same number: {', '.join(sorted(numbers, key=int)[:6])}.",
            hint="Give every class one folder.",
        )
    least, last = min(numbers.values()), max(numbers.values())
    first = least if first is None else first
    if first > 0 and last - first + 1 > len(numbers):
        raise RobenchError(
            f"{where}: class folders are the numbers {least} to {last} with gaps; whether they count from 0 or from 1"
            " cannot be told.",
            hint="Make a folder for every class, an empty one where there are no images.",
        )
    # "10" sorts before "2" as text.
    labels = {name: numbers[name] - first for name in sorted(folders, key=int)}
    named = {label: name for name, label in labels.items()}
    return labels, tuple(named.get(label, str(label + first)) for label in range(last - first + 1))


def _known(folders: list[str], classes: Sequence[str], where: str) -> dict[str, int]:
    rank = {name: label for label, name in enumerate(classes)}
    strange = [name for name in folders if name not in rank]
    if strange:
        kind = "WordNet ids of the suite" if WORDNET_ID.fullmatch(str(classes[0])) else "classes of the suite"
        raise RobenchError(
            f"{where}: {len(strange)} of {len(folders)} folders are not {kind}: {', '.join(strange[:5])}.",
            hint="Remove or rename them; every folder must be one class.",
        )
    return {name: rank[name] for name in folders}


def _not_classes(names: list[str], where: str) -> tuple[str, ...]:
    """Return a remark on folders that were not taken for classes; none where there are none."""
    if not names:
        return ()
    return (f"{where}: folders without images were not taken for classes: {', '.join(names[:5])}.",)


def _left_out(tree: Tree, below: str, images: dict[str, list[str]], where: str) -> tuple[str, ...]:
    """Count the files in and next to the class folders that are not read."""
    strange: list[str] = []
    deeper = 0
    for folder, taken in images.items():
        inside = tree.files(join(below, folder))
        if len(inside) > len(taken):
            strange += [name for name in inside if not is_image_name(name)]
        deeper += len(tree.folders(join(below, folder)))
    stray = [name for name in tree.files(below) if is_image_name(name)]
    remarks = omitted(strange, where)
    if deeper:
        remarks += (f"{where}: {deeper:,} folders within class folders were not read.",)
    if stray:
        remarks += (f"{where}: {len(stray):,} images next to the class folders were not read.",)
    return remarks


def _refuse_repeated(tree: Tree, paths: list[str]) -> None:
    """Refuse a validation image of ImageNet that lies in two class folders: its label would be arbitrary."""
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
