"""Suites of attacks: the clean images, from which the evaluation finds those of every cell by attacking the model."""

from __future__ import annotations

from pathlib import Path

from robench.data.base import Geometry, Images
from robench.data.encoded import EncodedImages
from robench.data.find import open_images
from robench.errors import RobenchError
from robench.suites.base import OpenOptions, Suite
from robench.suites.checks import check_clean
from robench.suites.copies import found_copy
from robench.suites.corrupted import embedded
from robench.suites.opened import Found, choose_cells, without_held_out
from robench.suites.reading import view_of


def open_digits(suite: Suite, data: Path | None, options: OpenOptions) -> Found:
    """Open the embedded digits for attacks on them.

    Raises:
        RobenchError: data was given all the same.
    """
    return _found(suite, embedded(suite, data), options)


def open_clean_set(suite: Suite, data: Path | None, options: OpenOptions) -> Found:
    """Open a clean test set, whose images are attacked.

    Raises:
        RobenchError: no data, no labels, or a set of other classes.
    """
    if data is None:
        raise RobenchError(
            f"{suite.name} needs the clean test set of {suite.dataset}.", hint="Give its folder or file in `data`."
        )
    geometry = None if suite.geometry == Geometry() else options.geometry or suite.geometry
    images = open_images(data, split="test", dataset=suite.dataset, geometry=geometry, workers=options.workers)
    check_clean(suite, images, str(data))
    return _found(suite, images, options)


def _found(suite: Suite, images: Images, options: OpenOptions) -> Found:
    if images.labels is None:
        raise RobenchError("The clean set has no labels.", hint="An attack raises the loss of an image's label.")
    cells = without_held_out(suite, choose_cells(suite, options), options)
    attacks = {cell.name: found.record() for cell in cells if (found := suite.attack(cell.condition)) is not None}
    protocol = {"clean": images.checksum(), "attacks": attacks}
    if suite.geometry != Geometry() and isinstance(images, EncodedImages):
        protocol["geometry"] = (options.geometry or suite.geometry).record()
    view = view_of(images)
    dataset = found_copy(suite.dataset, images)
    remarks = tuple(images.remarks)
    return Found(suite, cells, "generated", lambda _: view, protocol, images.classes, remarks=remarks, dataset=dataset)
