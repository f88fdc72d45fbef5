"""Loops over pixels, compiled by numba for the CPU; every image is worked on by one thread, in one order."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import uint32, uint64

from robench.compiled import compiled, prange

_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = np.uint32(0x9E3779B9), np.uint32(0xBB67AE85)
_SCALE = 2.0**-24


@compiled(inline="always")
def philox(c0: Any, c1: Any, c2: Any, c3: Any, k0: Any, k1: Any) -> Any:
    """Return the four 32-bit words of Philox-4x32-10 (Salmon et al. 2011) for a counter and a key."""
    for _ in range(10):
        first, second = uint64(c0) * _M0, uint64(c2) * _M1
        c0, c1, c2, c3 = (
            uint32(second >> uint64(32)) ^ c1 ^ k0,
            uint32(second),
            uint32(first >> uint64(32)) ^ c3 ^ k1,
            uint32(first),
        )
        k0, k1 = uint32(k0 + _W0), uint32(k1 + _W1)
    return c0, c1, c2, c3


@compiled(inline="always")
def _words(index: Any, k0: Any, k1: Any, draw: Any, out: Any) -> None:
    low, high = uint32(index & 0xFFFFFFFF), uint32(index >> 32)
    for block in range(out.shape[0]):
        a, b, c, d = philox(low, high, uint32(block), uint32(draw), uint32(k0), uint32(k1))
        out[block, 0], out[block, 1], out[block, 2], out[block, 3] = a, b, c, d


@compiled(parallel=True, nogil=True)
def fill_words(index: Any, k0: Any, k1: Any, draw: Any, out: Any) -> None:
    """Fill uint32 (N, blocks, 4) with the words of every image."""
    for n in prange(len(index)):
        _words(index[n], k0, k1, draw, out[n])


@compiled(nogil=True)
def fill_few_words(index: Any, k0: Any, k1: Any, draw: Any, out: Any) -> None:
    """Do the same on one thread, where waiting for the others would cost more than the numbers."""
    for n in range(len(index)):
        _words(index[n], k0, k1, draw, out[n])


@compiled(inline="always")
def _uniforms(index: Any, k0: Any, k1: Any, draw: Any, out: Any) -> None:
    low, high = uint32(index & 0xFFFFFFFF), uint32(index >> 32)
    for block in range(len(out) // 4):
        a, b, c, d = philox(low, high, uint32(block), uint32(draw), uint32(k0), uint32(k1))
        out[4 * block] = np.float32(a >> uint32(8)) * np.float32(_SCALE)
        out[4 * block + 1] = np.float32(b >> uint32(8)) * np.float32(_SCALE)
        out[4 * block + 2] = np.float32(c >> uint32(8)) * np.float32(_SCALE)
        out[4 * block + 3] = np.float32(d >> uint32(8)) * np.float32(_SCALE)


@compiled(parallel=True, nogil=True)
def fill_uniforms(index: Any, k0: Any, k1: Any, draw: Any, out: Any) -> None:
    """Fill float32 (N, count), count a multiple of 4, with multiples of 2**-24 in [0, 1)."""
    for n in prange(len(index)):
        _uniforms(index[n], k0, k1, draw, out[n])


@compiled(nogil=True)
def fill_few_uniforms(index: Any, k0: Any, k1: Any, draw: Any, out: Any) -> None:
    """Do the same on one thread, where waiting for the others would cost more than the numbers."""
    for n in range(len(index)):
        _uniforms(index[n], k0, k1, draw, out[n])


@compiled(inline="always")
def normal_of(word: Any, middle: Any, tail: Any) -> Any:
    """Return the standard normal float32 of a word; see :meth:`robench.corruptions.random.Stream.normal`."""
    u = word >> uint32(8)
    place, rest = u >> uint32(12), u & uint32(0xFFF)
    if place == 0:
        return tail[rest]
    if place == 4095:
        return -tail[4095 - rest]
    low = middle[place]
    step = (np.float32(rest) + np.float32(0.5)) * np.float32(1.0 / 4096.0)
    return low + step * (middle[place + 1] - low)


@compiled(inline="always")
def _normals(index: Any, k0: Any, k1: Any, draw: Any, middle: Any, tail: Any, out: Any) -> None:
    low, high = uint32(index & 0xFFFFFFFF), uint32(index >> 32)
    for block in range(len(out) // 4):
        a, b, c, d = philox(low, high, uint32(block), uint32(draw), uint32(k0), uint32(k1))
        out[4 * block] = normal_of(a, middle, tail)
        out[4 * block + 1] = normal_of(b, middle, tail)
        out[4 * block + 2] = normal_of(c, middle, tail)
        out[4 * block + 3] = normal_of(d, middle, tail)


@compiled(parallel=True, nogil=True)
def fill_normals(index: Any, k0: Any, k1: Any, draw: Any, middle: Any, tail: Any, out: Any) -> None:
    """Fill float32 (N, count), count a multiple of 4, with normals."""
    for n in prange(len(index)):
        _normals(index[n], k0, k1, draw, middle, tail, out[n])


@compiled(nogil=True)
def fill_few_normals(index: Any, k0: Any, k1: Any, draw: Any, middle: Any, tail: Any, out: Any) -> None:
    """Do the same on one thread, where waiting for the others would cost more than the numbers."""
    for n in range(len(index)):
        _normals(index[n], k0, k1, draw, middle, tail, out[n])


@compiled(inline="always")
def clip_to_byte(x: Any) -> Any:
    """Return a value in [0, 1] as a byte, clipped and truncated."""
    return np.uint8(min(max(x, np.float32(0.0)), np.float32(1.0)) * np.float32(255.0))


@compiled()
def _moves_of_row(words: Any, start: Any, reach: Any, width: Any, out: Any) -> None:
    """Fill out (W,) with the distance in bytes from each pixel of a row to the one that it copies."""
    span = uint64(2 * reach)
    for x in range(width):
        dx = np.int32((uint64(words[start + 2 * x]) * span) >> uint64(32)) - reach
        dy = np.int32((uint64(words[start + 2 * x + 1]) * span) >> uint64(32)) - reach
        out[x] = np.int32(3 * (dy * width + dx))


@compiled(nogil=True)
def displace_one(image: Any, index: Any, k0: Any, k1: Any, iterations: Any, reach: Any, out: Any) -> None:
    """Copy neighbours as glass_blur does: uint8 (H, W, 3).

    The shifts are those of ``stream.integers(0, -reach, reach, (iterations, H, W, 2))``, as (dx, dy). Only the copies
    must follow each other; a row's shifts are drawn before them, in a loop that vectorises.
    """
    height, width = image.shape[0], image.shape[1]
    low, high = uint32(index & 0xFFFFFFFF), uint32(index >> 32)
    words = np.empty((width // 2 + 2, 4), np.uint32)
    flat_words, moves = words.reshape(-1), np.empty(width, np.int32)
    for y in range(height):
        for x in range(width):
            for c in range(3):
                out[y, x, c] = image[y, x, c]
    flat = out.reshape(-1)
    for t in range(iterations):
        for y in range(height - reach, reach, -1):
            first = np.int64((t * height + y) * width * 2)  # word of the row's first pixel
            block = first >> 2
            for b in range(len(words)):
                words[b, 0], words[b, 1], words[b, 2], words[b, 3] = philox(
                    low, high, uint32(block + b), uint32(0), uint32(k0), uint32(k1)
                )
            _moves_of_row(flat_words, first & 3, np.int32(reach), np.int32(width), moves)
            for x in range(width - reach, reach, -1):
                place = np.int64(3 * (y * width + x))
                # Unsigned: numba lets negative indices count from the end, which costs a branch each.
                to, source = uint64(place), uint64(place + moves[x])
                flat[to] = flat[source]
                flat[to + uint64(1)] = flat[source + uint64(1)]
                flat[to + uint64(2)] = flat[source + uint64(2)]


@compiled(parallel=True, nogil=True)
def zoom_mean(images: Any, lows: Any, steps: Any, starts: Any, out: Any) -> None:
    """Return the mean of an image and its zooms: uint8 (N, H, W, 3), bilinear.

    Args:
        images: uint8 (N, H, W, 3), square.
        lows: int64 (zooms, side): the lower of the two source pixels of every output pixel, along both axes.
        steps: float32 (zooms, side): the weight of the upper one.
        starts: int64 (zooms,): first source pixel of each zoom's crop, so that only its columns are worked on.
        out: uint8 (N, H, W, 3).
    """
    n_images, side = images.shape[0], images.shape[1]
    zooms = lows.shape[0]
    scale = np.float32(1.0 / (zooms + 1))
    for task in prange(n_images * side):
        n, y = task // side, task % side
        total = np.empty((side, 3), np.float32)
        row = np.empty((side + 1, 3), np.float32)
        for x in range(side):
            for c in range(3):
                total[x, c] = images[n, y, x, c]
        for z in range(zooms):
            upper, down = lows[z, y], steps[z, y]
            lower = min(upper + 1, side - 1)
            up = np.float32(1.0) - down
            for x in range(starts[z], side - starts[z]):
                for c in range(3):
                    row[x, c] = up * images[n, upper, x, c] + down * images[n, lower, x, c]
            for x in range(side):
                left, right = lows[z, x], steps[z, x]
                after = min(left + 1, side - 1)
                for c in range(3):
                    total[x, c] += row[left, c] + right * (row[after, c] - row[left, c])
        for x in range(side):
            for c in range(3):
                out[n, y, x, c] = np.uint8(min(total[x, c] * scale + np.float32(5e-5), np.float32(255.0)))


@compiled(nogil=True)
def sample_reflected(image: Any, dx: Any, dy: Any, out: Any) -> None:
    """Sample float32 (H, W, 3) at (y + dy, x + dx), bilinear, mirrored at the edges (d c b a | a b c d | d c b a)."""
    height, width = image.shape[0], image.shape[1]
    for y in range(height):
        for x in range(width):
            sy, sx = np.float64(y) + dy[y, x], np.float64(x) + dx[y, x]
            fy, fx = np.floor(sy), np.floor(sx)
            wy, wx = np.float32(sy - fy), np.float32(sx - fx)
            y0, y1 = mirror(int(fy), height), mirror(int(fy) + 1, height)
            x0, x1 = mirror(int(fx), width), mirror(int(fx) + 1, width)
            for c in range(3):
                top = image[y0, x0, c] + wx * (image[y0, x1, c] - image[y0, x0, c])
                bottom = image[y1, x0, c] + wx * (image[y1, x1, c] - image[y1, x0, c])
                value = top + wy * (bottom - top) + np.float32(5e-5)
                out[y, x, c] = np.uint8(min(max(value, np.float32(0.0)), np.float32(255.0)))


@compiled(inline="always")
def mirror(i: Any, n: Any) -> Any:
    """Return the index that scipy's mode ``reflect`` reads for i."""
    i = i % (2 * n)
    return i if i < n else 2 * n - 1 - i
