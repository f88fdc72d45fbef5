"""How far a sampled run's values are from what the full run would give, and from those of new images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from robench.catalogue import defaults, metric_of, row
from robench.metrics.cells import compute
from robench.metrics.influence import PerImage, per_image_values
from robench.metrics.sampling import StandardErrors, standard_errors
from robench.predictions import Predictions, RunFolder
from robench.results.columns import optional_columns
from robench.results.protocols import protocol_of_run
from robench.results.summaries import CellArrays, summarise
from robench.suites.base import Cell, Suite

Array = npt.NDArray[np.float64]
_Z = 1.959963984540054
_STEP = 1e-6


@dataclass(frozen=True)
class Sampled:
    """The images that a sampled run has drawn.

    Args:
        cells: the measured cells.
        totals: int64 (cells,), images (sequences: clips) that each whole cell has.
        classes: for each cell int64 (n,), the classes of its images by rising index; None where they have none.
        values: metric -> for each cell the images' values; only metrics that are formulas of sums over images.
        metrics: metric -> float64 (cells,), the metrics.
        suite: the protocol.
    """

    cells: tuple[Cell, ...]
    totals: npt.NDArray[np.int64]
    classes: tuple[npt.NDArray[np.int64], ...] | None
    values: Mapping[str, Sequence[PerImage]]
    metrics: Mapping[str, Array]
    suite: Suite

    @property
    def whole(self) -> bool:
        """Whether every cell has all of its images."""
        return all(
            len(found.index) >= total
            for cells in list(self.values.values())[:1]
            for found, total in zip(cells, self.totals, strict=True)
        )

    def errors(self, metric: str, gradient: Array) -> StandardErrors | None:
        """Return the standard errors of a value that changes with a metric's cells by ``gradient``, (cells,)."""
        if metric not in self.values:
            return None
        found = self.values[metric]
        return standard_errors(
            [cell.values for cell in found],
            [cell.index for cell in found],
            gradient,
            self.totals,
            classes=self.classes,
            share=row(metric).share,
        )

    def summary_errors(self, name: str) -> StandardErrors | None:
        """Return the standard errors of a summary value; None where they are not known."""
        of = metric_of(name)
        if of is None or of.name not in self.values:
            return None
        gradient = self._gradient(name, of.name)
        return None if gradient is None else self.errors(of.name, gradient)

    def _gradient(self, name: str, metric: str) -> Array | None:
        """Return the derivatives of a summary value by the cells of its metric, (cells,)."""
        cells = len(self.cells)
        moved = np.tile(self.metrics[metric], (2 * cells, 1))
        step = _STEP * np.maximum(np.abs(self.metrics[metric]), 1e-2)
        at = np.arange(cells)
        moved[at, at] += step
        moved[cells + at, at] -= step
        metrics = {key: np.broadcast_to(value, moved.shape) for key, value in self.metrics.items()} | {metric: moved}
        found = summarise(CellArrays(self.cells, metrics, self.suite)).get(name)
        if found is None or not np.isfinite(found).all():
            return None
        slopes = (found[:cells] - found[cells:]) / (2 * step)
        return np.where(np.abs(slopes) < 1e-7, 0.0, slopes)


def sampled_run(predictions: Mapping[str, Predictions], metrics: Mapping[str, Array], suite: Suite) -> Sampled | None:
    """Return what is known of a run's sample; None where every cell has all of its images.

    Args:
        predictions: of the measured cells.
        metrics: metric -> float64 (cells,).
        suite: the protocol.
    """
    samples = [rows.notes.sample if rows.notes is not None else None for rows in predictions.values()]
    if all(sample is None for sample in samples):
        return None
    index = [np.unique(rows.index, return_index=True) for rows in predictions.values()]
    totals = [s.of if s is not None else len(i) for s, (i, _) in zip(samples, index, strict=True)]
    classes = tuple(
        rows.target[first].astype(np.int64) for rows, (_, first) in zip(predictions.values(), index, strict=True)
    )
    values = {}
    for name in (name for name, of_cells in metrics.items() if np.isfinite(of_cells).all()):
        found = [per_image_values(name, rows.columns() | {"cell": np.array(c)}) for c, rows in predictions.items()]
        if all(one is not None and np.isfinite(one.values).all() for one in found):
            values[name] = [one for one in found if one is not None]
    known = all(bool((labels >= 0).all()) for labels in classes)
    return Sampled(
        tuple(Cell.parse(name) for name in predictions),
        np.array(totals, np.int64),
        classes if known else None,
        values,
        metrics,
        suite,
    )


def full_run_interval(value: float, errors: StandardErrors | None, name: str) -> tuple[float, float] | None:
    """Return the 95 % interval for what the full run would give, cut at the ends of what the value can be."""
    if errors is None or not np.isfinite(value):
        return None
    reach = _Z * errors.full_run
    low, high = row(name).range
    return max(value - reach, min(low, value)), min(value + reach, max(high, value))


@dataclass(frozen=True)
class Estimate:
    """A summary value of a run, and how far it is from that of the full run."""

    value: float
    errors: StandardErrors

    @property
    def half_width(self) -> float:
        """Half the width of the 95 % interval for the full run, in the value's stored unit."""
        return _Z * self.errors.full_run


def estimates(run: RunFolder, metrics: Sequence[str] | None = None) -> dict[str, Estimate]:
    """Return a run's summary values with their standard errors; those that a sample says nothing of are left out.

    Args:
        run: the run.
        metrics: names of cell metrics; None: the suite's usual ones.
    """
    optional = optional_columns(run.record.suite.task, metrics)
    predictions = {cell: run.read(cell, optional) for cell in run.done()}
    suite = protocol_of_run(run.record.suite)
    variants = any(rows.frame is not None for rows in predictions.values())
    task = run.record.suite.task
    names = metrics or defaults("variants" if task == "classification" and variants else task)
    columns = [rows.columns() | {"cell": np.array(name)} for name, rows in predictions.items()]
    computed = {name: np.array([compute(name, cell) for cell in columns], float) for name in names}
    cells = tuple(Cell.parse(name) for name in predictions)
    values = summarise(CellArrays(cells, computed, suite))
    sampled = sampled_run(predictions, computed, suite)
    found = {}
    for name, value in values.items():
        errors = StandardErrors(0.0, 0.0, 0.0, 0.0) if sampled is None else sampled.summary_errors(name)
        if errors is not None and np.isfinite(value):
            found[name] = Estimate(float(value), errors)
    return found
