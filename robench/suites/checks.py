"""Refusals that several suites share: labels of another set, images of another size, a folder of several sets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt

from robench.data.base import Images
from robench.errors import RobenchError
from robench.suites.base import Suite

_ENOUGH = 10


def check_labels(labels: npt.NDArray[Any] | None, classes: int, where: str) -> None:
    """Refuse labels that count in other classes than ``classes``.

    Args:
        labels: integers (n,), or None where the set has none.
        classes: how many classes there are.
        where: what the error calls the set.

    Raises:
        RobenchError: a label below 0 or beyond the classes; or many labels that leave the upper classes out, as those
            of CIFAR-10 do where CIFAR-100 is expected.
    """
    if labels is None or len(labels) == 0:
        return
    low, high = int(labels.min()), int(labels.max())
    # Ten images per class and none of the upper half of the classes: no set of this suite, and no sample of one.
    foreign = len(labels) >= _ENOUGH * classes and high < classes // 2
    if low < 0 or high >= classes or foreign:
        raise RobenchError(
            f"{where}: labels go from {low} to {high}; expected 0 to {classes - 1}.",
            hint="They seem to count from 1: subtract 1."
            if (low, high) == (1, classes)
            else "The labels are damaged or belong to another data set.",
        )


def check_clean(suite: Suite, clean: Images, where: str) -> None:
    """Refuse a clean set of other classes than the suite's; unlabelled sets pass.

    Raises:
        RobenchError: another number of classes, or labels beyond them.
    """
    if clean.classes is not None and len(clean.classes) != suite.num_classes:
        raise RobenchError(
            f"{where} has {len(clean.classes)} classes; {suite.name} has {suite.num_classes}.",
            hint="Give the clean test set that the suite is made of ('robench suites list').",
        )
    check_labels(clean.labels, suite.num_classes, where)


def check_side(shape: Sequence[int], where: str, side: int | None) -> None:
    """Refuse arrays whose images are not ``side`` x ``side``; ``shape`` ends with height, width, channels.

    Raises:
        RobenchError: another size.
    """
    if side is not None and tuple(shape[-3:-1]) != (side, side):
        raise RobenchError(
            f"{where}: expected images of {side} x {side} pixels; found an array of shape {tuple(shape)}.",
            hint="Store the images as height x width x RGB."
            if shape[-3] in (1, 3, 4)
            else "The file is of another set; fetch it again.",
        )


def wrong_side(where: str, found: Sequence[int], side: int) -> RobenchError:
    """Return the refusal of images (height, width) of another size than the suite's."""
    return RobenchError(
        f"{where}: expected images of {side} x {side} pixels; found {' x '.join(map(str, found))}.",
        hint="Give the set at its own size: on scaled or cropped copies the results are not this suite's.",
    )


def only_one(places: Sequence[Path], data: Path) -> Path | None:
    """Return the place where a set was found, None if there is none.

    Raises:
        RobenchError: several, of which none can be told to be the one that was meant.
    """
    if data in places or len(places) == 1:
        return data if data in places else places[0]
    if places:
        raise RobenchError(
            f"{data} holds several sets of this layout: {', '.join(place.name for place in places)}.",
            hint="Give the folder of one of them.",
        )
    return None
