"""Image files of the kinds that are read, opened so that a file can neither run a program nor fill the memory."""

from __future__ import annotations

import io
import re
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from robench.data.magic import looks_like, tiff_values
from robench.errors import RobenchError
from robench.files import require_regular

if TYPE_CHECKING:
    from PIL import Image

ENDINGS = (
    ".jpg", ".jpeg", ".jfif", ".png", ".webp", ".bmp", ".gif", ".ppm", ".pgm", ".pbm", ".pnm", ".tif", ".tiff",
)  # fmt: skip
"""Endings of the files that are taken for images, in lower case."""

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "PPM", "TIFF")
"""What Pillow may take a file for. Left to itself it hands PostScript to Ghostscript, which is a programming language.
"""

MAX_PIXELS = 89_478_485
"""Pixels of the largest image that is decoded: 256 MiB as RGB, where Pillow begins to warn."""

MAX_BYTES = 256 << 20
"""Bytes of the largest image file that is read."""

JPEG_MAGIC = b"\xff\xd8"
_START_OF_FRAME = frozenset({0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF})
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD9)})
_NAMELESS = re.compile(r"<_io\.BytesIO object at \w+>")
_COUNT = re.compile(r"\d+")
_BITS, _PHOTOMETRIC = 258, 262  # tags of TIFF 6.0
_SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N")


class CorruptImageError(RobenchError):
    """An image that cannot be decoded; ``file`` is its name."""

    def __init__(self, file: str, reason: object) -> None:
        text = _NAMELESS.sub("the file", str(reason)).rstrip(".") or type(reason).__name__
        what = "Convert such files to 8 bits per channel" if isinstance(reason, _TypeError) else "Get the file again"
        super().__init__(
            f"{file} cannot be decoded: {text}.",
            hint=f"{what}, or omit such images with `skip_corrupt=True` (they are counted).",
        )
        self.file = file


class _TypeError(ValueError):
    """A whole image of numbers that have no known range, or of more channels than colours."""


def open_image(source: bytes | Path, file: str | None = None) -> Image.Image:
    """Open an image file of one of :data:`FORMATS` whose header is within :data:`MAX_PIXELS`; nothing is decoded yet.

    Args:
        source: the file's bytes, or its path.
        file: what errors call it; None: the path.

    Raises:
        CorruptImageError: not a regular file, not an image of these formats, or too large.
    """
    from PIL import Image

    file = file or (str(source) if isinstance(source, Path) else "the image")
    if source == b"":
        raise CorruptImageError(file, ValueError("the file is empty (0 bytes)"))
    try:
        if isinstance(source, Path):
            check_length(require_regular(source).st_size)
        image = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS)
        check_pixels(image.height, image.width)
    except Exception as error:  # decoders raise anything from SyntaxError to struct.error on damaged files
        raise CorruptImageError(file, _reason(error, source)) from error
    return image


def to_rgb(image: Image.Image, file: str) -> npt.NDArray[np.uint8]:
    """Decode an opened image to uint8 (H, W, 3), RGB; transparency is ignored, and of several frames the first counts.

    Grey levels of 16 bits are scaled to 8 (times 255 / 65,535, rounded), and those of 12 bits. Pillow would cut them
    off at 255.

    Raises:
        CorruptImageError: truncated or damaged, or of a type without a known range (32-bit integers, floats).
    """
    try:
        if image.mode in _SIXTEEN_BITS or (image.mode == "I" and image.format in ("PNG", "PPM")):
            return _from_sixteen_bits(np.asarray(image), *_levels(image))
        if image.mode in ("I", "F"):
            kind = "32-bit integers" if image.mode == "I" else "floating-point numbers"
            raise _TypeError(f"its values are {kind}, whose range is not known")
        return np.asarray(image.convert("RGB"))
    except Exception as error:  # as above
        raise CorruptImageError(file, error) from error


def read_rgb(path: Path) -> npt.NDArray[np.uint8]:
    """Return an image file as uint8 (H, W, 3), RGB.

    Raises:
        CorruptImageError: as :func:`open_image` and :func:`to_rgb`.
    """
    with open_image(path) as image:
        return to_rgb(image, str(path))


def image_size(data: bytes, file: str) -> tuple[int, int]:
    """Return (height, width) of an image file from its header.

    Raises:
        CorruptImageError: the bytes are not an image.
    """
    if data[:2] == JPEG_MAGIC and (size := jpeg_size(data)) is not None:
        return size
    with open_image(data, file) as image:
        return image.height, image.width


def jpeg_size(data: bytes) -> tuple[int, int] | None:
    r"""Return (height, width) from a JPEG's first frame header; None where there is none.

    >>> jpeg_size(b"\xff\xd8\xff\xc0\x00\x11\x08\x00\x20\x00\x30" + bytes(9))
    (32, 48)
    """
    at = 2
    while at + 9 <= len(data):
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker in _START_OF_FRAME:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return height, width
        if marker == 0xFF:  # fill bytes may stand before a marker
            at += 1
        elif marker in _STANDALONE:
            at += 2
        else:
            at += 2 + max(2, struct.unpack_from(">H", data, at + 2)[0])
    return None


def check_pixels(height: int, width: int) -> None:
    """Raise a ValueError for an image of more than :data:`MAX_PIXELS`."""
    if height * width > MAX_PIXELS:
        raise ValueError(f"it has {width:,} x {height:,} pixels; at most {MAX_PIXELS / 1e6:.0f} million are decoded")


def check_length(size: int) -> None:
    """Raise a ValueError for a file of more than :data:`MAX_BYTES`."""
    if size > MAX_BYTES:
        raise ValueError(f"it has {size:,} bytes; image files of at most {MAX_BYTES:,} are read")


def _reason(error: Exception, source: bytes | Path) -> object:
    from PIL import Image

    if isinstance(error, Image.UnidentifiedImageError):
        data = source if isinstance(source, bytes) else source.read_bytes()  # within the largest size
        if (values := tiff_values(data)) is not None:
            return _TypeError(f"it is a TIFF of {values}; grey, RGB and CMYK values of 8 or 16 bits are read")
        other = looks_like(data)
        return f"it is not an image of a known format ({', '.join(FORMATS)}){f', but {other}' if other else ''}"
    if isinstance(error, Image.DecompressionBombError) and (found := _COUNT.search(str(error))):
        return f"it has {int(found[0]):,} pixels; at most {MAX_PIXELS / 1e6:.0f} million are decoded"
    return error.strerror if isinstance(error, OSError) and error.strerror else error


def _levels(image: Image.Image) -> tuple[int, bool]:
    """Return the highest grey level of an image of 16 bits, and whether 0 is white: a TIFF may hold 12 bits of them."""
    tags = getattr(image, "tag_v2", {})
    return (1 << 12) - 1 if tags.get(_BITS) in (12, (12,)) else (1 << 16) - 1, tags.get(_PHOTOMETRIC) == 0


def _from_sixteen_bits(grey: npt.NDArray[np.integer], highest: int, inverted: bool) -> npt.NDArray[np.uint8]:
    """Return grey values 0..``highest`` as three equal channels of bytes."""
    byte = ((grey.astype(np.uint32) * 255 + highest // 2) // highest).astype(np.uint8)
    return np.repeat((255 - byte if inverted else byte)[..., None], 3, axis=2)
