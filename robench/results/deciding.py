"""How far apart two models are, as far as a sample of the same images tells: what decisions are made of."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from robench.catalogue import METRICS, defaults, means_of, metric_of, row
from robench.errors import RobenchError, did_you_mean
from robench.metrics.cells import compute
from robench.metrics.influence import per_image_values
from robench.metrics.sampling import standard_errors
from robench.predictions import Predictions, RunFolder
from robench.results.columns import columns_of
from robench.results.floors import floor_of
from robench.results.intervals import NORMAL_95
from robench.results.own_images import indices_of
from robench.results.paired import on_common_images, refuse_unlike, slopes
from robench.results.protocols import protocol_of_run
from robench.results.schema import Result
from robench.results.summaries import CellArrays, summarise
from robench.results.values import is_biased
from robench.suites.base import Cell, Suite

Array = npt.NDArray[np.float64]
Chosen = Mapping[str, npt.NDArray[np.int64]]


@dataclass(frozen=True)
class Loss:
    """How much worse the first of two models is in a summary value.

    Attributes:
        name: of the value.
        a, b: the two models' values.
        loss: what the first loses against the second: above 0 where it is worse, whatever the value's direction.
        error: its standard error, for new images.
    """

    name: str
    a: float
    b: float
    loss: float
    error: float


@dataclass(frozen=True)
class _Side:
    """One model's values on the common images: per summary value, and per cell and image."""

    cells: tuple[Cell, ...]
    values: Mapping[str, float]
    slopes: Mapping[str, Array]
    rows: Sequence[Mapping[str, Array]]
    index: Sequence[npt.NDArray[np.int64]]
    images: npt.NDArray[np.int64]


def paired_losses(a: RunFolder, b: RunFolder, names: Sequence[str], chosen: Chosen | None = None) -> dict[str, Loss]:
    """Return how much worse one run is than another on the images that both have measured.

    Args:
        a, b: the runs.
        names: of summary values.
        chosen: cell -> the images that count; None: all.

    Returns:
        By the name of the value; one that is undefined for these images, or of which no standard error is known, is
        left out.

    Raises:
        RobenchError: the runs are not of the same protocol, or have no cell and image in common.
    """
    refuse_unlike((a, b))
    cells = on_common_images((a, b), columns_of(a.record.suite, _metrics(names)), chosen)
    protocol = protocol_of_run(a.record.suite)
    first, second = (_side({name: rows[i] for name, rows in cells.items()}, names, protocol) for i in (0, 1))
    found = {}
    for name in names:
        if name not in first.slopes or name not in second.slopes:
            continue
        metric = _metric(name)
        parts = [
            first.slopes[name][c] * first.rows[c][metric] - second.slopes[name][c] * second.rows[c][metric]
            for c in range(len(first.cells))
        ]
        used = ((first.slopes[name] != 0) | (second.slopes[name] != 0)).astype(float)
        error = standard_errors(parts, first.index, used, None).new_images
        least = floor_of(name, first.slopes[name], first.images, first.values[name], first.index, parts)
        found[name] = _loss(name, first.values[name], second.values[name], max(error, least))
    return found


def unpaired_losses(
    a: RunFolder, baseline: Result, names: Sequence[str], chosen: Chosen | None = None
) -> dict[str, Loss]:
    """Return how much worse a run is than a stored result, whose predictions are not there: by its intervals.

    Args:
        a: the run.
        baseline: the result.
        names: of summary values.
        chosen: cell -> the images that count; None: all.

    Raises:
        RobenchError: the result has no interval of a value.
    """
    wanted = columns_of(a.record.suite, _metrics(names))
    cells = on_common_images((a,), wanted, chosen)
    side = _side({name: rows[0] for name, rows in cells.items()}, names, protocol_of_run(a.record.suite))
    found = {}
    for name in names:
        value, reach = stored_value(baseline, name)
        if name not in side.slopes:
            continue
        metric = _metric(name)
        gradient = side.slopes[name]
        parts = [rows[metric] for rows in side.rows]
        share = METRICS.get(metric).share
        error = standard_errors(parts, side.index, gradient, None, share=share).new_images
        found[name] = _loss(name, side.values[name], value, math.hypot(error, reach / NORMAL_95))
    return found


def stored_value(result: Result, name: str) -> tuple[float, float]:
    """Return a value of a result and half its 95 % interval.

    Raises:
        RobenchError: it has none.
    """
    found = result.summary.get(name)
    if found is None or found.value is None or found.low is None or found.high is None:
        raise RobenchError(
            f"The baseline's result has no interval of '{name}'.",
            hint="Give a run folder with its predictions, or a result that was computed with `resamples`.",
        )
    return found.value, (found.high - found.low) / 2.0


