"""A run's metrics as arrays over its cells, with bootstrap replicates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from robench.catalogue import METRICS, Summary, defaults, metric_of, row
from robench.errors import RobenchError
from robench.metrics.arrays import distinct
from robench.metrics.cells import mean_over_cells
from robench.metrics.sampling import StandardErrors
from robench.metrics.statistics import Bootstrap, images_of
from robench.metrics.trials import trials
from robench.metrics.weighted import Columns
from robench.predictions import Predictions
from robench.results.controls import ControlRun
from robench.results.outliers import with_outliers
from robench.results.own_images import indices_of
from robench.results.precision import Sampled, sampled_run
from robench.results.schema import StatisticsRecord
from robench.suites.base import Cell, Suite

Array = npt.NDArray[np.float64]
_MANY = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Scores:
    """A run's metrics as arrays.

    Args:
        cells: the scored cells.
        values: metric -> (cells,) float64.
        replicates: metric -> (resamples, cells) bootstrap replicates, images resampled together over cells.
        images: (cells,) images (clips) of each.
        index: which they are, rising, by numbers that are equal for the same image alone.
        columns: of each cell, what it was scored from.
        trials: metric -> (cells,) trials behind the values that are 0 or 1, else 0.
        sampled: what was drawn, where cells lack images.
    """

    cells: tuple[Cell, ...]
    values: dict[str, Array]
    replicates: dict[str, Array]
    images: npt.NDArray[np.int64]
    index: tuple[npt.NDArray[np.int64], ...]
    columns: tuple[Columns, ...]
    trials: dict[str, npt.NDArray[np.int64]]
    sampled: Sampled | None = None

    def fewest(self, metric: str, positions: Sequence[int] | None = None) -> int | None:
        """Return the fewest trials behind the perfect values of some cells (None: all that have a value).

        None where a value is not perfect, or says nothing of trials.
        """
        chosen = np.isfinite(self.values[metric]) if positions is None else list(positions)
        return int(self.trials[metric][chosen].min(initial=_MANY)) or None

    def summary_trials(self, name: str) -> int | None:
        """Return the fewest trials behind a summary value of 0 or 1; None where it says nothing of trials."""
        about, of = row(name), metric_of(name)
        if about.share:
            return int(self.images.min())
        mean = of is not None and (about is of or (isinstance(about, Summary) and about.mean))
        return self.fewest(of.name) if of is not None and mean and of.name in self.trials else None

    def errors(self, metric: str, positions: Sequence[int]) -> StandardErrors | None:
        """Return how far the mean of a metric over some cells is off, where a sample was measured, else None."""
        if self.sampled is None:
            return None
        chosen, gradient = list(positions), np.zeros(len(self.cells))
        gradient[chosen] = 1.0 / len(chosen)
        if METRICS.get(metric).over_cells != "mean":  # the root of the mean of squares
            mean = abs(float(mean_over_cells(metric, self.values[metric][chosen])))
            gradient[chosen] *= np.abs(self.values[metric][chosen]) / max(mean, 1e-9)
        return self.sampled.errors(metric, gradient)


def default_metrics(task: str, *, variants: bool = False) -> tuple[str, ...]:
    """Return the cell metrics that a result of this task carries; ``variants``: several rows per image, worst of k."""
    return defaults("variants" if task == "classification" and variants else task)


def score_cells(
    predictions: Mapping[str, Predictions], metrics: Sequence[str], statistics: StatisticsRecord, suite: Suite
) -> Scores:
    """Compute metrics and bootstrap replicates of cells; see :func:`score_runs`."""
    return score_runs([predictions], metrics, statistics, suite)[0]


def score_runs(
    runs: Sequence[Mapping[str, Predictions]], metrics: Sequence[str], statistics: StatisticsRecord, suite: Suite
) -> list[Scores]:
    """Compute metrics and bootstrap replicates of the cells of runs, all from the same draws of images.

    Args:
        runs: the predictions of each run's cells.
        metrics: names of cell metrics.
        statistics: resamples and seed.
        suite: the protocol of all of them, which says what cells are of the same images.

    Raises:
        RobenchError: an unknown metric, or one that needs a column which was not kept.
    """
    # Runs on the same images have the same numbers, also where one of them kept no fingerprints or resized otherwise.
    numbers = indices_of(runs[0], suite)
    columns = [_columns(one, metrics, numbers if _alike(runs[0], one) else indices_of(one, suite)) for one in runs]
    for of_run in columns:
        for name in metrics:
            _check_columns(name, of_run[0])
    every = [cell for of_run in columns for cell in of_run]
    bootstrap = Bootstrap(
        images_of([cell["index"] for cell in every]), resamples=statistics.resamples, seed=statistics.seed
    )
    values, replicates = bootstrap.measure(every, metrics)
    found, start = [], 0
    for predictions in runs:
        own = slice(start, start + len(predictions))
        start = own.stop
        found.append(
            Scores(
                cells=tuple(Cell.parse(name) for name in predictions),
                values={name: of_cells[own] for name, of_cells in values.items()},
                replicates={name: of_cells[:, own] for name, of_cells in replicates.items()},
                images=np.array([len(distinct(cell.index)) for cell in predictions.values()]),
                index=tuple(distinct(cell["index"]) for cell in every[own]),
                columns=tuple(every[own]),
                trials={name: _trials(name, of_cells[own], every[own]) for name, of_cells in values.items()},
            )
        )
    return found


def _trials(metric: str, values: Array, columns: Sequence[Columns]) -> npt.NDArray[np.int64]:
    perfect = (values == 0.0) | (values == 1.0)
    return np.array([trials(metric, one) if at else 0 for at, one in zip(perfect, columns, strict=True)], np.int64)


def _alike(one: Mapping[str, Predictions], other: Mapping[str, Predictions]) -> bool:
    return list(one) == list(other) and all(np.array_equal(one[cell].index, other[cell].index) for cell in one)


def _columns(
    predictions: Mapping[str, Predictions], metrics: Sequence[str], index: Mapping[str, npt.NDArray[np.int64]]
) -> list[Columns]:
    if any("outlier" in METRICS.get(name).needs for name in metrics):
        return list(with_outliers(predictions))
    return [cell.columns() | {"cell": np.array(name), "index": index[name]} for name, cell in predictions.items()]


def of_sample(
    scores: Scores, predictions: Mapping[str, Predictions], suite: Suite, other: ControlRun | None = None
) -> Scores:
    """Return the scores of a sampled run: without values whose estimate from so few images is biased, with errors.

    Args:
        scores: of the drawn images alone.
        predictions: of the drawn images.
        suite: the protocol.
        other: another model's whole run on the same images, by which means are corrected.
    """
    if all(rows.notes is None or rows.notes.sample is None for rows in predictions.values()):
        return scores
    values, replicates = dict(scores.values), dict(scores.replicates)
    for name in values:
        few = scores.images < METRICS.get(name).sampled_images
        values[name] = np.where(few, np.nan, values[name])
        replicates[name] = np.where(few, np.nan, replicates[name])
    sampled = sampled_run(predictions, values, suite, other)
    values = values if sampled is None else sampled.estimates
    return replace(scores, values=values, replicates=replicates, sampled=sampled)


def _check_columns(name: str, columns: Mapping[str, npt.NDArray[Any]]) -> None:
    missing = [need for need in METRICS.get(name).needs if need not in columns]
    if missing:
        hint = "Choose metrics for this task."
        if "logits" in missing:
            hint = "Evaluate into a new folder: `robench.evaluate(keep_logits='yes')`."
        elif set(missing) <= {"log_complement", "logsumexp", "max_logit", "second_logit"}:
            hint = "An earlier version measured it; evaluate the model again into a new folder."
        raise RobenchError(
            f"Metric '{name}' needs the columns {', '.join(missing)}, which this run did not keep.", hint=hint
        )
