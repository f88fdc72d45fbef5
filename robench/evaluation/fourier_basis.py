"""The real 2-d Fourier basis: U_ij, an image of unit L2 norm, has a spectrum of (i, j) and its mirror only.

Source: Yin et al. 2019, section 3; basis and mirrors as google-research's ``freq_heatmap.py``.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Frequency = tuple[int, int]


def mirror(position: Frequency, size: Frequency) -> Frequency:
    """Return the frequency with the same basis vector, in the centred map of this (height, width).

    >>> mirror((3, 5), (8, 8)), mirror((0, 4), (8, 8))
    ((5, 3), (0, 4))
    """
    i, j = (((n - p) % n) if n % 2 == 0 else n - 1 - p for p, n in zip(position, size, strict=True))
    return i, j


def basis_vector(position: Frequency, size: Frequency) -> npt.NDArray[np.float64]:
    """Return U_ij, (height, width), real, of unit norm; low frequencies in the centre, zero at (H // 2, W // 2).

    With the angle t = 2 pi (k_y y / H + k_x x / W) it is (cos t - sin t) / sqrt(HW), and cos t / sqrt(HW) where a
    frequency is its own mirror; the pair's lower position in reading order gives k.

    >>> basis_vector((1, 1), (2, 2))
    array([[0.5, 0.5],
           [0.5, 0.5]])
    """
    other = mirror(position, size)
    (i, j), (height, width) = min(position, other), size
    y, x = np.arange(height)[:, None], np.arange(width)[None, :]
    angle = 2 * np.pi * ((i - height // 2) * y / height + (j - width // 2) * x / width)
    wave = np.cos(angle) if position == other else np.cos(angle) - np.sin(angle)
    return wave / np.sqrt(height * width)


def frequencies(size: Frequency, window: int | None = None) -> Iterator[Frequency]:
    """Yield every frequency of the centred window once, of a mirrored pair the one that comes first in the whole map.

    That one may lie outside the window: a frequency has one name, and so one draw of signs, whatever the window.

    >>> len(list(frequencies((32, 32)))), list(frequencies((32, 32), window=1))
    (514, [(16, 16)])
    """
    height, width = size
    rows = centred_range(height, window)
    columns = centred_range(width, window)
    seen: set[Frequency] = set()
    for i in rows:
        for j in columns:
            first = min((i, j), mirror((i, j), size))
            if first not in seen:
                seen.add(first)
                yield first


def centred_range(n: int, window: int | None) -> range:
    """Return the positions of the ``window`` lowest of n frequencies; an even number reaches one further below zero.

    >>> centred_range(32, 3), centred_range(32, None)
    (range(15, 18), range(0, 32))
    """
    if window is None or window >= n:
        return range(n)
    start = n // 2 - window // 2
    return range(start, start + window)
