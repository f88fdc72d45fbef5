"""Telling wrong answers from right ones, and foreign images from the model's own, by a score per image.

Every score is larger where the model is more confident: the probability of the predicted class, the largest logit,
the negative energy (log sum exp of the logits), the negative entropy, and the margin between the two largest
probabilities. Positives are what is to be found: errors, or out-of-distribution images.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from robench.errors import RobenchError
from robench.metrics.arrays import answers, floats
from robench.metrics.binning import last_of_tie
from robench.metrics.weighted import AnyKernel, Array, Columns, Loop, Ordered, Rows, correct

COVERAGES = (0.8, 0.9, 0.95)  # shares of images at which the selective error is read off
_ANSWERED = "Give a confidence, and whether the answer is right, for every image."
_OUTPUTS = ("auroc", "fpr95", "aupr", "aupr_negative", "augrc")


def confidence_score(columns: Columns) -> Array:
    """Return the maximum softmax probability, (n,); ties at 1 are told apart where the table can."""
    if "log_complement" in columns:
        return -np.asarray(columns["log_complement"], np.float64)
    return np.asarray(columns["confidence"], np.float64)


def max_logit_score(columns: Columns) -> Array:
    """Return the largest logit, (n,)."""
    return np.asarray(columns["max_logit"], np.float64)


def energy_score(columns: Columns) -> Array:
    """Return the negative energy, log sum exp of the logits, (n,)."""
    return np.asarray(columns["logsumexp"], np.float64)


def entropy_score(columns: Columns) -> Array:
    """Return the negative entropy of the softmax, (n,)."""
    return -np.asarray(columns["entropy"], np.float64)


def margin_score(columns: Columns) -> Array:
    """Return the margin between the two largest probabilities minus one, (n,): exact where both are near 1 and 0."""
    second = np.asarray(columns["second_logit"], np.float64) - np.asarray(columns["logsumexp"], np.float64)
    rest = np.exp(np.asarray(columns["log_complement"], np.float64))
    return np.asarray(-(rest + np.nan_to_num(np.exp(second))))


SCORES: dict[str, Callable[[Columns], Array]] = {
    "confidence": confidence_score,
    "max_logit": max_logit_score,
    "energy": energy_score,
    "entropy": entropy_score,
    "margin": margin_score,
}


def by_falling(score: Array, positive: Array) -> tuple[Rows, tuple[Any, ...]]:
    """Return the order of falling scores, the positives in it, and the last ones of ties."""
    order = np.argsort(-score, kind="stable")
    return order, (positive[order], last_of_tie(score[order]))


def _errors(score: Callable[[Columns], Array]) -> Loop:
    def prepare(columns: Columns) -> tuple[Rows, tuple[Any, ...]]:
        return by_falling(-score(columns), (~correct(columns)).astype(np.float64))

    return Loop("detection", prepare, outputs=len(_OUTPUTS))


def _outliers(score: Callable[[Columns], Array]) -> Loop:
    def prepare(columns: Columns) -> tuple[Rows, tuple[Any, ...]]:
        return by_falling(-score(columns), np.asarray(columns["outlier"], np.float64))

    return Loop("detection", prepare, outputs=len(_OUTPUTS))


def _falling_errors(score: Callable[[Columns], Array]) -> Callable[[Columns], tuple[Rows, tuple[Any, ...]]]:
    return lambda columns: by_falling(score(columns), (~correct(columns)).astype(np.float64))


def _selective(columns: Columns) -> tuple[Rows, tuple[Any, ...]]:
    order, arguments = _falling_errors(confidence_score)(columns)
    return order, (*arguments, np.array(COVERAGES))


def _kernels() -> dict[str, AnyKernel]:
    found: dict[str, AnyKernel] = {}
    for name, score in SCORES.items():
        tail = "" if name == "confidence" else f"_{name}"
        errors, outliers = _errors(score), _outliers(score)
        found |= {f"failure_{_OUTPUTS[k]}{tail}": Ordered(errors, k) for k in range(3)}
        found |= {f"ood_{_OUTPUTS[k]}{tail}": Ordered(outliers, k) for k in range(2)}
        found |= {f"ood_aupr_{side}{tail}": Ordered(outliers, k) for side, k in (("out", 2), ("in", 3))}
        if tail:
            found[f"aurc{tail}"] = Ordered(Loop("risk_coverage", _falling_errors(score)))
        else:
            found["augrc"] = Ordered(errors, 4)
    sorted_once = Loop("selective", _selective, outputs=len(COVERAGES))
    return found | {f"selective_error_{100 * c:.0f}": Ordered(sorted_once, k) for k, c in enumerate(COVERAGES)}


KERNELS = _kernels()


def __getattr__(name: str) -> AnyKernel:
    """Return a kernel by its metric's name in capitals, as the catalogue's rows name it."""
    try:
        return KERNELS[name.lower()]
    except KeyError:
        raise AttributeError(f"module 'robench.metrics.detection' has no attribute '{name}'") from None


def _scored(score: Any, given: Any, what: str, hint: str) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Return one number without NaN, and one answer, for every image."""
    found, wanted = floats(score), answers(given)
    if found.ndim != 1 or wanted.shape != found.shape:
        raise RobenchError(
            f"Expected {what} (n,) and as many answers; found shapes {found.shape} and {wanted.shape}.", hint=hint
        )
    if np.isnan(found).any():
        raise RobenchError(
            f"{int(np.isnan(found).sum())} of {len(found)} {what} are NaN.", hint="Omit these images, or fix the score."
        )
    return found, wanted


