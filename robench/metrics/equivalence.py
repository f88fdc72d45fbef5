"""Better, worse, equivalent within a margin, or undecided: tests of differences, adjusted for their number."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from robench.errors import RobenchError

Floats = npt.NDArray[np.float64]
Verdict = Literal["better", "worse", "equivalent", "undecided"]
VERDICTS: tuple[Verdict, ...] = ("better", "worse", "equivalent", "undecided")

_PSEUDO = 2.0  # images on which the models differ, one either way, that are added to those seen


def difference_p(value: float, error: float) -> float:
    """Return the two-sided p-value of a difference being zero.

    Args:
        value: the difference.
        error: its standard error, above 0.

    >>> round(difference_p(-1.96, 1.0), 3)
    0.05
    """
    from scipy.special import ndtr

    return float(2.0 * ndtr(-abs(value) / error))


def equivalence_p(value: float, error: float, margin: float) -> float:
    """Return the p-value of a difference lying outside of ±margin: of two one-sided tests the larger.

    It is below 5 % where the 90 % interval lies within the margin.

    Args:
        value: the difference.
        error: its standard error, above 0.
        margin: above 0, in the unit of the difference.

    Source: two one-sided tests, Schuirmann 1987.

    >>> round(equivalence_p(0.1, 0.2, 0.5), 4), round(equivalence_p(-0.1, 0.2, 0.5), 4)
    (0.0228, 0.0228)
    """
    from scipy.special import ndtr

    return float(ndtr((abs(value) - margin) / error))


def adjusted(p_difference: Sequence[float], p_equivalence: Sequence[float | None]) -> tuple[Floats, Floats]:
    """Return both tests' p-values of several values, adjusted for their number by Holm's step-down method.

    Of a value's two null hypotheses (no difference; a difference beyond the margin) at most one is true. So at each
    step the p-value is multiplied by the number of values of which a hypothesis is left, not of hypotheses (Shaffer
    1986). Without equivalence tests this is Holm's method (1979).

    Args:
        p_difference: (values,) of the tests for a difference.
        p_equivalence: (values,) of the tests for equivalence; None where there is none.

    Returns:
        The adjusted p-values, (values,) each, at most 1; NaN where there is no test.

    >>> difference, equivalence = adjusted([0.001, 0.6], [None, 0.02])
    >>> difference.tolist(), equivalence.tolist()
    ([0.002, 0.6], [nan, 0.02])
    """
    tests = [(p, i, 0) for i, p in enumerate(p_difference)]
    tests += [(p, i, 1) for i, p in enumerate(p_equivalence) if p is not None]
    left = {i: sum(value == i for _, value, _ in tests) for i in range(len(p_difference))}
    out, highest = np.full((2, len(p_difference)), np.nan), 0.0
    for p, i, kind in sorted(tests):
        highest = max(highest, p * sum(count > 0 for count in left.values()))
        out[kind, i] = min(1.0, highest)
        left[i] -= 1
    return out[0], out[1]


def verdict(
    value: float, p_difference: float, p_equivalence: float, *, lower_is_better: bool, level: float = 0.05
) -> Verdict:
    """Return what the tests show of the first of two models; equivalence comes first.

    A small difference may be significant and yet lie within the margin: it is then equivalent.

    Args:
        value: the first model's value minus the second's.
        p_difference: (adjusted) p-value of no difference.
        p_equivalence: of a difference beyond the margin; NaN: not tested.
        lower_is_better: direction of the value.
        level: of the tests.

    >>> verdict(-0.5, 0.001, 0.5, lower_is_better=True), verdict(0.1, 0.3, 0.01, lower_is_better=True)
    ('better', 'equivalent')
    """
    if p_equivalence < level:
        return "equivalent"
    if p_difference < level:
        return "better" if (value < 0) == lower_is_better else "worse"
    return "undecided"


def least_error(
    gradient: npt.ArrayLike,
    images: npt.ArrayLike,
    scale: float = 1.0,
    *,
    index: Sequence[npt.NDArray[np.int64]] | None = None,
) -> float:
    """Return the least standard error that so many images allow for a difference of two models.

    Two models that answer alike on all images seen may differ on others. As for paired proportions (Bonett and Price
    2012), one image is added on which only the first model is right, in all cells that have it, and one on which only
    the second is.

    Args:
        gradient: (cells,) derivative of the value by each cell's mean.
        images: (cells,) images of each cell.
        scale: by how much the value of an image differs then; 1 for right and wrong answers.
        index: for each cell int64 (n,), which images it has, each once; equal numbers in two cells are the same image.
            None: no cell has an image of another.

    Raises:
        RobenchError: not the same cells.

    >>> round(least_error([0.5, 0.5], [1000, 1000]), 5)
    0.00071
    >>> round(least_error([0.5, 0.5], [1000, 1000], index=[np.arange(1000)] * 2), 5)
    0.00141
    """
    slopes, counts = np.asarray(gradient, np.float64), np.asarray(images, np.float64)
    if slopes.shape != counts.shape or (index is not None and len(index) != len(counts)):
        raise RobenchError(
            f"Derivatives and images must be of the same cells; found shapes {slopes.shape} and {counts.shape}.",
            hint="Give one number for each cell.",
        )
    used = np.flatnonzero((slopes != 0) & (counts > 0))
    if not len(used):
        return 0.0
    weights = np.abs(slopes[used]) / counts[used]
    total, squares = float(counts[used].sum()), float((weights**2 * counts[used]).sum())
    if index is not None:
        total, squares = _weights_of_images([index[int(c)] for c in used], weights)
    return scale * math.sqrt(_PSEUDO / (total + _PSEUDO) * squares)


def _weights_of_images(index: Sequence[npt.NDArray[np.int64]], weights: Floats) -> tuple[float, float]:
    """Return how many images cells have, and the sum of the squares of what each weighs in all of them."""
    first = index[0]
    if all(np.array_equal(first, other) for other in index[1:]):
        return float(len(first)), len(first) * float(weights.sum()) ** 2
    rows = np.unique(np.concatenate(list(index)), return_inverse=True)[1]
    of_image = np.bincount(rows, np.repeat(weights, [len(one) for one in index]))
    return float(len(of_image)), float((of_image**2).sum())
