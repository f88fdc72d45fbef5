"""Any number of runs on the same images: differences of all pairs with simultaneous intervals, and ranks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from robench.catalogue import headlines, row
from robench.errors import RobenchError
from robench.metrics.simultaneous import Pairwise, pairwise, ranks_of
from robench.predictions import RunFolder
from robench.results.columns import columns_of
from robench.results.comparing import of_one_model, partly, prepared_part, sampled_part, scores_of, uncorrected
from robench.results.floors import floor_between
from robench.results.judging import Margins, margin_of, spread_of_difference, tested_names
from robench.results.labels import sentence
from robench.results.paired import on_common_images, refuse_unlike
from robench.results.protocols import protocol_of_run
from robench.results.schema import StatisticsRecord, Value
from robench.results.scores import Scores
from robench.results.summaries import CellArrays, summarise
from robench.results.values import why_undefined, with_interval
from robench.suites.base import Suite

Array = npt.NDArray[np.float64]
METHOD = "paired bootstrap over images; max-t over all pairs of a value (Westfall and Young 1993)"


class Ranked(BaseModel):
    """One run's value, and its rank among the runs."""

    model_config = ConfigDict(extra="forbid")

    value: float
    low: float | None = None
    high: float | None = None
    best_rank: int = Field(description="1 is first; both ranks hold for all runs together")
    worst_rank: int


class Pair(BaseModel):
    """The difference of two runs in one value: that of ``a`` minus that of ``b``."""

    model_config = ConfigDict(extra="forbid")

    a: str
    b: str
    difference: float
    low: float = Field(description="of the simultaneous interval")
    high: float
    significant: bool = Field(description="the simultaneous interval excludes zero")
    verdict: Literal["better", "worse", "equivalent", "undecided"] = Field(description="of a against b")


class ValueComparison(BaseModel):
    """One summary value of all runs."""

    model_config = ConfigDict(extra="forbid")

    runs: dict[str, Ranked] = Field(description="in the order of the runs")
    pairs: list[Pair]
    critical: float = Field(description="standard errors that each simultaneous interval reaches to either side")
    margin: float | None = None

    def pair(self, a: str, b: str) -> Pair:
        """Return the difference of two runs, in this order."""
        for one in self.pairs:
            if (one.a, one.b) == (a, b):
                return one
            if (one.a, one.b) == (b, a):
                turned = {"better": "worse", "worse": "better"}.get(one.verdict, one.verdict)
                ends = {"difference": -one.difference, "low": -one.high, "high": -one.low}
                return one.model_copy(update={"a": a, "b": b, "verdict": turned, **ends})
        raise RobenchError(f"There is no difference of '{a}' and '{b}'.", hint=f"Known: {', '.join(self.runs)}.")


class ManyComparison(BaseModel):
    """Everything that `robench compare A B C ...` knows."""

    model_config = ConfigDict(extra="forbid")

    runs: list[str]
    suite: str
    images: int = Field(description="of the largest cell, common to all runs; of a suite of sequences, clips")
    resamples: int
    method: str = METHOD
    level: float = 0.95
    values: dict[str, ValueComparison]
    sentences: list[str]


def compare_many(
    runs: Sequence[RunFolder],
    *,
    resamples: int = 1000,
    seed: int = 0,
    margins: Margins | None = None,
    figures: Sequence[str] | None = None,
) -> ManyComparison:
    """Compare two or more runs of the same suite on the images that all of them have measured.

    Args:
        runs: at least two.
        resamples: bootstrap resamples, at least 100.
        seed: of the bootstrap.
        margins: within which runs count as equivalent; see :func:`robench.results.judging.margin_of`.
        figures: names of the summary values; None: the main ones.

    Raises:
        RobenchError: as :func:`robench.results.comparing.compare_runs`.
    """
    refuse_unlike(runs)
    cells = on_common_images(runs, columns_of(runs[0].record.suite))
    statistics = StatisticsRecord(resamples=resamples, seed=seed)
    scores = scores_of(runs[0], cells, None, statistics)
    protocol = protocol_of_run(runs[0].record.suite)
    values = [summarise(CellArrays(one.cells, one.values, protocol)) for one in scores]
    drawn = [summarise(CellArrays(one.cells, one.replicates, protocol)) for one in scores]
    names, margins = names_of(runs), margins or {}
    found, undefined = {}, []
    sampled = scores[0].sampled is not None
    for name in tested_names(headlines(values[0]) if figures is None else values[0], figures, margins):
        of_runs = np.array([one[name] for one in values], float)
        if not np.isfinite(of_runs).all():
            undefined.append(f"{sentence(row(name).title)}: {why_undefined(name, sampled=sampled)}.")
            continue
        replicates = np.stack([one[name] for one in drawn], axis=1)
        floor = _floors(name, scores, protocol, of_runs, replicates)
        spread = spread_of_difference(name, sampled=sampled)
        shown = [
            with_interval(float(value), replicates[:, i], name, trials=one.summary_trials(name))
            for i, (value, one) in enumerate(zip(of_runs, scores, strict=True))
        ]
        found[name] = _compared(name, names, shown, spread * replicates, floor, margin_of(name, margins))
    said = [
        *partly(runs, cells),
        *sampled_part(scores, runs[0].record.suite.task),
        *uncorrected(runs, scores),
        *of_one_model(runs, names),
        *prepared_part(runs, names),
        *undefined,
        *_sentences(found),
    ]
    images = int(scores[0].images.max())
    return ManyComparison(
        runs=names,
        suite=runs[0].record.suite.name,
        images=images,
        resamples=resamples,
        values=found,
        sentences=said,
    )


