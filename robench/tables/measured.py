"""Results on disk, and the measured value of a published cell."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

from robench.errors import RobenchError
from robench.results.loading import load
from robench.results.schema import Result, Value
from robench.tables.published import Meaning

Address = tuple[int, str]


@dataclass(frozen=True)
class Measured:
    """A measured value in the published cell's unit, with its interval and the difference to the printed number.

    Args:
        value: of one result, or the mean over the runs of several seeds.
        low, high: its 95 % interval; None of several seeds and of what follows from other cells.
        difference: to the printed number.
        results: that it comes from.
        sd: standard deviation over the seeds, with n - 1; None of one.
        derived: whether it follows from other cells (a mean, a difference) and not from a result of its own.
    """

    value: float
    low: float | None
    high: float | None
    difference: float
    results: tuple[Result, ...]
    sd: float | None = None
    derived: bool = False

    @property
    def seeds(self) -> int:
        """How many runs the value is the mean of."""
        return len(self.results)

    @property
    def remade(self) -> bool:
        """Whether robench generated the images where the benchmark has published files: another protocol."""
        from robench.suites import get

        return any(
            one.suite.source == "generated" and "published" in get(one.suite.name).sources for one in self.results
        )

    @property
    def sampled(self) -> bool:
        """Whether it is of a sample of the suite's images."""
        return any(one.suite.sampled is not None for one in self.results)


MARKS = {"†": "on images that robench generated, not on the published files", "≈": "of a sample of the images"}
"""Marks of measured values, and what each means."""


def marks(measured: Measured) -> str:
    """Return the marks of a measured value."""
    return "†" * measured.remade + "≈" * measured.sampled


@dataclass(frozen=True)
class Miss:
    """A result that is nearly a cell's.

    Args:
        path: of the result.
        cell: (row, column).
        reasons: why it does not count.
    """

    path: Path
    cell: Address
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Coverage:
    """What results say of a table.

    Args:
        filled: (row, column) -> measured value.
        misses: results that are nearly a cell's.
        used: results that fill cells -> how many.
        strangers: results of no cell -> why.
    """

    filled: dict[Address, Measured] = field(default_factory=dict)
    misses: list[Miss] = field(default_factory=list)
    used: dict[Path, int] = field(default_factory=dict)
    strangers: dict[Path, str] = field(default_factory=dict)

    @property
    def found(self) -> int:
        """How many results were looked at."""
        return len({*self.used, *self.strangers, *(miss.path for miss in self.misses)})


def find_results(folder: str | Path, *, affinities: bool = False) -> dict[Path, Result]:
    """Return the results below a folder (or the one of a file), by path: ``result.json`` files and other documents.

    Args:
        folder: searched with all folders in it.
        affinities: documents of ``robench affinity`` too, as results.

    Raises:
        RobenchError: there is nothing to read.
    """
    from robench.tables.affinities import read_affinity

    folder = Path(folder).expanduser()
    readers = {"robench-result": load} | ({"robench-affinity": read_affinity} if affinities else {})
    if folder.is_file():
        return {folder: readers.get(_kind(folder), load)(folder)}
    there = [file for file in sorted(folder.rglob("*.json")) if file.is_file()]  # a run's folder may be so called
    files = {file: kind for file in there if (kind := _kind(file)) in readers}
    if not files:
        raise RobenchError(f"There is no result below {folder}.", hint="Give the folder that `robench evaluate` wrote.")
    return {file: readers[kind](file) for file, kind in files.items()}


def _kind(file: Path) -> str:
    """Return the kind of document that a file begins as; "" of another file."""
    with open(file, "rb") as opened:
        head = opened.read(4096)
    return next((kind for kind in ("robench-result", "robench-affinity") if f'"{kind}"'.encode() in head), "")


def value_of(result: Result, meaning: Meaning) -> Value | None:
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
    values = result.conditions.get(condition, {}) if condition else result.summary
    value = values.get(name)
    if value is None or value.value is None or not math.isfinite(value.value):
        return None
    low, high = (value.full_run_low, value.full_run_high) if value.full_run_low is not None else (value.low, value.high)
    if not inverted:
        return Value(value=value.value * scale, low=times(low, scale), high=times(high, scale))
    return Value(value=1 - value.value, low=_one_minus(high), high=_one_minus(low))


def _baseline(name: str, condition: str) -> float:
    from robench.metrics.corruption import baseline_errors
    from robench.metrics.perturbation import ALEXNET_FLIP_PROBABILITY

    return baseline_errors("alexnet").mean[condition] if name == "ce" else ALEXNET_FLIP_PROBABILITY[condition]


def times(value: float | None, scale: float) -> float | None:
    return None if value is None else value * scale


def _one_minus(value: float | None) -> float | None:
    return None if value is None else 1 - value
