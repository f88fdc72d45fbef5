"""Loops that numpy cannot fuse, compiled by numba; imported only where they are used."""

from __future__ import annotations

from typing import Any

import numpy as np

from robench.compiled import compiled, prange


@compiled(parallel=True)
def adaptive_rms(weights: Any, rows: Any, gap: Any, bin_size: int) -> Any:
    """Return the RMS calibration errors of resamples, (resamples, 2): without the last bin, and with every bin.

    Rows come in the order of rising confidence; bins of ``bin_size`` drawn images are cut within an image's repeats
    where need be, and what is left over joins the last one.
    """
    resamples, n = weights.shape[0], rows.shape[0]
    errors = np.full((resamples, 2), np.nan)
    for b in prange(resamples):
        total: Any = 0
        for i in range(n):
            total += np.int64(weights[b, rows[i]])
        if total == 0:
            continue
        # Images that all bins but the last hold together.
        limit = max(total // bin_size - 1, 0) * bin_size
        seen: Any = 0
        end = min(bin_size, limit)
        inside, squares = 0.0, 0.0
        for i in range(n):
            w = np.int64(weights[b, rows[i]])
            seen += w
            inside += w * gap[i]
            while seen >= end and end > 0:
                over = (seen - end) * gap[i]
                squares += (inside - over) * (inside - over)
                inside = over
                end = end + bin_size if end < limit else 0
        if total >= bin_size:
            errors[b, 0] = np.sqrt(squares / bin_size / total)
        errors[b, 1] = np.sqrt((squares / bin_size + inside * inside / (total - limit)) / total)
    return errors
