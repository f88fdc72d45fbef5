"""Split conformal prediction sets: scores, thresholds, set sizes, and what is measured of them.

A class's score says how badly it fits an image; a set holds the classes whose score is at most the threshold, which
is found on held-out images so that sets of images like these hold the right class with probability 1 - alpha. Scores
are those without randomisation:

- ``lac``: one minus the class's probability (Sadinle et al. 2019);
- ``aps``: the probability of the class and of all classes that are more probable (Romano et al. 2020);
- ``raps``: that of ``aps`` plus ``penalty`` for every rank beyond ``kreg`` (Angelopoulos et al. 2021).

Of a confident model most of these scores are so near to 0 or 1 that numbers round to it: they would be tied, and sets
would hold every class, or none. So scores are worked with as their *ranking*, a number that rises with the score and
keeps such scores apart: of ``lac`` the log-odds log((1 - p) / p), of the others minus the probability of the less
probable classes, plus the penalty beyond that of the most probable class. :func:`published` turns it into the score.

The score of an image's own class comes from the columns of every run; the sizes of sets need ``logits``, unless the
first two probabilities already tell them.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np
import numpy.typing as npt

from robench.errors import RobenchError
from robench.metrics.arrays import floats
from robench.metrics.kernels import mean_of
from robench.metrics.probabilities import softmax
from robench.metrics.weighted import Array, Binned, Columns, Sums

METHODS = ("lac", "aps", "raps")
STRATA = ((0, 1), (2, 3), (4, 10), (11, 100), (101, 1000))  # set sizes, Angelopoulos et al. 2021, section 4
LEAST = 20  # images that a stratum needs for its coverage to count
_ROWS = 4096  # whose classes are sorted at a time
_FLOAT32 = 1.2e-7  # by which rounding moves a stored column, at most


@dataclass(frozen=True)
class Rule:
    """How badly a class fits an image.

    Args:
        method: ``lac``, ``aps`` or ``raps``.
        penalty: of ``raps``, for every rank beyond ``kreg``.
        kreg: of ``raps``, ranks that are free.
    """

    method: str = "lac"
    penalty: float = 0.01
    kreg: int = 5

    def extra(self, ranks: npt.ArrayLike) -> Array:
        """Return what ranks (0 is the most probable class) add to a score."""
        if self.method != "raps":
            return np.zeros(np.shape(ranks))
        return self.penalty * np.maximum(np.asarray(ranks, np.float64) + 1.0 - self.kreg, 0.0)


def target_scores(columns: Columns, rule: Rule) -> Array:
    """Return the ranking of the score of every image's own class, float64 (n,); see :func:`published`.

    Args:
        columns: ``nll`` for ``lac``, and ``log_complement`` and ``target_rank`` where the table has them: a likelihood
            in float32 is 1 from 17 nats between the two largest logits on, and all such images would be tied.
            ``target_tail`` and ``target_rank`` for the others.
        rule: the score.
    """
    if rule.method == "lac":
        nll = np.asarray(columns["nll"], np.float64)
        found = _log_odds(-nll)
        if "log_complement" not in columns:
            return found
        rest = np.asarray(columns["log_complement"], np.float64) + nll
        return np.where(np.asarray(columns["target_rank"]) == 0, rest, found)
    return rule.extra(columns["target_rank"]) - rule.extra(0) - np.asarray(columns["target_tail"], np.float64)


def published(ranking: npt.ArrayLike, rule: Rule) -> Array:
    """Return the scores whose rankings these are.

    >>> published([0.0, np.inf], Rule("lac")).tolist(), float(published(-0.25, Rule("aps")))
    ([0.5, 1.0], 0.75)
    """
    from scipy.special import expit

    found = np.asarray(ranking, np.float64)
    return np.asarray(expit(found)) if rule.method == "lac" else found + (1.0 + rule.extra(0))


def below_one(ranking: float, rule: Rule) -> float:
    """Return one minus the score whose ranking this is, also where the score rounds to 1.

    >>> below_one(100.0, Rule("lac")) > 0.0, below_one(-1e-30, Rule("aps"))
    (True, 1e-30)
    """
    return float(published(-ranking, rule)) if rule.method == "lac" else -(ranking + float(rule.extra(0)))


def _log_odds(log_p: Array) -> Array:
    """Return log((1 - p) / p)."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(-np.expm1(log_p)) - log_p)


def threshold(scores: npt.ArrayLike, alpha: float) -> float:
    """Return the split conformal threshold: the ceil((n + 1)(1 - alpha))-th smallest score; infinite beyond the n-th.

    Source: Vovk et al. 2005; Angelopoulos and Bates 2023, section 1.

    Args:
        scores: (n,) of held-out images, or their rankings, of which it is the threshold then.
        alpha: share of sets that may miss the right class, in (0, 1).

    Raises:
        RobenchError: no scores, NaN among them, or another alpha.

    >>> threshold([0.1, 0.4, 0.2, 0.3], 0.25)
    0.4
    """
    found = floats(scores)
    if found.ndim != 1 or not len(found) or np.isnan(found).any() or not 0.0 < alpha < 1.0:
        raise RobenchError(
            f"A threshold needs scores (n,) without NaN and alpha in (0, 1); found shape {found.shape} and {alpha!r}.",
            hint="Give the scores of held-out images with labels, and for example alpha=0.1.",
        )
    k = ceil((len(found) + 1) * (1.0 - alpha) - 1e-9)
    return float("inf") if k > len(found) else float(np.partition(found, k - 1)[k - 1])


