"""From a run's predictions to its result: everything recomputed from files alone, with intervals."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

from robench._version import __version__
from robench.errors import RobenchError
from robench.files import read_document, write_json
from robench.predictions import Predictions, RunFolder, SuiteInfo
from robench.predictions import RunRecord as StoredRecord
from robench.predictions.parquet import stored_checksum
from robench.results.columns import columns_of
from robench.results.controls import control_run
from robench.results.posthoc import changed_after_training
from robench.results.precision import Sampled
from robench.results.protocols import protocol_of_run
from robench.results.reliability import reliability_by_level
from robench.results.remarks import (
    counts_unreadable,
    matched_by_position,
    normalised_twice,
    order_dependent,
    other_environments,
    remarks,
    without_normalisation,
)
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
from robench.results.scores import Scores, default_metrics, of_sample, score_cells
from robench.results.summaries import CellArrays, summarise
from robench.results.values import with_interval
from robench.suites.base import Suite


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
    optional = columns_of(run.record.suite, metrics)
    predictions = run.read_done(optional)
    if not predictions:
        raise RobenchError(f"{run.path} has no finished cell.", hint="Run the same `robench evaluate` again.")
    statistics = StatisticsRecord(resamples=resamples, seed=seed)
    variants = any(cell.frame is not None for cell in predictions.values())
    names = tuple(metrics) if metrics is not None else default_metrics(run.record.suite.task, variants=variants)
    scores = score_cells(predictions, names, statistics, protocol_of_run(run.record.suite))
    return build_result(run, predictions, scores, statistics, failures or {}).of_run(run.path)


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
        and not set(run.record.outdated) & set(result.notes)
    )
    known = result.suite.sampled.control if result.suite.sampled is not None else None
    control = control_run(run.path) if result.suite.sampled is not None else None
    same = same and (control is None or control.text in (known or ""))
    whole = checksums == {name: checksum for name, checksum in stored.items() if checksum is not None}
    return result.of_run(run.path) if same and whole and result.run.robench == __version__ else None


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
    scores = of_sample(scores, predictions, protocol, control_run(run.path))
    sampled = _sampled_record(predictions, scores.sampled) if scores.sampled is not None else None
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
        summary=_summary_values(protocol, scores),
        conditions=_grouped(protocol, scores, by_severity=False),
        severities=_grouped(protocol, scores, by_severity=True),
        reliability=reliability_by_level(predictions, protocol) if "error" in scores.values else {},
        cells=cells,
        failures=[f"{cell}: {why}" for cell, why in failures.items()],
        notes=[
            *record.remarks,
            *without_normalisation(record.model),
            *normalised_twice(record.model),
            *matched_by_position(record.model),
            *changed_after_training(record.model, predictions),
            *remarks(suite, cells, predictions, sampled),
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
    write_json(path, result.model_dump(mode="json"), own=path.name == "result.json")
    return path


def _sampled_record(predictions: Mapping[str, Predictions], sampled: Sampled) -> SampledRecord:
    passes = of = 0
    for rows in predictions.values():
        passes += len(rows)
        sample = rows.notes.sample if rows.notes is not None else None
        of += len(rows) if sample is None else round(len(rows) / max(len(np.unique(rows.index)), 1)) * sample.of
    return SampledRecord(passes=passes, of=of, control=sampled.control)


def _summary_values(suite: Suite, scores: Scores) -> dict[str, Value]:
    values = summarise(CellArrays(scores.cells, scores.values, suite))
    replicates = summarise(CellArrays(scores.cells, scores.replicates, suite))
    return {
        name: with_interval(
            float(values[name]),
            replicates[name],
            name,
            trials=scores.summary_trials(name),
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
            metric: with_interval(
                float(values.mean(metric, positions)),
                replicates.mean(metric, positions),
                metric,
                trials=scores.fewest(metric, positions),
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
        of=rows.notes.sample.of if rows.notes is not None and rows.notes.sample is not None else None,
        frames=frames,
        failed=rows.notes.unreadable if rows.notes is not None else 0,
        predictions_sha256=stored_checksum(run.cell_path(cell.name)),
        metrics={
            name: with_interval(
                float(scores.values[name][i]),
                scores.replicates[name][:, i],
                name,
                trials=scores.fewest(name, [i]),
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
