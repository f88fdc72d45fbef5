"""Augmentation of uint8 images on the processor: every image its own operations, compiled, on all threads.

The arithmetic is Pillow's: warps take bilinear neighbours clamped to the image, blank only where the centre
falls outside, and truncate; point operations go through 256-entry tables; blends truncate. Against Pillow every
operation is bit-equal except where double-precision rounding of a coordinate differs (tests measure it).

Work is split over plain threads (the kernels release the GIL), never over a nested pool.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from robench.compiled import compiled
from robench.training.ops import operations as op

U8 = npt.NDArray[np.uint8]
_compiled = compiled(nogil=True, fastmath=False)

AUTOCONTRAST, EQUALIZE, POSTERIZE, ROTATE = op.AUTOCONTRAST, op.EQUALIZE, op.POSTERIZE, op.ROTATE
SOLARIZE, SHEAR_X, SHEAR_Y = op.SOLARIZE, op.SHEAR_X, op.SHEAR_Y
TRANSLATE_X, TRANSLATE_Y = op.TRANSLATE_X, op.TRANSLATE_Y
COLOR, CONTRAST, BRIGHTNESS, SHARPNESS, INVERT = op.COLOR, op.CONTRAST, op.BRIGHTNESS, op.SHARPNESS, op.INVERT


def apply(images: U8, ops: npt.NDArray[np.int64], values: npt.NDArray[np.float64], fill: int = 0) -> U8:
    """Apply to every image its own chain of operations, or several chains each to the image as it is.

    Args:
        images: uint8 (N, 3, H, W).
        ops: int64 (K N, D) operation numbers (``operations.NONE`` skips a step), an image's K chains in a row.
        values: float64 (K N, D).
        fill: grey value where a warp looks outside the image.

    Returns:
        uint8 (K N, 3, H, W), a new array.
    """
    ops, values = np.ascontiguousarray(ops), np.ascontiguousarray(values)  # the one order that loops are compiled for
    out = np.empty((len(ops), *images.shape[1:]), dtype=np.uint8)
    _in_parts(len(ops), lambda a, b: _apply_chains(images, ops, values, fill, out, a, b))
    return out


def mix(
    images: U8,
    ops: npt.NDArray[np.int64],
    values: npt.NDArray[np.float64],
    weights: npt.NDArray[np.float32],
    m: npt.NDArray[np.float32],
    fill: int = 0,
) -> npt.NDArray[np.float32]:
    """Augment in K chains, mix the chains, and mix the result with the image (AugMix).

    Args:
        images: uint8 (N, 3, H, W).
        ops, values: (N, K, D).
        weights: float32 (N, K), the convex weights of the chains.
        m: float32 (N,), the share of the mixed chains in the result.
        fill: grey value where a warp looks outside the image.

    Returns:
        float32 (N, 3, H, W) in [0, 1]: ``(1 - m) * image + m * sum_k weights_k * chain_k``, not rounded.
    """
    ops, values, weights = np.ascontiguousarray(ops), np.ascontiguousarray(values), np.ascontiguousarray(weights)
    out = np.empty(images.shape, dtype=np.float32)
    _in_parts(len(images), lambda a, b: _mix_chains(images, ops, values, weights, m, fill, out, a, b))
    return out


@lru_cache(maxsize=1)
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="robench-augment")


def _in_parts(count: int, work: Callable[[int, int], Any]) -> None:
    """Call ``work(start, stop)`` on equal parts, one per torch thread."""
    import torch

    threads = min(torch.get_num_threads(), max(1, count // 16))
    if threads == 1:
        work(0, count)
        return
    edges = [count * part // threads for part in range(threads + 1)]
    futures = [_pool(torch.get_num_threads()).submit(work, a, b) for a, b in itertools.pairwise(edges)]
    for future in futures:
        future.result()


@_compiled
def _apply_chains(images, ops, values, fill, out, start, stop):  # type: ignore[no-untyped-def]
    first, second = np.empty_like(images[0]), np.empty_like(images[0])
    chains = max(1, len(ops) // max(1, len(images)))
    for i in range(start, stop):
        result = _chain(images[i // chains], ops[i], values[i], fill, first, second)
        _copy(result, out[i])


@_compiled
def _mix_chains(images, ops, values, weights, m, fill, out, start, stop):  # type: ignore[no-untyped-def]
    first, second = np.empty_like(images[0]), np.empty_like(images[0])
    size = images[0].size
    for i in range(start, stop):
        target, source = out[i].reshape(size), images[i].reshape(size)
        keep = (np.float32(1.0) - m[i]) / np.float32(255.0)
        for j in range(size):
            target[j] = keep * np.float32(source[j])
        for k in range(ops.shape[1]):
            chain = _chain(images[i], ops[i, k], values[i, k], fill, first, second).reshape(size)
            weight = m[i] * weights[i, k] / np.float32(255.0)
            for j in range(size):
                target[j] += weight * np.float32(chain[j])


@_compiled
def _copy(source, out):  # type: ignore[no-untyped-def]
    """Copy an image: ``out[:] = source`` takes numba three seconds more to compile, for its message of shapes."""
    flat, target = source.reshape(source.size), out.reshape(out.size)
    for j in range(out.size):
        target[j] = flat[j]


@_compiled
def _chain(image, ops, values, fill, first, second):  # type: ignore[no-untyped-def]
    """Run one chain; the two scratch images take turns, and the last written one is returned."""
    current, target, other = image, first, second
    for d in range(ops.shape[0]):
        if ops[d] < 0:
            continue  # takes no turn: a warp would otherwise read the image that it is writing
        _one(current, ops[d], values[d], fill, target)
        current, target, other = target, other, target
    return current


@_compiled
def _one(source, number, value, fill, out):  # type: ignore[no-untyped-def]
    if number >= ROTATE and number != SOLARIZE and number <= TRANSLATE_Y:
        _warp(source, number, value, fill, out)
    elif number in (AUTOCONTRAST, EQUALIZE):
        _histogram_operation(source, number, out)
    elif number == POSTERIZE:
        mask = np.uint8(256 - (1 << (8 - int(value))) & 0xFF)
        flat, target = source.reshape(out.size), out.reshape(out.size)
        for j in range(out.size):
            target[j] = flat[j] & mask
    elif number in (SOLARIZE, INVERT):
        threshold = int(value) if number == SOLARIZE else 0
        flat, target = source.reshape(out.size), out.reshape(out.size)
        for j in range(out.size):
            target[j] = flat[j] if flat[j] < threshold else 255 - flat[j]
    else:
        _enhance(source, number, np.float32(value), out)


@_compiled
def _histogram_operation(source, number, out):  # type: ignore[no-untyped-def]
    size = source.shape[1] * source.shape[2]
    histogram = np.empty(256, dtype=np.int64)
    table = np.empty(256, dtype=np.uint8)
    for c in range(3):
        flat, target = source[c].reshape(size), out[c].reshape(size)
        histogram[:] = 0
        for j in range(size):
            histogram[flat[j]] += 1
        if number == EQUALIZE:
            _equalize_table(histogram, table)
        else:
            _autocontrast_table(histogram, table)
        for j in range(size):
            target[j] = table[flat[j]]


@_compiled
def _autocontrast_table(histogram, table):  # type: ignore[no-untyped-def]
    low, high = 0, 255
    while low < 255 and histogram[low] == 0:
        low += 1
    while high > 0 and histogram[high] == 0:
        high -= 1
    for v in range(256):
        table[v] = v
    if high > low:
        scale = 255.0 / (high - low)
        offset = -low * scale
        for v in range(256):
            table[v] = min(max(int(v * scale + offset), 0), 255)


@_compiled
def _equalize_table(histogram, table):  # type: ignore[no-untyped-def]
    total, last, kinds = 0, 0, 0
    for v in range(256):
        if histogram[v]:
            total += histogram[v]
            last = histogram[v]
            kinds += 1
    step = (total - last) // 255
    if kinds <= 1 or step == 0:
        for v in range(256):
            table[v] = v
        return
    n = step // 2
    for v in range(256):
        table[v] = min(n // step, 255)
        n += histogram[v]


@_compiled
def _warp(source, number, value, fill, out):  # type: ignore[no-untyped-def]
    if value == 0.0:
        _copy(source, out)
    elif number in (TRANSLATE_X, TRANSLATE_Y):
        _shift(source, number, int(value), fill, out)
    elif number == SHEAR_X:
        _shear_rows(source, value, fill, out)
    elif number == SHEAR_Y:
        _affine(source, 1.0, 0.0, 0.0, value, 1.0, 0.0, fill, out)
    else:
        _rotate(source, value, fill, out)


@_compiled
def _shift(source, number, distance, fill, out):  # type: ignore[no-untyped-def]
    height, width = source.shape[1], source.shape[2]
    dx = distance if number == TRANSLATE_X else 0
    dy = distance if number == TRANSLATE_Y else 0
    for c in range(3):
        for y in range(height):
            for x in range(width):
                inside = 0 <= y + dy < height and 0 <= x + dx < width
                out[c, y, x] = source[c, y + dy, x + dx] if inside else fill


@_compiled
def _shear_rows(source, value, fill, out):  # type: ignore[no-untyped-def]
    """Shear along x: within a row every pixel moves by the same fraction, so the row is one interpolation."""
    height, width = source.shape[1], source.shape[2]
    for y in range(height):
        offset = value * (y + 0.5)
        whole = math.floor(offset)
        part = offset - whole
        for c in range(3):
            row, target = source[c, y], out[c, y]
            for x in range(width):
                centre = x + 0.5 + offset
                if centre < 0.0 or centre >= width:
                    target[x] = fill
                    continue
                left = min(max(x + whole, 0), width - 1)
                right = min(max(x + whole + 1, 0), width - 1)
                a = float(row[left])
                target[x] = int(a + (float(row[right]) - a) * part)


@_compiled
def _rotate(source, degrees, fill, out):  # type: ignore[no-untyped-def]
    height, width = source.shape[1], source.shape[2]
    angle = -math.radians(degrees % 360.0)
    cosine, sine = math.cos(angle), math.sin(angle)
    cx, cy = width / 2.0, height / 2.0
    _affine(
        source,
        cosine, sine, cosine * -cx + sine * -cy + cx,
        -sine, cosine, -sine * -cx + cosine * -cy + cy,
        fill, out,
    )  # fmt: skip


@_compiled
def _affine(source, a, b, c, d, e, f, fill, out):  # type: ignore[no-untyped-def]
    """Write ``out[y, x] = source`` at ``(a x + b y + c, d x + e y + f)``, bilinear, as Pillow's transform."""
    height, width = source.shape[1], source.shape[2]
    for y in range(height):
        for x in range(width):
            xin = a * (x + 0.5) + b * (y + 0.5) + c
            yin = d * (x + 0.5) + e * (y + 0.5) + f
            if xin < 0.0 or xin >= width or yin < 0.0 or yin >= height:
                for channel in range(3):
                    out[channel, y, x] = fill
                continue
            xf, yf = math.floor(xin - 0.5), math.floor(yin - 0.5)
            dx, dy = xin - 0.5 - xf, yin - 0.5 - yf
            x0, x1 = max(int(xf), 0), min(int(xf) + 1, width - 1)
            y0, y1 = max(int(yf), 0), min(int(yf) + 1, height - 1)
            for channel in range(3):
                upper, lower = source[channel, y0], source[channel, y1]
                top = upper[x0] + (float(upper[x1]) - float(upper[x0])) * dx
                bottom = lower[x0] + (float(lower[x1]) - float(lower[x0])) * dx
                out[channel, y, x] = int(top + (bottom - top) * dy)


