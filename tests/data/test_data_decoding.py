"""Decoding and resizing beside Pillow and torchvision, and what happens to damaged files."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision import transforms

from robench.data.base import Geometry
from robench.data.decode import CorruptImageError, decode
from robench.data.resample import resize_box
from robench.errors import RobenchError

MODES = {"bilinear": transforms.InterpolationMode.BILINEAR, "bicubic": transforms.InterpolationMode.BICUBIC}


def reference(data: bytes, resize: int, crop: int, interpolation: str) -> np.ndarray:
    """The usual pipeline: Pillow's decoder and torchvision's transforms on Pillow images."""
    usual = transforms.Compose([transforms.Resize(resize, MODES[interpolation]), transforms.CenterCrop(crop)])
    return np.asarray(usual(Image.open(io.BytesIO(data)).convert("RGB")))


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("resize", "crop"), [(256, 224), (73, 64), (400, 384)])
def test_images_are_bit_equal_to_torchvision_on_pillow(
    jpegs: list[bytes], resize: int, crop: int, interpolation: str
) -> None:
    for data in jpegs:
        ours = decode(data, Geometry(resize, crop, interpolation), "x.jpg")
        assert np.array_equal(ours, reference(data, resize, crop, interpolation))


@settings(max_examples=60, deadline=None)
@given(
    old=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    new=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    interpolation=st.sampled_from(["bilinear", "bicubic"]),
    seed=st.integers(0, 9),
)
def test_any_resize_is_bit_equal_to_pillows_two_passes(
    old: tuple[int, int], new: tuple[int, int], interpolation: str, seed: int
) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (*old, 3), np.uint8)
    filter_ = Image.Resampling[interpolation.upper()]
    usual = Image.fromarray(image).resize((new[1], old[0]), filter_).resize(new[::-1], filter_)  # columns first
    whole = resize_box(image, new, (0, 0, *new), interpolation)
    assert np.array_equal(whole, np.asarray(usual))
    top, left = new[0] // 3, new[1] // 2
    part = resize_box(image, new, (top, left, new[0] - top, new[1] - left), interpolation)
    assert np.array_equal(part, whole[top:, left:])


def test_decoding_alone_is_bit_equal_to_pillow(jpegs: list[bytes]) -> None:
    for data in jpegs:
        assert np.array_equal(decode(data, Geometry(), "x"), np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))


@pytest.mark.parametrize("interpolation", ["nearest", "lanczos"])
def test_other_filters_are_pillows_own(jpegs: list[bytes], interpolation: str) -> None:
    image = Image.open(io.BytesIO(jpegs[0]))
    small = image.resize((40, 30), Image.Resampling[interpolation.upper()])
    assert np.array_equal(decode(jpegs[0], Geometry((30, 40), None, interpolation), "x"), np.asarray(small))


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_grey_and_cmyk_jpegs_become_rgb_as_in_pillow(photos: list[np.ndarray], mode: str) -> None:
    buffer = io.BytesIO()
    Image.fromarray(photos[0]).convert(mode).save(buffer, "JPEG")
    expected = np.asarray(Image.open(buffer).convert("RGB"))
    assert np.abs(decode(buffer.getvalue(), Geometry(), "x").astype(int) - expected).max() <= 1


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "1"])
def test_pngs_are_read(photos: list[np.ndarray], mode: str) -> None:
    buffer = io.BytesIO()
    Image.fromarray(photos[0]).convert(mode).save(buffer, "PNG")
    assert np.array_equal(decode(buffer.getvalue(), Geometry(), "x"), np.asarray(Image.open(buffer).convert("RGB")))


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b[:200], lambda b: b"", lambda b: b"hello"])
def test_a_damaged_image_is_named(jpegs: list[bytes], damage: object) -> None:
    with pytest.raises(CorruptImageError, match=r"^n01440764/bad\.JPEG cannot be decoded") as caught:
        decode(damage(jpegs[0]), Geometry(256, 224), "n01440764/bad.JPEG")
    assert "0x" not in str(caught.value)
    assert "`skip_corrupt=True`" in str(caught.value)


def test_a_crop_larger_than_the_image_is_refused(jpegs: list[bytes]) -> None:
    with pytest.raises(RobenchError, match="A crop of 999 pixels does not fit"):
        decode(jpegs[0], Geometry(None, 999), "x")


@pytest.mark.parametrize(("bits", "white_is_zero"), [(12, False), (16, False), (16, True)])
def test_grey_tiffs_keep_their_range(bits: int, white_is_zero: bool) -> None:
    """Pillow says neither that the levels go to 4,095 only, nor that 0 is white."""
    levels = b"\xff" * bits  # 4 x 2 pixels
    fields = [(256, 4), (257, 2), (258, bits), (259, 1), (262, 0 if white_is_zero else 1), (273, 8), (277, 1), (278, 2)]
    entries = [struct.pack("<HHII", tag, 4, 1, value) for tag, value in (*fields, (279, len(levels)))]
    directory = struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)
    data = b"II*\0" + struct.pack("<I", 8 + len(levels)) + levels + directory
    found = decode(data, Geometry(), "grey.tif")
    assert found.shape == (2, 4, 3)
    assert np.unique(found).tolist() == [0 if white_is_zero else 255]
