"""ImageNet-ReaL: ImageNet's validation images with all of the labels that people found right for them."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from robench.data.classes import imagenet_wnids
from robench.data.encoded import EncodedImages
from robench.data.find import open_images
from robench.errors import RobenchError
from robench.files import read_document, sha256
from robench.suites.base import OpenOptions, Suite
from robench.suites.opened import Found, choose_cells
from robench.suites.reading import View, view_of
from robench.suites.single import cut

NAME = "real.json"
_NUMBER = re.compile(r"ILSVRC2012_val_(\d{8})\b")
_IMAGES = 50_000


def open_real(suite: Suite, data: Path | None, options: OpenOptions) -> Found:
    """Open ImageNet's validation images with the labels of ``real.json``; images without a label are left out.

    Args:
        suite: the protocol.
        data: the validation set, with ``real.json`` in it or next to it.
        options: ``definition`` is ``real.json``, where it lies elsewhere.

    Raises:
        RobenchError: no such set or file, or a file of another form.
    """
    if data is None:
        raise RobenchError(f"{suite.name} needs data.", hint="Give ImageNet's validation folder with real.json beside.")
    file = _file(data, options)
    labels = _labels(file)
    geometry = options.geometry or suite.geometry
    images = open_images(data, split="test", dataset="imagenet", geometry=geometry, workers=options.workers)
    if not isinstance(images, EncodedImages) or images.files is None:
        raise RobenchError(f"{data} holds no image files.", hint="Give ImageNet's validation folder.")
    of_image = [labels[_number(name, data) - 1] for name in images.files]
    labelled = np.array([bool(found) for found in of_image])
    kept = cut(images, np.where(labelled, 0, -1), imagenet_wnids())
    allowed = np.zeros((len(kept), suite.num_classes), np.uint8)
    for row, found in enumerate(found for found in of_image if found):
        allowed[row, found] = 1
    left = f"{int((~labelled).sum()):,} images without a label in {file.name} were left out, as published."
    protocol: dict[str, Any] = {"checksum": kept.checksum(), "labels": sha256(file), "geometry": geometry.record()}
    cells = choose_cells(suite, options)

    def view(_: Any) -> View:
        return replace(view_of(kept), target=allowed.astype(np.int64))

    return Found(suite, cells, "published", view, protocol, imagenet_wnids(), remarks=(*kept.remarks, left))


def _file(data: Path, options: OpenOptions) -> Path:
    places = [Path(options.definition)] if options.definition else [data / NAME, data.parent / NAME]
    for place in places:
        if place.is_file():
            return place
    raise RobenchError(
        f"There is no {NAME} in {data} or next to it.",
        hint="Get it from https://github.com/google-research/reassessed-imagenet, or give its path in `definition`.",
    )


def _labels(file: Path) -> list[list[int]]:
    """Return the labels of the 50,000 images by their number.

    Raises:
        RobenchError: not a list of 50,000 lists of ImageNet's classes.
    """
    found = read_document(file, "list of labels", top=list)
    classes = len(imagenet_wnids())
    good = len(found) == _IMAGES and all(
        isinstance(one, list) and all(type(label) is int and 0 <= label < classes for label in one) for one in found
    )
    if not good:
        raise RobenchError(
            f"{file} is not a list of {_IMAGES:,} lists of labels from 0 to {classes - 1}.",
            hint="Get real.json from https://github.com/google-research/reassessed-imagenet.",
        )
    return list(found)


def _number(name: str, data: Path) -> int:
    found = _NUMBER.search(name)
    number = 0 if found is None else int(found[1])
    if not 1 <= number <= _IMAGES:
        raise RobenchError(
            f"{data}: {name} is not a validation image of ImageNet (ILSVRC2012_val_NNNNNNNN.JPEG).",
            hint="Labels go by the images' numbers: keep the published names.",
        )
    return number
