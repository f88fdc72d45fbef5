"""Triton kernels of snow, frost, fog and colours; see ``_gpu``.

A program works on so many pixels of one image, in all channels.
"""

from __future__ import annotations

from os import PathLike
from typing import Any

import torch
import triton
import triton.language as tl

from robench.corruptions._gpu import kept, upload
from robench.corruptions._gpu_warp import smooth
from robench.corruptions.blur import gaussian_taps
from robench.corruptions.frost import crops
from robench.corruptions.random import Stream

BLOCK = 512
_WIBBLE = 100.0
jit: Any = triton.jit


def doubles(device: torch.device, *numbers: float) -> torch.Tensor:
    """Return numbers on the device as float64: as arguments Triton rounds them to float32."""
    return kept(device, ("doubles", numbers), lambda: torch.tensor(numbers, dtype=torch.float64))


@jit
def _share(x):
    """Return float64 in [0, 1] as a byte, clipped and truncated."""
    return (tl.minimum(tl.maximum(x, 0.0), 1.0) * 255.0).to(tl.uint8)


@jit
def _unit(values, inside):
    return tl.div_rn(tl.load(values, mask=inside, other=0).to(tl.float32), 255.0)


@jit
def _snowed(x, grey, layer, kept_, lost):
    x = (x * kept_ + tl.maximum(x, grey) * lost) + layer
    return (tl.minimum(tl.maximum(x, 0.0), 1.0) * 255.0).to(tl.uint8)


