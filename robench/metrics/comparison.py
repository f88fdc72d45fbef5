"""Tests that tell whether two models differ on the same images."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def mcnemar(correct_a: npt.ArrayLike, correct_b: npt.ArrayLike) -> float:
    """Return the two-sided p-value of McNemar's test on paired right/wrong answers.

    Exact (binomial) up to 1,000 images on which the models disagree, beyond that chi-square with continuity
    correction. Without a disagreement: 1.

    Source: McNemar 1947; Edwards 1948 for the correction.
    """
    a, b = np.asarray(correct_a, bool), np.asarray(correct_b, bool)
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    both = only_a + only_b
    if both == 0:
        return 1.0
    from scipy.stats import binomtest, chi2

    if both <= 1000:
        return float(binomtest(only_a, both, 0.5).pvalue)
    return float(chi2.sf(max(0.0, abs(only_a - only_b) - 1.0) ** 2 / both, 1))


def holm(p: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return p-values adjusted for their number by Holm's step-down method (1979), in the given order."""
    p = np.asarray(p, np.float64)
    order = np.argsort(p, kind="stable")
    adjusted = np.minimum(1.0, np.maximum.accumulate(p[order] * (len(p) - np.arange(len(p)))))
    out = np.empty_like(adjusted)
    out[order] = adjusted
    return out
