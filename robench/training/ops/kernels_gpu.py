"""The same augmentation as ``kernels_cpu`` by Triton kernels, for a GPU: two launches a step of all images' chains.

The arithmetic is that of the compiled loops, operation for operation (multiplications and additions are not fused), so
that both give the same images to the bit. Images may have any size: a program works on so many of one image's pixels.
What makes a step's tables (histograms, a mean) is a launch of its own, before the one that writes the images.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl

from robench.corruptions._gpu import upload
from robench.training.ops import operations as op
from robench.training.ops.plans import COLUMNS, plan

BLOCK = 512
COUNTED = 1024
jit: Any = triton.jit

_AUTOCONTRAST, _EQUALIZE = tl.constexpr(op.AUTOCONTRAST), tl.constexpr(op.EQUALIZE)
_POSTERIZE, _SOLARIZE, _INVERT = tl.constexpr(op.POSTERIZE), tl.constexpr(op.SOLARIZE), tl.constexpr(op.INVERT)
_ROTATE, _SHEAR_X, _SHEAR_Y = tl.constexpr(op.ROTATE), tl.constexpr(op.SHEAR_X), tl.constexpr(op.SHEAR_Y)
_TRANSLATE_X, _TRANSLATE_Y = tl.constexpr(op.TRANSLATE_X), tl.constexpr(op.TRANSLATE_Y)
_COLOR, _CONTRAST = tl.constexpr(op.COLOR), tl.constexpr(op.CONTRAST)
_BRIGHTNESS, _SHARPNESS = tl.constexpr(op.BRIGHTNESS), tl.constexpr(op.SHARPNESS)
_COLUMNS = tl.constexpr(COLUMNS)


@jit
def _has_table(number):
    point = (number == _AUTOCONTRAST) | (number == _EQUALIZE) | (number == _POSTERIZE) | (number == _SOLARIZE)
    return point | (number == _INVERT) | (number == _BRIGHTNESS) | (number == _CONTRAST)


@jit
def _grey(r, g, b):
    return (r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16


@jit
def _blend(base, value, factor):
    """Return int32 between ``base`` (factor 0) and ``value`` (factor 1) and beyond, in float32, truncated."""
    mixed = base.to(tl.float32) + factor * (value - base).to(tl.float32)
    return tl.minimum(tl.maximum(mixed, 0.0), 255.0).to(tl.int32)


@jit
def _autocontrast(plane, level, area, BLOCK: tl.constexpr):
    lows, highs = tl.full((BLOCK,), 255, tl.int32), tl.zeros((BLOCK,), tl.int32)
    for start in range(0, area, BLOCK):
        i = start + tl.arange(0, BLOCK)
        lows = tl.minimum(lows, tl.load(plane + i, mask=i < area, other=255).to(tl.int32))
        highs = tl.maximum(highs, tl.load(plane + i, mask=i < area, other=0).to(tl.int32))
    low, high = tl.min(lows, axis=0), tl.max(highs, axis=0)
    scale = 255.0 / tl.maximum(high - low, 1).to(tl.float64)
    stretched = (level.to(tl.float64) * scale + (0 - low).to(tl.float64) * scale).to(tl.int32)
    return tl.where(high > low, tl.minimum(tl.maximum(stretched, 0), 255), level)


@jit
def _equalize(plane, level, area, BLOCK: tl.constexpr):
    counts = tl.zeros((256,), tl.int32)
    for start in range(0, area, BLOCK):
        i = start + tl.arange(0, BLOCK)
        counts += tl.histogram(tl.load(plane + i, mask=i < area, other=0).to(tl.int32), 256)
    beyond = (area + BLOCK - 1) // BLOCK * BLOCK - area  # places after the last pixel, counted as black
    counts -= tl.where(level == 0, beyond, 0)
    highest = tl.max(tl.where(counts > 0, level, 0), axis=0)
    step = (area - tl.sum(tl.where(level == highest, counts, 0), axis=0)) // 255
    kinds = tl.sum((counts > 0).to(tl.int32), axis=0)
    before = tl.cumsum(counts, axis=0) - counts
    spread = tl.minimum((step // 2 + before) // tl.maximum(step, 1), 255)
    return tl.where((kinds > 1) & (step > 0), spread, level)


@jit
def _mean(image, area, BLOCK: tl.constexpr):
    """Return the mean grey of an image, int32."""
    total = tl.zeros((BLOCK,), tl.int64)
    for start in range(0, area, BLOCK):
        i = start + tl.arange(0, BLOCK)
        r = tl.load(image + i, mask=i < area, other=0).to(tl.int32)
        g = tl.load(image + area + i, mask=i < area, other=0).to(tl.int32)
        b = tl.load(image + 2 * area + i, mask=i < area, other=0).to(tl.int32)
        total += tl.where(i < area, _grey(r, g, b), 0).to(tl.int64)
    return (tl.sum(total, axis=0).to(tl.float64) / area.to(tl.float64) + 0.5).to(tl.int32)


@jit(do_not_specialize=("chains", "steps", "step", "height", "width"))
def _tables(images, plan, tables, chains, steps, step, height, width, BLOCK: tl.constexpr):
    """Write the table of a channel, 256 bytes, where this step of a chain looks its pixels up in one."""
    row, channel = (tl.program_id(0) // 3).to(tl.int64), tl.program_id(0) % 3
    area = height * width
    plan += (row * steps + step) * _COLUMNS
    number, value = tl.load(plan).to(tl.int32), tl.load(plan + 1)
    if _has_table(number):
        image = images + row // chains * 3 * area
        plane = image + channel * area
        level = tl.arange(0, 256)
        made = level
        if number == _AUTOCONTRAST:
            made = _autocontrast(plane, level, area, BLOCK)
        elif number == _EQUALIZE:
            made = _equalize(plane, level, area, BLOCK)
        elif number == _POSTERIZE:
            bits = tl.minimum(tl.maximum(8 - value.to(tl.int32), 0), 8)
            made = (level >> bits) << bits
        elif number == _CONTRAST:
            made = _blend(level * 0 + _mean(image, area, BLOCK), level, value.to(tl.float32))
        elif number == _BRIGHTNESS:
            made = _blend(level * 0, level, value.to(tl.float32))
        else:
            made = tl.where(level < tl.where(number == _SOLARIZE, value.to(tl.int32), 0), level, 255 - level)
        tl.store(tables + tl.program_id(0).to(tl.int64) * 256 + level, made.to(tl.uint8))


@jit
def _copied(image, out, i, area, inside):
    for channel in tl.static_range(3):
        tl.store(out + channel * area, tl.load(image + channel * area + i, mask=inside, other=0), mask=inside)


@jit
def _looked_up(image, out, table, i, area, inside):
    for channel in tl.static_range(3):
        level = tl.load(image + channel * area + i, mask=inside, other=0).to(tl.int32)
        tl.store(out + channel * area, tl.load(table + channel * 256 + level, mask=inside, other=0), mask=inside)


@jit
def _shifted(image, out, row, column, along_rows, distance, height, width, fill, inside):
    x, y = column + tl.where(along_rows, distance, 0), row + tl.where(along_rows, 0, distance)
    seen = inside & (x >= 0) & (x < width) & (y >= 0) & (y < height)
    for channel in tl.static_range(3):
        made = tl.load(image + (channel * height + y) * width + x, mask=seen, other=0).to(tl.int32)
        tl.store(out + channel * height * width, tl.where(seen, made, fill).to(tl.uint8), mask=inside)


@jit
def _between(low, high, share):
    return low + (high - low) * share


@jit
def _at(plane, place, inside):
    return tl.load(plane + place, mask=inside, other=0).to(tl.float64)


@jit
def _shear_rows(image, out, row, column, value, height, width, fill, inside):
    offset = value * (row.to(tl.float64) + 0.5)
    whole = tl.floor(offset)
    share, moved = offset - whole, column + whole.to(tl.int32)
    centre = column.to(tl.float64) + 0.5 + offset
    seen = inside & (centre >= 0.0) & (centre < width.to(tl.float64))
    left = row * width + tl.minimum(tl.maximum(moved, 0), width - 1)
    right = row * width + tl.minimum(tl.maximum(moved + 1, 0), width - 1)
    for channel in tl.static_range(3):
        plane = image + channel * height * width
        made = _between(_at(plane, left, seen), _at(plane, right, seen), share).to(tl.int32)
        tl.store(out + channel * height * width, tl.where(seen, made, fill).to(tl.uint8), mask=inside)


@jit
def _affine(image, out, row, column, a, b, c, d, e, f, height, width, fill, inside):
    """Write the pixels at ``(a x + b y + c, d x + e y + f)``, bilinear, as Pillow's transform."""
    x, y = column.to(tl.float64) + 0.5, row.to(tl.float64) + 0.5
    xin, yin = a * x + b * y + c, d * x + e * y + f
    seen = (xin >= 0.0) & (xin < width.to(tl.float64)) & (yin >= 0.0) & (yin < height.to(tl.float64)) & inside
    left, upper = tl.floor(xin - 0.5), tl.floor(yin - 0.5)
    across, down = xin - 0.5 - left, yin - 0.5 - upper
    x0 = tl.maximum(left.to(tl.int32), 0)
    x1 = tl.minimum(left.to(tl.int32) + 1, width - 1)
    y0 = tl.maximum(upper.to(tl.int32), 0) * width
    y1 = tl.minimum(upper.to(tl.int32) + 1, height - 1) * width
    for channel in tl.static_range(3):
        plane = image + channel * height * width
        top = _between(_at(plane, y0 + x0, seen), _at(plane, y0 + x1, seen), across)
        bottom = _between(_at(plane, y1 + x0, seen), _at(plane, y1 + x1, seen), across)
        made = _between(top, bottom, down).to(tl.int32)
        tl.store(out + channel * height * width, tl.where(seen, made, fill).to(tl.uint8), mask=inside)


