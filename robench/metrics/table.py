"""The list of cell metrics: what each is called, its unit and direction, what it needs, where it is defined.

A metric is added here, with its function in the file of its family; results, `robench metrics` and the
documentation take it from this list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from robench.metrics import calibration, perturbation, scores, selective

Columns = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Metric:
    """One figure of one cell.

    Args:
        name: as in results and on the command line.
        unit: ``fraction`` (tables multiply by 100), ``nats``, ``squared probability`` or ``ranks``.
        higher_is_better: its direction; None where neither end is good.
        range: smallest and largest value.
        needs: columns of predictions that it is computed from (``correct`` is derived).
        compute: from columns to the figure; NaN where it is undefined.
        source: paper or code that defines it.
        per_image: for a plain mean over images, the values it is the mean of; intervals are then exact and fast.
    """

    name: str
    unit: str
    higher_is_better: bool | None
    range: tuple[float, float]
    needs: tuple[str, ...]
    compute: Callable[[Columns], float]
    source: str
    per_image: Callable[[Columns], npt.NDArray[np.float64]] | None = None

    @property
    def better(self) -> str:
        """The direction in a word: ``higher``, ``lower`` or ``neither``."""
        return {True: "higher", False: "lower", None: "neither"}[self.higher_is_better]


def correct(columns: Columns) -> npt.NDArray[np.bool_]:
    """Return whether each image's predicted class is its target."""
    return np.asarray(columns["predicted"]) == np.asarray(columns["target"])


def _mean(
    name: str,
    unit: str,
    high: float,
    needs: tuple[str, ...],
    values: Any,
    source: str,
    *,
    higher_is_better: bool | None = False,
) -> Metric:
    def compute(columns: Columns) -> float:
        found = np.asarray(values(columns), np.float64)
        return float(found.mean()) if len(found) else float("nan")

    def per_image(columns: Columns) -> npt.NDArray[np.float64]:
        return np.asarray(values(columns), np.float64)

    return Metric(name, unit, higher_is_better, (0.0, high), needs, compute, source, per_image)


def _calibration(
    name: str, function: Callable[..., float], low: float, source: str, *, higher_is_better: bool | None = False
) -> Metric:
    def compute(columns: Columns) -> float:
        return function(columns["confidence"], correct(columns))

    needs = ("confidence", "predicted", "target")
    return Metric(name, "fraction", higher_is_better, (low, 1.0), needs, compute, source)


def _sequence(name: str, unit: str, high: float, column: str, per_clip: Callable[..., Any], source: str) -> Metric:
    def values(columns: Columns) -> npt.NDArray[np.float64]:
        (frames,) = perturbation.clips(columns["index"], columns["frame"], np.asarray(columns[column]))
        noise = perturbation.is_noise(str(columns["cell"])) if "cell" in columns else False
        return np.asarray(per_clip(frames, noise=noise), np.float64)

    def compute(columns: Columns) -> float:
        found = values(columns)
        return float(found.mean()) if len(found) else float("nan")

    return Metric(name, unit, False, (0.0, high), ("index", "frame", column), compute, source, values)


def _variants(name: str, reduce: Callable[..., Any], source: str) -> Metric:
    """Return a metric over k variants of every image, which stand in the rows as its frames."""

    def values(columns: Columns) -> npt.NDArray[np.float64]:
        (wrong,) = perturbation.clips(columns["index"], columns["frame"], ~correct(columns))
        return np.asarray(reduce(wrong, axis=1), np.float64)

    def compute(columns: Columns) -> float:
        found = values(columns)
        return float(found.mean()) if len(found) else float("nan")

    needs = ("index", "frame", "predicted", "target")
    return Metric(name, "fraction", False, (0.0, 1.0), needs, compute, source, values)


INFINITY = float("inf")
_LABELS = ("predicted", "target")

