"""Published lists of some of a suite's images, by which other people's numbers were measured."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np

from robench.data.encoded import EncodedImages
from robench.data.trees import Tree
from robench.errors import RobenchError, did_you_mean
from robench.suites.single import cut

LISTS = ("robustbench",)  # 5,000 validation images of ImageNet
_NUMBER = re.compile(r"ILSVRC2012_val_(\d{8})\b")


@cache
def numbers(name: str) -> frozenset[int]:
    """Return the numbers of a list's images: 15253 for ``ILSVRC2012_val_00015253``.

    Raises:
        RobenchError: no such list.

    >>> len(numbers("robustbench")), 15253 in numbers("robustbench")
    (5000, True)
    """
    if name not in LISTS:
        raise RobenchError(f"Unknown list of images '{name}'.", hint=did_you_mean(name, LISTS))
    text = (files("robench.suites") / f"images_{name}.txt").read_text(encoding="utf-8")
    return frozenset(int(word) for line in text.splitlines() if not line.startswith("#") for word in line.split())


def is_listed(name: str, listed: frozenset[int]) -> bool:
    """Return whether an image's name has one of the numbers."""
    found = _NUMBER.search(name.rpartition("/")[2])
    return found is not None and int(found[1]) in listed


def kept(images: EncodedImages, listed: frozenset[int], where: str) -> EncodedImages:
    """Return the images of a set whose names are listed.

    Raises:
        RobenchError: none is.
    """
    there = np.array([is_listed(name, listed) for name in images.files or ()], bool)
    if not there.any() or images.labels is None:
        raise RobenchError(
            f"{where} has none of the images on the list: their names are not ILSVRC2012_val_NNNNNNNN.JPEG.",
            hint="Give the set under its published file names.",
        )
    return cut(images, np.where(there, images.labels, -1), tuple(images.classes or ()))


class ListedTree:
    """A tree that shows only listed images."""

    def __init__(self, tree: Tree, listed: frozenset[int]) -> None:
        self._tree, self._listed, self.root = tree, listed, tree.root

    @property
    def archives(self) -> list[Path]:
        """The archives of a packed tree."""
        return list(getattr(self._tree, "archives", []))

    def folders(self, path: str = "") -> list[str]:
        """See Tree."""
        return self._tree.folders(path)

    def files(self, path: str = "") -> list[str]:
        """See Tree."""
        return [name for name in self._tree.files(path) if is_listed(name, self._listed)]

    def size(self, path: str) -> int:
        """See Tree."""
        return self._tree.size(path)

    def fetch(self, path: str) -> bytes:
        """See Tree."""
        return self._tree.fetch(path)
