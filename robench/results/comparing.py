"""Two runs on the same images: paired differences with intervals, tests per cell, and what they mean in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from robench.catalogue import headlines, row
from robench.metrics.statistics import centred_interval
from robench.predictions import Predictions, RunFolder
from robench.results.columns import columns_of
from robench.results.comparison_words import sentences
from robench.results.controls import control_run
from robench.results.floors import floor_between
from robench.results.intervals import NORMAL_95
from robench.results.judging import Difference, Margins, judged, spread_of_difference, standard_error, tested_names
from robench.results.labels import ABSENT
from robench.results.notebook import html_table
from robench.results.paired import on_common_images, refuse_unlike
from robench.results.protocols import counted, protocol_of_run
from robench.results.same_images import prepared
from robench.results.schema import StatisticsRecord
from robench.results.scores import Scores, default_metrics, of_sample, score_runs
from robench.results.summaries import CellArrays, summarise
from robench.results.values import why_undefined
from robench.suites.base import Suite

Array = npt.NDArray[np.float64]


class CellComparison(BaseModel):
    """One cell: both errors, their paired difference, and McNemar's test with Holm's correction over the cells."""

    model_config = ConfigDict(extra="forbid")

    name: str
    a: float
    b: float
    difference: Difference
    p: float
    p_holm: float


class Comparison(BaseModel):
    """Everything that `robench compare A B` knows."""

    model_config = ConfigDict(extra="forbid")

    a: str
    b: str
    suite: str
    images: int = Field(description="of the largest cell; of a suite of sequences, clips")
    resamples: int
    differences: dict[str, Difference]
    cells: list[CellComparison]
    sentences: list[str]

    def __repr__(self) -> str:
        found = sum(difference.significant for difference in self.differences.values())
        return (
            f"<Comparison of {self.a!r} and {self.b!r} on {self.suite}: {found} of {len(self.differences)} summary "
            "values differ significantly>"
        )

    __str__ = __repr__

    def _repr_html_(self) -> str:
        """The terminal's table, for notebooks."""
        rows = [(row(name).head, difference_text(name, self.differences[name])) for name in headlines(self.differences)]
        title = f"{self.a} minus {self.b} on {self.suite}, with 95 % confidence intervals"
        return html_table(title, ("", "difference"), rows, self.sentences)


def difference_text(name: str, difference: Difference) -> str:
    """Return a difference with its sign and interval, and a star where it is statistically significant.

    >>> difference_text("error", Difference(value=-0.0275, low=-0.04, high=-0.015, significant=True))
    '-2.75 (-4.00 to -1.50) *'
    """
    if difference.value is None:
        return ABSENT
    about = row(name)
    text = about.show(difference.value, sign=True)
    if difference.low is None or difference.high is None:
        return text
    ends = f"{about.show(difference.low, sign=True)} to {about.show(difference.high, sign=True)}"
    return f"{text} ({ends})" + (" *" if difference.significant else "")


def compare_runs(
    a: RunFolder,
    b: RunFolder,
    *,
    metrics: Sequence[str] | None = None,
    resamples: int = 1000,
    seed: int = 0,
    margins: Margins | None = None,
    figures: Sequence[str] | None = None,
) -> Comparison:
    """Compare two runs of the same suite on the same images; differences are A minus B.

    Both runs are resampled with the same draws of images, so that what is common to them cancels out.

    Args:
        a, b: the runs.
        metrics: names of cell metrics; None: those that results of the suite have.
        resamples: bootstrap resamples of the intervals.
        seed: of the bootstrap.
        margins: within which the runs count as equivalent; see :func:`robench.results.judging.margin_of`.
        figures: names of the summary values that are tested; None: the main ones.

    Raises:
        RobenchError: the runs are of different protocols, have no cell and image in common, or one is damaged; or a
            value that is to be tested is not there.
    """
    refuse_unlike((a, b))
    pairs = on_common_images((a, b), columns_of(a.record.suite, metrics))
    statistics = StatisticsRecord(resamples=resamples, seed=seed)
    scores_a, scores_b = scores_of(a, pairs, metrics, statistics)
    names = _names(a, b)
    margins = margins or {}
    differences = _summary_differences(protocol_of_run(a.record.suite), scores_a, scores_b)
    differences = judged(differences, tested_names(differences, figures, margins), margins)
    cells = _cell_comparisons(pairs, scores_a, scores_b) if "error" in scores_a.values else []
    return Comparison(
        a=names[0],
        b=names[1],
        suite=a.record.suite.name,
        images=int(scores_a.images.max()),
        resamples=resamples,
        differences=differences,
        cells=cells,
        sentences=[
            *partly((a, b), pairs),
            *sampled_part((scores_a, scores_b), a.record.suite.task),
            *uncorrected((a, b), (scores_a, scores_b)),
            *of_one_model((a, b), names),
            *prepared_part((a, b), names),
            *sentences(names, differences, cells, judged=bool(margins)),
        ],
    )


