"""Metrics of many resamples at once, from how often each row is drawn; compiled by numba.

Every function takes weights (resamples, images) and, for each row, which image it is of; a figure is that of the rows
repeated as often as their image is drawn.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from robench.compiled import compiled, prange


@compiled()
def _edge(total: Any, bins: Any, k: Any) -> Any:
    """Return where the k-th of ``numpy.array_split``'s parts begins."""
    return k * (total // bins) + min(k, total % bins)


@compiled()
def _sweep_bins(hits: Any, total: Any, sorted_hits: bool) -> Any:
    """Return how many equal-count bins keep accuracies from falling; ``hits`` are sums over the first draws."""
    if sorted_hits:
        return total
    best = 1
    for bins in range(2, total + 1):
        before = -1.0
        for k in range(bins):
            start, stop = _edge(total, bins, k), _edge(total, bins, k + 1)
            accuracy = (hits[stop] - hits[start]) / (stop - start)
            if accuracy < before:
                return best
            before = accuracy
        best = bins
    return best


@compiled()
def _l1(confidence: Any, hits: Any, total: Any, bins: Any) -> Any:
    found = 0.0
    for k in range(bins):
        start, stop = _edge(total, bins, k), _edge(total, bins, k + 1)
        found += abs(confidence[stop] - confidence[start] - hits[stop] + hits[start])
    return found / total


@compiled()
def _debiased(confidence: Any, hits: Any, total: Any, bins: Any) -> Any:
    found, n = 0.0, 0
    for k in range(bins):
        start, stop = _edge(total, bins, k), _edge(total, bins, k + 1)
        size = stop - start
        if size > 1:
            accuracy = (hits[stop] - hits[start]) / size
            gap = (confidence[stop] - confidence[start]) / size - accuracy
            found += size * (gap * gap - accuracy * (1.0 - accuracy) / (size - 1))
            n += size
    return np.sqrt(max(0.0, found / n)) if n > 0 else np.nan


@compiled(parallel=True)
def equal_count_errors(weights: Any, rows: Any, confidence: Any, hit: Any, bins: int, sweep: bool) -> Any:
    """Return adaptive ECE, debiased ECE and (where asked for) sweep ECE of resamples, (resamples, 3).

    Rows come in the order of rising confidence.
    """
    resamples, n = weights.shape[0], rows.shape[0]
    errors = np.full((resamples, 3), np.nan)
    in_order = True
    for i in range(1, n):
        in_order = in_order and hit[i] >= hit[i - 1]
    for b in prange(resamples):
        total: Any = 0
        for i in range(n):
            total += np.int64(weights[b, rows[i]])
        if total == 0:
            continue
        sums, hits = np.zeros(total + 1), np.zeros(total + 1)  # over the first draws
        at: Any = 0
        for i in range(n):
            for _ in range(weights[b, rows[i]]):
                sums[at + 1] = sums[at] + confidence[i]
                hits[at + 1] = hits[at] + hit[i]
                at += 1
        few = min(bins, total)
        errors[b, 0] = _l1(sums, hits, total, few)
        errors[b, 1] = _debiased(sums, hits, total, few)
        if sweep:
            errors[b, 2] = _l1(sums, hits, total, _sweep_bins(hits, total, in_order))
    return errors


@compiled(parallel=True)
def risk_coverage_areas(weights: Any, rows: Any, wrong: Any, last_of_tie: Any) -> Any:
    """Return the area under the risk-coverage curve of resamples, (resamples,); rows by falling confidence."""
    resamples, n = weights.shape[0], rows.shape[0]
    areas = np.full(resamples, np.nan)
    for b in prange(resamples):
        covered: Any = 0
        size: Any = 0
        errors, inside, total = 0.0, 0.0, 0.0
        for i in range(n):
            w = np.int64(weights[b, rows[i]])
            size += w
            inside += w * wrong[i]
            if last_of_tie[i] and size > 0:
                for j in range(1, size + 1):
                    total += (errors + inside * j / size) / (covered + j)
                covered += size
                errors += inside
                size, inside = 0, 0.0
        if covered > 0:
            areas[b] = total / covered
    return areas


@compiled(parallel=True)
def classwise_errors(weights: Any, rows: Any, gap: Any, index: Any, bins: int) -> Any:
    """Return class-wise ECE of resamples, (resamples,), from each row's gaps and bins (rows, classes)."""
    resamples, n, classes = weights.shape[0], gap.shape[0], gap.shape[1]
    errors = np.full(resamples, np.nan)
    for b in prange(resamples):
        sums = np.zeros((classes, bins))
        total: Any = 0
        for i in range(n):
            w = np.int64(weights[b, rows[i]])
            if w > 0:
                total += w
                for k in range(classes):
                    sums[k, index[i, k]] += w * gap[i, k]
        if total > 0:
            errors[b] = np.abs(sums).sum() / total / classes
    return errors


@compiled(parallel=True)
def weighted_mean_precisions(weights: Any, rows: Any, order: Any, last_of_tie: Any, targets: Any) -> Any:
    """Return frequency-weighted mAP of resamples, (resamples,).

    ``order`` (classes, rows) lists rows by falling score, ``last_of_tie`` (classes, rows) ends groups of equal scores.
    """
    resamples, n, classes = weights.shape[0], rows.shape[0], targets.shape[1]
    found = np.full(resamples, np.nan)
    for b in prange(resamples):
        weighted, positives = 0.0, 0.0
        for k in range(classes):
            count = 0.0
            for i in range(n):
                count += np.float64(weights[b, rows[i]]) * targets[i, k]
            if count > 0:
                weighted += count * _precision_recall_area(
                    weights[b], rows, order[k], last_of_tie[k], targets[:, k], count
                )
            positives += count
        if positives > 0:
            found[b] = weighted / positives
    return found


@compiled()
def _precision_recall_area(weights: Any, rows: Any, order: Any, last_of_tie: Any, target: Any, positives: Any) -> Any:
    drawn, hits, before, area = 0.0, 0.0, 0.0, 0.0
    precision = 1.0
    for j in range(order.shape[0]):
        i = order[j]
        w = np.float64(weights[rows[i]])
        drawn += w
        hits += w * target[i]
        if last_of_tie[j] and drawn > 0:
            now = hits / drawn
            area += (hits - before) / positives * (now + precision) / 2.0
            before, precision = hits, now
    return area
