"""Triton kernels of JPEG's round trip, bit for bit as :func:`robench.corruptions.jpeg.roundtrip_tensor` makes it.

Colours and the transform of rows; the transform of columns, quantisation and the way back; rows back; colours back.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl

from robench.corruptions._gpu import kept
from robench.corruptions.jpeg import CHROMINANCE, LUMINANCE, quantisation

BLOCK = 128
jit: Any = triton.jit


@jit
def _descale(value, BITS: tl.constexpr):
    if BITS < 0:
        return value << -BITS
    else:
        return (value + (1 << (BITS - 1))) >> BITS


@jit
def _forward(x0, x1, x2, x3, x4, x5, x6, x7, EVEN: tl.constexpr, ODD: tl.constexpr):
    """Transform eight samples, as ``jpeg_dct._forward`` does; its constants have 13 fractional bits."""
    s0, s1, s2, s3 = x0 + x7, x1 + x6, x2 + x5, x3 + x4
    t4, t5, t6, t7 = x3 - x4, x2 - x5, x1 - x6, x0 - x7
    t10, t13, t11, t12 = s0 + s3, s0 - s3, s1 + s2, s1 - s2
    shared = (t12 + t13) * 4433
    z1, z2, z3, z4 = (t4 + t7) * -7373, (t5 + t6) * -20995, t4 + t6, t5 + t7
    z5 = (z3 + z4) * 9633
    z3, z4 = z3 * -16069 + z5, z4 * -3196 + z5
    return (
        _descale(t10 + t11, EVEN), _descale(t7 * 12299 + z1 + z4, ODD), _descale(shared + t13 * 6270, ODD),
        _descale(t6 * 25172 + z2 + z3, ODD), _descale(t10 - t11, EVEN), _descale(t5 * 16819 + z2 + z4, ODD),
        _descale(shared + t12 * -15137, ODD), _descale(t4 * 2446 + z1 + z3, ODD),
    )  # fmt: skip


@jit
def _inverse(x0, x1, x2, x3, x4, x5, x6, x7, BITS: tl.constexpr):
    """Transform eight coefficients back, as ``jpeg_dct._inverse`` does."""
    shared = (x2 + x6) * 4433
    t2, t3 = shared + x6 * -15137, shared + x2 * 6270
    t0, t1 = (x0 + x4) << 13, (x0 - x4) << 13
    e0, e1, e2, e3 = t0 + t3, t1 + t2, t1 - t2, t0 - t3
    z1, z2, z3, z4 = (x7 + x1) * -7373, (x5 + x3) * -20995, x7 + x3, x5 + x1
    z5 = (z3 + z4) * 9633
    z3, z4 = z3 * -16069 + z5, z4 * -3196 + z5
    o0, o1 = x1 * 12299 + z1 + z4, x3 * 25172 + z2 + z3
    o2, o3 = x5 * 16819 + z2 + z4, x7 * 2446 + z1 + z3
    return (
        _descale(e0 + o0, BITS), _descale(e1 + o1, BITS), _descale(e2 + o2, BITS), _descale(e3 + o3, BITS),
        _descale(e3 - o3, BITS), _descale(e2 - o2, BITS), _descale(e1 - o1, BITS), _descale(e0 - o0, BITS),
    )  # fmt: skip


@jit
def _mixed(images, row, column, height, width, red, green, blue, bias, within):
    """Return one of Y, Cb and Cr of pixels, by 16-bit weights."""
    at = tl.minimum(row, height - 1) * width + tl.minimum(column, width - 1)
    r = tl.load(images + at, mask=within, other=0).to(tl.int32)
    g = tl.load(images + at + height * width, mask=within, other=0).to(tl.int32)
    b = tl.load(images + at + 2 * height * width, mask=within, other=0).to(tl.int32)
    return (red * r + green * g + blue * b + bias) >> 16


@jit
def _sample(images, row, column, height, width, red, green, blue, within, LUMA: tl.constexpr):
    """Return Y, or the average of four pixels' Cb or Cr, less 128; edges repeated as libjpeg does."""
    if LUMA:
        found = _mixed(images, row, column, height, width, 19595, 38470, 7471, 1 << 15, within)
    else:
        up, left = 2 * tl.minimum(row, (height + 1) // 2 - 1), 2 * column
        bias = (128 << 16) + (1 << 15) - 1
        found = _mixed(images, up, left, height, width, red, green, blue, bias, within)
        found += _mixed(images, up, left + 1, height, width, red, green, blue, bias, within)
        found += _mixed(images, up + 1, left, height, width, red, green, blue, bias, within)
        found += _mixed(images, up + 1, left + 1, height, width, red, green, blue, bias, within)
        found = (found + column % 2 + 1) >> 2
    return found - 128


@jit(do_not_specialize=("number",))
def _rows(images, out, number, height, width, rows, columns, programs, LUMA: tl.constexpr, BLOCK: tl.constexpr):
    """Fill int16 (planes, rows, columns) with the transforms of rows of eight; all Cb, then all Cr."""
    plane = tl.program_id(0) // programs
    i = tl.program_id(0) % programs * BLOCK + tl.arange(0, BLOCK)
    within = i < rows * columns // 8
    row, first = i // (columns // 8), i % (columns // 8) * 8
    is_red = plane >= number
    red, green = tl.where(is_red, 32768, -11059), tl.where(is_red, -27439, -21709)
    blue = tl.where(is_red, -5329, 32768)
    images += (plane % number).to(tl.int64) * 3 * height * width
    x0 = _sample(images, row, first, height, width, red, green, blue, within, LUMA)
    x1 = _sample(images, row, first + 1, height, width, red, green, blue, within, LUMA)
    x2 = _sample(images, row, first + 2, height, width, red, green, blue, within, LUMA)
    x3 = _sample(images, row, first + 3, height, width, red, green, blue, within, LUMA)
    x4 = _sample(images, row, first + 4, height, width, red, green, blue, within, LUMA)
    x5 = _sample(images, row, first + 5, height, width, red, green, blue, within, LUMA)
    x6 = _sample(images, row, first + 6, height, width, red, green, blue, within, LUMA)
    x7 = _sample(images, row, first + 7, height, width, red, green, blue, within, LUMA)
    y0, y1, y2, y3, y4, y5, y6, y7 = _forward(x0, x1, x2, x3, x4, x5, x6, x7, -2, 11)
    out += plane.to(tl.int64) * rows * columns + i * 8
    tl.store(out, y0.to(tl.int16), mask=within)
    tl.store(out + 1, y1.to(tl.int16), mask=within)
    tl.store(out + 2, y2.to(tl.int16), mask=within)
    tl.store(out + 3, y3.to(tl.int16), mask=within)
    tl.store(out + 4, y4.to(tl.int16), mask=within)
    tl.store(out + 5, y5.to(tl.int16), mask=within)
    tl.store(out + 6, y6.to(tl.int16), mask=within)
    tl.store(out + 7, y7.to(tl.int16), mask=within)


@jit
def _quantised(coefficient, steps, within):
    """Return a coefficient after division by its step, rounding, and multiplication."""
    step = tl.load(steps, mask=within, other=1)
    level = (tl.abs(coefficient) + step * 4) // (step * 8)
    return tl.where(coefficient < 0, -level, level) * step


@jit
def _columns(planes, steps, out, rows, columns, programs, BLOCK: tl.constexpr):
    """Finish the transform of int16 (planes, rows, columns), quantise, and undo the columns into int32."""
    plane = tl.program_id(0) // programs
    i = tl.program_id(0) % programs * BLOCK + tl.arange(0, BLOCK)
    within = i < rows * columns // 8
    column = i % columns
    start = plane.to(tl.int64) * rows * columns + i // columns * 8 * columns + column
    planes += start
    x0 = tl.load(planes, mask=within, other=0).to(tl.int32)
    x1 = tl.load(planes + columns, mask=within, other=0).to(tl.int32)
    x2 = tl.load(planes + 2 * columns, mask=within, other=0).to(tl.int32)
    x3 = tl.load(planes + 3 * columns, mask=within, other=0).to(tl.int32)
    x4 = tl.load(planes + 4 * columns, mask=within, other=0).to(tl.int32)
    x5 = tl.load(planes + 5 * columns, mask=within, other=0).to(tl.int32)
    x6 = tl.load(planes + 6 * columns, mask=within, other=0).to(tl.int32)
    x7 = tl.load(planes + 7 * columns, mask=within, other=0).to(tl.int32)
    x0, x1, x2, x3, x4, x5, x6, x7 = _forward(x0, x1, x2, x3, x4, x5, x6, x7, 2, 15)
    steps += column % 8
    y0, y1, y2, y3, y4, y5, y6, y7 = _inverse(
        _quantised(x0, steps, within), _quantised(x1, steps + 8, within), _quantised(x2, steps + 16, within),
        _quantised(x3, steps + 24, within), _quantised(x4, steps + 32, within), _quantised(x5, steps + 40, within),
        _quantised(x6, steps + 48, within), _quantised(x7, steps + 56, within), 11,
    )  # fmt: skip
    out += start
    tl.store(out, y0, mask=within)
    tl.store(out + columns, y1, mask=within)
    tl.store(out + 2 * columns, y2, mask=within)
    tl.store(out + 3 * columns, y3, mask=within)
    tl.store(out + 4 * columns, y4, mask=within)
    tl.store(out + 5 * columns, y5, mask=within)
    tl.store(out + 6 * columns, y6, mask=within)
    tl.store(out + 7 * columns, y7, mask=within)


@jit
def _level(value):
    return tl.minimum(tl.maximum(value + 128, 0), 255).to(tl.uint8)


@jit
def _rows_back(planes, out, count, BLOCK: tl.constexpr):
    """Undo rows of eight, int32 to bytes, of which there are ``count`` in all planes together."""
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    within = i < count
    planes += i * 8
    x0 = tl.load(planes, mask=within, other=0)
    x1 = tl.load(planes + 1, mask=within, other=0)
    x2 = tl.load(planes + 2, mask=within, other=0)
    x3 = tl.load(planes + 3, mask=within, other=0)
    x4 = tl.load(planes + 4, mask=within, other=0)
    x5 = tl.load(planes + 5, mask=within, other=0)
    x6 = tl.load(planes + 6, mask=within, other=0)
    x7 = tl.load(planes + 7, mask=within, other=0)
    y0, y1, y2, y3, y4, y5, y6, y7 = _inverse(x0, x1, x2, x3, x4, x5, x6, x7, 18)
    out += i * 8
    tl.store(out, _level(y0), mask=within)
    tl.store(out + 1, _level(y1), mask=within)
    tl.store(out + 2, _level(y2), mask=within)
    tl.store(out + 3, _level(y3), mask=within)
    tl.store(out + 4, _level(y4), mask=within)
    tl.store(out + 5, _level(y5), mask=within)
    tl.store(out + 6, _level(y6), mask=within)
    tl.store(out + 7, _level(y7), mask=within)


@jit
def _between(planes, near, far, column, columns, within):
    """Return three parts of a row and one of another at a column, the edges repeated."""
    column = tl.minimum(tl.maximum(column, 0), columns - 1)
    upper = tl.load(planes + near + column, mask=within, other=0).to(tl.int32)
    return 3 * upper + tl.load(planes + far + column, mask=within, other=0).to(tl.int32)


@jit
def _doubled(planes, row, column, height, width, stride, within):
    """Return a chroma plane, uint8 (rows, stride), at pixels, by libjpeg's triangle filter, less 128."""
    rows, columns = (height + 1) // 2, (width + 1) // 2
    near, odd = row // 2, column % 2
    far = tl.minimum(tl.maximum(near + row % 2 * 2 - 1, 0), rows - 1)
    here = _between(planes, near * stride, far * stride, column // 2, columns, within)
    side = _between(planes, near * stride, far * stride, column // 2 + odd * 2 - 1, columns, within)
    return ((3 * here + side + 8 - odd) >> 4) - 128


@jit(do_not_specialize=("number",))
def _colours(
    luma, chroma, out, number, height, width, luma_rows, luma_columns, rows, columns, programs, BLOCK: tl.constexpr
):
    """Fill uint8 (N, 3, H, W) from planes of Y, and of Cb and Cr at half the size."""
    image = (tl.program_id(0) // programs).to(tl.int64)
    i = tl.program_id(0) % programs * BLOCK + tl.arange(0, BLOCK)
    within = i < height * width
    row, column = i // width, i % width
    start = image * luma_rows * luma_columns + row * luma_columns + column
    y = tl.load(luma + start, mask=within, other=0).to(tl.int32)
    chroma += image * rows * columns
    cb = _doubled(chroma, row, column, height, width, columns, within)
    cr = _doubled(chroma + number.to(tl.int64) * rows * columns, row, column, height, width, columns, within)
    red = y + ((91881 * cr + 32768) >> 16)
    green = y + ((-22554 * cb - 46802 * cr + 32768) >> 16)
    blue = y + ((116130 * cb + 32768) >> 16)
    out += image * 3 * height * width + i
    tl.store(out, _level(red - 128), mask=within)
    tl.store(out + height * width, _level(green - 128), mask=within)
    tl.store(out + 2 * height * width, _level(blue - 128), mask=within)


def _coded(images: torch.Tensor, quality: int, *, luma: bool) -> torch.Tensor:
    """Return uint8 planes (N, H', W') of Y, or (2 N, H', W') of Cb and Cr, their sides multiples of 8."""
    device, (number, _, height, width) = images.device, images.shape
    table, cell = (LUMINANCE, 8) if luma else (CHROMINANCE, 16)
    steps = kept(device, ("jpeg", luma, quality), lambda: quantisation(table, quality))
    rows, columns = 8 * triton.cdiv(height, cell), 8 * triton.cdiv(width, cell)
    shape = (number if luma else 2 * number, rows, columns)
    programs = triton.cdiv(rows * columns // 8, BLOCK)
    first = torch.empty(shape, dtype=torch.int16, device=device)
    grid = (shape[0] * programs,)
    _rows[grid](images, first, number, height, width, rows, columns, programs, LUMA=luma, BLOCK=BLOCK)
    second = torch.empty(shape, dtype=torch.int32, device=device)
    _columns[grid](first, steps, second, rows, columns, programs, BLOCK=BLOCK)
    out = torch.empty(shape, dtype=torch.uint8, device=device)
    count = out.numel() // 8
    _rows_back[(triton.cdiv(count, BLOCK),)](second, out, count, BLOCK=BLOCK)
    return out


def roundtrip(images: torch.Tensor, quality: int) -> torch.Tensor:
    """Return uint8 images (N, 3, H, W), wider than 4 pixels, after encoding and decoding."""
    images = images.contiguous()
    luma, chroma = _coded(images, quality, luma=True), _coded(images, quality, luma=False)
    number, _, height, width = images.shape
    out = torch.empty_like(images)
    programs = triton.cdiv(height * width, 4 * BLOCK)
    _colours[(number * programs,)](
        luma, chroma, out, number, height, width, *luma.shape[1:], *chroma.shape[1:], programs, BLOCK=4 * BLOCK
    )
    return out
