"""Fog, frost, snow, spatter by their formulas, and JPEG against libjpeg on every path."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image
from test_corruptions_common import photographs

from robench.corruptions import corrupt
from robench.corruptions.jpeg import roundtrip, roundtrip_tensor
from robench.corruptions.random import Stream
from robench.corruptions.registered import parameters
from robench.corruptions.weather import plasma_fractal


def libjpeg(images: torch.Tensor, quality: int) -> np.ndarray:
    out = []
    for picture in images.permute(0, 2, 3, 1).numpy():
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "JPEG", quality=quality)
        out.append(np.asarray(Image.open(buffer).convert("RGB")))
    return np.stack(out).astype(int)


@pytest.mark.parametrize("quality", [7, 25, 50, 85, 95])
@pytest.mark.parametrize("size", [(32, 32), (64, 64), (224, 224), (50, 37)])
def test_jpeg_is_libjpegs_on_both_paths(quality: int, size: tuple[int, int]) -> None:
    images = photographs(3, 224)[:, :, : size[0], : size[1]].contiguous()
    expected = libjpeg(images, quality)
    for path in (roundtrip, roundtrip_tensor):
        difference = np.abs(path(images, quality).permute(0, 2, 3, 1).numpy().astype(int) - expected)
        assert (difference <= 1).mean() >= 0.99


@pytest.mark.parametrize("severity", range(1, 6))
@pytest.mark.parametrize("size", [32, 224])
def test_jpeg_compression_is_one_round_trip(severity: int, size: int) -> None:
    images = photographs(2, size)
    (quality,) = parameters("jpeg_compression", severity, size)
    found = corrupt(images, "jpeg_compression", severity, index=torch.arange(2))
    np.testing.assert_array_equal(found.permute(0, 2, 3, 1).numpy(), libjpeg(images, quality))


def test_fog_is_its_formula_on_the_map() -> None:
    images = photographs(2, 64)
    strength, decay = parameters("fog", 3, 64)
    stream = Stream(0, "corrupt", "fog", 3, index=torch.arange(2))
    maps = plasma_fractal(stream, 64, decay).double().numpy()
    x = images.double().numpy() / 255
    top = x.max(axis=(1, 2, 3), keepdims=True)
    expected = (np.clip((x + strength * maps[:, None]) * top / (top + strength), 0, 1) * 255).astype(int)
    found = corrupt(images, "fog", 3, index=torch.arange(2)).numpy().astype(int)
    assert np.abs(found - expected).max() <= 1
    assert (found != expected).mean() < 0.01


def test_the_plasma_map_fills_its_range_and_grows_smoother_with_decay() -> None:
    stream = Stream(1, "fog", index=torch.arange(3))
    rough = []
    for decay in (1.4, 3.0):
        maps = plasma_fractal(stream, 128, decay)
        assert maps.shape == (3, 128, 128)
        assert torch.allclose(maps.amax((1, 2)), torch.ones(3))
        assert torch.allclose(maps.amin((1, 2)), torch.zeros(3))
        rough.append(float((maps[:, 1:] - maps[:, :-1]).abs().mean()))
    assert rough[1] < rough[0]


def test_snow_only_brightens_and_frost_overlays() -> None:
    images = photographs(4, 64)
    index = torch.arange(4)
    weight = parameters("snow", 2, 64)[-1]
    snowy = corrupt(images, "snow", 2, index=index).float()
    assert (snowy >= images.float() * weight - 2).all()
    assert snowy.mean() > images.float().mean()
    frosted = corrupt(images, "frost", 3, index=index).float()
    image_weight, frost_weight = parameters("frost", 3, 64)
    overlay = (frosted - image_weight * images.float()) / frost_weight
    free = frosted < 255
    assert overlay[free].min() > -3
    assert overlay[free].max() < 259


def test_spatter_is_water_first_and_mud_later() -> None:
    images = torch.full((4, 3, 64, 64), 128, dtype=torch.uint8)
    water = corrupt(images, "spatter", 3, index=torch.arange(4)).float()
    mud = corrupt(images, "spatter", 5, index=torch.arange(4)).float()
    wet, muddy = (water - 128).abs().sum(1) > 0, (mud - 128).abs().sum(1) > 0
    assert wet.any()
    assert muddy.any()
    assert water.movedim(1, -1)[wet].mean() > 128
    red, green, blue = mud.movedim(1, -1)[muddy].mean(0).tolist()
    assert blue < green < red < 128
