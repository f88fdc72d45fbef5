"""A clean test set as a suite of one cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from robench.data.base import Images
from robench.data.classes import class_list, imagenet_wnids, matched_labels
from robench.data.encoded import EncodedImages
from robench.data.find import open_images
from robench.errors import RobenchError
from robench.suites.base import OpenOptions, Suite
from robench.suites.checks import check_labels
from robench.suites.opened import Found
from robench.suites.reading import view_of


def open_clean(suite: Suite, data: Path | None, options: OpenOptions) -> Found:
    """Open any labelled set; without a path the embedded digits.

    Raises:
        RobenchError: nothing known at ``data``, a set without labels, or labels that do not count in
            ``options.num_classes`` classes.
    """
    where, split = str(data or "digits"), options.split or "test"
    images = open_images(data or "digits", split=split, geometry=options.geometry, workers=options.workers)
    if images.labels is None:
        raise RobenchError(f"{data} has no labels.", hint="A clean set needs a label for every image.")
    classes = len(images.classes) if images.classes is not None else int(images.labels.max(initial=0)) + 1
    check_labels(images.labels, classes, where)
    protocol: dict[str, Any] = {"checksum": images.checksum(), "split": split}
    remarks = tuple(images.remarks)
    if options.num_classes not in (None, classes):
        remarks = (*remarks, _count_in(images, classes, options.num_classes or 0, where))
        classes = protocol["num_classes"] = options.num_classes or 0
    if options.geometry is not None and isinstance(images, EncodedImages):
        protocol["geometry"] = options.geometry.record()
    suite = replace(suite, dataset=where.rsplit("/", 1)[-1], num_classes=classes)
    return Found(suite, suite.cells, "published", lambda _: view_of(images), protocol, images.classes, remarks=remarks)


def counted_in(names: Sequence[str] | None, classes: int, wanted: int) -> npt.NDArray[np.int64] | None:
    """Return for each label of a set its label among ``wanted`` classes; None where that cannot be told.

    Names are looked up among the classes of ImageNet or CIFAR-10, if those are as many. Numbers stay as they are; if
    they leave the upper half of the classes out, they are labels of another set, and among 1,001 (ImageNet's and a
    background class) they may be one off, as numbers from 1 may be: class 0 or the last is missing.

    Args:
        names: the set's class names by label, or None.
        classes: how many classes the set has.
        wanted: how many the labels are to count in.

    Returns:
        int64 (classes,), or None.

    >>> counted_in(["n01440764", "n02123045"], 2, 1000)
    array([  0, 281])
    >>> counted_in(None, 9, 10)
    array([0, 1, 2, 3, 4, 5, 6, 7, 8])
    >>> counted_in(["sparrow", "truck"], 2, 10), counted_in(None, 10, 1000)
    (None, None)
    >>> counted_in(["1", "2", "3"], 3, 4) is None, counted_in(["0", "1", "2"], 3, 4).tolist()
    (True, [0, 1, 2])
    """
    if names is None or all(name.isdecimal() for name in names):
        if first_is_open(names, wanted):
            return None
        if wanted == len(imagenet_wnids()) + 1:  # with a background class, first or last: numbers do not tell
            return None
        return np.arange(classes, dtype=np.int64) if wanted >= classes > wanted // 2 else None
    known = imagenet_wnids() if wanted == len(imagenet_wnids()) else class_list("cifar10") or ()
    found = matched_labels(names, known) if len(known) == wanted else [None]
    if None in found or len(set(found)) < len(found):
        return None
    return np.array(found, np.int64)


def first_is_open(names: Sequence[str] | None, wanted: int) -> bool:
    """Return whether class names are numbers of which it is open whether 0 or 1 is the first: some are missing."""
    if names is None or not wanted > len(names) > wanted // 2:
        return False
    return all(name.isdecimal() for name in names) and int(names[0]) > 0


def _count_in(images: Images, classes: int, wanted: int, where: str) -> str:
    """Bring labels to ``wanted`` classes, and return what was done."""
    mapped = counted_in(images.classes, classes, wanted)
    if first_is_open(images.classes, wanted):
        first = int((images.classes or "0")[0])
        raise RobenchError(
            f"{where} has classes {first} to {first + classes - 1}; whether these count from 0 or from {first} among"
            f" {wanted:,} cannot be told.",
            hint=f"Make an empty folder for every class that is missing, such as {first - 1} or {first + classes}.",
        )
    if mapped is None or images.labels is None:
        named = "its class names are none that are known" if images.classes is not None else "its labels are numbers"
        raise RobenchError(
            f"{where} has {classes:,} classes, which cannot be counted in {wanted:,}: {named}.",
            hint="Name the class folders by WordNet ids or by the data set's class names, or give a model of this set.",
        )
    known = images.classes is not None and not all(name.isdecimal() for name in images.classes)
    images.labels = mapped[images.labels]
    if known:
        images.classes = imagenet_wnids() if wanted == len(imagenet_wnids()) else class_list("cifar10")
        return f"{where} has images of {classes:,} classes; they count in {wanted:,} by name."
    images.classes = None
    return f"{where} has labels of {classes:,} classes; they count in {wanted:,} by number."
