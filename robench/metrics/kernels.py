"""The kernels of the built-in metrics, as the rows of :mod:`robench.catalogue` name them.

A feature is what is summed over images; metrics with a feature in common share its sums.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from robench.metrics import debiased, perturbation
from robench.metrics.binning import BIN_SIZE, BINS, bin_index, class_gaps, equal_width, last_of_tie, rising
from robench.metrics.probabilities import softmax
from robench.metrics.weighted import Array, Binned, Column, Columns, Loop, Ordered, Rows, Sums, correct


def confidence(columns: Columns) -> Array:
    """Return the confidence of the predicted class, float64 (n,)."""
    return np.asarray(columns["confidence"], np.float64)


def gap(columns: Columns) -> Array:
    """Return confidence minus whether the image is right, float64 (n,)."""
    return confidence(columns) - correct(columns)


def _count(columns: Columns) -> Column:
    """Return one per row."""
    return Column(np.ones(len(next(column for column in columns.values() if np.ndim(column) > 0))))


def _count_clips(columns: Columns) -> Column:
    return Column(np.ones(len(np.unique(columns["index"]))), clips=True)


def ratio(numerator: Array, denominator: Array) -> Array:
    """Return the quotient of two sums; NaN without images."""
    return numerator / denominator


def mean_of(values: Callable[[Columns], npt.ArrayLike]) -> Sums:
    """Return the metric that is the mean over images of ``values(columns)``, (n,).

    >>> mean_of(lambda columns: columns["nll"]).value({"nll": np.array([1.0, 2.0])})
    1.5
    """
    return Sums((lambda columns: Column(np.asarray(values(columns), np.float64)), _count), ratio)


def mean_of_clips(values: Callable[[Columns], npt.ArrayLike]) -> Sums:
    """Return the metric that is the mean over clips of ``values(columns)``, (clips,) by rising index."""
    return Sums(
        (lambda columns: Column(np.asarray(values(columns), np.float64), clips=True), _count_clips),
        ratio,
    )


def total_gap(sums: Array) -> Array:
    """Return the expected calibration error of sums of gaps and of images within bins, (..., bins, 2)."""
    return np.asarray(np.abs(sums[..., 0]).sum(axis=-1) / sums[..., 1].sum(axis=-1))


def largest_gap(sums: Array) -> Array:
    """Return the maximum calibration error of sums of gaps and of images within bins, (..., bins, 2)."""
    gaps, counts = sums[..., 0], sums[..., 1]
    largest = np.where(counts > 0, np.abs(gaps) / counts, -1.0).max(axis=-1)
    return np.where(largest < 0, np.nan, largest)


def detection_f1(both: Array, either: Array) -> Array:
    """Return the soft F1 of sums of u w and of u + w; NaN where the latter is 0."""
    return np.where(either > 0, 2.0 * both / either, np.nan)


def _gap(columns: Columns) -> Column:
    return Column(gap(columns))


def _equal_width(columns: Columns) -> Binned:
    return equal_width(confidence(columns), gap(columns), BINS)


def _unsure_and_wrong(columns: Columns) -> Column:
    return Column((1.0 - confidence(columns)) * (1.0 - correct(columns)))


def _unsure_or_wrong(columns: Columns) -> Column:
    return Column((1.0 - confidence(columns)) + (1.0 - correct(columns)))


def _rising_bins(columns: Columns) -> tuple[Rows, tuple[Any, ...]]:
    order, ordered, gaps, last = rising(confidence(columns), confidence(columns), gap(columns))
    return order, (gaps, last, last_of_tie(bin_index(ordered, BINS)), BIN_SIZE)


def _rising_gaps(columns: Columns) -> tuple[Rows, tuple[Any, ...]]:
    order, gaps, last = rising(confidence(columns), gap(columns))
    return order, (gaps, last)


def _rising_hits(columns: Columns) -> tuple[Rows, tuple[Any, ...]]:
    found = confidence(columns)
    order, found_, hit, last = rising(found, found, correct(columns).astype(np.float64))
    return order, (found_, hit, last)


def _falling_errors(columns: Columns) -> tuple[Rows, tuple[Any, ...]]:
    return falling_errors(confidence(columns), correct(columns).astype(np.float64))


def falling_errors(found: Array, hit: Array) -> tuple[Rows, tuple[Any, ...]]:
    """Return the order of falling confidence, whether images are wrong, and the last ones of ties, in that order."""
    order, wrong, last = rising(-found, 1.0 - hit)
    return order, (wrong, last)


def _class_gaps(columns: Columns) -> tuple[Rows, tuple[Any, ...]]:
    return class_gaps(softmax(columns["logits"]), np.asarray(columns["target"]), BINS)


def falling_scores(score: Array, targets: Array) -> tuple[Rows, tuple[Any, ...]]:
    """Return rows by falling score of each class, the last ones of ties, and the targets; (n, K) in."""
    falling = -score.T
    order = np.argsort(falling, axis=1, kind="stable")
    return np.arange(len(score)), (order, last_of_tie(np.take_along_axis(falling, order, axis=1)), targets)


def _falling_scores(columns: Columns) -> tuple[Rows, tuple[Any, ...]]:
    return falling_scores(np.asarray(columns["logits"], np.float64), np.asarray(columns["targets"], np.float64))


def _with(prepare: Callable[[Columns], tuple[Rows, tuple[Any, ...]]], last: int) -> Any:
    """Return ``prepare`` with one more argument for the kernel."""

    def prepared(columns: Columns) -> tuple[Rows, tuple[Any, ...]]:
        order, arguments = prepare(columns)
        return order, (*arguments, last)

    return prepared


def _outside_top5(columns: Columns) -> npt.NDArray[np.bool_]:
    return np.asarray(~(np.asarray(columns["top5"]) == np.asarray(columns["target"])[:, None]).any(axis=1))


def _of_clips(column: str, per_clip: Callable[..., Array]) -> Sums:
    def values(columns: Columns) -> Array:
        (frames,) = perturbation.clips(columns["index"], columns["frame"], np.asarray(columns[column]))
        noise = perturbation.is_noise(str(columns["cell"])) if "cell" in columns else False
        return per_clip(frames, noise=noise, difficulty=int(columns.get("difficulty", 1)))

    return mean_of_clips(values)


def _of_variants(reduce: Callable[..., Any]) -> Sums:
    """Return a metric over k variants of every image, which stand in the rows as its frames."""

    def values(columns: Columns) -> Array:
        (wrong,) = perturbation.clips(columns["index"], columns["frame"], ~correct(columns))
        return np.asarray(reduce(wrong, axis=1), np.float64)

    return mean_of_clips(values)


def _of_largest_loss(columns: Columns) -> Array:
    """Return for every image whether the variant of largest loss is misclassified."""
    wrong, loss = perturbation.clips(columns["index"], columns["frame"], ~correct(columns), columns["nll"])
    return np.take_along_axis(wrong, loss.argmax(axis=1)[:, None], axis=1)[:, 0].astype(np.float64)


_RMS_LOOP = Loop("rms", _rising_bins, outputs=4)
_RISK_LOOP = Loop("risk_coverage", _falling_errors)

ERROR = mean_of(lambda columns: ~correct(columns))
TOP5_ERROR = mean_of(_outside_top5)
BRIER = mean_of(lambda columns: columns["brier"])
BRIER_TOP_LABEL = mean_of(lambda columns: gap(columns) ** 2)
NLL = mean_of(lambda columns: columns["nll"])
ENTROPY = mean_of(lambda columns: columns["entropy"])
OVERCONFIDENCE_GAP = Sums((_gap, _count), ratio, along=Ordered(_RMS_LOOP, 3))
ECE = Sums((_equal_width,), total_gap, along=Ordered(_RMS_LOOP, 2))
MAX_CALIBRATION_ERROR = Sums((_equal_width,), largest_gap)
RMS_CALIBRATION_ERROR = Ordered(_RMS_LOOP, 0)
RMS_CALIBRATION_ERROR_ALL_BINS = Ordered(_RMS_LOOP, 1)
RMS_CALIBRATION_ERROR_DEBIASED = debiased.RMS_DEBIASED
ECE_DEBIASED = debiased.ECE_DEBIASED
ADAPTIVE_ECE = Ordered(Loop("adaptive", _with(_rising_gaps, BINS)))
DEBIASED_ECE = Ordered(Loop("debiased_l2", _with(_rising_hits, BINS)))
SWEEP_ECE = Ordered(Loop("sweep", _rising_hits))
CLASSWISE_ECE = Ordered(Loop("classwise", _class_gaps))
AURC = Ordered(_RISK_LOOP)
AURRA = Ordered(_RISK_LOOP, final=lambda area: 1.0 - area)
SOFT_F1 = Sums((_unsure_and_wrong, _unsure_or_wrong), detection_f1)
WEIGHTED_PR_AUC = Ordered(Loop("precision_recall", _falling_scores))
WORST_LOSS_ERROR = mean_of_clips(_of_largest_loss)
WORST_CASE_ERROR = _of_variants(np.any)
AVERAGE_CASE_ERROR = _of_variants(np.mean)
FLIP_PROBABILITY = _of_clips("predicted", perturbation.flips_per_clip)
TOP5_DISTANCE = _of_clips("top5", perturbation.top5_distance_per_clip)
