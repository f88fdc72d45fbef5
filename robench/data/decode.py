"""From the bytes of a JPEG, PNG or any other picture file to uint8 RGB of one size."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt

from robench.data.base import Geometry
from robench.errors import RobenchError


class CorruptImageError(RobenchError):
    """A picture that cannot be decoded; ``file`` is its name."""

    def __init__(self, file: str, reason: object) -> None:
        super().__init__(
            f"{file} cannot be decoded: {reason}.",
            hint="Fetch the file again, or go on without such pictures with --skip-corrupt (they are counted).",
        )
        self.file = file


def decode(data: bytes, geometry: Geometry, file: str) -> npt.NDArray[np.uint8]:
    """Return a picture as uint8 of shape (H, W, 3), RGB, after resize and crop.

    Raises:
        CorruptImageError: the bytes are no picture, or a truncated one.
    """
    from PIL import Image

    try:
        picture = Image.open(io.BytesIO(data)).convert("RGB")
    except Exception as error:  # decoders raise anything from SyntaxError to struct.error on damaged files
        raise CorruptImageError(file, error) from error
    return resize_and_crop(np.asarray(picture), geometry)


def resize_and_crop(picture: npt.NDArray[np.uint8], geometry: Geometry) -> npt.NDArray[np.uint8]:
    """Return ``picture`` (H, W, 3) after ``geometry``, with Pillow's filters."""
    from PIL import Image

    height, width = target_size(picture.shape[0], picture.shape[1], geometry)
    if (height, width) != picture.shape[:2]:
        filter_ = Image.Resampling[geometry.interpolation.upper()]
        picture = np.asarray(Image.fromarray(picture).resize((width, height), filter_))
    top, left, height, width = crop_box(height, width, geometry)
    return picture[top : top + height, left : left + width]


def target_size(height: int, width: int, geometry: Geometry) -> tuple[int, int]:
    """Return (height, width) after the resize: the shorter side becomes ``resize``, the longer is cut to an integer."""
    if geometry.resize is None:
        return height, width
    if isinstance(geometry.resize, tuple | list):
        return int(geometry.resize[0]), int(geometry.resize[1])
    side = geometry.resize
    if height <= width:
        return side, int(side * width / height)
    return int(side * height / width), side


def crop_box(height: int, width: int, geometry: Geometry) -> tuple[int, int, int, int]:
    """Return (top, left, height, width) of the centre crop.

    Raises:
        RobenchError: the picture is smaller than the crop.
    """
    side = geometry.crop
    if side is None:
        return 0, 0, height, width
    if height < side or width < side:
        raise RobenchError(
            f"A crop of {side} pixels does not fit a picture of {height} x {width}.",
            hint="Set --resize so that the shorter side is at least the crop.",
        )
    return round((height - side) / 2), round((width - side) / 2), side, side