_ROWS = (
    _mean("error", "fraction", 1.0, _LABELS, lambda c: ~correct(c), "Hendrycks and Dietterich 2019"),
    _calibration(
        "rms_calibration_error",
        calibration.rms_calibration_error,
        0.0,
        "hendrycks/imagenet-r, calib_err (as published)",
    ),
    _calibration(
        "rms_calibration_error_all_bins", calibration.rms_calibration_error_all_bins, 0.0, "AugMix 2020, appendix"
    ),
    _calibration("ece", calibration.ece, 0.0, "Guo et al. 2017, 15 equal-width bins"),
    _calibration(
        "max_calibration_error", calibration.maximum_calibration_error, 0.0, "Guo et al. 2017, 15 equal-width bins"
    ),
    _calibration("adaptive_ece", calibration.adaptive_ece, 0.0, "Nixon et al. 2019, 15 equal-count bins"),
    _calibration("debiased_ece", calibration.debiased_ece, 0.0, "Kumar et al. 2019, 15 equal-count bins, l2"),
    _calibration("sweep_ece", calibration.sweep_ece, 0.0, "Roelofs et al. 2022, equal mass"),
    Metric(
        "classwise_ece",
        "fraction",
        False,
        (0.0, 1.0),
        ("logits", "target"),
        lambda c: calibration.classwise_ece(scores.softmax(c["logits"]), c["target"]),
        "Kull et al. 2019, 15 equal-width bins a class",
    ),
    _calibration("aurc", selective.area_under_risk_coverage, 0.0, "Geifman and El-Yaniv 2017"),
    _calibration(
        "aurra",
        selective.area_under_response_rate_accuracy,
        0.0,
        "Hendrycks et al. 2021, calib_tools",
        higher_is_better=True,
    ),
    _calibration("soft_f1", selective.soft_f1, 0.0, "hendrycks/outlier-exposure, soft_f1", higher_is_better=True),
    _mean("top5_error", "fraction", 1.0, ("top5", "target"), scores.outside_top5, "ILSVRC"),
    Metric(
        "weighted_pr_auc",
        "fraction",
        True,
        (0.0, 1.0),
        ("logits", "targets"),
        lambda c: scores.frequency_weighted_map(c["logits"], c["targets"]),
        "DeepFashion Remixed, hendrycks/imagenet-r (area under the curve, weighted by class frequency)",
    ),
    _calibration(
        "overconfidence_gap",
        calibration.overconfidence_gap,
        -1.0,
        "mean confidence minus accuracy",
        higher_is_better=None,
    ),
    _mean("brier", "squared probability", 2.0, ("brier",), lambda c: c["brier"], "Brier 1950, sum over classes"),
    _mean(
        "brier_top_label",
        "squared probability",
        1.0,
        ("confidence", *_LABELS),
        lambda c: (np.asarray(c["confidence"], np.float64) - correct(c)) ** 2,
        "AugMix 2020, appendix (top label, 0 to 1)",
    ),
    _mean("nll", "nats", INFINITY, ("nll",), lambda c: c["nll"], "negative log-likelihood of the target"),
    _mean(
        "entropy",
        "nats",
        INFINITY,
        ("entropy",),
        lambda c: c["entropy"],
        "Shannon entropy of the softmax",
        higher_is_better=None,
    ),
    _variants("worst_case_error", np.any, "Engstrom et al. 2019, worst of k; CIFAR10-STA of AugMax"),
    _variants("average_case_error", np.mean, "Engstrom et al. 2019, random choice of k"),
    _sequence(
        "flip_probability",
        "fraction",
        1.0,
        "predicted",
        perturbation.flips_per_clip,
        "Hendrycks and Dietterich 2019, 4.2",
    ),
    _sequence(
        "top5_distance",
        "ranks",
        15.0,
        "top5",
        perturbation.top5_distance_per_clip,
        "Hendrycks and Dietterich 2019, 4.2",
    ),
)

METRICS: dict[str, Metric] = {metric.name: metric for metric in _ROWS}

# Means over images (clips) of values in [0, 1]: where they are 0 or 1, their interval is that of a binomial share.
SHARES = tuple(name for name, metric in METRICS.items() if metric.per_image is not None and metric.unit == "fraction")
