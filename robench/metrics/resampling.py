"""A cell's metrics on many resamples of its images at once: each as a sum over weights, or by a compiled loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from robench.metrics.calibration import bin_index
from robench.metrics.scores import softmax
from robench.metrics.table import METRICS, Columns, correct

Array = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
_RMS = ("rms_calibration_error", "rms_calibration_error_all_bins")
_EQUAL_COUNT = ("adaptive_ece", "debiased_ece", "sweep_ece")
_BINS = 15


class Draws:
    """How often images are drawn.

    Args:
        weights: uint16 (resamples, images).
        images: the images' indices, rising.
    """

    def __init__(self, weights: npt.NDArray[np.uint16], images: npt.NDArray[np.int64]) -> None:
        self.weights, self.images = weights, images
        self.floats: Array = weights.astype(np.float64)

    def sums(self, values: Array, rows: Rows) -> Array:
        """Return sums of values (rows, m) over the drawn rows, (resamples, m), by one matrix product."""
        spread = np.zeros((len(self.images), values.shape[1]))
        if np.bincount(rows).max() == 1:
            spread[rows] = values
        else:
            np.add.at(spread, rows, values)
        return self.floats @ spread


def replicates(cell: Columns, metrics: Sequence[str], draws: Draws) -> dict[str, Array]:
    """Return metrics of one cell on every resample, (resamples,) each.

    An image's rows (its frames, its variants) are drawn together.
    """
    index = np.asarray(cell["index"])
    rows = np.searchsorted(draws.images, index)
    units = np.searchsorted(draws.images, np.unique(index))
    found: dict[str, Array] = {}
    for by_unit, where in ((True, units), (False, rows)):
        names = [name for name in metrics if _is_mean(name) and _by_unit(name) is by_unit]
        if names:
            found |= _means(names, cell, where, draws)
    for family, members in _FAMILIES:
        wanted = [name for name in metrics if name in members]
        if wanted:
            found |= {name: values for name, values in family(cell, rows, draws, wanted).items() if name in wanted}
    for name in metrics:
        if name not in found:
            found[name] = _repeated(METRICS[name].compute, cell, rows, draws)
    return found


def _is_mean(name: str) -> bool:
    return METRICS[name].per_image is not None or name == "overconfidence_gap"


def _by_unit(name: str) -> bool:
    """Return whether a metric has one value a clip and not one a row."""
    return "frame" in METRICS[name].needs


def _per_row(name: str, cell: Columns) -> Array:
    per_image = METRICS[name].per_image
    return _gap(cell) if per_image is None else np.asarray(per_image(cell), np.float64)


def _gap(cell: Columns) -> Array:
    return np.asarray(cell["confidence"], np.float64) - correct(cell)


def _means(names: Sequence[str], cell: Columns, rows: Rows, draws: Draws) -> dict[str, Array]:
    values = np.column_stack([*(_per_row(name, cell) for name in names), np.ones(len(rows))])
    sums = draws.sums(values, rows)
    with np.errstate(invalid="ignore", divide="ignore"):
        return {name: sums[:, i] / sums[:, -1] for i, name in enumerate(names)}


def _equal_width(cell: Columns, rows: Rows, draws: Draws, wanted: Sequence[str]) -> dict[str, Array]:
    """Return ECE, and maximum calibration error where wanted: sums over bins are linear in the weights."""
    largest = "max_calibration_error" in wanted
    inside = (np.arange(len(rows)), bin_index(np.asarray(cell["confidence"], np.float64), _BINS))
    values = np.zeros((len(rows), 2 * _BINS if largest else _BINS + 1))
    values[inside] = _gap(cell)
    if largest:
        values[inside[0], inside[1] + _BINS] = 1.0
    else:
        values[:, _BINS] = 1.0
    sums = draws.sums(values, rows)
    gaps, counts = np.abs(sums[:, :_BINS]), sums[:, _BINS:]
    with np.errstate(invalid="ignore", divide="ignore"):
        found = {"ece": gaps.sum(axis=1) / counts.sum(axis=1)}
        if largest:
            highest = np.where(counts > 0, gaps / counts, -1.0).max(axis=1)
            found["max_calibration_error"] = np.where(highest < 0, np.nan, highest)
    return found


def _adaptive_rms(cell: Columns, rows: Rows, draws: Draws, _: Sequence[str]) -> dict[str, Array]:
    from robench.metrics._kernels import adaptive_rms

    order = np.argsort(np.asarray(cell["confidence"], np.float64), kind="stable")
    errors = adaptive_rms(draws.weights, rows[order], _gap(cell)[order], 100)
    return {name: errors[:, i] for i, name in enumerate(_RMS)}


def _equal_count(cell: Columns, rows: Rows, draws: Draws, wanted: Sequence[str]) -> dict[str, Array]:
    from robench.metrics._resampling_kernels import equal_count_errors

    confidence = np.asarray(cell["confidence"], np.float64)
    order = np.argsort(confidence, kind="stable")
    hit = correct(cell)[order].astype(np.float64)
    errors = equal_count_errors(draws.weights, rows[order], confidence[order], hit, _BINS, "sweep_ece" in wanted)
    return {name: errors[:, i] for i, name in enumerate(_EQUAL_COUNT)}


def _risk_coverage(cell: Columns, rows: Rows, draws: Draws, _: Sequence[str]) -> dict[str, Array]:
    from robench.metrics._resampling_kernels import risk_coverage_areas

    confidence = np.asarray(cell["confidence"], np.float64)
    order = np.argsort(-confidence, kind="stable")
    wrong = 1.0 - correct(cell)[order]
    areas = risk_coverage_areas(draws.weights, rows[order], wrong, _last_of_tie(confidence[order]))
    return {"aurc": areas, "aurra": 1.0 - areas}


def _soft_f1(cell: Columns, rows: Rows, draws: Draws, _: Sequence[str]) -> dict[str, Array]:
    unsure, wrong = 1.0 - np.asarray(cell["confidence"], np.float64), 1.0 - correct(cell)
    both, either = draws.sums(np.column_stack([unsure * wrong, unsure + wrong]), rows).T
    with np.errstate(invalid="ignore", divide="ignore"):
        return {"soft_f1": np.where(either > 0, 2.0 * both / either, np.nan)}


def _classwise(cell: Columns, rows: Rows, draws: Draws, _: Sequence[str]) -> dict[str, Array]:
    from robench.metrics._resampling_kernels import classwise_errors

    p = softmax(cell["logits"])
    gap = p - (np.asarray(cell["target"])[:, None] == np.arange(p.shape[1]))
    index = bin_index(p, _BINS).astype(np.uint8)
    return {"classwise_ece": classwise_errors(draws.weights, rows, gap, index, _BINS)}


def _mean_precision(cell: Columns, rows: Rows, draws: Draws, _: Sequence[str]) -> dict[str, Array]:
    from robench.metrics._resampling_kernels import weighted_mean_precisions

    score = np.asarray(cell["logits"], np.float64).T
    order = np.argsort(-score, axis=1, kind="stable")
    last = _last_of_tie(np.take_along_axis(score, order, axis=1))
    targets = np.asarray(cell["targets"], np.float64)
    return {"weighted_pr_auc": weighted_mean_precisions(draws.weights, rows, order, last, targets)}


def _last_of_tie(ordered: Array) -> npt.NDArray[np.bool_]:
    """Return whether the next value along the last axis differs."""
    return np.concatenate([np.diff(ordered, axis=-1) != 0, np.ones((*ordered.shape[:-1], 1), bool)], axis=-1)


_Family = Callable[[Columns, Rows, Draws, Sequence[str]], dict[str, Array]]
_FAMILIES: tuple[tuple[_Family, tuple[str, ...]], ...] = (
    (_equal_width, ("ece", "max_calibration_error")),
    (_adaptive_rms, _RMS),
    (_equal_count, _EQUAL_COUNT),
    (_risk_coverage, ("aurc", "aurra")),
    (_soft_f1, ("soft_f1",)),
    (_classwise, ("classwise_ece",)),
    (_mean_precision, ("weighted_pr_auc",)),
)


def _repeated(compute: Callable[[Columns], float], cell: Columns, rows: Rows, draws: Draws) -> Array:
    """Compute a metric that has no quick way on every resample, by repeating rows; slow, and right for whatever it is.

    Metrics over clips are means over images, so repeated clips need no names of their own here.
    """
    out = np.empty(len(draws.weights))
    per_row: dict[str, npt.NDArray[Any]] = {n: np.asarray(c) for n, c in cell.items() if np.ndim(c) > 0}
    rest = {name: column for name, column in cell.items() if np.ndim(column) == 0}
    for b, weights in enumerate(draws.weights):
        drawn = np.repeat(np.arange(len(rows)), weights[rows])
        out[b] = compute({name: column[drawn] for name, column in per_row.items()} | rest)
    return out
