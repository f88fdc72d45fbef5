"""Tables of the user's models: rows of results with intervals and marks, published rows of the same protocol below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from robench.catalogue import Row as About
from robench.catalogue import headlines, row
from robench.errors import RobenchError, did_you_mean
from robench.results.comparing_many import ManyComparison
from robench.results.labels import model_names, sentence, unlike, words
from robench.results.protocols import grouped, protocol_of
from robench.results.schema import Result, Value

BY = ("corruption", "severity", "group")
_MAIN = 6


@dataclass(frozen=True)
class Cell:
    """One number of a table.

    Args:
        value: as stored, with its intervals; None: the row has none.
        best: statistically significantly better than that of every other measured row.
    """

    value: Value | None
    best: bool = False


@dataclass(frozen=True)
class Line:
    """One row.

    Args:
        label: of the model.
        group: rows of one group stand together; "": the measured ones.
        cells: one per column.
        sampled: whether only a sample of the suite was measured.
        partial: whether cells or images of the suite lack otherwise.
    """

    label: str
    group: str
    cells: tuple[Cell, ...]
    sampled: bool = False
    partial: bool = False


@dataclass(frozen=True)
class Column:
    """One column: its head, and the name of the metric or summary value that says unit and decimals."""

    head: str
    name: str
    key: str

    @property
    def about(self) -> About:
        """The row of the catalogue."""
        return row(self.name)


@dataclass(frozen=True)
class OwnTable:
    """A table of models.

    Args:
        caption: what is shown, on which images.
        columns, lines: in order.
        tested: how the marks were decided, in words.
    """

    caption: str
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    tested: str


def own_table(
    results: Sequence[Result],
    *,
    figures: Sequence[str] = (),
    by: str | None = None,
    comparison: ManyComparison | None = None,
) -> OwnTable:
    """Return a table with a row per result.

    Args:
        results: of one suite.
        figures: the columns: names of summary values; with ``by``, the one metric to be shown; empty: the main ones.
        by: ``corruption``, ``severity`` or ``group``: a column for each, of one metric.
        comparison: of the same runs in the same order, by which the best values are marked; None: a value is marked
            where its interval lies apart from every other.

    Raises:
        RobenchError: results of several suites or sources, or values that they do not have.
    """
    _same(results)
    columns = _columns(results, figures, by)
    values = [[_value(result, column, by) for column in columns] for result in results]
    best = [_best(i, column, values, comparison, by) for i, column in enumerate(columns)]
    lines = tuple(
        Line(
            label,
            "",
            tuple(Cell(value, best[j] == i) for j, value in enumerate(values[i])),
            sampled=result.suite.sampled is not None,
            partial=result.suite.sampled is None and not result.suite.complete,
        )
        for i, (label, result) in enumerate(zip(model_names(results), results, strict=True))
    )
    first = results[0].suite
    caption = f"{first.title.partition(':')[0]} ({first.name}, {first.source} images), with 95 % confidence intervals"
    return OwnTable(caption, columns, lines, _tested(results, comparison, by))


def with_rows(table: OwnTable, lines: Sequence[Line]) -> OwnTable:
    """Return the table with further rows below."""
    return replace(table, lines=(*table.lines, *lines))


def _same(results: Sequence[Result]) -> None:
    suites = sorted({f"{r.suite.name} ({r.suite.source})" for r in results})
    if len(suites) > 1:
        raise RobenchError(
            f"One table shows one suite on images of one source; found {', '.join(suites)}.",
            hint="Make a table for each.",
        )


def _columns(results: Sequence[Result], figures: Sequence[str], by: str | None) -> tuple[Column, ...]:
    if by is not None:
        return _grouped_columns(results, figures, by)
    present = headlines((name for result in results for name in result.summary), main=not figures)
    known = {name for result in results for name in result.summary}
    for name in figures:
        if name not in known:
            raise RobenchError(f"The results have no value '{name}'.", hint=did_you_mean(name, sorted(known)))
    chosen = list(figures) if figures else [name for name in present if _shown(results, name)][:_MAIN]
    return tuple(Column(sentence(row(name).head), name, name) for name in chosen)


def _shown(results: Sequence[Result], name: str) -> bool:
    return any((value := result.summary.get(name)) is not None and value.value is not None for result in results)


def _grouped_columns(results: Sequence[Result], figures: Sequence[str], by: str) -> tuple[Column, ...]:
    if len(figures) > 1:
        raise RobenchError(f"A table by {by} shows one metric; found {', '.join(figures)}.", hint="Give one of them.")
    known = sorted({name for r in results for values in r.conditions.values() for name in values})
    metric = figures[0] if figures else ("error" if "error" in known else known[0])
    if metric not in known:
        raise RobenchError(f"The results have no metric '{metric}'.", hint=did_you_mean(metric, known))
    if by == "severity":
        keys = sorted({key for r in results for key in r.severities}, key=int)
        if not keys:
            raise RobenchError("These results have no severities.", hint='Use by="corruption".')
        return tuple(Column("Clean" if key == "0" else f"Severity {key}", metric, key) for key in keys)
    present = list(dict.fromkeys(name for r in results for name in r.conditions))
    if by == "corruption":
        return tuple(Column(words(name), metric, name) for name in present)
    return tuple(
        Column(sentence(title) or "Clean", metric, ",".join(members))
        for title, members in sorted(grouped(protocol_of(results[0]), present), key=lambda one: one[0] != "")
    )


def _value(result: Result, column: Column, by: str | None) -> Value | None:
    if by is None:
        return result.summary.get(column.key)
    if by == "severity":
        return result.severities.get(column.key, {}).get(column.name)
    members = column.key.split(",")
    found = [result.conditions.get(member, {}).get(column.name) for member in members]
    if len(found) == 1:
        return found[0]
    numbers = [one.value for one in found if one is not None and one.value is not None]
    # The mean of a group has no interval of its own in a result: its members' errors are not independent.
    return Value(value=sum(numbers) / len(numbers)) if len(numbers) == len(members) else None


def _best(
    i: int, column: Column, values: Sequence[Sequence[Value | None]], comparison: ManyComparison | None, by: str | None
) -> int | None:
    """Return the row whose value is significantly better than every other, or None."""
    lower = column.about.lower_is_better
    if lower is None or len(values) < 2:
        return None
    numbers = [one.value for line in values if (one := line[i]) is not None and one.value is not None]
    if len(numbers) < len(values):
        return None
    first = numbers.index(min(numbers) if lower else max(numbers))
    if comparison is not None and by is None:
        compared = comparison.values.get(column.key)
        if compared is None:
            return None
        name, *others = (comparison.runs[first], *(r for k, r in enumerate(comparison.runs) if k != first))
        return first if all(compared.pair(name, other).verdict == "better" for other in others) else None
    mine = values[first][i]
    apart = all(_apart(mine, line[i]) for k, line in enumerate(values) if k != first)
    return first if apart else None


def _apart(a: Value | None, b: Value | None) -> bool:
    if a is None or b is None or a.low is None or a.high is None or b.low is None or b.high is None:
        return False
    return a.high < b.low or b.high < a.low


def _tested(results: Sequence[Result], comparison: ManyComparison | None, by: str | None) -> str:
    if len(results) < 2:
        return ""
    if comparison is not None and by is None:
        return "Bold: significantly better than every other model measured here (paired, simultaneous 95 % intervals)."
    if differing := unlike(results):
        return f"Bold: the interval overlaps no other. The results differ in {', '.join(differing)}."
    return "Bold: best value whose interval overlaps no other."