@jit
def _snow(images, blown, out, kept_, lost, pixels, programs, BLOCK: tl.constexpr):
    image = (tl.program_id(0) // programs).to(tl.int64)
    i = tl.program_id(0) % programs * BLOCK + tl.arange(0, BLOCK)
    inside = i < pixels
    images += image * 3 * pixels + i
    red, green, blue = _unit(images, inside), _unit(images + pixels, inside), _unit(images + 2 * pixels, inside)
    grey = ((red * 0.299 + green * 0.587) + blue * 0.114) * 1.5 + 0.5
    blown += image * pixels
    layer = _unit(blown + i, inside) + _unit(blown + pixels - 1 - i, inside)
    out += image * 3 * pixels + i
    tl.store(out, _snowed(red, grey, layer, kept_, lost), mask=inside)
    tl.store(out + pixels, _snowed(green, grey, layer, kept_, lost), mask=inside)
    tl.store(out + 2 * pixels, _snowed(blue, grey, layer, kept_, lost), mask=inside)


def snow(images: torch.Tensor, blown: torch.Tensor, weight: float) -> torch.Tensor:
    """Lay flakes, uint8 (N, 1, H, W), and the same turned by 180 degrees over whitened images (N, 3, H, W)."""
    images, pixels = images.contiguous(), images[0, 0].numel()
    out = torch.empty_like(images)
    programs = triton.cdiv(pixels, BLOCK)
    _snow[(len(images) * programs,)](
        images, blown.contiguous(), out, float(weight), 1.0 - float(weight), pixels, programs, BLOCK=BLOCK,
        enable_fp_fusion=False,
    )  # fmt: skip
    return out


@jit
def _mud(images, masks, colours, out, pixels, programs, BLOCK: tl.constexpr):
    image = (tl.program_id(0) // programs).to(tl.int64)
    i = tl.program_id(0) % programs * BLOCK + tl.arange(0, BLOCK)
    inside = i < pixels
    mask = tl.load(masks + image * pixels + i, mask=inside, other=0)
    mask = tl.where(mask < 0.8, 0.0, mask)
    for channel in tl.static_range(3):
        at = image * 3 * pixels + channel * pixels + i
        value = _unit(images + at, inside) * (1.0 - mask) + tl.load(colours + channel) * mask
        tl.store(out + at, (tl.minimum(tl.maximum(value, 0.0), 1.0) * 255.0).to(tl.uint8), mask=inside)


def mud(images: torch.Tensor, stream: Stream, params: tuple[float, ...], colour: tuple[int, ...]) -> torch.Tensor:
    """Cover uint8 images (N, 3, H, W) by mud, drawn as :func:`robench.corruptions.spatter.spatter` says."""
    mean, std, sigma, threshold, spread, _ = params
    images, pixels = images.contiguous(), images[0, 0].numel()
    noise = stream.normal(0, (1, *images.shape[2:])).mul_(std).add_(mean)
    drops = (smooth(noise, gaussian_taps(sigma)) > threshold).float()
    masks = smooth(drops, gaussian_taps(spread))
    share = kept(images.device, ("colour", colour), lambda: torch.tensor(colour, dtype=torch.float32) / 255)
    out = torch.empty_like(images)
    programs = triton.cdiv(pixels, BLOCK)
    _mud[(len(images) * programs,)](images, masks, share, out, pixels, programs, BLOCK=BLOCK, enable_fp_fusion=False)
    return out


@jit
def _frost(images, frost, places, weights, out, height, width, programs, BLOCK: tl.constexpr):
    image = (tl.program_id(0) // programs).to(tl.int64)
    i = tl.program_id(0) % programs * BLOCK + tl.arange(0, BLOCK)
    inside = i < height * width
    start, row, plane = tl.load(places + 3 * image), tl.load(places + 3 * image + 1), tl.load(places + 3 * image + 2)
    frost += start + i // width * row + i % width
    weight, frost_weight = tl.load(weights), tl.load(weights + 1)
    for channel in tl.static_range(3):
        at = image * 3 * height * width + channel * height * width + i
        ice = tl.load(frost + channel * plane, mask=inside, other=0).to(tl.float64)
        value = tl.load(images + at, mask=inside, other=0).to(tl.float64) * weight
        value = tl.fma(ice, tl.zeros_like(ice) + frost_weight, value)
        tl.store(out + at, tl.minimum(tl.maximum(value, 0.0), 255.0).to(tl.uint8), mask=inside)


def frost(
    images: torch.Tensor, stream: Stream, params: tuple[float, ...], folder: str | PathLike[str] | None
) -> torch.Tensor:
    """Lay crops of frost images, which stay on the device, over uint8 images (N, 3, H, W)."""
    images = images.contiguous()
    number, _, height, width = images.shape
    flat, places = crops(stream, (height, width), folder)
    key = ("frost", None if folder is None else str(folder), len(flat))
    textures = kept(images.device, key, lambda: torch.from_numpy(flat))
    out = torch.empty_like(images)
    programs = triton.cdiv(height * width, BLOCK)
    _frost[(number * programs,)](
        images, textures, upload(torch.from_numpy(places), images.device),
        doubles(images.device, *map(float, params[:2])), out, height, width, programs, BLOCK=BLOCK,
        enable_fp_fusion=False,
    )  # fmt: skip
    return out


@jit
def _centre(maps, noise, y, x, size, amplitude, inside):
    below, right = (y + 1) % size, (x + 1) % size
    both = tl.load(maps + y * size + x, mask=inside, other=0) + tl.load(maps + below * size + x, mask=inside, other=0)
    after = tl.load(maps + y * size + right, mask=inside, other=0)
    after += tl.load(maps + below * size + right, mask=inside, other=0)
    drawn = tl.load(noise + y * size + x, mask=inside, other=0) * 2.0 - 1.0
    return (both + after) * 0.25 + amplitude * drawn


@jit(do_not_specialize=("size", "used", "programs"))
def _grow(maps, noise, out, size, used, count, amplitude, programs, BLOCK: tl.constexpr):
    """Double the side of float32 maps (N, size, size) by a step of the diamond-square method on a torus."""
    image = (tl.program_id(0) // programs).to(tl.int64)
    i = tl.program_id(0) % programs * BLOCK + tl.arange(0, BLOCK)
    pixels = size * size
    inside = i < pixels
    y, x = i // size, i % size
    maps += image * pixels
    noise += image * count + used
    here = tl.load(maps + i, mask=inside, other=0)
    centre = _centre(maps, noise, y, x, size, amplitude, inside)
    above = _centre(maps, noise, (y + size - 1) % size, x, size, amplitude, inside)
    left = _centre(maps, noise, y, (x + size - 1) % size, size, amplitude, inside)
    right = tl.load(maps + y * size + (x + 1) % size, mask=inside, other=0)
    below = tl.load(maps + (y + 1) % size * size + x, mask=inside, other=0)
    top = tl.load(noise + pixels + i, mask=inside, other=0) * 2.0 - 1.0
    side = tl.load(noise + 2 * pixels + i, mask=inside, other=0) * 2.0 - 1.0
    out += image * 4 * pixels + y * 4 * size + 2 * x
    tl.store(out, here, mask=inside)
    tl.store(out + 1, (((centre + above) + here) + right) * 0.25 + amplitude * top, mask=inside)
    tl.store(out + 2 * size, (((centre + left) + here) + below) * 0.25 + amplitude * side, mask=inside)
    tl.store(out + 2 * size + 1, centre, mask=inside)


def plasma(stream: Stream, side: int, decay: float, draw: int) -> torch.Tensor:
    """Return plasma maps in [0, 1], float32 (N, side, side)."""
    noise = stream.uniform(draw, (side * side - 1,)).contiguous()
    maps = noise.new_zeros(len(noise), 1, 1)
    wibble, used, size = _WIBBLE, 0, 1
    while size < side:
        out = noise.new_empty(len(noise), 2 * size, 2 * size)
        programs = triton.cdiv(size * size, BLOCK)
        _grow[(len(noise) * programs,)](
            maps, noise, out, size, used, noise.shape[1], wibble * wibble, programs, BLOCK=BLOCK,
            enable_fp_fusion=False,
        )  # fmt: skip
        maps, used, size, wibble = out, used + 3 * size * size, 2 * size, wibble / decay
    maps.sub_(maps.amin(dim=(1, 2), keepdim=True))
    return maps.div_(maps.amax(dim=(1, 2), keepdim=True))


@jit
def _fog(images, maps, most, strengths, out, height, width, side, programs, BLOCK: tl.constexpr):
    image = (tl.program_id(0) // programs).to(tl.int64)
    i = tl.program_id(0) % programs * BLOCK + tl.arange(0, BLOCK)
    inside = i < height * width
    strength, largest = tl.load(strengths), tl.load(most + image).to(tl.float64) / 255.0
    scale = largest / (largest + strength)
    at = image * side * side + i // width * side + i % width
    mist = tl.load(maps + at, mask=inside, other=0).to(tl.float64) * strength
    for channel in tl.static_range(3):
        at = image * 3 * height * width + channel * height * width + i
        value = tl.load(images + at, mask=inside, other=0).to(tl.float64) / 255.0
        tl.store(out + at, _share((value + mist) * scale), mask=inside)


def fog(images: torch.Tensor, stream: Stream, side: int, decay: float, strength: float) -> torch.Tensor:
    """Add plasma maps to uint8 images (N, 3, H, W) and rescale so that an image's largest value stays."""
    images = images.contiguous()
    number, _, height, width = images.shape
    maps = plasma(stream, side, decay, 0)
    most = images.amax(dim=(1, 2, 3))
    out = torch.empty_like(images)
    programs = triton.cdiv(height * width, BLOCK)
    _fog[(number * programs,)](
        images, maps, most, doubles(images.device, float(strength)), out, height, width, side, programs,
        BLOCK=BLOCK, enable_fp_fusion=False,
    )  # fmt: skip
    return out


@jit
def _pull(images, totals, shares, out, pixels, programs, BLOCK: tl.constexpr):
    plane = (tl.program_id(0) // programs).to(tl.int64)
    i = tl.program_id(0) % programs * BLOCK + tl.arange(0, BLOCK)
    inside = i < pixels
    share = tl.load(shares)
    mean = tl.load(totals + plane).to(tl.float64) / tl.load(shares + 1)
    value = tl.load(images + plane * pixels + i, mask=inside, other=0).to(tl.float64) / 255.0
    tl.store(out + plane * pixels + i, _share((value - mean) * share + mean), mask=inside)


def contrast(images: torch.Tensor, share: float) -> torch.Tensor:
    """Pull every plane of uint8 images (N, 3, H, W) towards its mean."""
    images = images.contiguous()
    number, channels, height, width = images.shape
    totals = images.sum(dim=(2, 3), dtype=torch.int64)
    out = torch.empty_like(images)
    programs = triton.cdiv(height * width, BLOCK)
    _pull[(number * channels * programs,)](
        images, totals, doubles(images.device, float(share), 255.0 * height * width), out, height * width, programs,
        BLOCK=BLOCK, enable_fp_fusion=False,
    )  # fmt: skip
    return out


@jit
def _hsv(images, changes, out, pixels, programs, BLOCK: tl.constexpr):
    image = (tl.program_id(0) // programs).to(tl.int64)
    i = tl.program_id(0) % programs * BLOCK + tl.arange(0, BLOCK)
    inside = i < pixels
    images += image * 3 * pixels + i
    red = tl.load(images, mask=inside, other=0).to(tl.float64) / 255.0
    green = tl.load(images + pixels, mask=inside, other=0).to(tl.float64) / 255.0
    blue = tl.load(images + 2 * pixels, mask=inside, other=0).to(tl.float64) / 255.0
    value = tl.maximum(tl.maximum(red, green), blue)
    chroma = value - tl.minimum(tl.minimum(red, green), blue)
    colourless = chroma <= 0.0
    divisor = tl.where(colourless, 1.0, chroma)
    hue = tl.where(green == value, 2.0 + (blue - red) / divisor, (green - blue) / divisor)
    hue = tl.where(blue == value, 4.0 + (red - green) / divisor, hue) / 6.0
    hue = tl.where(hue < 0.0, hue + 1.0, hue)
    hue = tl.where(colourless, 0.0, hue)
    saturation = tl.where(colourless, 0.0, chroma / tl.where(colourless, 1.0, value))
    saturation = tl.minimum(tl.maximum(saturation * tl.load(changes) + tl.load(changes + 1), 0.0), 1.0)
    value = tl.minimum(tl.maximum(value + tl.load(changes + 2), 0.0), 1.0)
    sector = tl.floor(hue * 6.0)
    f = hue * 6.0 - sector
    p, q = value * (1.0 - saturation), value * (1.0 - f * saturation)
    t = value * (1.0 - (1.0 - f) * saturation)
    which = sector.to(tl.int32) % 6
    first = tl.where((which == 0) | (which == 5), value, tl.where(which == 1, q, tl.where(which == 4, t, p)))
    second = tl.where((which == 1) | (which == 2), value, tl.where(which == 0, t, tl.where(which == 3, q, p)))
    third = tl.where((which == 3) | (which == 4), value, tl.where(which == 2, t, tl.where(which == 5, q, p)))
    out += image * 3 * pixels + i
    tl.store(out, _share(first), mask=inside)
    tl.store(out + pixels, _share(second), mask=inside)
    tl.store(out + 2 * pixels, _share(third), mask=inside)


def hsv(images: torch.Tensor, saturation: tuple[float, float], value: float) -> torch.Tensor:
    """Return uint8 images (N, 3, H, W) with saturation * factor + offset and value + offset."""
    images, pixels = images.contiguous(), images[0, 0].numel()
    changes = doubles(images.device, float(saturation[0]), float(saturation[1]), float(value))
    out = torch.empty_like(images)
    programs = triton.cdiv(pixels, BLOCK)
    _hsv[(len(images) * programs,)](images, changes, out, pixels, programs, BLOCK=BLOCK, enable_fp_fusion=False)
    return out
