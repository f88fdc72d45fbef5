"""From the bytes of a JPEG, PNG or any other picture file to uint8 RGB of one size."""

from __future__ import annotations

import io
import re

import numpy as np
import numpy.typing as npt

from robench.data.base import Geometry
from robench.errors import RobenchError

_NAMELESS = re.compile(r"<_io\.BytesIO object at \w+>")


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

    JPEGs are decoded by OpenCV's libjpeg-turbo, bit-equal to Pillow and faster; everything else is left to Pillow.

    Raises:
        CorruptImageError: the bytes are no picture, or a truncated one.
    """
    picture = _decode_jpeg(data, file) if data[:2] == b"\xff\xd8" else _decode_other(data, file)
    return resize_and_crop(picture, geometry)


def _decode_jpeg(data: bytes, file: str) -> npt.NDArray[np.uint8]:
    import cv2

    # Pillow and torchvision leave the orientation that a camera notes alone; so do the published protocols.
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
    # None: truncated, or of a kind that OpenCV does not read. Pillow has the last word, and a reason.
    return picture.astype(np.uint8, copy=False) if picture is not None else _decode_other(data, file)


def _decode_other(data: bytes, file: str) -> npt.NDArray[np.uint8]:
    from PIL import Image

    try:
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    except Exception as error:  # decoders raise anything from SyntaxError to struct.error on damaged files
        raise CorruptImageError(file, _NAMELESS.sub("the file", str(error)).rstrip(".")) from error


def resize_and_crop(picture: npt.NDArray[np.uint8], geometry: Geometry) -> npt.NDArray[np.uint8]:
    """Return ``picture`` (H, W, 3) after ``geometry``, bit-equal to Pillow's filters."""
    height, width = target_size(picture.shape[0], picture.shape[1], geometry)
    box = crop_box(height, width, geometry)
    top, left, box_height, box_width = box
    if (height, width) != picture.shape[:2]:
        if geometry.interpolation in ("bilinear", "bicubic"):
            from robench.data.resample import resize_box

            return resize_box(picture, (height, width), box, geometry.interpolation)
        from PIL import Image

        filter_ = Image.Resampling[geometry.interpolation.upper()]
        picture = np.asarray(Image.fromarray(picture).resize((width, height), filter_))
    return picture[top : top + box_height, left : left + box_width]


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
