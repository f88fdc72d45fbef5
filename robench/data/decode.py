"""From the bytes of an image file to uint8 RGB of one size."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from robench.data.base import Geometry
from robench.data.formats import JPEG_MAGIC, MAX_PIXELS, CorruptImageError, check_pixels, jpeg_size, open_image, to_rgb
from robench.errors import RobenchError

__all__ = ["CorruptImageError", "crop_box", "decode", "resize_and_crop", "target_size"]


def decode(data: bytes, geometry: Geometry, file: str) -> npt.NDArray[np.uint8]:
    """Return an image as uint8 (H, W, 3), RGB, after resize and crop.

    JPEGs are decoded by OpenCV's libjpeg-turbo, bit-equal to Pillow and faster; everything else is left to Pillow.

    Args:
        data: the bytes of the file.
        geometry: resize and crop.
        file: what errors call it.

    Raises:
        CorruptImageError: the bytes are not an image of a known format, truncated, or too large to be decoded.
        RobenchError: the crop is larger than the image.
    """
    image = _decode_jpeg(data, file) if data[:2] == JPEG_MAGIC else _decode_other(data, file)
    return resize_and_crop(image, geometry)


def _decode_jpeg(data: bytes, file: str) -> npt.NDArray[np.uint8]:
    import cv2

    if (size := jpeg_size(data)) is None:
        return _decode_other(data, file)
    try:
        check_pixels(*size)
        # Pillow and torchvision ignore the orientation that a camera notes; so do the published protocols.
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
    except (ValueError, MemoryError) as error:
        raise CorruptImageError(file, error) from error
    except cv2.error:
        image = None
    # None: truncated, or of a kind that OpenCV does not read. Pillow has the last word, and a reason.
    return image.astype(np.uint8, copy=False) if image is not None else _decode_other(data, file)


def _decode_other(data: bytes, file: str) -> npt.NDArray[np.uint8]:
    with open_image(data, file) as image:
        return to_rgb(image, file)


def resize_and_crop(image: npt.NDArray[np.uint8], geometry: Geometry) -> npt.NDArray[np.uint8]:
    """Return an image after ``geometry``, bit-equal to Pillow's filters.

    Args:
        image: uint8 (H, W, 3).
        geometry: resize and crop.

    Returns:
        uint8 (H', W', 3).

    Raises:
        RobenchError: the crop is larger than the image, or the image would become too large.

    >>> resize_and_crop(np.zeros((40, 60, 3), np.uint8), Geometry(resize=20, crop=16)).shape
    (16, 16, 3)
    """
    height, width = target_size(image.shape[0], image.shape[1], geometry)
    box = crop_box(height, width, geometry)
    top, left, box_height, box_width = box
    if (height, width) != image.shape[:2]:
        ours = geometry.interpolation in ("bilinear", "bicubic")  # only the box is worked on
        if (box_height * box_width if ours else height * width) > MAX_PIXELS:
            raise RobenchError(
                f"An image of {image.shape[0]:,} x {image.shape[1]:,} pixels would be resized to {height:,} x"
                f" {width:,}, more than {MAX_PIXELS / 1e6:.0f} million pixels.",
                hint="Set a smaller `resize`, and a `crop`.",
            )
        if ours:
            from robench.data.resample import resize_box

            return resize_box(image, (height, width), box, geometry.interpolation)
        from PIL import Image

        filter_ = Image.Resampling[geometry.interpolation.upper()]
        image = np.asarray(Image.fromarray(image).resize((width, height), filter_))
    return image[top : top + box_height, left : left + box_width]


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
        RobenchError: the image is smaller than the crop.
    """
    side = geometry.crop
    if side is None:
        return 0, 0, height, width
    if height < side or width < side:
        raise RobenchError(
            f"A crop of {side} pixels does not fit an image of {height} x {width}.",
            hint="Set `resize` so that the shorter side is at least the crop.",
        )
    return round((height - side) / 2), round((width - side) / 2), side, side