def set_sizes(columns: Columns, rule: Rule, limit: float) -> Array:
    """Return how many classes every image's set holds, float64 (n,); NaN where the columns do not tell.

    Args:
        columns: ``logits``, or ``log_complement``, ``second_logit`` and ``logsumexp`` of the two likeliest classes.
        rule: the score.
        limit: the threshold, a ranking as :func:`target_scores` returns them.
    """
    if "logits" in columns:
        logits = np.asarray(columns["logits"])
        parts = [_counted(logits[at : at + _ROWS], rule, limit) for at in range(0, len(logits), _ROWS)]
        return np.concatenate(parts) if parts else np.empty(0)
    rest = np.asarray(columns["log_complement"], np.float64)  # log of one minus the first probability
    second = np.asarray(columns["second_logit"], np.float64) - np.asarray(columns["logsumexp"], np.float64)
    if rule.method == "lac":
        first, then, off = rest - np.log1p(-np.exp(rest)), _log_odds(second), np.zeros(len(rest))
    else:
        first = -np.exp(rest)
        then = first + np.exp(second) + (rule.extra(1) - rule.extra(0))
        size = np.abs(rest) + np.abs(columns["second_logit"]) + np.abs(columns["logsumexp"]) + 2.0
        off = _FLOAT32 * size * np.exp(rest)  # the difference of two columns, each rounded
    return np.where(then - off > limit, (first <= limit).astype(np.float64), np.nan)


def _counted(logits: npt.NDArray[np.floating], rule: Rule, limit: float) -> Array:
    if rule.method == "lac":
        z = np.sort(np.asarray(logits, np.float64), axis=1)
        e = np.exp(z - z[:, -1:])
        rest = e[:, :-1].sum(axis=1)  # of the largest probability, 1 - p loses what is left
        first = np.log(rest) if z.shape[1] > 1 else np.full(len(z), -np.inf)
        others = _log_odds(z[:, :-1] - z[:, -1:] - np.log1p(rest)[:, None])
        return np.asarray((first <= limit).astype(np.float64) + (others <= limit).sum(axis=1), np.float64)
    rising = np.sort(softmax(logits), axis=1)
    after = np.zeros_like(rising)  # exactly 0 for the last class, as the stored tail
    np.cumsum(rising[:, :-1], axis=1, out=after[:, 1:])
    scores = rule.extra(np.arange(rising.shape[1])) - rule.extra(0) - after[:, ::-1]
    return np.asarray((scores <= limit).sum(axis=1), np.float64)


def with_own_class(sizes: Array, covered: npt.ArrayLike, rank: npt.ArrayLike) -> Array:
    """Return the sizes of sets that hold an image's own class where ``covered`` says so, and only there.

    Sets hold the most probable classes, as scores rise from rank to rank. An own class's score is of stored columns,
    and may be rounded to the other side of the threshold than the same score of the logits; of images with equal
    outputs, all would be.

    Args:
        sizes: float64 (n,) of :func:`set_sizes`; NaN stays.
        covered: (n,), whether the own class is in the set.
        rank: int (n,) of the own class, 0 is the most probable.

    >>> with_own_class(np.array([0.0, 2.0, np.nan]), [True, False, True], [0, 1, 0]).tolist()
    [1.0, 1.0, nan]
    """
    place = np.asarray(rank, np.float64)
    return np.where(np.asarray(covered, bool), np.maximum(sizes, place + 1.0), np.minimum(sizes, place))


def stratum(sizes: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Return which of :data:`STRATA` each size is in, (n,); larger ones are in the last.

    >>> stratum([0, 1, 2, 10, 5000]).tolist()
    [0, 0, 1, 2, 4]
    """
    uppers = np.array([high for _, high in STRATA[:-1]])
    return np.searchsorted(uppers, np.asarray(sizes, np.float64)).astype(np.int64)


def _strata(columns: Columns) -> Binned:
    covered = np.asarray(columns["covered"], np.float64)
    return Binned(np.stack([covered, np.ones(len(covered))]), stratum(columns["set_size"]), len(STRATA))


def _worst(sums: Array) -> Array:
    covered, counts = sums[..., 0], sums[..., 1]
    worst = np.where(counts >= LEAST, covered / counts, np.inf).min(axis=-1)
    return np.where(np.isfinite(worst), worst, np.nan)


CONFORMAL_COVERAGE = mean_of(lambda columns: columns["covered"])
CONFORMAL_SET_SIZE = mean_of(lambda columns: columns["set_size"])
SIZE_STRATIFIED_COVERAGE = Sums((_strata,), _worst)
