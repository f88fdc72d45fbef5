"""What every reader gives: uint8 images by index, their labels, and a checksum of the bytes they came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos"]


@dataclass(frozen=True)
class Geometry:
    """Resize and crop that bring images of any size to one size, as Pillow does them.

    Args:
        resize: side in pixels that the shorter side is scaled to, or an exact (height, width); None: no scaling.
        crop: side in pixels of the centre crop after scaling; None: no crop.
        interpolation: filter of the scaling (antialiased, as Pillow's).
    """

    resize: int | tuple[int, int] | None = None
    crop: int | None = None
    interpolation: Interpolation = "bilinear"

    def record(self) -> dict[str, Any]:
        """Return the fields as a JSON-able document."""
        return asdict(self)


class Images(Protocol):
    """A set of images with labels, as one reader sees it.

    Attributes:
        labels: int64 array of shape (N,), or None where the set has no labels.
        classes: class names by label, or None where the files do not say.
        files: a name for every image (for error messages and for joining with other sets), or None.
        remarks: what was chosen among several, left out or converted while the set was opened, as sentences for the
            user and the record; empty where the files were taken as they stand.
    """

    labels: npt.NDArray[np.int64] | None
    classes: Sequence[str] | None
    files: Sequence[str] | None
    remarks: Sequence[str]

    def __len__(self) -> int: ...

    def read(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Return images as uint8 of shape (n, H, W, 3), RGB, in the order of ``indices``.

        Raises:
            RobenchError: an image cannot be decoded (the message names its file) or sizes differ.
        """
        ...

    def raw_size(self, position: int) -> tuple[int, int]:
        """Return (height, width) of one image as stored, before any resize and crop.

        Raises:
            RobenchError: the image cannot be read.
        """
        ...

    def checksum(self) -> str:
        """Return a SHA-256 over the bytes (or names, sizes and labels for very large folders)."""
        ...
