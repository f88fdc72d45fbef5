"""The tables of a report, as plain rows that both templates show."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from robench.catalogue import METRICS, headlines, row
from robench.errors import RobenchError
from robench.results.comparing import Comparison
from robench.results.judging import Difference
from robench.results.labels import amount_words, interval_method, interval_text, model_names, sentence, show, words
from robench.results.protocols import counted, grouped, protocol_of
from robench.results.schema import Result, Value

_PROTOCOL = {"clean": "Checksum of the clean images", "frost pictures": "Frost images"}


@dataclass(frozen=True)
class Entry:
    """One value of a table: its text, its interval's text, and whether it is the best of its row."""

    text: str
    interval: str = ""
    best: bool = False


@dataclass(frozen=True)
class Row:
    """One row: its head with the unit, an entry per model, and the paired difference where there is one."""

    head: str
    entries: tuple[Entry, ...]
    difference: Entry | None = None
    significant: bool = False


@dataclass(frozen=True)
class Table:
    """Rows under the models' names; groups hold (title, rows)."""

    names: tuple[str, ...]
    groups: tuple[tuple[str, tuple[Row, ...]], ...]
    difference: str = field(default="")

    @property
    def rows(self) -> tuple[Row, ...]:
        """All rows, whatever their group."""
        return tuple(row for _, rows in self.groups for row in rows)


def summary_table(results: Sequence[Result], comparison: Comparison | None, *, marked: bool = True) -> Table:
    """Return the headline values, each with its interval, and the paired differences of a comparison.

    Not ``marked``, no value is called the best: they are not of the same cells and images.
    """
    names = model_names(results)
    rows = []
    for name in headlines(name for result in results for name in result.summary):
        values = [result.summary.get(name) for result in results]
        made = _row(name, sentence(row(name).axis), values, marked=marked)
        found = comparison.differences.get(name) if comparison else None
        if comparison is not None and found is not None and found.value is not None:
            made = _by_difference(name, made, found, swapped=names[0] == comparison.b)
        rows.append(made)
    head = f"{comparison.a} minus {comparison.b}" if comparison and any(r.difference for r in rows) else ""
    return Table(tuple(names), (("", tuple(rows)),), head)


@dataclass(frozen=True)
class Standing:
    """The results among published rows of the same protocol.

    Args:
        heads: of the columns.
        near: (name, source, texts, own) of the results and of the published rows nearest to them, the best first.
        rows: the same of all, the best first.
        notes: what the sources are.
    """

    heads: tuple[str, ...]
    near: tuple[tuple[str, str, tuple[str, ...], bool], ...]
    rows: tuple[tuple[str, str, tuple[str, ...], bool], ...]
    notes: tuple[str, ...]


_NEAR = 5


def published_table(results: Sequence[Result]) -> Standing | None:
    """Return the results among the published rows of their protocol; None where nobody publishes some.

    The published rows nearest to each result, by the leading value, are five on either side.
    """
    from robench.tables.own import Line, own_table
    from robench.tables.own_cells import ends, number
    from robench.tables.own_published import published_lines

    try:
        table = own_table(results)
        found = published_lines(results, table.columns)
    except RobenchError:
        return None
    lower = table.columns[0].about.lower_is_better is not False

    def place(line: Line) -> float:
        value = line.cells[0].value
        if value is None or value.value is None:
            return float("inf")
        return value.value if lower else -value.value

    lines = sorted((*table.lines, *found.lines), key=place)
    own = [i for i, line in enumerate(lines) if not line.published]
    shown = {i for k in own for i in range(max(k - _NEAR, 0), min(k + _NEAR + 1, len(lines)))}

    def texts(line: Line) -> tuple[str, ...]:
        pairs = list(zip(line.cells, table.columns, strict=True))
        return tuple(number(*pair) + (f" ({ends(*pair)})" if ends(*pair) else "") for pair in pairs)

    rows = tuple((line.label, line.group, texts(line), not line.published) for line in lines)
    near = tuple(row for i, row in enumerate(rows) if i in shown)
    return Standing(tuple(column.head for column in table.columns), near, rows, found.notes)


def conditions_table(results: Sequence[Result], *, marked: bool = True) -> Table | None:
    """Return the error (or what stands in its place) of every condition in the suite's groups."""
    present = list(dict.fromkeys(name for r in results for name in r.conditions))
    metrics = {name for r in results for named in r.conditions.values() for name in named}
    metric = next((name for name in METRICS if name in metrics), None)
    if metric is None or len(present) < 2:
        return None

    def rows(members: Sequence[str]) -> tuple[Row, ...]:
        found = {n: [r.conditions.get(n, {}).get(metric) for r in results] for n in members}
        return tuple(_row(metric, words(n), values, marked=marked) for n, values in found.items())

    groups = sorted(grouped(protocol_of(results[0]), present), key=lambda group: group[0] != "")  # clean images first
    tables = tuple((sentence(title), rows(members)) for title, members in groups)
    return Table(tuple(model_names(results)), tables, row(metric).axis)


