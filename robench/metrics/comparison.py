"""Tests of whether two models differ on the same images."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from robench.errors import RobenchError
from robench.metrics.arrays import answers, checked, floats, inner_share


def mcnemar(correct_a: npt.ArrayLike, correct_b: npt.ArrayLike) -> float:
    """Return the two-sided p-value of McNemar's test on paired right/wrong answers.

    Exact (binomial) up to 1,000 images on which the models disagree, beyond that chi-square with continuity
    correction. Without a disagreement: 1.

    Raises:
        RobenchError: the answers are not of equally many images, or not True and False.

    Source: McNemar 1947; Edwards 1948 for the correction.

    Args:
        correct_a: (n,) of bool, of the first model.
        correct_b: (n,) of bool, of the second, on the same images in the same order.

    >>> mcnemar([True] * 6, [False] * 6)
    0.03125
    """
    a, b = answers(correct_a), answers(correct_b)
    if a.shape != b.shape:
        raise RobenchError(
            f"Answers must be on the same images; found shapes {a.shape} and {b.shape}.",
            hint="Give predicted == target of both models, for every image in the same order.",
        )
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    both = only_a + only_b
    if both == 0:
        return 1.0
    from scipy.special import betainc, chdtrc  # the functions of scipy.stats, which takes a second to import

    if both <= 1000:
        fewer = min(only_a, only_b)  # the probability of at most so many, and of as few on the other side
        return min(1.0, 2.0 * float(betainc(both - fewer, fewer + 1, 0.5)))
    return float(chdtrc(1, max(0.0, abs(only_a - only_b) - 1.0) ** 2 / both))


def holm(p: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return p-values adjusted for their number by Holm's step-down method (1979), in the given order.

    Args:
        p: (tests,) in [0, 1].

    Raises:
        RobenchError: not of this shape, or a number outside [0, 1] or NaN.

    >>> holm([0.01, 0.04, 0.03]).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    p = checked(floats(p), 1, "p-values (tests,)")
    if not ((p >= 0) & (p <= 1)).all():
        raise RobenchError(
            f"P-values must lie in [0, 1]; found {p.min()} to {p.max()}.", hint="Omit tests that have no p-value."
        )
    order = np.argsort(p, kind="stable")
    adjusted = np.minimum(1.0, np.maximum.accumulate(p[order] * (len(p) - np.arange(len(p)))))
    out = np.empty_like(adjusted)
    out[order] = adjusted
    return out


def rank_intervals(
    replicates: npt.ArrayLike, *, higher_is_better: bool = False, level: float = 0.95
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return (low, high) of each model's rank over paired replicates, (models,) each, 1 is the best.

    Args:
        replicates: (resamples, models) of one value, every row from the same drawn images.
        higher_is_better: direction of the value.
        level: of the interval.

    Equal models share the mean of their ranks. Replicates with a NaN are omitted; NaN if none remains.

    Raises:
        RobenchError: replicates of another shape, or a level outside (0, 1).

    Source: bootstrap of ranks, Goldstein and Spiegelhalter 1996, with percentile intervals.

    >>> low, high = rank_intervals([[0.1, 0.3, 0.2]] * 10)
    >>> low.tolist(), high.tolist()
    ([1.0, 3.0, 2.0], [1.0, 3.0, 2.0])
    """
    from scipy.stats import rankdata

    values = checked(floats(replicates), 2, "replicates (resamples, models)")
    tail = (1.0 - inner_share(level, "level")) / 2.0
    values = values[np.isfinite(values).all(axis=1)]
    if not len(values):
        nan = np.full(values.shape[1], np.nan)
        return nan, nan
    ranks = rankdata(-values if higher_is_better else values, axis=1)
    low, high = np.quantile(ranks, [tail, 1.0 - tail], axis=0)
    return low, high
