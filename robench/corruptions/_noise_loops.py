"""Loops of noise on every value: the words of a stretch of an image first, then what is made of them.

Apart, both loops are simple enough for the compiler to work on several values by one instruction.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import uint32

from robench.compiled import compiled, prange
from robench.corruptions._kernels import clip_to_byte, philox

STRETCH = 1024  # values, a multiple of 4: their words stay in a core's first cache
_SCALE = 2.0**-24


@compiled(nogil=True)
def fill_stretch(low: Any, high: Any, k0: Any, k1: Any, first: Any, words: Any) -> None:
    """Fill uint32 (4, blocks) with the words of an image's counters from ``first`` on, draw 0."""
    for block in range(words.shape[1]):
        a, b, c, d = philox(low, high, uint32(first + block), uint32(0), uint32(k0), uint32(k1))
        words[0, block], words[1, block], words[2, block], words[3, block] = a, b, c, d


@compiled(nogil=True)
def _normals(words: Any, middle: Any, tail: Any, out: Any) -> None:
    """Fill float32 (4 * blocks,) with :func:`robench.corruptions._kernels.normal_of` of words, (4, blocks)."""
    for lane in range(4):
        for block in range(words.shape[1]):
            u = words[lane, block] >> uint32(8)
            place, rest = u >> uint32(12), u & uint32(0xFFF)
            below = middle[place]
            step = (np.float32(rest) + np.float32(0.5)) * np.float32(1.0 / 4096.0)
            out[4 * block + lane] = below + step * (middle[place + uint32(1)] - below)
    for lane in range(4):
        for block in range(words.shape[1]):
            place = words[lane, block] >> uint32(20)
            if place == uint32(0) or place == uint32(4095):
                rest = (words[lane, block] >> uint32(8)) & uint32(0xFFF)
                out[4 * block + lane] = tail[rest] if place == uint32(0) else -tail[uint32(4095) - rest]


@compiled(parallel=True, nogil=True)
def normal_noise(
    images: Any, index: Any, k0: Any, k1: Any, strength: Any, relative: bool, middle: Any, tail: Any, out: Any
) -> None:
    """Add normal noise to uint8 (N, values), in proportion to the value where ``relative``."""
    values = images.shape[1]
    strength = np.float32(strength)
    for n in prange(len(images)):
        low, high = uint32(index[n] & 0xFFFFFFFF), uint32(index[n] >> 32)
        words, normal = np.empty((4, STRETCH // 4), np.uint32), np.empty(STRETCH, np.float32)
        for start in range(0, values, STRETCH):
            fill_stretch(low, high, k0, k1, start // 4, words)
            _normals(words, middle, tail, normal)
            stop = min(STRETCH, values - start)
            before, after = images[n, start : start + stop], out[n, start : start + stop]
            if relative:
                for i in range(stop):
                    x = np.float32(before[i]) / np.float32(255.0)
                    after[i] = clip_to_byte(x + x * strength * normal[i])
            else:
                for i in range(stop):
                    x = np.float32(before[i]) / np.float32(255.0)
                    after[i] = clip_to_byte(x + strength * normal[i])


@compiled(parallel=True, nogil=True)
def impulses(images: Any, index: Any, k0: Any, k1: Any, fraction: Any, out: Any) -> None:
    """Set a fraction of uint8 (N, values) to 0 or 255."""
    values = images.shape[1]
    all_of, half = np.float32(fraction), np.float32(fraction / 2)
    for n in prange(len(images)):
        low, high = uint32(index[n] & 0xFFFFFFFF), uint32(index[n] >> 32)
        words, part = np.empty((4, STRETCH // 4), np.uint32), np.empty(STRETCH, np.float32)
        for start in range(0, values, STRETCH):
            fill_stretch(low, high, k0, k1, start // 4, words)
            for lane in range(4):
                for block in range(STRETCH // 4):
                    part[4 * block + lane] = np.float32(words[lane, block] >> uint32(8)) * np.float32(_SCALE)
            stop = min(STRETCH, values - start)
            before, after = images[n, start : start + stop], out[n, start : start + stop]
            for i in range(stop):
                u = part[i]
                after[i] = np.uint8(255) if u < half else np.uint8(0) if u < all_of else before[i]


@compiled(parallel=True, nogil=True)
def shot(images: Any, index: Any, k0: Any, k1: Any, tables: Any, guide: Any, values: Any, out: Any) -> None:
    """Draw from each level's table of cumulative probabilities by bisection; uint8 (N, values).

    ``guide`` (256, 257) says between which two counts of a level's table a number with these first 8 bits lies.
    """
    for n in prange(len(images)):
        low, high = uint32(index[n] & 0xFFFFFFFF), uint32(index[n] >> 32)
        words = np.empty((4, STRETCH // 4), np.uint32)
        for start in range(0, images.shape[1], STRETCH):
            fill_stretch(low, high, k0, k1, start // 4, words)
            for i in range(start, min(start + STRETCH, images.shape[1])):
                word = words[i & 3, (i - start) >> 2]
                level = images[n, i]
                u = np.float64(word >> uint32(8)) * _SCALE
                first = word >> uint32(24)
                left, right = guide[level, first], guide[level, first + 1]
                while left < right:
                    middle = (left + right) >> 1
                    if tables[level, middle] > u:
                        right = middle
                    else:
                        left = middle + 1
                out[n, i] = values[left]