def scores_of(
    run: RunFolder,
    cells: Mapping[str, tuple[Predictions, ...]],
    metrics: Sequence[str] | None,
    statistics: StatisticsRecord,
) -> list[Scores]:
    """Return the scores of runs on their common images, all with the same resamples.

    Args:
        run: one of them, which says the suite.
        cells: of :func:`robench.results.paired.on_common_images`.
        metrics: names of cell metrics; None: those that results of the suite have.
        statistics: resamples and seed.
    """
    suite = run.record.suite
    variants = any(rows[0].frame is not None for rows in cells.values())
    names = tuple(metrics) if metrics is not None else default_metrics(suite.task, variants=variants)
    protocol, found = protocol_of_run(suite), []
    of_runs = [dict(zip(cells, of_run, strict=True)) for of_run in zip(*cells.values(), strict=True)]
    for of_one, scored in zip(of_runs, score_runs(of_runs, names, statistics, protocol), strict=True):
        scores = of_sample(scored, of_one, protocol)
        # Resamples are not moved by control variates; neither are the values that stand beside them.
        found.append(scores if scores.sampled is None else replace(scores, values=dict(scores.sampled.metrics)))
    return found


def sampled_part(scores: Sequence[Scores], task: str) -> list[str]:
    """Say how much of the suite is compared, where it is a sample."""
    found = scores[0].sampled
    if found is None:
        return []
    drawn, total = int(scores[0].images.max()), int(found.totals.max())
    return [f"Sampled: {drawn:,} of {total:,} {counted(task)} per cell. The intervals are for new {counted(task)}."]


def uncorrected(runs: Sequence[RunFolder], scores: Sequence[Scores]) -> list[str]:
    """Say that comparisons are of the drawn images alone, where the results of some runs are corrected."""
    own = (one.sampled is not None and one.sampled.control is not None for one in scores)
    if not any(own) and not any(control_run(run.path) is not None for run in runs):
        return []
    return [
        "Values that results correct by control variates are compared without: differences are of the images that all "
        "models were measured on."
    ]


def partly(runs: Sequence[RunFolder], cells: Mapping[str, Any]) -> list[str]:
    """Say that means are over a part of the suite, or over the cells of all runs where one has others too."""
    counts, suite = [len(run.done()) for run in runs], runs[0].record.suite
    if set(suite.whole) <= set(cells):
        return []
    if counts == [len(cells)] * len(runs):
        measured = sum(name in cells for name in suite.whole)
        return [
            f"Only {measured} of the {len(suite.whole)} cells of {suite.name} were measured: the means are over these,"
            " not over the suite."
        ]
    whose = "both" if len(runs) == 2 else "all"
    return [
        f"Only the {len(cells)} cells that {whose} runs have are compared (of {', '.join(map(str, counts[:-1]))} and "
        f"{counts[-1]}): the means are over these, not over the suite."
    ]


def of_one_model(runs: Sequence[RunFolder], names: Sequence[str]) -> list[str]:
    """Say which runs are one folder under two names, or of one model: no difference of theirs is one of models."""
    said = []
    for (first, name), (second, other) in combinations(zip(runs, names, strict=True), 2):
        if first.path.resolve() == second.path.resolve():
            said.append(f"{name} and {other} are the same run.")
        elif first.record.model.hash == second.record.model.hash:
            said.append(f"{name} and {other} are of the same model (their hashes are equal).")
    return said


