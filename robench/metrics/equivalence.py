"""Better, worse, equivalent within a margin, or undecided: tests of differences, adjusted for their number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Verdict = Literal["better", "worse", "equivalent", "undecided"]
VERDICTS: tuple[Verdict, ...] = ("better", "worse", "equivalent", "undecided")


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
