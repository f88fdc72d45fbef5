"""LAION-C: six synthetic distortions of web images of 16 superclasses, from the published files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from robench.data.base import Geometry
from robench.data.encoded import EncodedImages
from robench.data.folders import load_folders
from robench.data.trees import Tree, child
from robench.errors import RobenchError
from robench.suites.base import Cell, OpenOptions, Suite
from robench.suites.opened import Found, choose_cells
from robench.suites.reading import View, view_of
from robench.suites.superclasses import SUPERCLASSES
from robench.suites.tree_conditions import open_conditions

SQUARE = Geometry(resize=(224, 224))
"""What the published evaluation does to every image, whatever its shape; nothing is cropped."""


def open_laion_c(suite: Suite, data: Path | None, options: OpenOptions) -> Found:
    """Open LAION-C's folders ``DISTORTION/intensity_level_LEVEL/SUPERCLASS/IMAGE``, or a tar of them.

    Args:
        suite: the protocol.
        data: the folder that holds those of the distortions, or one above it.
        options: which cells.

    Raises:
        RobenchError: a distortion, level or superclass is missing.
    """
    if data is None:
        raise RobenchError(f"{suite.name} needs data.", hint=f"Get it from {suite.url}, unpack it, and give `data`.")
    tree, places = open_conditions(data, suite.conditions)
    if not places:
        raise RobenchError(
            f"{data} has no folder of {suite.name}, such as {suite.conditions[0]}/intensity_level_1/.",
            hint=f"Get the set from {suite.url} and unpack it.",
        )
    cells = choose_cells(suite, options)
    missing = sorted({cell.condition for cell in cells} - set(places))
    if missing:
        raise RobenchError(
            f"{data} lacks {len(missing)} of the conditions: {', '.join(missing)}.",
            hint=f"Get the rest, or measure what is there: `corruption='{','.join(places)}'`.",
        )
    names = tuple(SUPERCLASSES[suite.superclasses or suite.name])
    images = {cell: _listed(tree, places[cell.condition], cell, names, options) for cell in cells}
    protocol: dict[str, Any] = {
        "checksums": {cell.name: one.checksum() for cell, one in images.items()},
        "images": {cell.name: len(one) for cell, one in images.items()},
        "superclasses": suite.superclasses,
        "source_geometry": SQUARE.record(),
    }
    remarks = tuple(dict.fromkeys(remark for one in images.values() for remark in one.remarks))

    def view(cell: Cell) -> View:
        return view_of(images[cell])

    return Found(suite, cells, "published", view, protocol, names, remarks=remarks)


def _listed(tree: Tree, place: str, cell: Cell, names: tuple[str, ...], options: OpenOptions) -> EncodedImages:
    path = child(tree, place, f"intensity_level_{cell.severity}")
    if path is None:
        raise RobenchError(
            f"{tree.root}/{place} has no folder intensity_level_{cell.severity}; found"
            f" {', '.join(tree.folders(place)) or 'nothing'}.",
            hint="The archive was not unpacked whole; unpack it again.",
        )
    images = load_folders(tree, names, below=path, split="", geometry=SQUARE, workers=options.workers)
    there = set(np.asarray(images.labels).tolist())
    absent = [name for label, name in enumerate(names) if label not in there]
    if absent:
        raise RobenchError(
            f"{tree.root}/{path} has no images of {', '.join(absent[:5])}.", hint="Unpack the set again."
        )
    return images