def names_of(runs: Sequence[RunFolder]) -> list[str]:
    """Return a name for every run that tells it from the others: its model's, with its folder where that is not one."""
    names = [run.record.model.name for run in runs]
    names = [f"{n} ({r.path.name})" if names.count(n) > 1 else n for n, r in zip(names, runs, strict=True)]
    return [f"{n} {i + 1}" if names.count(n) > 1 else n for i, n in enumerate(names)]


def _floors(name: str, scores: Sequence[Scores], protocol: Suite, values: Array, replicates: Array) -> Array:
    """Return the least standard error of each pair's difference, (runs, runs)."""
    found = np.zeros((len(scores), len(scores)))
    for i, j in combinations(range(len(scores)), 2):
        apart = replicates[:, i] - replicates[:, j]
        found[i, j] = found[j, i] = floor_between(name, scores[i], scores[j], protocol, float(values[i]), apart)
    return found


def _compared(
    name: str,
    names: Sequence[str],
    shown: Sequence[Value],
    replicates: Array,
    floor: Array,
    margin: float | None,
) -> ValueComparison:
    higher = row(name).lower_is_better is False
    values = [float("nan") if one.value is None else one.value for one in shown]
    pairs = pairwise(values, replicates, least=floor)
    best, worst = ranks_of(pairs, higher_is_better=higher)
    return ValueComparison(
        runs={
            run: Ranked(
                value=values[i],
                low=shown[i].low,
                high=shown[i].high,
                best_rank=int(best[i]),
                worst_rank=int(worst[i]),
            )
            for i, run in enumerate(names)
        },
        pairs=[
            _pair(names, pairs, i, j, margin, higher=higher)
            for i in range(len(names))
            for j in range(i + 1, len(names))
        ],
        critical=pairs.critical,
        margin=margin,
    )


def _pair(names: Sequence[str], pairs: Pairwise, i: int, j: int, margin: float | None, *, higher: bool) -> Pair:
    low, high = float(pairs.low[i, j]), float(pairs.high[i, j])
    significant = low > 0 or high < 0
    verdict: Literal["better", "worse", "equivalent", "undecided"] = "undecided"
    if margin is not None and -margin < low and high < margin:
        verdict = "equivalent"
    elif significant:
        verdict = "better" if (high < 0) != higher else "worse"
    return Pair(
        a=names[i],
        b=names[j],
        difference=float(pairs.difference[i, j]),
        low=low,
        high=high,
        significant=significant,
        verdict=verdict,
    )


def _sentences(found: Mapping[str, ValueComparison]) -> list[str]:
    """Say who may be first, in which values."""
    said: dict[str, list[str]] = {}
    for name, one in found.items():
        said.setdefault(_first(one), []).append(row(name).title)
    return [f"{text} in {', '.join(titles)}." for text, titles in said.items()]


def _first(found: ValueComparison) -> str:
    first = [run for run, one in found.runs.items() if one.best_rank == 1]
    if len(first) == 1:
        return f"{first[0]} is significantly better than every other run"
    if len(first) == len(found.runs):
        return "Each run may be first"
    return f"{', '.join(first[:-1])} and {first[-1]} may each be first, no other run"
