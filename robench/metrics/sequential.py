"""Looking at growing samples until a decision stands: intervals that hold at all looks together.

A 95 % interval that is looked at again and again leaves the truth out more often than 5 % of the time. Here the error
rate is spent over the looks: how much may have been spent is a function of the information so far (Lan and DeMets 1983,
of O'Brien-Fleming type), and the critical value of each look is the one that spends just that. The estimate at each
look, plus and minus its critical value times its standard error, is a repeated confidence interval (Jennison and
Turnbull 1989): all of them hold the truth together with the level's probability, so any rule may end the looks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_POINTS = 401  # of the grid over the range of the statistic
_REACH = 8.0  # standard deviations that the grid covers below
_LEAST_GROWTH = 1.001  # of the information from look to look
_NEVER = 40.0  # a critical value that nothing exceeds


@dataclass(frozen=True)
class Spending:
    """How much of an error rate may have been spent at a fraction of the planned information.

    Up to the planned information all but ``reserve`` of the level is spent as O'Brien and Fleming's boundary spends it
    (Lan and DeMets 1983): ``2 - 2 Phi(z(level / 2) / sqrt(fraction))``. The reserve is for looks beyond the plan: half
    of it until twice the planned information, three quarters until four times, and so on.

    Args:
        level: the one-sided error rate of all looks together.
        reserve: the share of it that is kept for looks beyond the planned information.

    >>> round(Spending(0.05, reserve=0.0).spent(1.0), 4), round(Spending(0.05).spent(2.0), 4)
    (0.05, 0.04)
    """

    level: float = 0.05
    reserve: float = 0.4

    def spent(self, fraction: float) -> float:
        """Return what may have been spent at this fraction (above 0) of the planned information."""
        from scipy.stats import norm

        first = self.level * (1.0 - self.reserve)
        inner = 2.0 * norm.sf(norm.isf(first / 2.0) / math.sqrt(min(fraction, 1.0)))
        return float(inner) + self.level * self.reserve * (1.0 - 1.0 / max(fraction, 1.0))


class Boundary:
    """Critical values of a standard normal statistic at successive looks, one by one.

    The probability that the statistic of any look exceeds its critical value is what was spent, where the differences
    of information are independent increments of a Brownian motion (Armitage, McPherson and Rowe 1969: the density of
    the statistic is carried from look to look by numerical integration).

    Args:
        spending: how the error rate is spent.

    >>> boundary = Boundary(Spending(0.025, reserve=0.0))
    >>> [round(boundary.following(fraction), 2) for fraction in (0.25, 0.5, 0.75, 1.0)]
    [4.33, 2.96, 2.36, 2.01]
    """

    def __init__(self, spending: Spending) -> None:
        self._spending = spending
        self._spent = self._time = 0.0
        self._grid, self._mass = np.zeros(1), np.ones(1)  # of the statistic, where it has not exceeded a critical value

    def following(self, fraction: float, *, last: bool = False) -> float:
        """Return the critical value of the next look.

        Args:
            fraction: the information, in units of the planned information. What does not rise, as an estimate of a
                variance may make it, is taken as risen by a thousandth.
            last: whether it is the last look of all: it spends all that is left.
        """
        from scipy.optimize import brentq
        from scipy.special import ndtr

        time = max(float(fraction), self._time * _LEAST_GROWTH, 1e-6)
        may = self._spending.level if last else min(self._spending.spent(time), self._spending.level)
        new, scale, highest = max(may - self._spent, 0.0), math.sqrt(time - self._time), _NEVER * math.sqrt(time)

        def beyond(bound: float) -> float:
            return float(self._mass @ ndtr((self._grid - bound) / scale))

        bound = highest
        if new > beyond(highest):
            bound = float(brentq(lambda b: beyond(b) - new, -highest, highest, xtol=1e-9))
        reach = _REACH * math.sqrt(time)
        grid = np.linspace(-reach, min(bound, reach), _POINTS)
        self._mass = _simpson(grid) * (_bell((grid[:, None] - self._grid) / scale) @ self._mass) / scale
        self._grid, self._spent, self._time = grid, max(may, self._spent), time
        return bound / math.sqrt(time)


def critical_values(fractions: Sequence[float], spending: Spending, *, last: bool = False) -> list[float]:
    """Return the critical values at these looks; see :class:`Boundary`.

    Args:
        fractions: the information at each look, in units of the planned information.
        spending: how the error rate is spent.
        last: whether the last of these looks is the last of all.

    >>> [round(c, 2) for c in critical_values([0.5, 1.0], Spending(0.05), last=True)]
    [2.86, 1.65]
    """
    boundary = Boundary(spending)
    return [boundary.following(f, last=last and i == len(fractions) - 1) for i, f in enumerate(fractions)]


def _bell(z: Floats) -> Floats:
    return np.asarray(np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi))


def _simpson(grid: Floats) -> Floats:
    """Return the weights of Simpson's rule on an odd number of evenly spaced points."""
    weights = np.full(len(grid), 2.0)
    weights[1::2] = 4.0
    weights[[0, -1]] = 1.0
    return np.asarray(weights * (grid[1] - grid[0]) / 3.0)


def planned_error(margin: float, level: float = 0.05, power: float = 0.9) -> float:
    """Return the standard error with which a one-sided test finds a difference of ``margin`` with this power.

    >>> round(planned_error(1.0), 3)
    0.342
    """
    from scipy.stats import norm

    return margin / float(norm.isf(level) + norm.ppf(power))
