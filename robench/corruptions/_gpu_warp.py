"""Triton kernels that read pixels elsewhere: blurs, glass, zoom and elastic transform; see ``_gpu``.

A program works on so many pixels of one plane, or of one image where its channels share the places.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import triton
import triton.language as tl
from torch.nn import functional

from robench.corruptions._gpu import kept, upload
from robench.corruptions._gpu_random import signed, words_of
from robench.corruptions.random import Stream

BLOCK = 512
CHAIN = 128
jit: Any = triton.jit


@jit
def _within(x, length):
    """Return places with those outside moved to the edge."""
    return tl.minimum(tl.maximum(x, 0), length - 1)


@jit
def _byte(x):
    return tl.minimum(tl.maximum(x, 0.0), 255.0).to(tl.uint8)


@jit(do_not_specialize=("channels", "taps", "programs"))
def _motion(images, weights, shifts, out, channels, height, width, taps, programs, BLOCK: tl.constexpr):
    plane = tl.program_id(0) // programs
    i = tl.program_id(0) % programs * BLOCK + tl.arange(0, BLOCK)
    inside = i < height * width
    row, column = i // width, i % width
    shifts += plane // channels * taps * 2
    images += plane.to(tl.int64) * height * width
    total = tl.zeros((BLOCK,), tl.float32) + 0.0019455252918287938  # half of the last of 16 bits
    for tap in range(taps):
        y = _within(row + tl.load(shifts + 2 * tap), height)
        x = _within(column + tl.load(shifts + 2 * tap + 1), width)
        total += tl.load(weights + tap) * tl.load(images + y * width + x, mask=inside, other=0).to(tl.float32)
    tl.store(out + plane.to(tl.int64) * height * width + i, _byte(total), mask=inside)


def motion(images: torch.Tensor, weights: npt.NDArray[np.float32], shifts: npt.NDArray[np.int64]) -> torch.Tensor:
    """Return uint8 images (N, C, H, W) blurred by taps, float32 (taps,), that lie at ``shifts``, (N, taps, 2)."""
    images, device = images.contiguous(), images.device
    number, channels, height, width = images.shape
    out = torch.empty_like(images)
    programs = triton.cdiv(height * width, BLOCK)
    _motion[(number * channels * programs,)](
        images, kept(device, ("taps", weights.tobytes()), lambda: torch.from_numpy(weights)),
        upload(torch.from_numpy(shifts.astype(np.int32)), device), out, channels, height, width, len(weights),
        programs, BLOCK=BLOCK, enable_fp_fusion=False,
    )  # fmt: skip
    return out


@jit(do_not_specialize=("reach", "programs"))
def _smooth(planes, taps, out, height, width, reach, programs, KIND: tl.constexpr, BLOCK: tl.constexpr):
    """Blur planes along one axis, edges repeated: down (0) or across (1) into float32, or across into bytes (2)."""
    plane = (tl.program_id(0) // programs).to(tl.int64)
    i = tl.program_id(0) % programs * BLOCK + tl.arange(0, BLOCK)
    inside = i < height * width
    row, column = i // width, i % width
    planes += plane * height * width
    out += plane * height * width + i
    total = tl.zeros((BLOCK,), tl.float32)
    for tap in range(2 * reach + 1):
        if KIND == 0:
            place = _within(row + tap - reach, height) * width + column
        else:
            place = row * width + _within(column + tap - reach, width)
        total += tl.load(taps + tap) * tl.load(planes + place, mask=inside, other=0).to(tl.float32)
    if KIND == 2:
        tl.store(out, _byte(total + 5e-5), mask=inside)
    else:
        tl.store(out, total, mask=inside)


def smooth(images: torch.Tensor, taps: npt.NDArray[np.float32]) -> torch.Tensor:
    """Return images (N, C, H, W) blurred by the taps down and across: float32 stay so, uint8 are truncated."""
    images, device = images.contiguous(), images.device
    number, channels, height, width = images.shape
    weights = kept(device, ("taps", taps.tobytes()), lambda: torch.from_numpy(taps))
    between = torch.empty(images.shape, dtype=torch.float32, device=device)
    out = torch.empty_like(images)
    programs = triton.cdiv(height * width, BLOCK)
    for source, target, kind in ((images, between, 0), (between, out, 2 if out.dtype == torch.uint8 else 1)):
        _smooth[(number * channels * programs,)](
            source, weights, target, height, width, len(taps) // 2, programs, KIND=kind, BLOCK=BLOCK,
            enable_fp_fusion=False,
        )  # fmt: skip
    return out


@jit(do_not_specialize=("padded_height", "padded_width", "taps", "programs"))
def _correlate(
    padded, offsets, weights, out, height, width, padded_height, padded_width, taps, programs, BLOCK: tl.constexpr
):
    plane = (tl.program_id(0) // programs).to(tl.int64)
    i = tl.program_id(0) % programs * BLOCK + tl.arange(0, BLOCK)
    inside = i < height * width
    padded += plane * padded_height * padded_width + i // width * padded_width + i % width
    total = tl.zeros((BLOCK,), tl.float32)
    for tap in range(taps):
        total += tl.load(weights + tap) * tl.load(padded + tl.load(offsets + tap), mask=inside, other=0)
    tl.store(out + plane * height * width + i, _byte(total + 5e-5), mask=inside)


def correlate(images: torch.Tensor, kernel: npt.NDArray[np.float32]) -> torch.Tensor:
    """Return uint8 images (N, C, H, W) correlated with a square kernel, mirrored at the edges, truncated.

    Only the kernel's numbers that are not 0 are read: a disk fills three quarters of its square.
    """
    number, channels, height, width = images.shape
    reach = len(kernel) // 2
    padded = functional.pad(images.float(), (reach,) * 4, mode="reflect").contiguous()
    rows, columns = np.nonzero(kernel)
    key, device = (padded.shape[3], kernel.tobytes()), images.device
    offsets = kept(device, ("offsets", *key), torch.from_numpy, (rows * padded.shape[3] + columns).astype(np.int32))
    weights = kept(device, ("weights", *key), torch.from_numpy, kernel[rows, columns])
    out = torch.empty(images.shape, dtype=torch.uint8, device=device)
    programs = triton.cdiv(height * width, 2 * BLOCK)
    _correlate[(number * channels * programs,)](
        padded, offsets, weights, out, height, width, *padded.shape[2:], len(rows), programs, BLOCK=2 * BLOCK,
        enable_fp_fusion=False,
    )  # fmt: skip
    return out


@jit
def _moves(y, x, height, width, reach):
    return (y > reach) & (y <= height - reach) & (x > reach) & (x <= width - reach)


@jit(do_not_specialize=("k0", "k1", "draw", "reach", "iterations"))
def _displace(
    images, index, out, k0, k1, draw, height, width, reach, iterations, programs, BLOCK: tl.constexpr
):  # fmt: skip
    image = tl.program_id(0) // programs
    number = tl.load(index + image)
    i = tl.program_id(0) % programs * BLOCK + tl.arange(0, BLOCK)
    inside = i < height * width
    y, x = i // width, i % width
    turn = tl.zeros((BLOCK,), tl.int32) + iterations - 1
    open_ = inside & (turn >= 0)
    span = tl.zeros((BLOCK,), tl.int32) + 2 * reach
    span = span.to(tl.uint32)
    while tl.max(open_.to(tl.int32), axis=0) > 0:
        position = ((turn * height + y) * width + x) * 2
        a, b, c, d = words_of(number, position >> 2, draw, k0, k1)
        first = (position & 3) == 0
        moves = _moves(y, x, height, width, reach)
        to_x = x + tl.umulhi(tl.where(first, a, c), span).to(tl.int32) - reach
        to_y = y + tl.umulhi(tl.where(first, b, d), span).to(tl.int32) - reach
        to_x, to_y = tl.where(moves, to_x, x), tl.where(moves, to_y, y)
        # A neighbour that was visited before has its new value by now, any other its value of the turn before.
        visited = moves & (to_y * width + to_x > y * width + x) & _moves(to_y, to_x, height, width, reach)
        turn = tl.where(open_ & ~visited, turn - 1, turn)
        x, y = tl.where(open_, to_x, x), tl.where(open_, to_y, y)
        open_ = open_ & (turn >= 0)
    images += image.to(tl.int64) * 3 * height * width + y * width + x
    out += image.to(tl.int64) * 3 * height * width + i
    for channel in tl.static_range(3):
        value = tl.load(images + channel * height * width, mask=inside, other=0)
        tl.store(out + channel * height * width, value, mask=inside)


def displace(images: torch.Tensor, stream: Stream, reach: int, iterations: int) -> torch.Tensor:
    """Return uint8 images (N, 3, H, W) after the copies of ``glass_blur``: each pixel follows its chain back."""
    images = images.contiguous()
    number, _, height, width = images.shape
    out = torch.empty_like(images)
    programs = triton.cdiv(height * width, CHAIN)
    _displace[(number * programs,)](
        images, stream.index, out, *map(signed, (*stream.key, 0)), height, width, reach, iterations, programs,
        BLOCK=CHAIN, num_warps=1,
    )  # fmt: skip
    return out


@jit
def _zoomed(plane, upper, lower, left, after, down, right, inside):
    a = tl.load(plane + upper + left, mask=inside, other=0).to(tl.float32)
    b = tl.load(plane + lower + left, mask=inside, other=0).to(tl.float32)
    c = tl.load(plane + upper + after, mask=inside, other=0).to(tl.float32)
    d = tl.load(plane + lower + after, mask=inside, other=0).to(tl.float32)
    near, far = (1.0 - down) * a + down * b, (1.0 - down) * c + down * d
    return near + right * (far - near)


@jit(do_not_specialize=("zooms", "programs"))
def _zoom(images, lows, steps, out, side, zooms, scale, programs, BLOCK: tl.constexpr):
    image = (tl.program_id(0) // programs).to(tl.int64)
    i = tl.program_id(0) % programs * BLOCK + tl.arange(0, BLOCK)
    inside = i < side * side
    row, column = i // side, i % side
    images += image * 3 * side * side
    first, second, third = images, images + side * side, images + 2 * side * side
    red = tl.load(first + i, mask=inside, other=0).to(tl.float32)
    green = tl.load(second + i, mask=inside, other=0).to(tl.float32)
    blue = tl.load(third + i, mask=inside, other=0).to(tl.float32)
    for zoom in range(zooms):
        upper = tl.load(lows + zoom * side + row, mask=inside, other=0)
        left = tl.load(lows + zoom * side + column, mask=inside, other=0)
        down = tl.load(steps + zoom * side + row, mask=inside, other=0)
        right = tl.load(steps + zoom * side + column, mask=inside, other=0)
        lower, after = tl.minimum(upper + 1, side - 1) * side, tl.minimum(left + 1, side - 1)
        upper = upper * side
        red += _zoomed(first, upper, lower, left, after, down, right, inside)
        green += _zoomed(second, upper, lower, left, after, down, right, inside)
        blue += _zoomed(third, upper, lower, left, after, down, right, inside)
    out += image * 3 * side * side + i
    tl.store(out, _byte(red * scale + 5e-5), mask=inside)
    tl.store(out + side * side, _byte(green * scale + 5e-5), mask=inside)
    tl.store(out + 2 * side * side, _byte(blue * scale + 5e-5), mask=inside)


def zoom(images: torch.Tensor, factors: npt.NDArray[np.float64]) -> torch.Tensor:
    """Return the mean of square uint8 images (N, 3, H, H) and of their zooms by the factors."""
    from robench.corruptions.zoom import zoom_tables

    images, device = images.contiguous(), images.device
    side, key = images.shape[-1], factors.tobytes()
    lows = kept(device, ("zoom", side, key), lambda: torch.from_numpy(zoom_tables(side, factors)[0].astype(np.int32)))
    steps = kept(device, ("zoom steps", side, key), lambda: torch.from_numpy(zoom_tables(side, factors)[1]))
    out = torch.empty_like(images)
    programs = triton.cdiv(side * side, BLOCK)
    _zoom[(len(images) * programs,)](
        images, lows, steps, out, side, len(factors), float(np.float32(1.0 / (len(factors) + 1))), programs,
        BLOCK=BLOCK, enable_fp_fusion=False,
    )  # fmt: skip
    return out


@jit
def _mirrored(i, length, twice):
    """Return places mirrored at the edges, whose pixels are read twice or (0) once."""
    period = 2 * length - 2 + 2 * twice
    i = i % period
    i = tl.where(i < 0, i + period, i)
    return tl.where(i < length, i, period - twice - i)


@jit
def _bilinear(plane, upper, lower, left, right, down, across, inside):
    a = tl.load(plane + upper + left, mask=inside, other=0).to(tl.float32)
    b = tl.load(plane + upper + right, mask=inside, other=0).to(tl.float32)
    c = tl.load(plane + lower + left, mask=inside, other=0).to(tl.float32)
    d = tl.load(plane + lower + right, mask=inside, other=0).to(tl.float32)
    top, bottom = a + across * (b - a), c + across * (d - c)
    return top + down * (bottom - top)


@jit
def _turn(images, across, down, out, height, width, programs, BLOCK: tl.constexpr):
    """Read at the places whose shares of columns, int32 (N, 2, W), and rows, (N, 2, H), are 1/1024 pixels."""
    image = (tl.program_id(0) // programs).to(tl.int64)
    i = tl.program_id(0) % programs * BLOCK + tl.arange(0, BLOCK)
    inside = i < height * width
    row, column = i // width, i % width
    across += image * 2 * width + column
    down += image * 2 * height + row
    x = (tl.load(down, mask=inside, other=0) + tl.load(across, mask=inside, other=0) + 16) >> 5
    y = tl.load(down + height, mask=inside, other=0) + tl.load(across + width, mask=inside, other=0)
    y = (y + 16) >> 5
    upper, lower = _mirrored(y >> 5, height, 0) * width, _mirrored((y >> 5) + 1, height, 0) * width
    left, right = _mirrored(x >> 5, width, 0), _mirrored((x >> 5) + 1, width, 0)
    wy, wx = (y & 31).to(tl.float32) * 0.03125, (x & 31).to(tl.float32) * 0.03125
    for channel in tl.static_range(3):
        start = image * 3 * height * width + channel * height * width
        value = _bilinear(images + start, upper, lower, left, right, wy, wx, inside)
        tl.store(out + start + i, value, mask=inside)


@jit
def _shift(images, shifts, out, height, width, programs, BLOCK: tl.constexpr):
    """Read float32 (N, 3, H, W) at places moved by float32 (N, 2, H, W), across and down."""
    image = (tl.program_id(0) // programs).to(tl.int64)
    i = tl.program_id(0) % programs * BLOCK + tl.arange(0, BLOCK)
    inside = i < height * width
    row, column = i // width, i % width
    shifts += image * 2 * height * width + i
    x = column.to(tl.float64) + tl.load(shifts, mask=inside, other=0).to(tl.float64)
    y = row.to(tl.float64) + tl.load(shifts + height * width, mask=inside, other=0).to(tl.float64)
    x0, y0 = tl.floor(x), tl.floor(y)
    wx, wy = (x - x0).to(tl.float32), (y - y0).to(tl.float32)
    left, right = _mirrored(x0.to(tl.int32), width, 1), _mirrored(x0.to(tl.int32) + 1, width, 1)
    upper, lower = _mirrored(y0.to(tl.int32), height, 1) * width, _mirrored(y0.to(tl.int32) + 1, height, 1) * width
    for channel in tl.static_range(3):
        start = image * 3 * height * width + channel * height * width
        value = _bilinear(images + start, upper, lower, left, right, wy, wx, inside)
        tl.store(out + start + i, _byte(value + 5e-5), mask=inside)


def elastic(
    images: torch.Tensor, across: npt.NDArray[np.int32], down: npt.NDArray[np.int32], shifts: torch.Tensor
) -> torch.Tensor:
    """Return uint8 images (N, 3, H, W) read at turned places, and that read at shifted ones.

    Args:
        images: uint8 (N, 3, H, W).
        across: int32 (N, 2, W), each column's share of x and y in 1/1024 pixels.
        down: int32 (N, 2, H), each row's.
        shifts: float32 (N, 2, H, W) of x and y, in pixels.
    """
    images, device = images.contiguous(), images.device
    number, _, height, width = images.shape
    turned = torch.empty(images.shape, dtype=torch.float32, device=device)
    programs = triton.cdiv(height * width, BLOCK)
    columns, rows = (upload(torch.from_numpy(table), device) for table in (across, down))
    _turn[(number * programs,)](
        images, columns, rows, turned, height, width, programs, BLOCK=BLOCK, enable_fp_fusion=False
    )
    out = torch.empty_like(images)
    _shift[(number * programs,)](
        turned, shifts.contiguous(), out, height, width, programs, BLOCK=BLOCK, enable_fp_fusion=False
    )
    return out


@jit(do_not_specialize=("height", "width", "length", "taps", "programs"))
def _taps(planes, first, weights, out, height, width, length, taps, programs, DOWN: tl.constexpr, BLOCK: tl.constexpr):
    """Resize planes along one axis, to ``length`` rows or columns, by integer weights of 22 bits."""
    plane = (tl.program_id(0) // programs).to(tl.int64)
    i = tl.program_id(0) % programs * BLOCK + tl.arange(0, BLOCK)
    new_width = width if DOWN else length
    new_height = length if DOWN else height
    inside = i < new_height * new_width
    row, column = i // new_width, i % new_width
    place = row if DOWN else column
    begin = tl.load(first + place, mask=inside, other=0)
    planes += plane * height * width
    total = tl.zeros((BLOCK,), tl.int32) + (1 << 21)
    for tap in range(taps):
        at = (begin + tap) * width + column if DOWN else row * width + begin + tap
        weight = tl.load(weights + place * taps + tap, mask=inside, other=0)
        total += weight * tl.load(planes + at, mask=inside, other=0).to(tl.int32)
    value = tl.minimum(tl.maximum(total >> 22, 0), 255).to(tl.uint8)
    tl.store(out + plane * new_height * new_width + i, value, mask=inside)


def resize(images: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Return uint8 images (N, C, H, W) resized by Pillow's box filter: columns, then rows, each rounded to bytes."""
    from robench.corruptions.pixelate import taps

    found, device = images.contiguous(), images.device
    for axis in (3, 2):
        old, new = found.shape[axis], size[axis - 2]
        if old == new:
            continue
        first, weights = (
            kept(device, ("box", old, new, i), torch.from_numpy, taps(old, new)[i].astype(np.int32)) for i in (0, 1)
        )
        shape = (*found.shape[:2], *((new, found.shape[3]) if axis == 2 else (found.shape[2], new)))
        out = torch.empty(shape, dtype=torch.uint8, device=device)
        programs = triton.cdiv(shape[2] * shape[3], BLOCK)
        _taps[(shape[0] * shape[1] * programs,)](
            found, first, weights, out, *found.shape[2:], new, weights.shape[1], programs, DOWN=axis == 2, BLOCK=BLOCK
        )
        found = out
    return found
