"""The -C suites kept as image files, generated from clean images and stored as JPEG, as the published ones were."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from robench.data.base import Geometry, Images
from robench.data.classes import WORDNET_ID
from robench.data.encoded import EncodedImages
from robench.errors import RobenchError
from robench.suites.base import Cell, OpenOptions, Suite
from robench.suites.checks import check_clean
from robench.suites.corrupted import corruption
from robench.suites.frosted import frost_record, frost_remarks
from robench.suites.opened import Found, choose_cells, without_held_out
from robench.suites.reading import Transform, View, view_of

if TYPE_CHECKING:
    import torch

JPEG_QUALITY = 85


def open_generated(suite: Suite, clean: Images, options: OpenOptions) -> Found:
    """Open a -C suite made from clean images: corrupted, then stored as JPEG of quality 85 as the published one.

    Raises:
        RobenchError: the clean images have no labels, or those of other classes than the suite's.
    """
    if clean.labels is None:
        raise RobenchError("The clean set has no labels.", hint="Give a labelled validation set.")
    if clean.classes is None or not all(WORDNET_ID.fullmatch(name) for name in clean.classes):  # a part has their ids
        check_clean(suite, clean, "The clean set")
    geometry = clean.geometry if isinstance(clean, EncodedImages) else Geometry()
    cells = without_held_out(suite, choose_cells(suite, options), options)

    def view(cell: Cell) -> View:
        return view_of(clean, None if cell.severity is None else stored_as_jpeg(corruption(cell, options)))

    if clean.classes is not None:
        suite = replace(suite, num_classes=len(clean.classes))
    protocol = {
        "clean": clean.checksum(),
        "images": len(clean),
        "source_geometry": geometry.record(),
        "jpeg_quality": JPEG_QUALITY,
        **frost_record(suite, options),
    }
    return Found(
        suite,
        cells,
        "generated",
        view,
        protocol,
        clean.classes,
        remarks=(*clean.remarks, *frost_remarks(cells, options)),
    )


def stored_as_jpeg(transform: Transform) -> Transform:
    """Add the JPEG of quality 85 in which the published images are kept; it changes scores by points."""

    def both(pixels: torch.Tensor, index: npt.NDArray[np.int64]) -> torch.Tensor:
        from robench.corruptions.jpeg import roundtrip

        return roundtrip(transform(pixels, index), JPEG_QUALITY)

    return both
