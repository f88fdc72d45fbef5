"""Loops of fog, snow and frost, compiled by numba for the CPU: parallel over images.

Every operation and its rounding is that of the tensor operations which other devices run, in the same order.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from robench.compiled import compiled, prange
from robench.corruptions._fused import fma
from robench.corruptions._kernels import _normals, _uniforms
from robench.corruptions.motion import blur_plane

_WIBBLE = 100.0
_SMALL = 128  # height and width together up to which an image is zoomed by the other order of sums


@compiled(nogil=True)
def plasma(index: Any, k0: Any, k1: Any, draw: Any, side: Any, decay: Any) -> Any:
    """Return one plasma map in [0, 1], float32 (side, side), by the diamond-square method on a torus."""
    noise = np.empty(side * side, np.float32)
    _uniforms(index, k0, k1, draw, noise)
    quarter, two, one = np.float32(0.25), np.float32(2.0), np.float32(1.0)
    maps = np.zeros((1, 1), np.float32)  # the corner is 0
    wibble, used, size = _WIBBLE, 0, 1
    while size < side:
        count = size * size
        amplitude = np.float32(wibble * wibble)
        centres = np.empty((size, size), np.float32)
        for y in range(size):
            below = y + 1 if y + 1 < size else 0
            for x in range(size):
                right = x + 1 if x + 1 < size else 0
                both, after = maps[y, x] + maps[below, x], maps[y, right] + maps[below, right]
                drawn = noise[used + y * size + x] * two - one
                centres[y, x] = (both + after) * quarter + amplitude * drawn
        larger = np.empty((2 * size, 2 * size), np.float32)
        for y in range(size):
            below, above = y + 1 if y + 1 < size else 0, y - 1 if y > 0 else size - 1
            for x in range(size):
                right, left = x + 1 if x + 1 < size else 0, x - 1 if x > 0 else size - 1
                centre, here = centres[y, x], maps[y, x]
                top = noise[used + count + y * size + x] * two - one
                side_ = noise[used + 2 * count + y * size + x] * two - one
                larger[2 * y, 2 * x] = here
                larger[2 * y, 2 * x + 1] = (
                    ((centre + centres[above, x]) + here) + maps[y, right]
                ) * quarter + amplitude * top
                larger[2 * y + 1, 2 * x] = (
                    ((centre + centres[y, left]) + here) + maps[below, x]
                ) * quarter + amplitude * side_
                larger[2 * y + 1, 2 * x + 1] = centre
        maps, used, size, wibble = larger, used + 3 * count, 2 * size, wibble / decay
    least, most = maps[0, 0], maps[0, 0]
    for y in range(side):
        for x in range(side):
            least, most = min(least, maps[y, x]), max(most, maps[y, x])
    span = most - least
    for y in range(side):
        for x in range(side):
            maps[y, x] = (maps[y, x] - least) / span
    return maps


@compiled(parallel=True, nogil=True)
def plasma_maps(index: Any, k0: Any, k1: Any, draw: Any, decay: Any, out: Any) -> None:
    """Fill float32 (N, side, side) with plasma maps."""
    for n in prange(len(index)):
        maps = plasma(index[n], k0, k1, draw, out.shape[1], decay)
        for y in range(out.shape[1]):
            for x in range(out.shape[2]):
                out[n, y, x] = maps[y, x]


@compiled(parallel=True, nogil=True)
def fog(images: Any, index: Any, k0: Any, k1: Any, draw: Any, side: Any, decay: Any, strength: Any, out: Any) -> None:
    """Add a plasma map to uint8 (N, C, H, W) and rescale so that an image's largest value stays; in float64."""
    n_images, channels, height, width = images.shape
    for n in prange(n_images):
        maps = plasma(index[n], k0, k1, draw, side, decay)
        most = np.uint8(0)
        for c in range(channels):
            for y in range(height):
                for x in range(width):
                    most = max(most, images[n, c, y, x])
        largest = most / 255.0
        scale = largest / (largest + strength)
        for c in range(channels):
            for y in range(height):
                for x in range(width):
                    value = (images[n, c, y, x] / 255.0 + maps[y, x] * strength) * scale
                    out[n, c, y, x] = np.uint8(min(max(value, 0.0), 1.0) * 255.0)


@compiled(nogil=True)
def zoomed(plane: Any, crop: Any, size: Any, trim: Any, out: Any) -> None:
    """Enlarge the middle of a plane bilinearly, corner pixels onto each other, and cut out the middle of that.

    Args:
        plane: float32 (H, W).
        crop: top, left, height and width of the part that is enlarged.
        size: height and width that it is enlarged to.
        trim: top and left of the part that is kept.
        out: float32 (H', W').
    """
    top, left, crop_h, crop_w = crop
    step_y = np.float32(crop_h - 1) / np.float32(size[0] - 1) if size[0] > 1 else np.float32(0.0)
    step_x = np.float32(crop_w - 1) / np.float32(size[1] - 1) if size[1] > 1 else np.float32(0.0)
    small = size[0] + size[1] <= _SMALL
    one = np.float32(1.0)
    for row in range(out.shape[0]):
        at = step_y * np.float32(row + trim[0])
        y0 = int(at)
        y1, down = min(y0 + 1, crop_h - 1), at - np.float32(y0)
        up = one - down
        for column in range(out.shape[1]):
            at = step_x * np.float32(column + trim[1])
            x0 = int(at)
            x1, right = min(x0 + 1, crop_w - 1), at - np.float32(x0)
            left_ = one - right
            a, b = plane[top + y0, left + x0], plane[top + y0, left + x1]
            c, d = plane[top + y1, left + x0], plane[top + y1, left + x1]
            if small:
                first = fma(up * left_, a, (up * right) * b)
                out[row, column] = fma(down * right, d, fma(down * left_, c, first))
            else:
                out[row, column] = fma(up, fma(left_, a, right * b), down * fma(left_, c, right * d))


