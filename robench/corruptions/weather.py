"""Snow, frost and fog (Hendrycks and Dietterich 2019; hendrycks/robustness, ``ImageNet-C/create_c``)."""

from __future__ import annotations

from os import PathLike

import numpy as np
import torch

from robench.corruptions import _device, _gpu
from robench.corruptions.frost import crops, overlays
from robench.corruptions.motion import kernel, motion_blur, offsets
from robench.corruptions.random import Stream, quantile_tables
from robench.corruptions.zoom import clipped_zoom, zoom_places

_GREY = (0.299, 0.587, 0.114)
_WIBBLE = 100.0


def snow(images: torch.Tensor, params: tuple[float, ...], stream: Stream) -> torch.Tensor:
    """Let it snow: flakes drawn out by the wind, and their layer turned by 180 degrees, over a whitened image.

    Args:
        images: uint8 (N, 3, H, W).
        params: mean and standard deviation of the flakes, their zoom, threshold, radius and sigma of their motion,
            weight of the image against its whitened self.
        stream: draw 0 the flakes, draw 1 the direction (-135 to -45 degrees).

    Returns:
        uint8 (N, 3, H, W).
    """
    mean, std, zoom, threshold, radius, sigma, weight = params
    angles = -135.0 + 90.0 * stream.on_host().uniform(1).double()
    flakes = snow_flakes(stream, images.shape[-2:], mean, std, zoom, threshold)
    return lay_snow(images, flakes, radius, sigma, angles, weight)


def snow_flakes(
    stream: Stream, size: tuple[int, ...], mean: float, std: float, zoom: float, threshold: float
) -> torch.Tensor:
    """Return flakes before the wind, uint8 (N, 1, H, W): thresholded normal noise, zoomed into the centre.

    Args:
        stream: draw 0 the noise.
        size: height and width.
        mean: of the noise.
        std: of the noise.
        zoom: factor of the enlargement, at least 1.
        threshold: what is below becomes 0.
    """
    if not _device.has_loops(stream.device):
        noise = stream.normal(0, (1, *size)).mul_(std).add_(mean)
        flakes = clipped_zoom(noise, zoom)
        return flakes.masked_fill_(flakes < threshold, 0).clamp_(0, 1).mul_(255).to(torch.uint8)
    from robench.corruptions import _weather

    index = stream.index_array()
    out = np.empty((len(index), *size), np.uint8)
    moments = (float(mean), float(std))
    _weather.fill_flakes(
        index, stream.key, quantile_tables(), moments, float(threshold), *zoom_places(size[0], size[1], zoom), out
    )
    return torch.from_numpy(out)[:, None]


def lay_snow(
    images: torch.Tensor, flakes: torch.Tensor, radius: float, sigma: float, angles: torch.Tensor, weight: float
) -> torch.Tensor:
    """Lay flakes over whitened images.

    Args:
        images: uint8 (N, 3, H, W).
        flakes: uint8 (N, 1, H, W), from :func:`snow_flakes`.
        radius: of the flakes' motion, in pixels.
        sigma: of the flakes' motion, in pixels.
        angles: float64 (N,), degrees.
        weight: of the image against its whitened self.

    Returns:
        uint8 (N, 3, H, W), truncated.
    """
    if not _device.has_loops(images.device):
        blown = motion_blur(flakes, radius, sigma, angles)
        made: torch.Tensor | None = _gpu.attempt(images.device, "weather.snow", images, blown, weight)
        return _add_snow(_whiten(images, weight), blown) if made is None else made
    from robench.corruptions import _weather

    weights = kernel(radius, sigma)
    out = torch.empty(images.shape, dtype=torch.uint8)
    shifts = offsets(angles.numpy(), len(weights))
    _weather.lay_snow(_device.planes(images), flakes[:, 0].numpy(), weights, shifts, float(weight), out.numpy())
    return out


def _whiten(images: torch.Tensor, weight: float) -> torch.Tensor:
    """Return w x + (1 - w) max(x, 1.5 grey(x) + 0.5) of x in [0, 1], float32 (N, 3, H, W)."""
    x = images.float().div_(255)
    grey = (x[:, 0] * _GREY[0] + x[:, 1] * _GREY[1] + x[:, 2] * _GREY[2]).mul_(1.5).add_(0.5)
    white = torch.maximum(x, grey[:, None]).mul_(1 - weight)
    return x.mul_(weight).add_(white)


def _add_snow(whitened: torch.Tensor, flakes: torch.Tensor) -> torch.Tensor:
    """Add flakes, uint8 (N, 1, H, W), and the same turned by 180 degrees; return uint8, truncated."""
    layer = flakes.float().div_(255)
    layer = layer + layer.flip(-1, -2)
    return (whitened + layer).clamp_(0, 1).mul_(255).to(torch.uint8)