def prepared_part(runs: Sequence[RunFolder], names: Sequence[str]) -> list[str]:
    """Say how images were resized and cropped, where the runs differ in it."""
    found: dict[str, list[str]] = {}
    for run, name in zip(runs, names, strict=True):
        found.setdefault(prepared(run), []).append(name)
    if len(found) < 2:
        return []
    said = "; ".join(f"for {', '.join(whose)} {how}" for how, whose in found.items())
    return [f"Images were prepared differently: {said}."]


def _names(a: RunFolder, b: RunFolder) -> tuple[str, str]:
    first, second = a.record.model.name, b.record.model.name
    if first != second:
        return first, second
    folders = (a.path.name, b.path.name) if a.path.name != b.path.name else (str(a.path), str(b.path))
    return f"{first} ({folders[0]})", f"{second} ({folders[1]})"


def _summary_differences(protocol: Suite, a: Scores, b: Scores) -> dict[str, Difference]:
    def summaries(scores: Scores, metrics: Mapping[str, Array]) -> dict[str, Array]:
        return summarise(CellArrays(scores.cells, metrics, protocol))

    values_a, values_b = summaries(a, a.values), summaries(b, b.values)
    replicates_a, replicates_b = summaries(a, a.replicates), summaries(b, b.replicates)
    drawn = {name: replicates_a[name] - replicates_b[name] for name in values_a}
    return {
        name: difference_of(
            float(values_a[name] - values_b[name]),
            drawn[name],
            name,
            least=floor_between(name, a, b, protocol, float(values_a[name]), drawn[name]),
            sampled=a.sampled is not None,
        )
        for name in values_a
    }


def difference_of(
    value: float, replicates: Array, name: str = "", *, least: float = 0.0, sampled: bool = False
) -> Difference:
    """Return a difference with its 95 % interval; it is significant where the interval excludes zero.

    Where resamples vary less than so few images allow, as of models that answer alike on all of them, the interval
    reaches as far as the least standard error does.

    Args:
        value: the difference; NaN where it is undefined.
        replicates: float64 (resamples,) of it, from paired resamples.
        name: of the metric or summary value, which says why it may be undefined.
        least: the least standard error that so many images allow.
        sampled: whether it is of sampled runs.

    >>> found = difference_of(-0.02, np.linspace(-0.03, -0.01, 100))
    >>> round(found.low, 3), round(found.high, 3), found.significant
    (-0.029, -0.011, True)
    """
    if not np.isfinite(value):
        return Difference(value=None, note=why_undefined(name, sampled=sampled))
    if not np.isfinite(replicates).any():
        return Difference(value=value)
    centre = np.nanmean(replicates)
    replicates = centre + spread_of_difference(name, sampled=sampled) * (replicates - centre)
    low, high = centred_interval(value, replicates)
    error = standard_error(replicates, least)
    if error is not None and error <= least:
        low, high = min(low, value - NORMAL_95 * least), max(high, value + NORMAL_95 * least)
    return Difference(value=value, low=low, high=high, significant=low > 0 or high < 0, error=error)


def _cell_comparisons(pairs: Mapping[str, tuple[Predictions, ...]], a: Scores, b: Scores) -> list[CellComparison]:
    from robench.metrics.comparison import holm, mcnemar
    from robench.metrics.least_error import least_error

    p = np.array([mcnemar(left.correct, right.correct) for left, right in pairs.values()])
    p_holm = holm(p)
    return [
        CellComparison(
            name=name,
            a=float(a.values["error"][i]),
            b=float(b.values["error"][i]),
            difference=difference_of(
                float(a.values["error"][i] - b.values["error"][i]),
                a.replicates["error"][:, i] - b.replicates["error"][:, i],
                least=least_error([1.0], [a.images[i]]),
            ),
            p=float(p[i]),
            p_holm=float(p_holm[i]),
        )
        for i, name in enumerate(pairs)
    ]
