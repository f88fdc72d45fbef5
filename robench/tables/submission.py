"""Checking a submitted result: schema, protocol, cells, checksums, and that every summary follows from its cells."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from robench.catalogue import METRICS, headlines, row
from robench.results.labels import sampled_whole
from robench.results.loading import load
from robench.results.protocols import averaged, counted, protocol_of
from robench.results.schema import Result, StatisticsRecord, Value
from robench.results.summaries import CellArrays, summarise
from robench.suites.base import Cell, Suite
from robench.suites.copies import copy_of
from robench.tables.recomputed import TOLERANCE, against_predictions, number

WIDEST = 1.0  # half-width of a sample's headline that may be listed, in points (flips and scores in their unit)
_LARGEST = 1e4  # of any value or end of an interval, as stored: a likelihood may be some hundreds of nats


def check_submission(path: str | Path) -> list[str]:
    """Return what is wrong with a result, as sentences; none means that it may be listed.

    Args:
        path: a result document, or a run folder: cells are recomputed from predictions in the same folder.

    Raises:
        RobenchError: the file is missing, is not a result, or names an unknown suite.
    """
    from robench.suites import get

    path = Path(path)
    result = load(path)
    suite = get(result.suite.name)
    problems = [
        *_protocol(result, suite),
        *_cells(result, suite),
        *_plausible(result),
        *_summaries(result),
        *_groups(result),
        *_absent_groups(result),
        *_reliability(result),
    ]
    folder = path if path.is_dir() else path.parent
    if (folder / "run.json").is_file():
        problems += against_predictions(result, folder)
    return problems


def has_predictions(path: str | Path) -> bool:
    """Return whether a result's predictions are in the same folder, so that its cells can be recomputed too."""
    path = Path(path)
    return ((path if path.is_dir() else path.parent) / "run.json").is_file()


def _protocol(result: Result, suite: Suite) -> Iterator[str]:
    expected = {"version": suite.version, "dataset": suite.dataset, "num_classes": suite.num_classes,
                "normaliser": suite.normaliser}  # fmt: skip
    for name, value in expected.items():
        adapts = value in ("any", 0)  # `clean` takes any data set, and says which
        copied = (
            name == "dataset" and result.suite.source == "generated" and result.suite.dataset == copy_of(str(value))
        )
        if not adapts and not copied and getattr(result.suite, name) != value:
            yield f"suite.{name} is {getattr(result.suite, name)!r}; {suite.name} has {value!r}"
    if result.suite.source not in suite.sources:
        yield f"suite.source is '{result.suite.source}'; {suite.name} has {', '.join(suite.sources)}"
    for name in ("suite", "version", "source"):
        if name in result.suite.protocol and result.suite.protocol[name] != getattr(
            result.suite, "name" if name == "suite" else name
        ):
            yield f"suite.protocol.{name} contradicts suite: {result.suite.protocol[name]!r}"
    if result.suite.protocol.get("limit") is not None and result.suite.sampled is None:
        yield f"only {result.suite.protocol['limit']} images per cell were measured"
    if not result.model.hash:
        yield "model.hash is empty: the weights are not named"
    usual, made = StatisticsRecord(), result.statistics
    if (made.method, made.level) != (usual.method, usual.level):
        yield f"the intervals are of {made.level:g} by '{made.method}', not of {usual.level:g} by '{usual.method}'"
    if made.resamples < usual.resamples:
        yield f"the intervals are of {made.resamples:,} resamples; a board needs {usual.resamples:,} (`resamples`)"