def value_names(wanted: Sequence[str], suite: Suite, cells: Sequence[str]) -> dict[str, str]:
    """Return the summary value that each name asks for: names of metrics stand for their mean over the suite.

    A metric that a sample does not estimate without bias is replaced by its debiased form.

    Args:
        wanted: names of summary values or metrics; none: the suite's headline.
        suite: the protocol.
        cells: names of the cells that are measured.

    Returns:
        Name as given -> name of the summary value.

    Raises:
        RobenchError: no such value, or one that cannot be tested.
    """
    metrics = [name for name in METRICS if suite.task in METRICS.get(name).tasks]
    there = tuple(Cell.parse(name) for name in cells)
    ones = {name: np.full(len(there), 0.5) for name in metrics}
    known = list(summarise(CellArrays(there, ones, suite)))
    found = {}
    for name in wanted or [suite.headline if suite.headline in known else _first(known)]:
        options = [name, *means_of(name)] if name in METRICS else [name]
        chosen = next((one for one in options if one in known), None)
        if chosen is None:
            raise RobenchError(f"'{name}' is not a value of {suite.name}.", hint=did_you_mean(name, known))
        found[name] = _testable(chosen, known)
    return found


def sampled_names(suite: Suite, cells: Sequence[str]) -> list[str]:
    """Return the summary values of a suite's usual metrics that a sample estimates without bias, of cells by name."""
    from robench.metrics.cells import kernel
    from robench.metrics.weighted import Sums

    usual = defaults(suite.task) + (defaults("variants") if suite.task == "classification" else ())
    there = tuple(Cell.parse(name) for name in cells)
    found = summarise(CellArrays(there, {name: np.full(len(there), 0.5) for name in usual}, suite))
    return [
        name
        for name in found
        if (of := metric_of(name)) is not None and not is_biased(name) and isinstance(kernel(of.name), Sums)
    ]


def _first(known: Sequence[str]) -> str:
    from robench.catalogue import headlines

    return headlines(known)[0]


def _testable(name: str, known: Sequence[str]) -> str:
    from robench.metrics.cells import kernel
    from robench.metrics.weighted import Sums

    of = metric_of(name)
    if row(name).lower_is_better is None:
        raise RobenchError(f"'{name}' cannot be tested: neither a low nor a high value is better.", hint="Omit it.")
    if of is not None and of.sampled_images > 1:
        debiased = name.replace(of.name, f"{of.name}_debiased")
        if debiased in known:
            return debiased
    if of is None or of.sampled_images > 1 or not isinstance(kernel(of.name), Sums):
        raise RobenchError(
            f"'{name}' cannot be decided from a sample: its estimate is biased, or its standard error is not known.",
            hint="Choose another value, such as mean_error or mean_brier.",
        )
    return name


def least_images(names: Sequence[str]) -> int:
    """Return how many images per cell these summary values need to be defined."""
    return max(of.minimum_images if (of := metric_of(name)) is not None else 1 for name in names)


def _metric(name: str) -> str:
    of = metric_of(name)
    return "" if of is None else of.name


def _metrics(names: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(_metric(name) for name in names))


def _loss(name: str, a: float, b: float, error: float) -> Loss:
    lower = row(name).lower_is_better is not False
    return Loss(name, a, b, a - b if lower else b - a, error)


def _side(predictions: Mapping[str, Predictions], names: Sequence[str], suite: Suite) -> _Side:
    cells = tuple(Cell.parse(name) for name in predictions)
    numbers = indices_of(predictions, suite)
    columns = [rows.columns() | {"cell": np.array(n), "index": numbers[n]} for n, rows in predictions.items()]
    metrics = _metrics(names)
    computed = {name: np.array([compute(name, cell) for cell in columns], float) for name in metrics}
    values = summarise(CellArrays(cells, computed, suite))
    of_images = {name: [per_image_values(name, cell) for cell in columns] for name in metrics}
    known = {n for n, cells_of in of_images.items() if all(one is not None for one in cells_of)}
    found = {}
    for name in names:
        slope = slopes(name, cells, computed, suite) if _metric(name) in known and name in values else None
        if slope is not None and np.isfinite(values[name]):
            found[name] = slope
    index = [np.unique(images) for images in numbers.values()]
    return _Side(
        cells,
        {name: float(values[name]) for name in found},
        found,
        [{n: one.values for n in known if (one := of_images[n][c]) is not None} for c in range(len(cells))],
        index,
        np.array([len(images) for images in index], np.int64),
    )
