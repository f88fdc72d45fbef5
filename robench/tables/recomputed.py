"""Comparing a submitted result with the run in its folder: every value is computed again from the predictions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robench.catalogue import METRICS
from robench.errors import RobenchError
from robench.results.schema import Result, StatisticsRecord, Value

if TYPE_CHECKING:
    from robench.predictions import RunFolder

# Values are written with all digits of a double, so that only a different order of summing may differ.
TOLERANCE = 1e-9


def number(value: Value) -> float:
    """Return a value, NaN where it is undefined."""
    return math.nan if value.value is None else value.value


def against_predictions(result: Result, folder: Path) -> Iterator[str]:
    """Yield what contradicts the run in a folder: its records, its predictions' checksums and every cell's metrics."""
    from robench.predictions import RunFolder
    from robench.predictions.parquet import stored_checksum
    from robench.results.controls import control_run
    from robench.results.protocols import protocol_of_run
    from robench.results.scores import of_sample, score_cells

    run = RunFolder.open(folder)
    yield from _against_run(result, run)
    try:
        predictions = {cell.name: run.read(cell.name) for cell in result.cells if run.is_done(cell.name)}
    except RobenchError as error:
        yield f"could not read the predictions: {error.message}"
        return
    absent = [cell.name for cell in result.cells if cell.name not in predictions]
    if absent:
        yield f"{len(absent)} cells have no predictions in the run folder: {', '.join(absent[:5])}"
    if not predictions:
        return
    metrics = [name for name in dict.fromkeys(n for c in result.cells for n in c.metrics) if name in METRICS]
    try:
        suite = protocol_of_run(run.record.suite)
        scores = score_cells(predictions, metrics, StatisticsRecord(resamples=2), suite)
        scores = of_sample(scores, predictions, suite, control_run(run.path))
    except RobenchError as error:
        yield f"could not recompute the cells: {error.message}"
        return
    for i, cell in enumerate(cell for cell in result.cells if cell.name in predictions):
        rows = predictions[cell.name]
        images = len(rows) if rows.frame is None else int((rows.frame == 0).sum())
        if cell.images != images:
            yield f"cell {cell.name} says {cell.images} images, but its predictions are of {images}"
        if stored_checksum(run.cell_path(cell.name)) != cell.predictions_sha256:
            yield f"cell {cell.name}: its checksum is not that of its predictions"
        for name in metrics:
            if name not in cell.metrics:
                yield f"cell {cell.name} lacks {name}, which other cells have"
                continue
            stated, computed = number(cell.metrics[name]), float(scores.values[name][i])
            if not (math.isnan(stated) and math.isnan(computed)) and not abs(stated - computed) <= TOLERANCE:
                yield f"cell {cell.name}: {name} is {stated}, but its predictions give {computed}"


def _against_run(result: Result, run: RunFolder) -> Iterator[str]:
    """The predictions say nothing of whose they are and of how many images there were to measure: the run does."""
    there = {"suite": run.record.suite.model_dump(mode="json"), "model": run.record.model.model_dump(mode="json")}
    stated = {"suite": result.suite.model_dump(), "model": result.model.model_dump()}
    for record, fields in stated.items():
        known = there[record]
        yield from _differing(record, fields, {name: known[name] for name in fields if name in known})
    if result.run.identity != run.record.hash:
        yield f"run.identity is {result.run.identity}, but the run folder is of {run.record.hash}"
    precision = run.record.identity.precision
    if result.run.precision != precision:
        yield f"run.precision is {result.run.precision}, but the run was measured in {precision}"


def _differing(where: str, stated: Mapping[str, Any], there: Mapping[str, Any]) -> Iterator[str]:
    """Name the innermost fields that differ from what the run says."""
    for name, value in there.items():
        mine = stated.get(name)
        if isinstance(mine, Mapping) and isinstance(value, Mapping):
            yield from _differing(f"{where}.{name}", mine, dict.fromkeys(mine) | dict(value))
        elif mine != value:
            yield f"{where}.{name} is {_short(mine)}, but the run says {_short(value)}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:99]}…"
