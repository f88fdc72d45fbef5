"""What a file is that no image reader knows, told by its first bytes: each cause has its message."""

from __future__ import annotations

import io

_BEGINNINGS: tuple[tuple[bytes, str], ...] = (
    (b"version https://git-lfs", "a pointer of Git LFS, whose file was not fetched (git lfs pull)"),
    (b"\xff\x0a", "a JPEG XL image"), (b"\x00\x00\x00\x0cJXL ", "a JPEG XL image"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 image"), (b"\xff\x4f\xff\x51", "a JPEG 2000 image"),
    (b"v/1\x01", "an OpenEXR image"), (b"#?RADIANCE", "a Radiance HDR image"), (b"8BPS", "a Photoshop document"),
    (b"\x93NUMPY", "an array of NumPy"), (b"%PDF", "a PDF document"), (b"%!PS", "a PostScript document"),
    (b"PK\x03\x04", "a ZIP archive"), (b"\x1f\x8b", "a gzip file"), (b"\x89HDF", "an HDF5 file"),
)  # fmt: skip
_FAMILIES = ((b"avi", "an AVIF image"), (b"hei", "a HEIC image"), (b"hev", "a HEIC image"), (b"mif", "a HEIC image"))
_TIFF = (b"II*\x00", b"MM\x00*")
_KINDS = {1: "unsigned integers", 2: "signed integers", 3: "floating-point numbers", 6: "complex numbers"}
_BITS, _CHANNELS, _KIND = 258, 277, 339  # tags of TIFF 6.0


def looks_like(data: bytes) -> str | None:
    r"""Return in words what a file's first bytes are those of, None where they are of nothing known here.

    >>> looks_like(b"<!DOCTYPE html>"), looks_like(b"\x00\x00\x00\x1cftypavif"), looks_like(b"abc")
    ('an HTML, SVG or XML document', 'an AVIF image', None)
    """
    if data[4:8] == b"ftyp":
        return next((words for brand, words in _FAMILIES if data[8:].startswith(brand)), "a video or HEIF file")
    found = next((words for start, words in _BEGINNINGS if data.startswith(start)), None)
    if found is not None:
        return found
    text = data.lstrip(b"\xef\xbb\xbf \r\n\t")[:1]
    return {b"<": "an HTML, SVG or XML document", b"{": "a JSON document"}.get(text)


def tiff_values(data: bytes) -> str | None:
    """Return in words what numbers a TIFF holds that are no usual colours; None of any other file.

    For example ``3 channels of 32-bit floating-point numbers``.

    Args:
        data: the file's bytes.
    """
    if data[:4] not in _TIFF:
        return None
    from PIL import TiffImagePlugin

    try:
        file = io.BytesIO(data)
        tags = TiffImagePlugin.ImageFileDirectory_v2(file.read(8))
        file.seek(tags.next)
        tags.load(file)
        bits, kind = (_first(tags.get(tag, 1)) for tag in (_BITS, _KIND))
        channels = int(tags.get(_CHANNELS, 1))
    except Exception:  # damaged directories raise anything
        return None
    if kind == 1 and bits <= 16 and channels in (1, 3, 4):
        return None
    return f"{channels} channel{'s' if channels > 1 else ''} of {bits}-bit {_KINDS.get(kind, 'numbers')}"


def _first(value: int | tuple[int, ...]) -> int:
    return int(value[0] if isinstance(value, tuple) else value)
