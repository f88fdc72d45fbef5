"""What all plots share: one protocol per plot, values with intervals, and the words that name their origin."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from robench.catalogue import Row
from robench.errors import RobenchError
from robench.results.labels import amount_words, image_words, model_names, protocol_words, sampled_whole
from robench.results.schema import Result, Value

Array = npt.NDArray[np.float64]


def same_suite(results: Sequence[Result]) -> None:
    """Refuse results of different protocols in one plot.

    Raises:
        RobenchError: no result at all, or results of several suites, versions, sources or data sets.
    """
    if not results:
        raise RobenchError("There is no result to plot.", hint="Give one or several result.json files or run folders.")
    kinds = {protocol_words(result): result.model.name for result in reversed(results)}
    if len(kinds) > 1:
        found = "; ".join(f"{kind}: {name}" for kind, name in kinds.items())
        raise RobenchError(
            f"These results are of different protocols: {found}.",
            hint="Plot each of them separately.",
        )


def drawn_names(results: Sequence[Result]) -> list[str]:
    """Return the models' names for a legend; a run that lacks cells or images is marked."""
    return [name + mark(result) for name, result in zip(model_names(results), results, strict=True)]


def mark(result: Result) -> str:
    """Return what follows the name of a model whose run lacks cells or images."""
    if result.status == "partial":
        return " (partial)"
    if result.suite.sampled is not None:
        return " (sampled)" if sampled_whole(result) else " (sample of a part)"
    return "" if result.suite.complete else " (part of the suite)"


def ends(values: Sequence[Value | None], about: Row) -> tuple[Array, Array, Array]:
    """Return the values and both ends of the intervals, float64 each, in the unit shown, NaN where there is none."""

    def numbers(attribute: str) -> Array:
        found = [None if value is None else getattr(value, attribute) for value in values]
        return about.factor * np.array([np.nan if one is None else one for one in found], float)

    return numbers("value"), numbers("low"), numbers("high")


def least(*drawn: Array) -> float:
    """Return where an axis begins that shows 0: there, or at the least value below it, as signed metrics have.

    Args:
        drawn: values and ends of intervals, NaN where there is none.

    >>> least(np.array([2.0, np.nan]), np.array([1.5, np.nan])), least(np.array([-3.0]), np.array([np.nan]))
    (0.0, -3.0)
    """
    return min(float(np.nanmin(one, initial=0.0)) for one in drawn)


def no_values(metric: str, stored: Iterable[Mapping[str, Value]], where: str, otherwise: str) -> RobenchError:
    """Return why a metric cannot be plotted, it is missing or undefined, and which others can.

    Args:
        metric: its name.
        stored: name -> value, of all that results have there.
        where: that is, in words.
        otherwise: the hint where no metric can be plotted.
    """
    names: set[str] = set()
    known: set[str] = set()
    for values in stored:
        names |= set(values)
        known |= {name for name, value in values.items() if value.value is not None}
    why = f"None of these results has '{metric}' {where}."
    if metric in names:
        why = f"'{metric}' is undefined {where} in all of these results, mostly because of too few images."
    return RobenchError(why, hint=f"They have: {', '.join(sorted(known))}." if known else otherwise)


def provenance(results: Sequence[Result], *said: str) -> str:
    """Return the line under a plot: the suite, where its images come from, and what else the plot says."""
    amounts = sorted({amount for result in results if (amount := amount_words(result))})
    return " · ".join([f"{results[0].suite.name}, {image_words(results[0])}", *filter(None, said), *amounts])


def or_debiased(results: Sequence[Result], metric: str) -> str:
    """Return the debiased form of a metric where a sampled result has no value of it by severity, else the metric.

    >>> or_debiased([], "rms_calibration_error")
    'rms_calibration_error'
    """
    levels = [level for result in results for level in result.severities.values()]
    undefined = any((found := level.get(metric)) is not None and found.value is None for level in levels)
    debiased = f"{metric}_debiased"
    defined = any((found := level.get(debiased)) is not None and found.value is not None for level in levels)
    return debiased if undefined and defined else metric


def interval_words(results: Sequence[Result], drawn: str, *low: Array) -> str:
    """Return ``bands: 95 % intervals``, with the level of the results; "" where no value of ``low`` is finite.

    Args:
        results: that are drawn.
        drawn: what shows the intervals.
        low: the intervals' lower ends.
    """
    if not any(np.isfinite(ends_).any() for ends_ in low):
        return ""
    levels = sorted({result.statistics.level for result in results})
    return f"{drawn}: " + " and ".join(f"{100 * level:g} %" for level in levels) + " intervals"
