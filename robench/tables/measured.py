"""The measured values that belong to published cells. A cell that no result covers stays uncovered."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from robench.errors import RobenchError
from robench.results.loading import load
from robench.results.schema import Result, Value
from robench.tables.published import Meaning, PaperTable


@dataclass(frozen=True)
class Measured:
    """A measured value in the published cell's unit, with its interval and the difference to the printed number."""

    value: float
    low: float | None
    high: float | None
    difference: float
    result: Result

    @property
    def remade(self) -> bool:
        """Whether robench generated the images where the benchmark has published files: another protocol."""
        from robench.suites import get

        return self.result.suite.source == "generated" and "published" in get(self.result.suite.name).sources


def find_results(folder: str | Path) -> dict[Path, Result]:
    """Return the results below a folder (or the one of a file), by path: ``result.json`` files and other documents.

    Raises:
        RobenchError: there is nothing to read.
    """
    folder = Path(folder).expanduser()
    if folder.is_file():
        return {folder: load(folder)}
    files = [file for file in sorted(folder.rglob("*.json")) if _is_result(file)]
    if not files:
        raise RobenchError(f"There is no result below {folder}.", hint="Give the folder that `robench evaluate` wrote.")
    return {file: load(file) for file in files}


def _is_result(file: Path) -> bool:
    with open(file, "rb") as opened:
        return b'"robench-result"' in opened.read(4096)


def cover(
    table: PaperTable, results: Iterable[Result], mapping: Mapping[str, str] | None = None
) -> dict[tuple[int, str], Measured]:
    """Return the measured value of each cell that a result covers.

    A result covers a cell when the suite's name is the same, all of the suite was measured, the model's card names
    the cell's recipe (or its ``-paper`` form), and it has the metric. Sequences count at difficulty 1, the papers'.

    Args:
        table: the published table.
        results: measured results; of several that fit, the first on published files is taken, else the first.
        mapping: model name -> recipe, for models whose card names none.
    """
    by_key: dict[tuple[str, str], Result] = {}
    for result in sorted(results, key=lambda one: one.suite.source != "published"):
        recipe = (mapping or {}).get(result.model.name) or result.model.card.get("recipe")
        if recipe and result.suite.complete and result.suite.protocol.get("difficulty", 1) == 1:
            by_key.setdefault((result.suite.name, str(recipe).removesuffix("-paper")), result)
    found = {}
    for i in range(len(table.rows)):
        for column in table.columns:
            meaning, printed = table.meaning(i, column), table.number(i, column)
            if printed is None or None in (meaning.suite, meaning.metric, meaning.recipe):
                continue
            matching = by_key.get((str(meaning.suite), str(meaning.recipe)))
            figure = matching and figure_of(matching, meaning)
            if matching and figure:
                found[i, column] = _measured(figure, printed, 100.0 if table.unit == "%" else 1.0, matching)
    return found


def figure_of(result: Result, meaning: Meaning) -> Value | None:
    """Return the value that a metric's name means, or None where the result has none.

    ``NAME`` is a summary value, ``NAME@CONDITION`` a condition's mean over its severities; ``1-NAME`` is one minus
    it; ``ce@CONDITION`` and ``flip_rate@CONDITION`` are normalised by AlexNet.
    """
    name = str(meaning.metric)
    inverted = name.startswith("1-")
    name, _, condition = name.removeprefix("1-").partition("@")
    scale = 1.0
    if name in ("ce", "flip_rate"):
        scale, name = 1.0 / _baseline(name, condition), "error" if name == "ce" else "flip_probability"
    figures = result.conditions.get(condition, {}) if condition else result.summary
    figure = figures.get(name)
    if figure is None or figure.value is None or not math.isfinite(figure.value):
        return None
    if not inverted:
        return Value(value=figure.value * scale, low=_times(figure.low, scale), high=_times(figure.high, scale))
    return Value(value=1 - figure.value, low=_one_minus(figure.high), high=_one_minus(figure.low))


def _baseline(name: str, condition: str) -> float:
    from robench.metrics.corruption import baseline_errors
    from robench.metrics.perturbation import ALEXNET_FLIP_PROBABILITY

    return baseline_errors("alexnet").mean[condition] if name == "ce" else ALEXNET_FLIP_PROBABILITY[condition]


def _times(value: float | None, scale: float) -> float | None:
    return None if value is None else value * scale


def _one_minus(value: float | None) -> float | None:
    return None if value is None else 1 - value


def _measured(figure: Value, printed: float, factor: float, result: Result) -> Measured:
    value = factor * float(figure.value or 0.0)
    return Measured(value, _times(figure.low, factor), _times(figure.high, factor), value - printed, result)