def _cells(result: Result, suite: Suite) -> Iterator[str]:
    names = [cell.name for cell in result.cells]
    needed = suite.needed(result.suite.source)
    missing = [name for name in needed if name not in names]
    unknown = sorted(set(names) - {cell.name for cell in suite.cells})
    if missing:
        yield f"{len(missing)} of {len(needed)} cells are missing: {', '.join(missing[:5])}"
    if unknown:
        yield f"cells that {suite.name} does not have: {', '.join(unknown[:5])}"
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"duplicate cell {name}"
    if result.suite.sampled is not None and not result.suite.complete:
        yield from _sample(result, suite)
    elif result.status != "complete" or not result.suite.complete:
        whole = "the whole suite" if result.suite.complete else "part of the suite"
        yield f"the result is marked incomplete (status '{result.status}', of {whole})"
    for cell in result.cells:
        if Cell(cell.condition, cell.severity).name != cell.name:
            yield f"cell {cell.name} says condition '{cell.condition}' and severity {cell.severity}"
        if cell.failed:
            yield f"cell {cell.name}: {cell.failed} images could not be read"
        published = suite.published_images(cell.condition)
        of = cell.images if result.suite.sampled is None else cell.of or cell.images
        if published is not None and of != published:
            yield f"cell {cell.name} is of {of:,} {counted(suite.task)}; the suite's cell has {published:,}"
        if of < cell.images:
            yield f"cell {cell.name} is a sample of {cell.images:,} {counted(suite.task)} of {of:,}"
        if not cell.predictions_sha256 or len(cell.predictions_sha256) != 64:
            yield f"cell {cell.name} has no checksum of its predictions"


def _sample(result: Result, suite: Suite) -> Iterator[str]:
    """A sample is listed, marked, where every cell was sampled and the suite's headline is known well enough."""
    if result.status != "complete" or not sampled_whole(result):
        yield f"the result is marked incomplete (status '{result.status}', of part of the suite)"
    known = [name for name, value in result.summary.items() if value.value is not None]
    name = suite.headline if suite.headline in known else next(iter(headlines(known)), None)
    if name is None:
        yield "no headline is known"
        return
    low, high, about = result.summary[name].full_run_low, result.summary[name].full_run_high, row(name)
    if low is None or high is None:
        yield f"summary {name} has no interval for the full run: too few images were sampled"
    elif (high - low) / 2 * about.factor > WIDEST:
        yield (
            f"summary {name} is known to within {(high - low) / 2 * about.factor:.2f} only; a sample is listed from "
            f"{WIDEST:g} on: evaluate it with `within={WIDEST:g}`"
        )


def _plausible(result: Result) -> Iterator[str]:
    """Ranges, intervals that hold their value, and error rates that are a whole number of images."""
    for cell in result.cells:
        for name, value in cell.metrics.items():
            if name not in METRICS:
                yield f"cell {cell.name}: unknown metric '{name}'"
                continue
            low, high = METRICS.get(name).range
            if value.value is not None and not low <= value.value <= high:
                yield f"cell {cell.name}: {name} is {value.value}, outside {low:g} to {high:g}"
        error = cell.metrics.get("error")
        if cell.images < 1:
            yield f"cell {cell.name} has {cell.images} images"
        elif error is not None and error.value is not None and not _corrected(result):
            wrong = error.value * cell.images
            if abs(wrong - round(wrong)) > 1e-6 * cell.images:
                yield f"cell {cell.name}: an error of {error.value} is not a multiple of 1/{cell.images}"
    for where, value in _values(result):
        yield from _interval(where, value, sampled=result.suite.sampled is not None)


def _corrected(result: Result) -> bool:
    """Whether values were corrected by control variates: they are no longer those of the drawn images alone."""
    return result.suite.sampled is not None and result.suite.sampled.control is not None


def _values(result: Result) -> Iterator[tuple[str, Value]]:
    yield from ((f"summary {name}", value) for name, value in result.summary.items())
    groups: Mapping[str, Mapping[str, Value]] = {
        **{f"cell {cell.name}": cell.metrics for cell in result.cells},
        **{f"condition {name}": values for name, values in result.conditions.items()},
        **{f"severity {name}": values for name, values in result.severities.items()},
    }
    for where, values in groups.items():
        yield from ((f"{where}: {name}", value) for name, value in values.items())


def _interval(where: str, value: Value, *, sampled: bool = True) -> Iterator[str]:
    """Check both intervals of a value: of new images, and of what the full run would give, which a sample alone has."""
    if not sampled and (value.full_run_low, value.full_run_high) != (None, None):
        yield f"{where} has an interval for the full run, but the result is no sample"
    for what, low, high in (
        ("", value.low, value.high),
        (" for the full run", value.full_run_low, value.full_run_high),
    ):
        numbers = [number for number in (value.value, low, high) if number is not None]
        if not all(map(math.isfinite, numbers)):
            yield f"{where} is not finite"
        elif low is not None and high is not None and low > high:
            yield f"{where}: the interval's ends{what} are swapped"
        elif len(numbers) == 3 and not numbers[1] - TOLERANCE <= numbers[0] <= numbers[2] + TOLERANCE:
            yield f"{where} is {value.value}, outside its own interval{what}, {low} to {high}"
        elif any(abs(number) > _LARGEST for number in numbers):
            yield f"{where} is {value.value} ({low} to {high}{what}), which no metric can be"


