"""Many models at once: differences of all pairs with intervals that hold together, and what they say of ranks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from robench.errors import RobenchError
from robench.metrics.arrays import floats, inner_share

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Pairwise:
    """Differences of all pairs of models.

    Attributes:
        difference: (models, models): the row's value minus the column's.
        low, high: (models, models) of the simultaneous intervals; 0 on the diagonal.
        critical: how many standard errors the intervals reach to either side.
    """

    difference: Floats
    low: Floats
    high: Floats
    critical: float


def pairwise(
    values: npt.ArrayLike, replicates: npt.ArrayLike, *, level: float = 0.95, least: npt.ArrayLike | None = None
) -> Pairwise:
    """Return the differences of all pairs with simultaneous intervals.

    All intervals hold their true differences together with the level's probability. Each reaches as many standard
    errors to either side as the largest standardised difference of any pair reaches in that share of the resamples: the
    max-t method (Westfall and Young 1993, chapter 2; Romano and Wolf 2005), which uses how pairs depend on each other,
    and is narrower than Bonferroni's. It is at least what a single difference reaches.

    Args:
        values: (models,) of one summary value.
        replicates: (resamples, models) of it, every row from the same drawn images.
        level: of all intervals together.
        least: (models, models), the least standard error of each pair; None: nothing.

    Raises:
        RobenchError: fewer than two models, or replicates of other models.

    >>> draws = np.random.default_rng(0).normal([0.0, 0.0, 9.0], 1.0, (2000, 3))
    >>> found = pairwise([0.0, 0.0, 9.0], draws)
    >>> float(found.difference[2, 0]), bool(found.low[2, 0] > 0), bool(found.low[0, 1] < 0 < found.high[0, 1])
    (9.0, True, True)
    """
    from scipy.special import ndtri

    value, drawn = floats(values), floats(replicates)
    inner_share(level, "level")
    if value.ndim != 1 or len(value) < 2 or drawn.ndim != 2 or drawn.shape[1] != len(value):
        raise RobenchError(
            f"Values and replicates must be of the same two or more models; found shapes {value.shape} and "
            f"{drawn.shape}.",
            hint="Give (models,) values and (resamples, models) replicates.",
        )
    difference = value[:, None] - value[None, :]
    drawn = drawn[np.isfinite(drawn).all(axis=1)]
    if len(drawn) < 2:
        nan = np.full_like(difference, np.nan)
        return Pairwise(difference, nan, nan, float("nan"))
    drawn = drawn - drawn.mean(axis=0)
    first, second = np.triu_indices(len(value), 1)
    off = drawn[:, first] - drawn[:, second]
    error = off.std(axis=0, ddof=1)
    if least is not None:
        error = np.maximum(error, floats(least)[first, second])
    with np.errstate(divide="ignore", invalid="ignore"):
        standardised = np.where(error > 0, np.abs(off) / error, 0.0)
    single = float(ndtri((1.0 + level) / 2.0))  # resamples of models that answer alike do not vary
    critical = max(float(np.quantile(standardised.max(axis=1), level)), single)
    reach = np.zeros_like(difference)
    reach[first, second] = reach[second, first] = critical * error
    return Pairwise(difference, difference - reach, difference + reach, critical)


def ranks_of(pairs: Pairwise, *, higher_is_better: bool = False) -> tuple[Integers, Integers]:
    """Return (best, worst) rank of each model that the simultaneous intervals leave open, (models,) each; 1 is first.

    A model's best rank is one more than the number of models shown to be better, its worst the number of models less
    those shown to be worse. All these intervals of ranks hold together, with the level of the differences.

    Args:
        pairs: of one summary value.
        higher_is_better: direction of the value.

    Source: Mogstad, Romano, Shaikh and Wilhelm 2024; Al Mohamad, Goeman and van Zwet 2022.

    >>> draws = np.random.default_rng(0).normal([0.0, 0.0, 9.0], 1.0, (2000, 3))
    >>> best, worst = ranks_of(pairwise([0.0, 0.0, 9.0], draws))
    >>> best.tolist(), worst.tolist()
    ([1, 1, 3], [2, 2, 3])
    """
    lower, higher = pairs.high < 0, pairs.low > 0
    behind, ahead = (lower, higher) if higher_is_better else (higher, lower)
    count = len(pairs.difference)
    return (1 + behind.sum(axis=1)).astype(np.int64), (count - ahead.sum(axis=1)).astype(np.int64)