@_compiled
def _grey(source, y, x):  # type: ignore[no-untyped-def]
    """Luma of ITU-R 601 in 16-bit fixed point, as Pillow's conversion to ``L``."""
    r, g, b = int(source[0, y, x]), int(source[1, y, x]), int(source[2, y, x])
    return (r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16


@_compiled
def _blend(base, value, factor):  # type: ignore[no-untyped-def]
    """Blend from ``base`` (factor 0) to ``value`` (factor 1) and beyond, in float32, truncated, clipped."""
    mixed = np.float32(base) + factor * np.float32(int(value) - int(base))
    return np.uint8(min(max(mixed, np.float32(0.0)), np.float32(255.0)))


@_compiled
def _enhance(source, number, factor, out):  # type: ignore[no-untyped-def]
    height, width = source.shape[1], source.shape[2]
    mean = 0
    if number == CONTRAST:
        total = 0
        for y in range(height):
            for x in range(width):
                total += _grey(source, y, x)
        mean = int(total / (height * width) + 0.5)
    for y in range(height):
        for x in range(width):
            base = mean
            if number == COLOR:
                base = _grey(source, y, x)
            for c in range(3):
                if number == SHARPNESS:
                    base = _smooth(source[c], y, x)
                out[c, y, x] = _blend(base, source[c, y, x], factor)


@_compiled
def _smooth(plane, y, x):  # type: ignore[no-untyped-def]
    """Pillow's SMOOTH filter: 3x3 ones with 5 in the centre, over 13; the border is left as it is."""
    height, width = plane.shape
    if y == 0 or x == 0 or y == height - 1 or x == width - 1:
        return int(plane[y, x])
    total = 4 * int(plane[y, x])
    for dy in range(-1, 2):
        for dx in range(-1, 2):
            total += int(plane[y + dy, x + dx])
    return int(total / 13.0 + 0.5)
