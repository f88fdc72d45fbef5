"""Two runs on the same images: paired differences with intervals, tests per cell, and what they mean in words."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from robench.catalogue import headlines, row
from robench.errors import RobenchError
from robench.metrics.statistics import centred_interval
from robench.predictions import Predictions, RunFolder, SuiteInfo
from robench.results.columns import optional_columns
from robench.results.labels import ABSENT
from robench.results.notebook import html_table
from robench.results.protocols import protocol_of_run
from robench.results.schema import StatisticsRecord
from robench.results.scores import Scores, default_metrics, score_cells
from robench.results.summaries import CellArrays, summarise
from robench.results.values import why_undefined

Array = npt.NDArray[np.float64]


class Difference(BaseModel):
    """A metric or summary value of A minus that of B, on the same images."""

    model_config = ConfigDict(extra="forbid")

    value: float | None
    low: float | None = None
    high: float | None = None
    significant: bool = Field(default=False, description="the 95 % interval excludes zero")
    note: str | None = Field(default=None, description="why there is no value")


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
    a: RunFolder, b: RunFolder, *, metrics: Sequence[str] | None = None, resamples: int = 1000, seed: int = 0
) -> Comparison:
    """Compare two runs of the same suite on the same images; differences are A minus B.

    Both runs are resampled with the same draws of images, so that what is common to them cancels out.

    Args:
        a, b: the runs.
        metrics: names of cell metrics; None: those that results of the suite have.
        resamples: bootstrap resamples of the intervals.
        seed: of the bootstrap.

    Raises:
        RobenchError: the runs are of different protocols, have no cell and image in common, or one is damaged.
    """
    _refuse_unlike(a, b)
    for run in (a, b):
        run.refuse_damaged()
    pairs = _paired_predictions(a, b, optional_columns(a.record.suite.task, metrics))
    statistics = StatisticsRecord(resamples=resamples, seed=seed)
    suite = a.record.suite
    variants = any(pair[0].frame is not None for pair in pairs.values())
    metrics = tuple(metrics) if metrics is not None else default_metrics(suite.task, variants=variants)
    scores_a = score_cells({name: pair[0] for name, pair in pairs.items()}, metrics, statistics)
    scores_b = score_cells({name: pair[1] for name, pair in pairs.items()}, metrics, statistics)
    names = _names(a, b)
    differences = _summary_differences(suite, scores_a, scores_b)
    cells = _cell_comparisons(pairs, scores_a, scores_b) if "error" in metrics else []
    return Comparison(
        a=names[0],
        b=names[1],
        suite=suite.name,
        images=int(scores_a.images.max()),
        resamples=resamples,
        differences=differences,
        cells=cells,
        sentences=[*_partly(a, b, pairs), *_prepared(a, b, names), *_sentences(names, differences, cells)],
    )


def _refuse_unlike(a: RunFolder, b: RunFolder) -> None:
    # A model's own resize and crop is its preprocessing, not another protocol.
    there, here = ({**run.record.identity.protocol, "geometry": None} for run in (a, b))
    if there != here:
        keys = [key for key in sorted({*there, *here}) if there.get(key) != here.get(key)]
        raise RobenchError(
            f"{a.path} and {b.path} are not of the same protocol; they differ in {', '.join(keys)}.",
            hint="Only runs on the same images can be compared: evaluate both models on the same suite and `data`.",
        )


def _paired_predictions(
    a: RunFolder, b: RunFolder, optional: Collection[str]
) -> dict[str, tuple[Predictions, Predictions]]:
    in_b = set(b.done())
    pairs = {}
    for name in a.done():
        if name in in_b:
            left, right = a.read(name, optional), b.read(name, optional)
            if not np.array_equal(left.index, right.index):
                left, right = _common(left, right)
            if not len(left):
                raise RobenchError(
                    f"Cell '{name}' of {a.path} and {b.path} was measured on different images.",
                    hint="Evaluate both with the same data.",
                )
            pairs[name] = (left, right)
    if not pairs:
        raise RobenchError(f"{a.path} and {b.path} have no finished cell in common.", hint="Finish both runs first.")
    return pairs


def _common(left: Predictions, right: Predictions) -> tuple[Predictions, Predictions]:
    """Return the rows of the images that both runs have drawn; the smaller sample is part of the larger."""
    both = np.intersect1d(left.index, right.index)
    few = [rows.notes.sample for rows in (left, right) if rows.notes is not None and rows.notes.sample is not None]
    sample = min(few, key=lambda one: one.drawn, default=None)
    return tuple(rows.rows(np.isin(rows.index, both)).of_sample(sample) for rows in (left, right))  # type: ignore[return-value]


def _partly(a: RunFolder, b: RunFolder, pairs: Mapping[str, Any]) -> list[str]:
    """Say that means are over the cells of both, where one has others too."""
    counts = [len(run.done()) for run in (a, b)]
    if counts == [len(pairs)] * 2 or set(a.record.suite.whole) <= set(pairs):
        return []
    return [
        f"Only the {len(pairs)} cells that both runs have are compared (of {counts[0]} and {counts[1]}): the "
        "means are over these, not over the suite."
    ]


def _prepared(a: RunFolder, b: RunFolder, names: tuple[str, str]) -> list[str]:
    """Say how images were resized and cropped, where the two runs differ in it."""
    found = [_geometry(run) for run in (a, b)]
    if found[0] == found[1]:
        return []
    return [f"Images were prepared differently: for {names[0]} {found[0]}; for {names[1]} {found[1]}."]


def _geometry(run: RunFolder) -> str:
    identity = run.record.identity
    geometry = identity.scaled_to or identity.protocol.get("geometry") or identity.preprocessing.get("geometry") or {}
    sides = [f"{key} {geometry[key]}" for key in ("resize", "crop") if geometry.get(key) is not None]
    return ", ".join([*sides, str(geometry.get("interpolation"))]) if sides else "at their own size"


def _names(a: RunFolder, b: RunFolder) -> tuple[str, str]:
    first, second = a.record.model.name, b.record.model.name
    return (first, second) if first != second else (f"{first} ({a.path.name})", f"{second} ({b.path.name})")


def _summary_differences(suite: SuiteInfo, a: Scores, b: Scores) -> dict[str, Difference]:
    protocol = protocol_of_run(suite)

    def summaries(scores: Scores, metrics: Mapping[str, Array]) -> dict[str, Array]:
        return summarise(CellArrays(scores.cells, metrics, protocol))

    values_a, values_b = summaries(a, a.values), summaries(b, b.values)
    replicates_a, replicates_b = summaries(a, a.replicates), summaries(b, b.replicates)
    return {
        name: difference_of(float(values_a[name] - values_b[name]), replicates_a[name] - replicates_b[name], name)
        for name in values_a
    }


def difference_of(value: float, replicates: Array, name: str = "") -> Difference:
    """Return a difference with its 95 % interval; it is significant where the interval excludes zero.

    Args:
        value: the difference; NaN where it is undefined.
        replicates: float64 (resamples,) of it, from paired resamples.
        name: of the metric or summary value, which says why it may be undefined.

    >>> found = difference_of(-0.02, np.linspace(-0.03, -0.01, 100))
    >>> round(found.low, 3), round(found.high, 3), found.significant
    (-0.029, -0.011, True)
    """
    if not np.isfinite(value):
        return Difference(value=None, note=why_undefined(name))
    if not np.isfinite(replicates).any():
        return Difference(value=value)
    low, high = centred_interval(value, replicates)
    return Difference(value=value, low=low, high=high, significant=low > 0 or high < 0)


def _cell_comparisons(
    pairs: Mapping[str, tuple[Predictions, Predictions]], a: Scores, b: Scores
) -> list[CellComparison]:
    from robench.metrics.comparison import holm, mcnemar

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
            ),
            p=float(p[i]),
            p_holm=float(p_holm[i]),
        )
        for i, name in enumerate(pairs)
    ]


def _sentences(names: tuple[str, str], differences: Mapping[str, Difference], cells: list[CellComparison]) -> list[str]:
    """Say which differences are statistically significant."""
    said = [_sentence(names, name, differences[name]) for name in headlines(differences, main=True)]
    if cells:
        better = sum(cell.p_holm < 0.05 and cell.a < cell.b for cell in cells)
        worse = sum(cell.p_holm < 0.05 and cell.a > cell.b for cell in cells)
        said.append(
            f"Of {len(cells)} cells, {names[0]} is better in {better} and worse in {worse} (McNemar's test, 5 % level, "
            f"Holm's correction); no significant difference in the other {len(cells) - better - worse}."
        )
    return [text for text in said if text]


def _sentence(names: tuple[str, str], name: str, difference: Difference) -> str:
    """Say one difference, or why there is none; "" where it has no interval."""
    about = row(name)
    if difference.value is None:
        return f"{about.title}: {difference.note}."
    if difference.low is None or difference.high is None:
        return ""
    unit = f" {about.difference_unit}".rstrip()
    if difference.significant:
        low, high = sorted((abs(difference.low), abs(difference.high)))
        lower, higher = names if difference.value < 0 else names[::-1]
        return (
            f"{about.title}: {lower} is lower than {higher} by {about.show(abs(difference.value))}{unit} "
            f"(95 % interval {about.show(low)} to {about.show(high)}); statistically significant at the 5 % level."
        )
    ends = [about.show(end, sign=True) for end in (difference.low, difference.high)]
    return (
        f"{about.title}: no significant difference; {names[0]} minus {names[1]} is "
        f"{about.show(difference.value, sign=True)}{unit} (95 % interval {ends[0]} to {ends[1]})."
    )
