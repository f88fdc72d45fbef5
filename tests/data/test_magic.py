"""Files that no image reader knows say what they are, and what to do."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from robench.data.formats import CorruptImageError, read_rgb


def tiff(values: npt.NDArray[np.generic], kind: int) -> bytes:
    """Return an uncompressed TIFF 6.0 file of one strip; ``values`` is (H, W, 3)."""
    height, width, channels = values.shape
    data, count = values.tobytes(), 10
    behind = 8 + 2 + 12 * count + 4
    entries = [
        (256, 3, 1, width), (257, 3, 1, height), (258, 3, channels, behind), (259, 3, 1, 1), (262, 3, 1, 2),
        (273, 4, 1, behind + 4 * channels), (277, 3, 1, channels), (278, 3, 1, height), (279, 4, 1, len(data)),
        (339, 3, channels, behind + 2 * channels),
    ]  # fmt: skip
    directory = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    lists = struct.pack(f"<{2 * channels}H", *[8 * values.itemsize] * channels, *[kind] * channels)
    return struct.pack("<2sHIH", b"II", 42, 8, count) + directory + bytes(4) + lists + data


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (tiff(np.zeros((4, 5, 3), np.float32), 3), "a TIFF of 3 channels of 32-bit floating-point numbers; grey, RGB"),
        (tiff(np.zeros((4, 5, 3), np.uint32), 1), "a TIFF of 3 channels of 32-bit unsigned integers"),
        (tiff(np.zeros((4, 5, 5), np.uint8), 1), "a TIFF of 5 channels of 8-bit unsigned integers"),
    ],
)
def test_whole_images_of_other_numbers_are_to_be_converted(data: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(data)
    with pytest.raises(CorruptImageError, match=said) as caught:
        read_rgb(tmp_path / "a.tif")
    assert str(caught.value.hint).startswith("Convert such files to 8 bits per channel")


def test_the_files_of_this_test_are_read_where_they_hold_bytes(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 256, (4, 5, 3), np.uint8)
    (tmp_path / "a.tif").write_bytes(tiff(values, 1))
    assert np.array_equal(read_rgb(tmp_path / "a.tif"), values)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a pointer of Git LFS"),
        (b"\n<!DOCTYPE html><html>404</html>", "an HTML, SVG or XML document"),
        (b"\x00\x00\x00\x20ftypavif\x00\x00\x00\x00", "an AVIF image"),
        (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00", "a HEIC image"),
        (b"\x93NUMPY\x01\x00", "an array of NumPy"),
        (tiff(np.zeros((4, 5, 3), np.uint8), 1)[:60], r"TIFF\)"),
        (b"nothing of the kind", r"TIFF\)"),
    ],
)
def test_other_files_are_named(data: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(data)
    with pytest.raises(CorruptImageError, match=said) as caught:
        read_rgb(tmp_path / "a.jpg")
    assert str(caught.value.hint).startswith("Get the file again")


def test_grey_floats_are_to_be_converted_too(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((4, 5), np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(CorruptImageError, match="floating-point numbers, whose range is not known") as caught:
        read_rgb(tmp_path / "a.tif")
    assert str(caught.value.hint).startswith("Convert such files")