def _arrays(result: Result) -> CellArrays:
    names = [name for name in result.cells[0].metrics if all(name in cell.metrics for cell in result.cells)]
    values = {name: np.array([number(cell.metrics[name]) for cell in result.cells], dtype=np.float64) for name in names}
    return CellArrays(tuple(Cell(cell.condition, cell.severity) for cell in result.cells), values, protocol_of(result))


def _summaries(result: Result) -> Iterator[str]:
    if not result.cells:
        yield "the result has no cell"
        return
    try:
        computed = summarise(_arrays(result))
    except KeyError as error:
        yield f"the summaries need the metric {error}, which not every cell has"
        return
    for name in sorted(set(computed) | set(result.summary)):
        if name not in computed:
            yield f"summary {name} does not follow from any cell"
        elif name not in result.summary:
            yield f"summary {name} is missing"
        else:
            yield from _compare(f"summary {name}", result.summary[name], float(computed[name]))


def _compare(where: str, value: Value, computed: float) -> Iterator[str]:
    stated = number(value)
    if not (math.isnan(stated) and math.isnan(computed)) and not abs(stated - computed) <= TOLERANCE:
        yield f"{where} is {stated}, but its cells give {computed}"


def _groups(result: Result) -> Iterator[str]:
    if not result.cells:
        return
    arrays = _arrays(result)
    benchmark = arrays.averaged()
    groups = [(f"condition {name}", values, arrays.columns((name,))) for name, values in result.conditions.items()]
    groups += [
        (
            f"severity {name}",
            values,
            arrays.clean() if name == "0" else arrays.columns(benchmark, int(name)),
        )
        for name, values in result.severities.items()
        if name.isdigit()
    ]
    for where, values, positions in groups:
        for metric, value in values.items():
            if metric not in arrays.metrics:
                yield f"{where}: {metric} stands in no cell"
            else:
                yield from _compare(f"{where}: {metric}", value, float(arrays.mean(metric, positions)))


def _absent_groups(result: Result) -> Iterator[str]:
    """The page and the plots show conditions, severities and reliability; what is omitted cannot contradict a cell."""
    if not result.cells:
        return
    arrays = _arrays(result)
    benchmark = arrays.averaged()
    levels = {"0"} if arrays.clean() else set()
    levels |= {str(severity) for severity in range(1, 6) if arrays.columns(benchmark, severity)}
    expected = {"conditions": {cell.condition for cell in arrays.cells}, "severities": levels}
    for where, names in expected.items():
        stated = set(getattr(result, where))
        for name in sorted(names ^ stated):
            yield f"{where}: {name} {'is missing' if name in names else 'follows from no cell'}"
    if "error" in arrays.metrics and not result.reliability:
        yield "reliability is missing"


def _reliability(result: Result) -> Iterator[str]:
    """The pooled accuracy of a reliability diagram is what the cells' errors and sizes give."""
    sizes = {cell.name: cell.images for cell in result.cells}
    errors = {cell.name: cell.metrics["error"].value for cell in result.cells if "error" in cell.metrics}
    conditions = averaged(protocol_of(result), (Cell(cell.condition, cell.severity) for cell in result.cells))
    for level, bins in result.reliability.items():
        severity = level.removeprefix("severity/")
        names = [f"{c}/{severity}" for c in conditions if f"{c}/{severity}" in errors] if severity != level else [level]
        if not names or any(errors.get(name) is None for name in names):
            continue
        images = sum(sizes[name] for name in names)
        right = sum(sizes[name] * (1 - float(errors[name] or 0)) for name in names)
        counted = sum(one.count for one in bins)
        pooled = sum(one.count * one.accuracy for one in bins if one.accuracy is not None)
        if counted != images or (not _corrected(result) and abs(pooled - right) > 1e-6 * max(images, 1)):
            yield f"reliability {level}: {pooled:.2f} of {counted} images right, its cells give {right:.2f} of {images}"