@compiled(nogil=True)
def _flakes(
    index: Any, key: Any, tables: Any, moments: Any, threshold: Any, crop: Any, size: Any, trim: Any, out: Any
) -> None:
    """Fill uint8 (H, W) with one image's flakes before the wind: thresholded normal noise, zoomed into the centre."""
    height, width = out.shape
    noise = np.empty((height * width + 3) // 4 * 4, np.float32)
    _normals(index, key[0], key[1], 0, tables[0], tables[1], noise)
    mean, std, threshold = np.float32(moments[0]), np.float32(moments[1]), np.float32(threshold)
    plane = np.empty((height, width), np.float32)
    for y in range(height):
        for x in range(width):
            plane[y, x] = noise[y * width + x] * std + mean
    large = np.empty((height, width), np.float32)
    zoomed(plane, crop, size, trim, large)
    for y in range(height):
        for x in range(width):
            value = large[y, x] if large[y, x] >= threshold else np.float32(0.0)
            value = min(max(value, np.float32(0.0)), np.float32(1.0))
            out[y, x] = np.uint8(value * np.float32(255.0))


@compiled(nogil=True)
def _snowed(image: Any, flakes: Any, weights: Any, shifts: Any, weight: Any, out: Any) -> None:
    """Lay one image's flakes, drawn out by the wind, and the same turned by 180 degrees over its whitened self."""
    height, width = flakes.shape
    blown = np.empty((height, width), np.uint8)
    blur_plane(flakes, weights, shifts, blown)
    full, kept, lost = np.float32(255.0), np.float32(weight), np.float32(1.0 - weight)
    red, green, blue = np.float32(0.299), np.float32(0.587), np.float32(0.114)
    for y in range(height):
        for x in range(width):
            r = np.float32(image[0, y, x]) / full
            g = np.float32(image[1, y, x]) / full
            b = np.float32(image[2, y, x]) / full
            grey = ((r * red + g * green) + b * blue) * np.float32(1.5) + np.float32(0.5)
            one = np.float32(blown[y, x]) / full
            layer = one + np.float32(blown[height - 1 - y, width - 1 - x]) / full
            for c in range(3):
                value = np.float32(image[c, y, x]) / full
                value = (value * kept + max(value, grey) * lost) + layer
                out[c, y, x] = np.uint8(min(max(value, np.float32(0.0)), np.float32(1.0)) * full)


@compiled(parallel=True, nogil=True)
def fill_flakes(
    index: Any, key: Any, tables: Any, moments: Any, threshold: Any, crop: Any, size: Any, trim: Any, out: Any
) -> None:
    """Fill uint8 (N, H, W) with flakes before the wind."""
    for n in prange(len(index)):
        _flakes(index[n], key, tables, moments, threshold, crop, size, trim, out[n])


@compiled(parallel=True, nogil=True)
def lay_snow(images: Any, flakes: Any, weights: Any, shifts: Any, weight: Any, out: Any) -> None:
    """Lay given flakes, uint8 (N, H, W), over uint8 (N, 3, H, W)."""
    for n in prange(len(images)):
        _snowed(images[n], flakes[n], weights, shifts[n], weight, out[n])


@compiled(parallel=True, nogil=True)
def lay_frost(images: Any, frost: Any, places: Any, weight: Any, frost_weight: Any, out: Any) -> None:
    """Lay crops of frost over uint8 (N, 3, H, W), in float64.

    Args:
        images: uint8 (N, 3, H, W).
        frost: uint8, all frost images (3, H', W') one after another in one row.
        places: int64 (N, 3): where an image's crop begins in it, and how far its rows and planes are apart.
        weight: of the image.
        frost_weight: of the frost.
        out: uint8 (N, 3, H, W).
    """
    n_images, channels, height, width = images.shape
    for n in prange(n_images):
        start, row, plane = places[n, 0], places[n, 1], places[n, 2]
        for c in range(channels):
            for y in range(height):
                at = start + c * plane + y * row
                for x in range(width):
                    value = fma(float(frost[at + x]), frost_weight, images[n, c, y, x] * weight)
                    out[n, c, y, x] = np.uint8(min(max(value, 0.0), 255.0))


@compiled(parallel=True, nogil=True)
def zoom_mean_oblong(images: Any, table: Any, out: Any) -> None:
    """Return the mean of an image and its zooms for images that are not square: uint8 (N, C, H, W).

    ``table`` is int64 (zooms, 8): top, left, height and width of the crop, height and width that it is enlarged to,
    top and left of what is kept.
    """
    n_images, channels, height, width = images.shape
    number = np.float32(len(table) + 1)
    for task in prange(n_images * channels):
        n, c = task // channels, task % channels
        plane = np.empty((height, width), np.float32)
        total = np.empty((height, width), np.float32)
        large = np.empty((height, width), np.float32)
        for y in range(height):
            for x in range(width):
                plane[y, x] = np.float32(images[n, c, y, x])
                total[y, x] = plane[y, x]
        for z in range(len(table)):
            crop = (table[z, 0], table[z, 1], table[z, 2], table[z, 3])
            zoomed(plane, crop, (table[z, 4], table[z, 5]), (table[z, 6], table[z, 7]), large)
            for y in range(height):
                for x in range(width):
                    total[y, x] += large[y, x]
        for y in range(height):
            for x in range(width):
                value = total[y, x] / number + np.float32(5e-5)
                out[n, c, y, x] = np.uint8(min(max(value, np.float32(0.0)), np.float32(255.0)))
