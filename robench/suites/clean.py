"""A clean test set as a suite of one cell."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from robench.data.find import open_images
from robench.errors import RobenchError
from robench.suites.base import OpenOptions, Suite
from robench.suites.checks import check_labels
from robench.suites.opened import Found
from robench.suites.reading import view_of


def open_clean(suite: Suite, data: Path | None, options: OpenOptions) -> Found:
    """Open any labelled set; without a path the embedded digits.

    Raises:
        RobenchError: nothing known at ``data``, or a set without labels.
    """
    split = options.split or "test"
    images = open_images(data or "digits", split=split, geometry=options.geometry, workers=options.workers)
    if images.labels is None:
        raise RobenchError(f"{data} has no labels.", hint="A clean set needs a label for every image.")
    classes = len(images.classes) if images.classes is not None else int(images.labels.max()) + 1
    check_labels(images.labels, classes, str(data or "digits"))
    suite = replace(suite, dataset=str(data or "digits").rsplit("/", 1)[-1], num_classes=classes)
    protocol = {"checksum": images.checksum(), "split": split}
    return Found(
        suite,
        suite.cells,
        "published",
        lambda _: view_of(images),
        protocol,
        images.classes,
        remarks=tuple(images.remarks),
    )
