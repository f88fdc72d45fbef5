"""From a run's predictions to its result: everything recomputed from files alone, with intervals."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from robench._version import __version__
from robench.catalogue import METRICS, defaults, metric_of, row
from robench.errors import RobenchError
from robench.files import read_document, write_json
from robench.metrics.cells import compute
from robench.metrics.sampling import StandardErrors
from robench.metrics.statistics import bootstrap_cells, centred_interval, exact_interval
from robench.predictions import Predictions, RunFolder, SuiteInfo
from robench.predictions import RunRecord as StoredRecord
from robench.predictions.parquet import stored_checksum
from robench.results.columns import optional_columns
from robench.results.precision import Sampled, full_run_interval, sampled_run
from robench.results.protocols import protocol_of_run
from robench.results.reliability import reliability_by_level
from robench.results.remarks import counts_unreadable, order_dependent, other_environments, remarks
from robench.results.schema import (
    SCHEMA_VERSION,
    CellResult,
    ModelRecord,
    Result,
    RunRecord,
    SampledRecord,
    StatisticsRecord,
    SuiteRecord,
    Value,
)
from robench.results.summaries import CellArrays, summarise
from robench.suites.base import Cell, Suite

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Scores:
    """A run's metrics as arrays.

    Args:
        cells: the scored cells.
        values: metric -> (cells,) float64.
        replicates: metric -> (resamples, cells) bootstrap replicates, images resampled together over cells.
        images: (cells,) images (clips) of each.
        sampled: what was drawn, where cells lack images.
    """

    cells: tuple[Cell, ...]
    values: dict[str, Array]
    replicates: dict[str, Array]
    images: npt.NDArray[np.int64]
    sampled: Sampled | None = None

    def fewest(self, metric: str, positions: Sequence[int]) -> int | None:
        """Return the images of the smallest of some cells, where a metric is a share of them, else None."""
        return int(self.images[list(positions)].min()) if row(metric).share else None

    def errors(self, metric: str, positions: Sequence[int]) -> StandardErrors | None:
        """Return how far the mean of a metric over some cells is off, where a sample was measured, else None."""
        if self.sampled is None:
            return None
        gradient = np.zeros(len(self.cells))
        gradient[list(positions)] = 1.0 / len(positions)
        return self.sampled.errors(metric, gradient)


def score_run(
    run: RunFolder | str | Path,
    *,
    metrics: Sequence[str] | None = None,
    resamples: int = 1000,
    seed: int = 0,
    failures: Mapping[str, str] | None = None,
) -> Result:
    """Return the result of a run, from its finished cells.

    Args:
        run: the run, or its folder.
        metrics: names of cell metrics; None: the suite's usual ones.
        resamples: bootstrap resamples of the intervals.
        seed: of the bootstrap.
        failures: cells that could not be measured, and why.

    Raises:
        RobenchError: the run has no finished cell, or a file is damaged.
    """
    run = run if isinstance(run, RunFolder) else RunFolder.open(run)
    run.refuse_damaged(failures or ())
    optional = optional_columns(run.record.suite.task, metrics)
    predictions = {cell: run.read(cell, optional) for cell in run.done()}
    if not predictions:
        raise RobenchError(f"{run.path} has no finished cell.", hint="Run the same `robench evaluate` again.")
    statistics = StatisticsRecord(resamples=resamples, seed=seed)
    variants = any(cell.frame is not None for cell in predictions.values())
    names = tuple(metrics) if metrics is not None else default_metrics(run.record.suite.task, variants=variants)
    scores = score_cells(predictions, names, statistics)
    return build_result(run, predictions, scores, statistics, failures or {})


def current_result(run: RunFolder, resamples: int) -> Result | None:
    """Return the run's stored result if scoring it again would give the same, else None.

    It is the same when it was made by this version, with as many resamples, from exactly these predictions.
    """
    from robench.results.loading import parse

    path = run.path / "result.json"
    if not path.exists():
        return None
    try:
        document = read_document(path, "result")
        if document.get("schema_version") != SCHEMA_VERSION:  # it can be read, but was scored by other rules
            return None
        result = parse(document, str(path))
    except RobenchError:
        return None
    checksums = {cell.name: cell.predictions_sha256 for cell in result.cells}
    stored = {name: stored_checksum(run.cell_path(name)) for name in run.record.cells}
    task = run.record.suite.task
    usual = [set(default_metrics(task, variants=variants)) for variants in (False, True)]
    same = (
        bool(result.cells)
        and set(result.cells[0].metrics) in usual
        and result.run.identity == run.record.hash
        and result.statistics == StatisticsRecord(resamples=resamples)
        and set(run.record.remarks) <= set(result.notes)
    )
    whole = checksums == {name: checksum for name, checksum in stored.items() if checksum is not None}
    return result if same and whole and result.run.robench == __version__ else None


def default_metrics(task: str, *, variants: bool = False) -> tuple[str, ...]:
    """Return the cell metrics that a result of this task carries; ``variants``: several rows per image, worst of k."""
    return defaults("variants" if task == "classification" and variants else task)


def score_cells(predictions: Mapping[str, Predictions], metrics: Sequence[str], statistics: StatisticsRecord) -> Scores:
    """Compute metrics and bootstrap replicates of cells.

    Raises:
        RobenchError: an unknown metric, or one that needs a column which was not kept.
    """
    columns = [cell.columns() | {"cell": np.array(name)} for name, cell in predictions.items()]
    for name in metrics:
        _check_columns(name, columns[0])
    values = {name: np.array([compute(name, cell) for cell in columns], float) for name in metrics}
    replicates = bootstrap_cells(columns, metrics, resamples=statistics.resamples, seed=statistics.seed)
    images = np.array([len(np.unique(cell.index)) for cell in predictions.values()])
    return Scores(tuple(Cell.parse(name) for name in predictions), values, replicates, images)


def build_result(
    run: RunFolder,
    predictions: Mapping[str, Predictions],
    scores: Scores,
    statistics: StatisticsRecord,
    failures: Mapping[str, str],
) -> Result:
    """Put the metrics of a run, its model, suite and machine into one document."""
    record, suite = run.record, run.record.suite
    notes = {name: cell.notes for name, cell in predictions.items()}
    protocol = protocol_of_run(suite)
    scores = of_sample(scores, predictions, protocol)
    sampled = _sampled_record(predictions) if scores.sampled is not None else None
    every = _is_whole(suite, scores) and counts_unreadable(suite, notes)
    complete = suite.limit is None and sampled is None and every
    cells = [_cell(run, scores, i, predictions) for i in range(len(scores.cells))]
    return Result(
        status="complete" if set(run.record.cells) <= set(predictions) else "partial",
        suite=SuiteRecord(
            **suite.model_dump(include={"name", "title", "version", "dataset", "num_classes", "source", "normaliser"}),
            complete=complete,
            sampled=sampled,
            protocol=suite.protocol,
        ),
        model=ModelRecord(**record.model.model_dump()),
        run=_run_record(record, predictions),
        statistics=statistics,
        summary=_summary_figures(protocol, scores),
        conditions=_grouped(protocol, scores, by_severity=False),
        severities=_grouped(protocol, scores, by_severity=True),
        reliability=reliability_by_level(predictions, protocol) if "error" in scores.values else {},
        cells=cells,
        failures=[f"{cell}: {why}" for cell, why in failures.items()],
        notes=[
            *record.remarks,
            *remarks(suite, cells, notes, sampled),
            *order_dependent(cells, predictions),
            *other_environments(record),
        ],
    )


def _is_whole(suite: SuiteInfo, scores: Scores) -> bool:
    """Whether all cells of the whole suite were measured, and every cell on the published number of images."""
    found = {cell.name: int(images) for cell, images in zip(scores.cells, scores.images, strict=True)}
    return set(suite.whole) <= set(found) and all(n == suite.published.get(name, n) for name, n in found.items())


def save(result: Result, path: str | Path) -> Path:
    """Write a result as JSON, atomically, and return its path."""
    path = Path(path)
    write_json(path, result.model_dump(mode="json"))
    return path


def figure(
    value: float,
    replicates: Array,
    name: str = "",
    *,
    images: int | None = None,
    errors: StandardErrors | None = None,
    sampled: bool = False,
) -> Value:
    """Return a value with its intervals; null where it is undefined.

    Args:
        value: of the metric or summary value; NaN where it is undefined.
        replicates: (resamples,) of it.
        name: of the metric or summary value, beyond whose largest value the interval does not go.
        images: for a share of images or a mean of such shares: of how many, the fewest of its cells.
        errors: of a sampled run, how far the value is from that of the full run.
        sampled: whether it is of a sampled run.
    """
    if not np.isfinite(value):
        return Value(value=None, note=why_undefined(name, sampled=sampled))
    if not np.isfinite(replicates).any():
        return Value(value=float(value), note="no interval: too few images")
    exact = images is not None and value in (0.0, 1.0)
    if images and exact:
        low, high = exact_interval(value, images)
    else:
        low, high = centred_interval(value, replicates, row(name).range[1] if name else np.inf)
    full = full_run_interval(value, errors, name) if name else None
    return Value(
        value=float(value),
        low=low,
        high=high,
        full_run_low=full[0] if full is not None else None,
        full_run_high=full[1] if full is not None else None,
    )


def of_sample(scores: Scores, predictions: Mapping[str, Predictions], suite: Suite) -> Scores:
    """Return the scores of a sampled run: without figures whose estimate from so few images is biased, with errors."""
    if sampled_run(predictions, {}, suite) is None:
        return scores
    values, replicates = dict(scores.values), dict(scores.replicates)
    for name in values:
        few = scores.images < METRICS.get(name).sampled_images
        values[name] = np.where(few, np.nan, values[name])
        replicates[name] = np.where(few, np.nan, replicates[name])
    scores = replace(scores, values=values, replicates=replicates)
    return replace(scores, sampled=sampled_run(predictions, values, suite))


def _sampled_record(predictions: Mapping[str, Predictions]) -> SampledRecord:
    passes = of = 0
    for rows in predictions.values():
        passes += len(rows)
        sample = rows.notes.sample if rows.notes is not None else None
        of += len(rows) if sample is None else round(len(rows) / max(len(np.unique(rows.index)), 1)) * sample.of
    return SampledRecord(passes=passes, of=of)


def why_undefined(name: str, *, sampled: bool = False) -> str:
    """Return why a metric or summary value may be undefined.

    >>> why_undefined("mean_rms_calibration_error"), why_undefined("mean_aurc")
    ('undefined with fewer than 200 images per cell', 'undefined for this data')
    """
    of = metric_of(name)
    if sampled and of is not None and of.sampled_images > 1:
        return f"not estimated from a sample of fewer than {of.sampled_images:,} images per cell, which would bias it"
    if of is not None and of.minimum_images > 1:
        return f"undefined with fewer than {of.minimum_images} images per cell"
    return "undefined for this data"


def _summary_figures(suite: Suite, scores: Scores) -> dict[str, Value]:
    values = summarise(CellArrays(scores.cells, scores.values, suite))
    replicates = summarise(CellArrays(scores.cells, scores.replicates, suite))
    fewest = int(scores.images.min())
    return {
        name: figure(
            float(values[name]),
            replicates[name],
            name,
            images=fewest if row(name).share else None,
            errors=scores.sampled.summary_errors(name) if scores.sampled is not None else None,
            sampled=scores.sampled is not None,
        )
        for name in values
    }


def _grouped(suite: Suite, scores: Scores, *, by_severity: bool) -> dict[str, dict[str, Value]]:
    """Return the means over severities of each condition, or over the benchmark conditions of each severity."""
    values = CellArrays(scores.cells, scores.values, suite)
    replicates = CellArrays(scores.cells, scores.replicates, suite)
    groups: dict[str, list[int]] = {}
    if by_severity:
        groups["0"] = values.clean()
        groups |= {str(s): values.columns(values.averaged(), s) for s in range(1, 6)}
    else:
        groups = {cell.condition: values.columns((cell.condition,)) for cell in scores.cells}
    return {
        name: {
            metric: figure(
                float(values.mean(metric, positions)),
                replicates.mean(metric, positions),
                metric,
                images=scores.fewest(metric, positions),
                errors=scores.errors(metric, positions),
                sampled=scores.sampled is not None,
            )
            for metric in scores.values
        }
        for name, positions in groups.items()
        if positions
    }


def _cell(run: RunFolder, scores: Scores, i: int, predictions: Mapping[str, Predictions]) -> CellResult:
    cell = scores.cells[i]
    rows = predictions[cell.name]
    frames = 1 if rows.frame is None else int(rows.frame.max(initial=0)) + 1
    return CellResult(
        name=cell.name,
        condition=cell.condition,
        severity=cell.severity,
        images=len(rows) // frames,
        frames=frames,
        failed=rows.notes.unreadable if rows.notes is not None else 0,
        predictions_sha256=stored_checksum(run.cell_path(cell.name)),
        metrics={
            name: figure(
                float(scores.values[name][i]),
                scores.replicates[name][:, i],
                name,
                images=scores.fewest(name, [i]),
                errors=scores.errors(name, [i]),
                sampled=scores.sampled is not None,
            )
            for name in scores.values
        },
    )


def _run_record(record: StoredRecord, cells: Collection[str]) -> RunRecord:
    timings = [timing for name, timing in record.timings.items() if name in cells]
    seconds = sum(timing.seconds for timing in timings)
    environment = record.environment.model_dump()
    return RunRecord(
        **environment | {"robench": environment["robench"] or __version__},
        seconds=round(seconds, 3) if timings else None,
        images_per_second=round(sum(timing.images for timing in timings) / seconds, 1) if seconds else None,
        command=record.command,
        identity=record.hash,
    )


def _check_columns(name: str, columns: Mapping[str, npt.NDArray[Any]]) -> None:
    missing = [need for need in METRICS.get(name).needs if need not in columns]
    if missing:
        raise RobenchError(
            f"Metric '{name}' needs the columns {', '.join(missing)}, which this run did not keep.",
            hint="Evaluate into a new folder: `robench.evaluate(logits='yes')`."
            if "logits" in missing
            else "Choose metrics for this task.",
        )