@jit
def _turned(image, out, row, column, turns, value, cosine, sine, height, width, fill, inside):
    """Rotate, or shear along y."""
    cx, cy = width.to(tl.float64) / 2.0, height.to(tl.float64) / 2.0
    c = tl.where(turns, cosine * -cx + sine * -cy + cx, 0.0)
    d = tl.where(turns, -sine, value)
    f = tl.where(turns, -sine * -cx + cosine * -cy + cy, 0.0)
    _affine(image, out, row, column, cosine, sine, c, d, cosine, f, height, width, fill, inside)


@jit
def _colored(image, out, i, area, factor, inside):
    r = tl.load(image + i, mask=inside, other=0).to(tl.int32)
    g = tl.load(image + area + i, mask=inside, other=0).to(tl.int32)
    b = tl.load(image + 2 * area + i, mask=inside, other=0).to(tl.int32)
    base = _grey(r, g, b)
    tl.store(out, _blend(base, r, factor).to(tl.uint8), mask=inside)
    tl.store(out + area, _blend(base, g, factor).to(tl.uint8), mask=inside)
    tl.store(out + 2 * area, _blend(base, b, factor).to(tl.uint8), mask=inside)


@jit
def _sharpened(image, out, row, column, factor, height, width, inside):
    """Blend with 3x3 ones and 5 in the centre, over 13; the border is as it is."""
    inner = inside & (row > 0) & (column > 0) & (row < height - 1) & (column < width - 1)
    i = row * width + column
    for channel in tl.static_range(3):
        plane = image + channel * height * width
        value = tl.load(plane + i, mask=inside, other=0).to(tl.int32)
        total = 4 * value
        for place in tl.static_range(9):
            near = i + (place // 3 - 1) * width + place % 3 - 1
            total += tl.load(plane + near, mask=inner, other=0).to(tl.int32)
        base = tl.where(inner, (2 * total + 13) // 26, value)  # total / 13, rounded
        tl.store(out + channel * height * width, _blend(base, value, factor).to(tl.uint8), mask=inside)


@jit(do_not_specialize=("chains", "steps", "step", "height", "width", "fill", "programs"))
def _step(images, plan, tables, out, chains, steps, step, height, width, fill, programs, BLOCK: tl.constexpr):
    """Write one step of all chains: uint8 (rows, 3, H, W) from images that have ``chains`` rows each."""
    row_of = (tl.program_id(0) // programs).to(tl.int64)
    i = tl.program_id(0) % programs * BLOCK + tl.arange(0, BLOCK)
    area = height * width
    inside = i < area
    row, column = i // width, i % width
    image = images + row_of // chains * 3 * area
    out += row_of * 3 * area + i
    plan += (row_of * steps + step) * _COLUMNS
    number, value = tl.load(plan).to(tl.int32), tl.load(plan + 1)
    cosine, sine = tl.load(plan + 2), tl.load(plan + 3)
    if _has_table(number):
        _looked_up(image, out, tables + row_of * 3 * 256, i, area, inside)
    elif (number == _TRANSLATE_X) | (number == _TRANSLATE_Y):
        _shifted(image, out, row, column, number == _TRANSLATE_X, value.to(tl.int32), height, width, fill, inside)
    elif (number == _SHEAR_X) & (value != 0.0):
        _shear_rows(image, out, row, column, value, height, width, fill, inside)
    elif ((number == _ROTATE) | (number == _SHEAR_Y)) & (value != 0.0):
        _turned(image, out, row, column, number == _ROTATE, value, cosine, sine, height, width, fill, inside)
    elif number == _COLOR:
        _colored(image, out, i, area, value.to(tl.float32), inside)
    elif number == _SHARPNESS:
        _sharpened(image, out, row, column, value.to(tl.float32), height, width, inside)
    else:  # no operation, or a warp by nothing
        _copied(image, out, i, area, inside)


def apply(images: torch.Tensor, ops: torch.Tensor, values: torch.Tensor, fill: int = 0) -> torch.Tensor:
    """Apply to every image its own chain, or several chains each to the image as it is; see ``kernels_cpu.apply``."""
    images, (rows, steps) = images.contiguous(), ops.shape
    number, _, height, width = images.shape
    steered = upload(plan(ops, values, pinned=images.device.type == "cuda"), images.device)
    tables = torch.empty(rows, 3, 256, dtype=torch.uint8, device=images.device)
    turns = [torch.empty(rows, 3, height, width, dtype=torch.uint8, device=images.device) for _ in range(min(steps, 2))]
    programs, source, chains = triton.cdiv(height * width, BLOCK), images, rows // number
    for step in range(steps):
        out = turns[step % 2]
        _tables[(3 * rows,)](
            source, steered, tables, chains, steps, step, height, width, BLOCK=COUNTED, enable_fp_fusion=False
        )
        _step[(rows * programs,)](
            source, steered, tables, out, chains, steps, step, height, width, fill, programs, BLOCK=BLOCK,
            enable_fp_fusion=False,
        )  # fmt: skip
        source, chains = out, 1
    return source if steps else images.repeat_interleave(chains, dim=0)


@jit(do_not_specialize=("chains", "count", "programs"))
def _mix(images, augmented, weights, shares, out, chains, count, programs, BLOCK: tl.constexpr):
    image = (tl.program_id(0) // programs).to(tl.int64)
    i = tl.program_id(0) % programs * BLOCK + tl.arange(0, BLOCK)
    inside = i < count
    share = tl.load(shares + image)
    total = tl.div_rn(1.0 - share, 255.0) * tl.load(images + image * count + i, mask=inside, other=0).to(tl.float32)
    for chain in range(chains):
        row = image * chains + chain
        weight = tl.div_rn(share * tl.load(weights + row), 255.0)
        total += weight * tl.load(augmented + row * count + i, mask=inside, other=0).to(tl.float32)
    tl.store(out + image * count + i, total, mask=inside)


def mix(
    images: torch.Tensor,
    ops: torch.Tensor,
    values: torch.Tensor,
    weights: torch.Tensor,
    m: torch.Tensor,
    fill: int = 0,
) -> torch.Tensor:
    """Augment in K chains and mix; see ``augment.mix``."""
    images, (_, chains, depth) = images.contiguous(), ops.shape
    weights, m = (upload(part, images.device) for part in (weights, m))
    augmented = apply(images, ops.reshape(-1, depth), values.reshape(-1, depth), fill)
    out = torch.empty(images.shape, dtype=torch.float32, device=images.device)
    count = images[0].numel()
    programs = triton.cdiv(count, 2 * BLOCK)
    _mix[(len(images) * programs,)](
        images, augmented, weights, m, out, chains, count, programs, BLOCK=2 * BLOCK, enable_fp_fusion=False
    )
    return out
