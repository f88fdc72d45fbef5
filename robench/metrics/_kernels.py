"""Loops that numpy cannot fuse, compiled by numba; imported only where they are used."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from robench.metrics._compile import compiled


@compiled(parallel=True)
def replicate_cell(
    weights: Any, rows: Any, gap: Any, bins: Any, values: Any, binned: bool, bin_size: int, bin_count: int
) -> Any:
    """Return weighted means (resamples, columns of values) and binned errors (resamples, 3).

    Rows come in the order of rising confidence. The three errors are RMS without the last bin, RMS with every bin
    (adaptive bins of ``bin_size`` drawn images, cut within an image's repeats where need be) and ECE.
    """
    resamples, n, columns = weights.shape[0], rows.shape[0], values.shape[1]
    means = np.empty((resamples, columns))
    errors = np.full((resamples, 3), np.nan)
    for b in prange(resamples):
        total = 0
        sums = np.zeros(columns)
        for i in range(n):
            w = weights[b, rows[i]]
            if w:
                total += w
                for c in range(columns):
                    sums[c] += w * values[i, c]
        for c in range(columns):
            means[b, c] = sums[c] / total if total else np.nan
        if not binned or total == 0:
            continue
        per_bin = np.zeros(bin_count)
        full = total // bin_size
        closed, inside, squares = 0, 0.0, 0.0
        filled: Any = 0
        for i in range(n):
            left = np.int64(weights[b, rows[i]])
            if left == 0:
                continue
            per_bin[bins[i]] += left * gap[i]
            while left > 0:
                room = bin_size - filled if closed < full - 1 else left
                take: Any = min(left, room)
                inside += take * gap[i]
                filled += take
                left -= take
                if closed < full - 1 and filled == bin_size:
                    squares += inside * inside / filled
                    closed, filled, inside = closed + 1, 0, 0.0
        last = inside * inside / filled if filled else 0.0
        if full > 0:
            errors[b, 0] = np.sqrt(squares / total)
        errors[b, 1] = np.sqrt((squares + last) / total)
        errors[b, 2] = np.abs(per_bin).sum() / total
    return means, errors
