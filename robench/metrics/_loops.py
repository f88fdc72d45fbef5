"""Weighted kernels that numpy cannot express as sums: one pass over sorted rows, compiled by numba.

Each kernel is written once, for one vector of weights: ``kernel(weights, rows, ..., out)`` fills ``out`` with the
metrics of the images repeated ``weights`` times, where ``rows[i]`` says which image the i-th row is of. Weights of one
give the value; ``kernel_each`` calls it for every resample, in parallel, and returns (resamples, outputs). ``out``
stays NaN where no image is drawn.

Rows come in the order of rising confidence (of falling confidence for risk and coverage), and ``last`` marks the last
row of each group of equal confidences. Unless said otherwise a bin's edge that falls within such a group moves to its
end, so that no value depends on the order in which equal confidences are listed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from robench.compiled import compiled, prange
from robench.metrics._class_sums import classwise, classwise_each
from robench.metrics._detection_loops import detection, detection_each, selective, selective_each

__all__ = [  # kernels are looked up here by name
    "classwise",
    "classwise_each",
    "detection",
    "detection_each",
    "selective",
    "selective_each",
]


@compiled()
def _drawn(weights: Any, rows: Any) -> Any:
    total: Any = 0
    for i in range(rows.shape[0]):
        total += np.int64(weights[rows[i]])
    return total


@compiled()
def _edge(total: Any, bins: Any, k: Any) -> Any:
    """Return where the k-th of ``numpy.array_split``'s parts begins."""
    return k * (total // bins) + min(k, total % bins)


@compiled(nogil=True)
def rms(weights: Any, rows: Any, gap: Any, last: Any, edge: Any, size: int, out: Any) -> None:
    """Fill ``out`` with the RMS calibration errors over bins of ``size`` images, without the last bin and with all.

    What is left over joins the last bin. The first is the published code's, which cuts within groups of equal
    confidence; below one bin it stays NaN. The third number is the expected calibration error over other bins, of which
    ``edge`` marks the last row, and the fourth the mean gap of all rows up to the last edge.
    """
    total = _drawn(weights, rows)
    if total == 0:
        return
    limit = max(total // size - 1, 0) * size  # images that all bins but the last hold together
    seen: Any = 0
    start: Any = 0
    cut, end = min(size, limit), min(size, limit)
    published, published_squares, inside, squares = 0.0, 0.0, 0.0, 0.0
    within, sizes, whole = 0.0, 0.0, 0.0
    for i in range(rows.shape[0]):
        w = np.int64(weights[rows[i]])
        seen += w
        published += w * gap[i]
        inside += w * gap[i]
        within += w * gap[i]
        if edge[i]:
            sizes += abs(within)
            whole += within
            within = 0.0
        while seen >= cut and cut > 0:
            over = (seen - cut) * gap[i]
            published_squares += (published - over) * (published - over)
            published = over
            cut = cut + size if cut < limit else 0
        if last[i] and seen >= end and end > 0:
            squares += inside * inside / (seen - start)
            inside, start = 0.0, seen
            end = (seen // size + 1) * size
            end = end if end <= limit else 0
    if total >= size:
        out[0] = np.sqrt(published_squares / size / total)
    if total > start:
        squares += inside * inside / (total - start)
    out[1] = np.sqrt(squares / total)
    out[2] = sizes / total
    out[3] = whole / total


@compiled()
def adaptive(weights: Any, rows: Any, gap: Any, last: Any, bins: int, out: Any) -> None:
    """Fill ``out`` with the expected calibration error over ``bins`` bins of equal counts."""
    total = _drawn(weights, rows)
    if total == 0:
        return
    bins = min(bins, total)
    seen: Any = 0
    k: Any = 1
    inside, found = 0.0, 0.0
    for i in range(rows.shape[0]):
        w = np.int64(weights[rows[i]])
        seen += w
        inside += w * gap[i]
        if last[i] and seen >= _edge(total, bins, k):
            found += abs(inside)
            inside = 0.0
            while k < bins and _edge(total, bins, k) <= seen:
                k += 1
    out[0] = (found + abs(inside)) / total


@compiled()
def debiased_l2(weights: Any, rows: Any, confidence: Any, hit: Any, last: Any, bins: int, out: Any) -> None:
    """Fill ``out`` with the debiased l2 calibration error over ``bins`` bins of equal counts."""
    total = _drawn(weights, rows)
    if total == 0:
        return
    bins = min(bins, total)
    seen: Any = 0
    start: Any = 0
    k: Any = 1
    sums, hits, found, n = 0.0, 0.0, 0.0, 0
    for i in range(rows.shape[0]):
        w = np.int64(weights[rows[i]])
        seen += w
        sums += w * confidence[i]
        hits += w * hit[i]
        if last[i] and seen > start and seen >= _edge(total, bins, k):
            size = seen - start
            if size > 1:
                accuracy = hits / size
                gap = sums / size - accuracy
                found += size * (gap * gap - accuracy * (1.0 - accuracy) / (size - 1))
                n += size
            sums, hits, start = 0.0, 0.0, seen
            while k < bins and _edge(total, bins, k) <= seen:
                k += 1
    if n > 0:
        out[0] = np.sqrt(max(0.0, found / n))


@compiled()
def _rising(weights: Any, rows: Any, hit: Any, last: Any) -> bool:
    """Return whether the accuracies of the groups of equal confidence never fall."""
    before, size, hits = -1.0, 0.0, 0.0
    for i in range(rows.shape[0]):
        w = np.float64(weights[rows[i]])
        size += w
        hits += w * hit[i]
        if last[i] and size > 0:
            if hits / size < before:
                return False
            before = hits / size
            size, hits = 0.0, 0.0
    return True


@compiled()
def _bins_before_a_fall(hits: Any, ends: Any, total: Any) -> Any:
    """Return the largest number of bins below the first that makes accuracies fall."""
    for bins in range(2, total + 1):
        before = -1.0
        start: Any = 0
        for k in range(1, bins + 1):
            stop = ends[_edge(total, bins, k)]
            if stop > start:
                accuracy = (hits[stop] - hits[start]) / (stop - start)
                if accuracy < before:
                    return bins - 1
                before, start = accuracy, stop
    return total


@compiled()
def sweep(weights: Any, rows: Any, confidence: Any, hit: Any, last: Any, out: Any) -> None:
    """Fill ``out`` with the calibration error over as many equal-count bins as keep accuracies from falling."""
    total = _drawn(weights, rows)
    if total == 0:
        return
    hits = np.zeros(total + 1, np.int32)  # right answers among the first draws
    ends = np.zeros(total + 1, np.int32)  # where the group that holds the last of them ends
    gaps = np.zeros(total + 1)
    at: Any = 0
    start: Any = 1
    right, gap = np.int32(0), 0.0
    for i in range(rows.shape[0]):
        one, difference = np.int32(hit[i]), confidence[i] - hit[i]
        for _ in range(weights[rows[i]]):
            at += 1
            right += one
            gap += difference
            hits[at] = right
            gaps[at] = gap
        if last[i]:
            for j in range(start, at + 1):
                ends[j] = at
            start = at + 1
    bins = total if _rising(weights, rows, hit, last) else _bins_before_a_fall(hits, ends, total)
    found = 0.0
    begin: Any = 0
    for k in range(1, bins + 1):
        stop = ends[_edge(total, bins, k)]
        if stop > begin:
            found += abs(gaps[stop] - gaps[begin])
            begin = stop
    out[0] = found / total


@compiled()
def risk_coverage(weights: Any, rows: Any, wrong: Any, last: Any, out: Any) -> None:
    """Fill ``out`` with the area under the risk-coverage curve; rows by falling confidence."""
    covered: Any = 0
    size: Any = 0
    errors, inside, total = 0.0, 0.0, 0.0
    for i in range(rows.shape[0]):
        w = np.int64(weights[rows[i]])
        size += w
        inside += w * wrong[i]
        if last[i] and size > 0:
            for j in range(1, size + 1):
                total += (errors + inside * j / size) / (covered + j)
            covered += size
            errors += inside
            size, inside = 0, 0.0
    if covered > 0:
        out[0] = total / covered


@compiled()
def precision_recall(weights: Any, rows: Any, order: Any, last: Any, targets: Any, out: Any) -> None:
    """Fill ``out`` with the area under the precision-recall curve, weighted by class frequency.

    ``order`` (classes, rows) lists rows by falling score, ``last`` (classes, rows) ends groups of equal scores.
    """
    weighted, positives = 0.0, 0.0
    for k in range(targets.shape[1]):
        count = 0.0
        for i in range(rows.shape[0]):
            count += np.float64(weights[rows[i]]) * targets[i, k]
        if count > 0:
            weighted += count * _area(weights, rows, order[k], last[k], targets[:, k], count)
        positives += count
    if positives > 0:
        out[0] = weighted / positives


@compiled()
def _area(weights: Any, rows: Any, order: Any, last: Any, target: Any, positives: Any) -> Any:
    drawn, hits, before, area = 0.0, 0.0, 0.0, 0.0
    precision = 1.0
    for j in range(order.shape[0]):
        i = order[j]
        w = np.float64(weights[rows[i]])
        drawn += w
        hits += w * target[i]
        if last[j] and drawn > 0:
            now = hits / drawn
            area += (hits - before) / positives * (now + precision) / 2.0
            before, precision = hits, now
    return area


@compiled(parallel=True)
def rms_each(weights: Any, rows: Any, gap: Any, last: Any, edge: Any, size: int) -> Any:
    found = np.full((weights.shape[0], 4), np.nan)
    for b in prange(weights.shape[0]):
        rms(weights[b], rows, gap, last, edge, size, found[b])
    return found


@compiled(parallel=True)
def adaptive_each(weights: Any, rows: Any, gap: Any, last: Any, bins: int) -> Any:
    found = np.full((weights.shape[0], 1), np.nan)
    for b in prange(weights.shape[0]):
        adaptive(weights[b], rows, gap, last, bins, found[b])
    return found


@compiled(parallel=True)
def debiased_l2_each(weights: Any, rows: Any, confidence: Any, hit: Any, last: Any, bins: int) -> Any:
    found = np.full((weights.shape[0], 1), np.nan)
    for b in prange(weights.shape[0]):
        debiased_l2(weights[b], rows, confidence, hit, last, bins, found[b])
    return found


@compiled(parallel=True)
def sweep_each(weights: Any, rows: Any, confidence: Any, hit: Any, last: Any) -> Any:
    found = np.full((weights.shape[0], 1), np.nan)
    for b in prange(weights.shape[0]):
        sweep(weights[b], rows, confidence, hit, last, found[b])
    return found


@compiled(parallel=True)
def risk_coverage_each(weights: Any, rows: Any, wrong: Any, last: Any) -> Any:
    found = np.full((weights.shape[0], 1), np.nan)
    for b in prange(weights.shape[0]):
        risk_coverage(weights[b], rows, wrong, last, found[b])
    return found


@compiled(parallel=True)
def precision_recall_each(weights: Any, rows: Any, order: Any, last: Any, targets: Any) -> Any:
    found = np.full((weights.shape[0], 1), np.nan)
    for b in prange(weights.shape[0]):
        precision_recall(weights[b], rows, order, last, targets, found[b])
    return found
