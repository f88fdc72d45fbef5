"""Motion blur against ImageMagick's own, which the published generators call through Wand."""

from __future__ import annotations

import ctypes
import io

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from test_corruptions_common import photographs

from robench.corruptions.motion import motion_blur
from robench.corruptions.registered import parameters

# Wand raises ImportError, too, where ImageMagick's library is missing.
wand = pytest.importorskip("wand.image", reason="needs Wand and ImageMagick", exc_type=ImportError)


def magick_blur(image: np.ndarray, radius: float, sigma: float, angle: float) -> np.ndarray:
    """Blur through PNG, as the generators do; an image in which all channels agree comes back grey."""
    from wand.api import library

    blur = library.MagickMotionBlurImage
    blur.argtypes = (ctypes.c_void_p, ctypes.c_double, ctypes.c_double, ctypes.c_double)
    stored = io.BytesIO()
    Image.fromarray(image).save(stored, format="PNG")
    with wand.Image(blob=stored.getvalue()) as image:
        blur(image.wand, radius, sigma, angle)
        found = cv2.imdecode(np.frombuffer(image.make_blob(), np.uint8), cv2.IMREAD_UNCHANGED)
    if image.ndim == 2 or found.ndim == 3:
        return found[..., ::-1] if found.ndim == 3 else found
    return np.stack([found] * 3, axis=-1)


def ours(image: np.ndarray, radius: float, sigma: float, angle: float) -> np.ndarray:
    planes = torch.from_numpy(np.atleast_3d(image)).permute(2, 0, 1)[None].contiguous()
    found = motion_blur(planes, radius, sigma, torch.tensor([angle], dtype=torch.float64))
    return found[0].permute(1, 2, 0).numpy().reshape(image.shape)


# Angles at which half of a step is whole on paper decide about a pixel by their last bit.
@pytest.mark.parametrize("angle", [-45.0, -30.0, -17.3, 0.0, 8.9, 30.0, 44.9])
@pytest.mark.parametrize("size", [32, 64, 224])
def test_photographs_agree_to_one_level_on_almost_all_pixels(size: int, angle: float) -> None:
    for severity in (1, 5):
        radius, sigma = parameters("motion_blur", severity, size)
        for photo in photographs(2, size).permute(0, 2, 3, 1).numpy():
            difference = np.abs(
                ours(photo, radius, sigma, angle).astype(int) - magick_blur(photo, radius, sigma, angle)
            )
            assert difference.max() <= 1
            assert (difference > 0).mean() < 1e-3


@pytest.mark.parametrize("angle", [-135.0, -120.0, -101.7, -90.0, -60.0, -45.1])
@pytest.mark.parametrize("severity", [1, 3, 5])
def test_flakes_of_snow_agree(severity: int, angle: float) -> None:
    mean, std, _, threshold, radius, sigma, _ = parameters("snow", severity, 32)
    flakes = np.random.default_rng(severity).normal(mean, std, (32, 32))
    image = (np.clip(np.where(flakes < threshold, 0, flakes), 0, 1) * 255).astype(np.uint8)
    difference = np.abs(ours(image, radius, sigma, angle).astype(int) - magick_blur(image, radius, sigma, angle))
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.005
