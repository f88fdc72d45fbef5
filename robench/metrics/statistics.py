"""Intervals by a paired bootstrap over images: an image's cells are resampled together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from robench.metrics.calibration import bin_index
from robench.metrics.table import METRICS, Columns, correct

Array = npt.NDArray[np.float64]
_RMS = {"rms_calibration_error": 0, "rms_calibration_error_all_bins": 1}
_CHUNK_BYTES = 1 << 25


def bootstrap_cells(
    cells: Sequence[Columns], metrics: Sequence[str], *, resamples: int = 1000, seed: int = 0
) -> dict[str, Array]:
    """Return bootstrap replicates of metrics, with images drawn once for all cells.

    Args:
        cells: columns of every cell; ``index`` says which image a row is.
        metrics: names from :data:`robench.metrics.table.METRICS`.
        resamples: number of resamples.
        seed: of the draws; the same seed and images give the same draws, so runs can be compared pairwise.

    Returns:
        Metric -> float64 (resamples, cells); NaN for cells of fewer than two images.
    """
    images = np.unique(np.concatenate([np.asarray(cell["index"]) for cell in cells])) if cells else np.empty(0)
    found = {name: np.full((resamples, len(cells)), np.nan) for name in metrics}
    rng = np.random.Generator(np.random.PCG64(seed))
    # A row is an image; of a sequence it is a clip, whose frames stay together.
    rows = [np.searchsorted(images, _units(cell)) for cell in cells]
    chunk = max(1, _CHUNK_BYTES // max(1, 2 * len(images)))
    for start in range(0, resamples, chunk):
        count = min(chunk, resamples - start)
        weights = draw_weights(rng, count, len(images))
        as_floats = weights.astype(np.float64)
        for i, cell in enumerate(cells):
            if len(rows[i]) >= 2:
                for name, values in _replicates(cell, metrics, weights, as_floats, rows[i]).items():
                    found[name][start : start + count, i] = values
    return found


def _units(cell: Columns) -> npt.NDArray[np.int64]:
    index = np.asarray(cell["index"])
    return np.unique(index) if "frame" in cell else index


def draw_weights(rng: np.random.Generator, resamples: int, images: int) -> npt.NDArray[np.uint16]:
    """Return how often each image is drawn: (resamples, images), every row sums to ``images``."""
    weights = np.empty((resamples, images), np.uint16)
    for row in weights:
        row[:] = np.bincount(rng.integers(0, images, images), minlength=images)
    return weights


def interval(replicates: Array, level: float = 0.95) -> tuple[Array, Array]:
    """Return the percentile interval along the first axis, leaving NaN replicates out."""
    tail = (1.0 - level) / 2.0
    if not np.isfinite(replicates).any():
        nan = np.full(np.shape(replicates)[1:], np.nan)
        return nan, nan
    low, high = np.nanquantile(replicates, [tail, 1.0 - tail], axis=0)
    return low, high


def _replicates(
    cell: Columns,
    metrics: Sequence[str],
    weights: npt.NDArray[np.uint16],
    as_floats: Array,
    rows: npt.NDArray[np.int64],
) -> dict[str, Array]:
    found: dict[str, Array] = {}
    binned = [name for name in metrics if name in _RMS and "frame" not in cell]
    means = [name for name in metrics if METRICS[name].per_image is not None or name == "overconfidence_gap"]
    if means:
        found |= _means(means, np.column_stack([_per_image(name, cell) for name in means]), as_floats, rows)
    if binned:
        confidence = np.asarray(cell["confidence"], np.float64)
        order = np.argsort(confidence, kind="stable")
        gap = (confidence - correct(cell))[order]
        errors = _kernel()(weights, rows[order], gap, 100)
        found |= {name: errors[:, _RMS[name]] for name in binned}
    if "ece" in metrics and "frame" not in cell:
        found["ece"] = _ece(cell, as_floats, rows)
    for name in metrics:
        if name not in found:
            found[name] = _resampled(METRICS[name].compute, cell, weights, rows)
    return found


def _means(names: Sequence[str], values: Array, weights: Array, rows: npt.NDArray[np.int64]) -> dict[str, Array]:
    """Return weighted means of values (rows, names): one matrix product over all images, zero where there is no row."""
    spread = np.zeros((weights.shape[1], values.shape[1] + 1))
    np.add.at(spread, rows, np.column_stack([values, np.ones(len(rows))]))
    sums = weights @ spread
    with np.errstate(invalid="ignore", divide="ignore"):
        means = sums[:, :-1] / sums[:, -1:]
    return {name: means[:, i] for i, name in enumerate(names)}


def _ece(cell: Columns, weights: Array, rows: npt.NDArray[np.int64]) -> Array:
    """Return the ECE of every resample: sums over bins are linear in the weights."""
    confidence = np.asarray(cell["confidence"], np.float64)
    gaps = np.zeros((len(rows), 15))
    gaps[np.arange(len(rows)), bin_index(confidence, 15)] = confidence - correct(cell)
    names = [str(k) for k in range(15)]
    return np.abs(np.stack(list(_means(names, gaps, weights, rows).values()))).sum(axis=0)


def _per_image(name: str, cell: Columns) -> Array:
    if name == "overconfidence_gap":
        return np.asarray(cell["confidence"], np.float64) - correct(cell)
    per_image = METRICS[name].per_image
    if per_image is None:
        raise ValueError(f"{name} is no mean over images")
    return per_image(cell)


def _resampled(
    compute: Callable[[Columns], float],
    cell: Columns,
    weights: npt.NDArray[np.uint16],
    rows: npt.NDArray[np.int64],
) -> Array:
    """Compute any metric on every resample, by repeating rows; slow, and right for whatever it is."""
    out = np.empty(len(weights))
    per_row = {name: np.asarray(column) for name, column in cell.items() if np.ndim(column) > 0}
    rest = {name: column for name, column in cell.items() if np.ndim(column) == 0}
    for b, row in enumerate(weights):
        drawn = np.repeat(np.arange(len(rows)), row[rows])
        out[b] = compute({name: column[drawn] for name, column in per_row.items()} | rest)
    return out


@cache
def _kernel() -> Any:
    """Compile the loop over resamples when it is first needed."""
    from robench.metrics._kernels import adaptive_rms

    return adaptive_rms
