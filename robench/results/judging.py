"""What differences of two runs amount to: better, worse, equivalent within a margin, or undecided."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from robench.catalogue import headlines, metric_of, row
from robench.errors import RobenchError, did_you_mean
from robench.metrics.equivalence import adjusted, difference_p, equivalence_p, verdict

Array = npt.NDArray[np.float64]
Margins = Mapping[str, float]
_SHOWN = ("%", "points")


class Difference(BaseModel):
    """A metric or summary value of A minus that of B, on the same images."""

    model_config = ConfigDict(extra="forbid")

    value: float | None
    low: float | None = None
    high: float | None = None
    significant: bool = Field(default=False, description="the 95 % interval excludes zero")
    note: str | None = Field(default=None, description="why there is no value")
    error: float | None = Field(default=None, description="standard error of the value")
    verdict: Literal["better", "worse", "equivalent", "undecided"] | None = Field(
        default=None, description="of A against B; null where it was not tested"
    )
    margin: float | None = Field(default=None, description="within which A and B count as equivalent, in stored units")
    p_difference: float | None = Field(default=None, description="of no difference, adjusted for all values tested")
    p_equivalence: float | None = Field(
        default=None, description="of a difference beyond the margin, adjusted for all values tested"
    )


def standard_error(replicates: Array, least: float = 0.0) -> float | None:
    """Return the standard deviation of the finite replicates, at least ``least``; None where there are not two."""
    drawn = replicates[np.isfinite(replicates)]
    return max(float(drawn.std(ddof=1)), least) if len(drawn) > 1 else None


def spread_of_difference(name: str, *, sampled: bool = False) -> float:
    """Return how many times the replicates' standard error that of a difference of two models is in this value.

    Args:
        name: of the value.
        sampled: whether every cell has images of its own, so that cells have no chance in common.

    >>> spread_of_difference("mean_error"), spread_of_difference("mean_ece_debiased")
    (1.0, 1.08)
    """
    of = metric_of(name)
    return 1.0 if of is None or sampled else of.difference_spread


def margin_of(name: str, margins: Margins) -> float | None:
    """Return the margin of a value in its stored unit; None where it has none.

    Args:
        name: of the value.
        margins: name -> margin as it is shown (points for percentages); ``""``: of all values that are percentages.

    >>> margins = {"": 0.5, "mean_nll": 0.01}
    >>> margin_of("mean_error", margins), margin_of("mean_brier", margins), margin_of("mean_nll", margins)
    (0.005, None, 0.01)
    """
    about = row(name)
    if name in margins:
        return margins[name] / about.factor
    return margins[""] / about.factor if "" in margins and about.shown_unit in _SHOWN else None


def tested_names(present: Iterable[str], figures: Sequence[str] | None, margins: Margins) -> list[str]:
    """Return the values that are tested: those asked for, or those that comparisons have a sentence for.

    Args:
        present: the values that there are.
        figures: names of the values asked for; None: the main ones.
        margins: as for :func:`margin_of`; values named there are tested too.

    Raises:
        RobenchError: a value that is not there, or of which neither end is better.
    """
    known = list(present)
    named = [*(figures or ()), *(name for name in margins if name)]
    for name in named:
        if name not in known:
            raise RobenchError(f"'{name}' is not a value of these runs.", hint=did_you_mean(name, known))
        if row(name).lower_is_better is None:
            raise RobenchError(f"'{name}' cannot be tested: neither a low nor a high value is better.", hint="Omit it.")
    usual = headlines(known, main=True) if figures is None else []
    return [name for name in dict.fromkeys([*usual, *named]) if row(name).lower_is_better is not None]


def judged(
    differences: Mapping[str, Difference], names: Sequence[str], margins: Margins, level: float = 0.05
) -> dict[str, Difference]:
    """Return the differences with a verdict on each of the named ones, adjusted for their number.

    Args:
        differences: by the name of the value.
        names: of those that are tested; what has no standard error is left untested.
        margins: as for :func:`margin_of`.
        level: of all tests together.

    >>> found = judged({"mean_error": Difference(value=0.001, error=0.001)}, ["mean_error"], {"": 0.5})
    >>> found["mean_error"].verdict, round(found["mean_error"].p_equivalence, 5)
    ('equivalent', 3e-05)
    """
    tested = [name for name in names if differences[name].value is not None and differences[name].error]
    triples = [(differences[n].value or 0.0, differences[n].error or 1.0, margin_of(n, margins)) for n in tested]
    p_difference, p_equivalence = adjusted(
        [difference_p(value, error) for value, error, _ in triples],
        [None if margin is None else equivalence_p(value, error, margin) for value, error, margin in triples],
    )
    found = dict(differences)
    for i, (name, (value, _, margin)) in enumerate(zip(tested, triples, strict=True)):
        better = row(name).lower_is_better is not False
        said = verdict(value, p_difference[i], p_equivalence[i], lower_is_better=better, level=level)
        found[name] = differences[name].model_copy(
            update={
                "verdict": said,
                "margin": margin,
                "p_difference": float(p_difference[i]),
                "p_equivalence": None if margin is None else float(p_equivalence[i]),
            }
        )
    return found