def protocol_table(results: Sequence[Result]) -> list[tuple[str, str]]:
    """Return what was measured and how, for all runs: (name, value)."""
    first = results[0]
    origin = {
        "published": "the files that the benchmark's authors published",
        "generated": "generated by robench from clean images",
    }[first.suite.source]
    cells = [cell for result in results for cell in result.cells]
    counts = f"{_extremes([cell.images for cell in cells])} {counted(protocol_of(first).task)}"
    if any(cell.frames > 1 for cell in cells):
        frames = _extremes([cell.frames for cell in cells])
        counts += f" of {frames} frames" if protocol_of(first).unit == "clip" else f", {frames} attempts at each,"
    return [
        ("Suite", f"{first.suite.name}, version {first.suite.version}: {first.suite.title}"),
        ("Images", f"{origin}; {counts} in each of {len(first.cells)} cells"),
        ("Data set", f"{first.suite.dataset}, {first.suite.num_classes} classes"),
        *((("Baseline of normalised values", normaliser),) if (normaliser := protocol_of(first).normaliser) else ()),
        ("Intervals", "; ".join(dict.fromkeys(map(_intervals, results)))),
        *((_PROTOCOL.get(key, sentence(key.replace("_", " "))), value) for key, value in _flat(first.suite.protocol)
          if key not in ("suite", "version", "name", "source")),
    ]  # fmt: skip


def _intervals(result: Result) -> str:
    statistics, drawn = result.statistics, ""
    if result.suite.sampled is None:
        drawn = f", {statistics.resamples:,} resamples, seed {statistics.seed}"
    return f"{100 * statistics.level:g} %, {interval_method(result)}{drawn}"


def _extremes(numbers: Sequence[int]) -> str:
    """Return the smallest and the largest of some numbers.

    >>> _extremes([16, 31, 21]), _extremes([31, 31])
    ('16 to 31', '31')
    """
    return " to ".join(f"{number:,}" for number in sorted({min(numbers), max(numbers)})) if numbers else "none"


def facts_table(results: Sequence[Result]) -> Table:
    """Return what differs from run to run: weights, preprocessing, device, speed, versions, completeness."""

    def fact(head: str, texts: Sequence[Any]) -> Row:
        return Row(head, tuple(Entry("–" if text in (None, "") else str(text)) for text in texts))

    rows = [
        fact("Measured", [_completeness(r) for r in results]),
        fact("Hash of the weights", [r.model.hash for r in results]),
        fact("Preprocessing", ["; ".join(f"{k} {v}" for k, v in _flat(r.model.preprocessing)) for r in results]),
        fact("Device", [r.run.device for r in results]),
        fact("Precision", [r.run.precision for r in results]),
        fact("Speed", [r.run.images_per_second and f"{r.run.images_per_second:,.0f} images/s" for r in results]),
        fact("Time", [r.run.seconds and f"{r.run.seconds:,.1f} s" for r in results]),
        fact("Started", [_moment(r.run.started) for r in results]),
        fact("Versions", [_versions(r) for r in results]),
        fact("Command", [r.run.command for r in results]),
        fact("Identity of the run", [r.run.identity for r in results]),
    ]
    kept = tuple(one for one in rows if any(entry.text != "–" for entry in one.entries))
    return Table(tuple(model_names(results)), (("", kept),))


def _row(name: str, head: str, values: Sequence[Value | None], *, marked: bool) -> Row:
    best = _standing_apart(values, row(name).lower_is_better) if marked else None
    entries = []
    for i, value in enumerate(values):
        if value is None or value.value is None:
            entries.append(Entry("not measured" if value is None else value.note or "undefined"))
            continue
        entries.append(Entry(show(value, name), interval_text(value, name), i == best))
    return Row(head, tuple(entries))


def _standing_apart(values: Sequence[Value | None], lower_is_better: bool | None) -> int | None:
    """Return which value is better than all others with an interval that overlaps none of theirs, or None."""
    known = [(i, one) for i, one in enumerate(values) if one is not None and one.value is not None]
    if len(known) < 2 or lower_is_better is None:
        return None
    best, first = (min if lower_is_better else max)(known, key=lambda pair: pair[1].value or 0.0)
    for i, other in known:
        if None in (first.low, first.high, other.low, other.high):
            return None
        if i != best and max(first.low or 0.0, other.low or 0.0) <= min(first.high or 0.0, other.high or 0.0):
            return None
    return best


def _by_difference(name: str, made: Row, found: Difference, *, swapped: bool) -> Row:
    """Return the row with its paired difference, which also decides whether the better of the two is marked.

    The difference is A minus B; ``swapped`` says that B stands first in the row.
    """
    lower, entries = row(name).lower_is_better, made.entries
    if len(entries) == 2 and lower is not None and found.value is not None:
        better = int(((found.value < 0) == lower) == swapped)
        entries = tuple(replace(entry, best=found.significant and i == better) for i, entry in enumerate(entries))
    shown = Value(value=found.value, low=found.low, high=found.high)
    difference = Entry(row(name).show(found.value or 0.0, sign=True), interval_text(shown, name, sign=True))
    return replace(made, entries=entries, difference=difference, significant=found.significant)


def _completeness(result: Result) -> str:
    if result.suite.complete:
        return "the whole suite"
    return amount_words(result)


def _moment(stored: str | None) -> str | None:
    """Return ``2026-11-21 18:12 UTC``, or what is stored where that is not a time in UTC.

    >>> _moment("2026-11-21T18:12:59+00:00")
    '2026-11-21 18:12 UTC'
    """
    found = re.fullmatch(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d)\S*(?:\+00:00|Z)", stored or "")
    return f"{found[1]} {found[2]} UTC" if found else stored


def _versions(result: Result) -> str:
    parts = {"robench": result.run.robench, "Python": result.run.python, "torch": result.run.torch}
    return ", ".join(f"{name} {version}" for name, version in parts.items() if version)


def _flat(document: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return nested records as (path, text)."""
    rows: list[tuple[str, str]] = []
    for key, value in document.items():
        if isinstance(value, Mapping):
            rows += _flat(value, f"{prefix}{key} ")
        elif value is not None:
            text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
            rows.append((f"{prefix}{key}", text))
    return rows
