"""Contrast, brightness and saturation."""

from __future__ import annotations

import torch

from robench.corruptions import _device, _gpu
from robench.corruptions.noise import to_uint8
from robench.corruptions.random import Stream


def contrast(images: torch.Tensor, params: tuple[float], stream: Stream) -> torch.Tensor:
    """Pull every channel towards its mean over the image: (x - mean) * c + mean.

    There are 256 values per channel, so the result is a table; sums are exact in integers.

    Args:
        images: uint8 (N, 3, H, W).
        params: (c,).
        stream: not used: nothing is drawn.

    Returns:
        uint8 (N, 3, H, W), truncated.
    """
    if _device.has_loops(images.device):
        from robench.corruptions._colour import pull_to_mean

        out = torch.empty(images.shape, dtype=torch.uint8)
        pull_to_mean(_device.planes(images), float(params[0]), out.numpy())
        return out
    made: torch.Tensor | None = _gpu.attempt(images.device, "weather.contrast", images, params[0])
    if made is not None:
        return made
    n, channels, height, width = images.shape
    mean = images.sum(dim=(2, 3), dtype=torch.int64).double() / (255.0 * height * width)
    levels = torch.arange(256, device=images.device, dtype=torch.float64) / 255.0
    table = (levels - mean[..., None]) * params[0] + mean[..., None]
    table = (table.clamp_(0.0, 1.0) * 255.0).to(torch.uint8)
    flat = images.reshape(n, channels, -1).long()
    return table.gather(2, flat).reshape(images.shape)


def brightness(images: torch.Tensor, params: tuple[float], stream: Stream) -> torch.Tensor:
    """Add an offset to the value of HSV.

    Args:
        images: uint8 (N, 3, H, W).
        params: (offset,), in units of [0, 1].
        stream: not used: nothing is drawn.

    Returns:
        uint8 (N, 3, H, W), truncated.
    """
    return adjust_hsv(images, (1.0, 0.0), params[0])


def saturate(images: torch.Tensor, params: tuple[float, float], stream: Stream) -> torch.Tensor:
    """Change the saturation of HSV to s * factor + offset.

    Args:
        images: uint8 (N, 3, H, W).
        params: (factor, offset).
        stream: not used: nothing is drawn.

    Returns:
        uint8 (N, 3, H, W), truncated.
    """
    return adjust_hsv(images, params, 0.0)


def adjust_hsv(images: torch.Tensor, saturation: tuple[float, float], value: float) -> torch.Tensor:
    """Return images with saturation * factor + offset and value + offset, both clipped to [0, 1].

    Through HSV as scikit-image's ``rgb2hsv`` and ``hsv2rgb`` define it (hue 0 where there is no colour).

    Args:
        images: uint8 (N, 3, H, W).
        saturation: factor and offset.
        value: offset.

    Returns:
        uint8 (N, 3, H, W), truncated.
    """
    if _device.has_loops(images.device):
        from robench.corruptions._colour import shift_hsv

        out = torch.empty(images.shape, dtype=torch.uint8)
        shift_hsv(_device.planes(images), float(saturation[0]), float(saturation[1]), float(value), out.numpy())
        return out
    made: torch.Tensor | None = _gpu.attempt(images.device, "weather.hsv", images, saturation, value)
    if made is not None:
        return made
    hue, s, v = rgb_to_hsv(images.double() / 255.0)
    s = (s * saturation[0] + saturation[1]).clamp(0.0, 1.0)
    return to_uint8(hsv_to_rgb(hue, s, (v + value).clamp(0.0, 1.0)))


def rgb_to_hsv(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return hue, saturation and value in [0, 1] of float images (N, 3, H, W)."""
    red, green, blue = x.unbind(1)
    value, least = x.amax(1), x.amin(1)
    chroma = value - least
    safe = torch.where(chroma > 0, chroma, torch.ones_like(chroma))
    hue = torch.where(red == value, (green - blue) / safe, torch.zeros_like(red))
    hue = torch.where(green == value, 2.0 + (blue - red) / safe, hue)
    hue = torch.where(blue == value, 4.0 + (red - green) / safe, hue)
    hue = torch.where(chroma > 0, (hue / 6.0) % 1.0, torch.zeros_like(hue))
    saturation = torch.where(chroma > 0, chroma / torch.where(value > 0, value, torch.ones_like(value)), hue * 0)
    return hue, saturation, value


def hsv_to_rgb(hue: torch.Tensor, saturation: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Return float images (N, 3, H, W) of hue, saturation and value in [0, 1]."""
    sector = torch.floor(hue * 6.0)
    f = hue * 6.0 - sector
    p, q, t = value * (1 - saturation), value * (1 - f * saturation), value * (1 - (1 - f) * saturation)
    rows = torch.stack([value, q, p, p, t, value])
    place = sector.long() % 6
    red = rows.gather(0, place.unsqueeze(0))[0]
    # green runs through t, v, v, q, p, p and blue through p, p, t, v, v, q: red's sequence shifted by 4 and by 2
    green = rows.gather(0, ((place + 4) % 6).unsqueeze(0))[0]
    blue = rows.gather(0, ((place + 2) % 6).unsqueeze(0))[0]
    return torch.stack([red, green, blue], dim=1)
