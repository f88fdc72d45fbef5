"""Compiled kernels of detection and selective prediction; see :mod:`robench.metrics._loops` for what they share."""

from __future__ import annotations

from typing import Any

import numpy as np

from robench.compiled import compiled, prange

TRUE_POSITIVES = 0.95  # share of the positives that are found where the false-positive rate is read off


@compiled()
def detection(weights: Any, rows: Any, positive: Any, last: Any, out: Any) -> None:
    """Fill ``out`` with AUROC, FPR at 95 % TPR, AUPR of the positives, AUPR of the negatives, and AUGRC.

    Rows come by falling score of being positive. AUGRC takes the positives as errors and the order as that of rising
    confidence. All but it stay NaN where either kind is missing.
    """
    total, positives = 0.0, 0.0
    for i in range(rows.shape[0]):
        w = np.float64(weights[rows[i]])
        total += w
        positives += w * positive[i]
    if total == 0:
        return
    negatives = total - positives
    both = positives > 0 and negatives > 0
    seen, hits, size, inside = 0.0, 0.0, 0.0, 0.0  # before the group of equal scores, and in it
    above, found, lost, accepted, fpr, before = 0.0, 0.0, 0.0, 0.0, -1.0, 1.0
    for i in range(rows.shape[0]):
        w = np.float64(weights[rows[i]])
        size += w
        inside += w * positive[i]
        if last[i] and size > 0:
            accepted += inside * (seen + 0.5 * size)
            if both:
                misses = size - inside
                above += misses * (hits + 0.5 * inside)
                precision = (hits + inside) / (seen + size)
                found += inside * (precision + before) / 2.0
                before = precision
                with_group = (negatives - (seen - hits)) / (total - seen)
                rest = total - seen - size
                without = (negatives - (seen - hits) - misses) / rest if rest > 0 else 1.0
                lost += misses * (with_group + without) / 2.0
                if fpr < 0 and (hits + inside) / positives >= TRUE_POSITIVES:
                    fpr = (seen - hits + misses) / negatives
            seen += size
            hits += inside
            size, inside = 0.0, 0.0
    if both:
        out[0] = above / (positives * negatives)
        out[1] = fpr
        out[2] = found / positives
        out[3] = lost / negatives
    out[4] = accepted / (total * total)


@compiled()
def selective(weights: Any, rows: Any, wrong: Any, last: Any, coverages: Any, out: Any) -> None:
    """Fill ``out`` with the errors among the most confident images, for rising shares of them.

    A share is of as many whole images as reach it; within a group of equal confidence the error is the group's mean.
    """
    total = 0.0
    for i in range(rows.shape[0]):
        total += np.float64(weights[rows[i]])
    if total == 0:
        return
    k = 0
    covered, errors, size, inside = 0.0, 0.0, 0.0, 0.0
    for i in range(rows.shape[0]):
        w = np.float64(weights[rows[i]])
        size += w
        inside += w * wrong[i]
        if last[i] and size > 0:
            while k < coverages.shape[0]:
                wanted = max(1.0, np.ceil(coverages[k] * total - 1e-9))
                if wanted > covered + size:
                    break
                out[k] = (errors + inside * (wanted - covered) / size) / wanted
                k += 1
            covered += size
            errors += inside
            size, inside = 0.0, 0.0


@compiled(parallel=True)
def detection_each(weights: Any, rows: Any, positive: Any, last: Any) -> Any:
    found = np.full((weights.shape[0], 5), np.nan)
    for b in prange(weights.shape[0]):
        detection(weights[b], rows, positive, last, found[b])
    return found


@compiled(parallel=True)
def selective_each(weights: Any, rows: Any, wrong: Any, last: Any, coverages: Any) -> Any:
    found = np.full((weights.shape[0], coverages.shape[0]), np.nan)
    for b in prange(weights.shape[0]):
        selective(weights[b], rows, wrong, last, coverages, found[b])
    return found