def detection_scores(score: npt.ArrayLike, positive: npt.ArrayLike) -> dict[str, float]:
    """Return how well a score finds the positives: ``auroc``, ``fpr95``, ``aupr`` and ``aupr_negative``, in [0, 1].

    - ``auroc``: the probability that a positive has a larger score than a negative, ties counting one half.
    - ``fpr95``: the share of negatives at or above the largest threshold that finds at least 95 % of the positives.
    - ``aupr``, ``aupr_negative``: the trapezoid under the precision-recall curve of the positives, and of the
      negatives with the scores' signs changed.

    Source: Hendrycks and Gimpel 2017; thresholds and areas as in pytorch-ood 0.4 and scikit-learn.

    Args:
        score: (n,) numbers, larger where an image is more likely positive (an outlier score).
        positive: (n,) of bool.

    Raises:
        RobenchError: shapes that do not match, NaN, or only one kind of images.

    >>> {name: round(value, 3) for name, value in detection_scores([0.9, 0.2, 0.6, 0.1], [1, 0, 0, 0]).items()}
    {'auroc': 1.0, 'fpr95': 0.0, 'aupr': 1.0, 'aupr_negative': 1.0}
    """
    found, wanted = _scored(score, positive, "scores", "Give one score, and whether it is a positive, for every image.")
    if len(np.unique(wanted)) < 2:
        raise RobenchError(
            "All images are of one kind, so nothing can be told apart.", hint="Give positives and negatives together."
        )
    loop = Loop("detection", lambda _: by_falling(found, wanted.astype(np.float64)), outputs=len(_OUTPUTS))
    return dict(zip(_OUTPUTS[:4], loop.once(*loop.prepare({})).tolist(), strict=False))


def area_under_generalised_risk_coverage(confidence: npt.ArrayLike, correct: npt.ArrayLike) -> float:
    """Return AUGRC: the mean over thresholds of the share of images that are accepted and wrong, in [0, 0.5].

    With a = accuracy and e = 1 - a it is (1 - AUROC) a e + e^2 / 2, AUROC being that of detecting errors; ties count
    one half.

    Source: Traub et al. 2024, Overcoming Common Flaws in the Evaluation of Selective Classification Systems, eq. 7.

    Args:
        confidence: (n,) of any scale.
        correct: (n,) of bool.

    Raises:
        RobenchError: shapes that do not match, NaN, or answers that are not 0 or 1.

    >>> area_under_generalised_risk_coverage([0.9, 0.8, 0.7, 0.6], [True, True, True, False])
    0.03125
    """
    found, hit = _scored(confidence, correct, "confidences", _ANSWERED)
    loop = Loop("detection", lambda _: by_falling(-found, (~hit).astype(np.float64)), outputs=len(_OUTPUTS))
    return float(loop.once(*loop.prepare({}))[4])


def selective_error(confidence: npt.ArrayLike, correct: npt.ArrayLike, coverage: float) -> float:
    """Return the error among the most confident images, as a fraction.

    Images of equal confidence at the edge count with their mean error.

    Source: Geifman and El-Yaniv 2017 (selective risk).

    Args:
        confidence: (n,) of any scale.
        correct: (n,) of bool.
        coverage: the share of images that are answered, above 0 and at most 1; rounded up to whole images.

    Raises:
        RobenchError: shapes that do not match, NaN, answers that are not 0 or 1, or a coverage outside of (0, 1].

    >>> selective_error([0.9, 0.8, 0.7, 0.6], [True, False, True, False], 0.5)
    0.5
    """
    found, hit = _scored(confidence, correct, "confidences", _ANSWERED)
    if not isinstance(coverage, (int, float, np.number)) or not 0.0 < coverage <= 1.0:
        raise RobenchError(
            f"The coverage must lie in (0, 1]; found {coverage!r}.",
            hint="A coverage of 0.9 answers the 90 % most confident images.",
        )
    order, arguments = by_falling(found, (~hit).astype(np.float64))
    loop = Loop("selective", lambda _: (order, (*arguments, np.array([coverage]))))
    return float(loop.once(*loop.prepare({}))[0])