def frost(
    images: torch.Tensor, params: tuple[float, ...], stream: Stream, *, frost: str | PathLike[str] | None = None
) -> torch.Tensor:
    """Lay a crop of a frost image over each image.

    Args:
        images: uint8 (N, 3, H, W).
        params: weight of the image, weight of the frost.
        stream: draw 0 the frost image, draw 1 the place of the crop.
        frost: folder with the original's images; None: built-in textures. See :mod:`robench.corruptions.frost`.

    Returns:
        uint8 (N, 3, H, W), truncated.

    Raises:
        RobenchError: the folder lacks an image, an image differs from the original's, or images are too large.
    """
    size = (images.shape[-2], images.shape[-1])
    if not _device.has_loops(images.device):
        made: torch.Tensor | None = _gpu.attempt(images.device, "weather.frost", images, stream, params, frost)
        if made is not None:
            return made
        layer = overlays(stream, size, frost).to(images.device)
        # In float64 as the original: a sum that is whole on paper must not fall below it when it is truncated.
        total = images.double().mul_(params[0]).add_(layer.double(), alpha=params[1])
        return total.clamp_(0, 255).to(torch.uint8)
    from robench.corruptions._weather import lay_frost

    flat, places = crops(stream, size, frost)
    out = torch.empty(images.shape, dtype=torch.uint8)
    lay_frost(_device.planes(images), flat, places, float(params[0]), float(params[1]), out.numpy())
    return out


def fog(images: torch.Tensor, params: tuple[float, ...], stream: Stream) -> torch.Tensor:
    """Add a plasma fractal and rescale so that the image's largest value stays.

    Args:
        images: uint8 (N, 3, H, W).
        params: strength, decay of the fractal's roughness per level.
        stream: draw 0 the fractal.

    Returns:
        uint8 (N, 3, H, W), truncated. The fractal's side is the next power of two (256 for 224), as published.
    """
    strength, decay = params
    height, width = images.shape[-2:]
    side = 1 << max(max(height, width) - 1, 1).bit_length()
    if _device.has_loops(images.device):
        from robench.corruptions._weather import fog as fog_loops

        out = torch.empty(images.shape, dtype=torch.uint8)
        fog_loops(
            _device.planes(images),
            stream.index_array(),
            *stream.key,
            0,
            side,
            float(decay),
            float(strength),
            out.numpy(),
        )
        return out
    made: torch.Tensor | None = _gpu.attempt(images.device, "weather.fog", images, stream, side, decay, strength)
    if made is not None:
        return made
    plasma = plasma_fractal(stream, side, decay)[:, :height, :width]
    largest = images.amax(dim=(1, 2, 3)).double() / 255
    scale = largest / (largest + strength)
    x = images.double().div_(255).add_(plasma[:, None], alpha=strength)
    return x.mul_(scale.view(-1, 1, 1, 1)).clamp_(0, 1).mul_(255).to(torch.uint8)


def plasma_fractal(stream: Stream, side: int, decay: float, draw: int = 0) -> torch.Tensor:
    """Return plasma maps in [0, 1], float32 (N, side, side), by the diamond-square method on a torus.

    Every new point is the mean of its four neighbours plus ``w * U(-w, w)``, w = 100 at first and divided by
    ``decay`` at every level.

    Args:
        stream: the random numbers.
        side: of the maps, a power of two and at least 2.
        decay: of the roughness.
        draw: of the stream.
    """
    if _device.has_loops(stream.device):
        from robench.corruptions._weather import plasma_maps

        index = stream.index_array()
        out = np.empty((len(index), side, side), np.float32)
        plasma_maps(index, *stream.key, draw, float(decay), out)
        return torch.from_numpy(out)
    made: torch.Tensor | None = _gpu.attempt(stream.device, "weather.plasma", stream, side, decay, draw)
    if made is not None:
        return made
    noise = stream.uniform(draw, (side * side - 1,)).mul_(2).sub_(1)
    n = len(noise)
    maps = noise.new_zeros(n, 1, 1)  # the corner is 0
    wibble, used = _WIBBLE, 0
    while maps.shape[-1] < side:
        size = maps.shape[-1]
        count = size * size
        squares, tops, lefts = noise[:, used : used + 3 * count].reshape(n, 3, size, size).unbind(1)
        used += 3 * count
        amplitude = wibble * wibble
        below = maps.roll(-1, 1)
        both = maps + below
        centres = (both + both.roll(-1, 2)) / 4 + amplitude * squares
        rows = (centres + centres.roll(1, 1) + maps + maps.roll(-1, 2)) / 4 + amplitude * tops
        columns = (centres + centres.roll(1, 2) + maps + below) / 4 + amplitude * lefts
        upper = torch.stack([maps, rows], dim=-1).reshape(n, size, 2 * size)
        lower = torch.stack([columns, centres], dim=-1).reshape(n, size, 2 * size)
        maps = torch.stack([upper, lower], dim=2).reshape(n, 2 * size, 2 * size)
        wibble /= decay
    maps.sub_(maps.amin(dim=(1, 2), keepdim=True))
    return maps.div_(maps.amax(dim=(1, 2), keepdim=True))
