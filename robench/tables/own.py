"""Tables of the user's models: rows of results with intervals and marks, published rows of the same protocol below."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from robench.errors import RobenchError
from robench.results.comparing_many import ManyComparison
from robench.results.labels import (
    image_words,
    model_names,
    protocol_words,
    recipe_words,
    refuse_unlike_seeds,
    sampled_whole,
    training_of,
    unlike,
)
from robench.results.schema import Result, Value
from robench.tables.own_columns import BY, Column, columns_of, value_in

GROUPS = ("architecture", "method")
WITH_INTERVALS = ", with 95 % confidence intervals"
"""At the end of a caption; a form that shows no intervals leaves it out."""
__all__ = ["BY", "GROUPS", "Cell", "Column", "Line", "OwnTable", "mean_cell", "own_table", "with_rows"]


@dataclass(frozen=True)
class Cell:
    """One number of a table.

    Args:
        value: as stored, with its intervals; None: the row has none.
        best: statistically significantly better than that of every other measured row.
        sd: standard deviation over the seeds that the value is the mean of.
        decimals: how many its source prints; None: as the catalogue says.
    """

    value: Value | None
    best: bool = False
    sd: float | None = None
    decimals: int | None = None


@dataclass(frozen=True)
class Line:
    """One row.

    Args:
        label: of the model.
        group: rows of one group stand together under it; "": no heading.
        cells: one per column.
        sampled: whether only a sample of the suite was measured.
        partial: whether cells are missing, or images without being a sample.
        published: whether others measured it.
    """

    label: str
    group: str
    cells: tuple[Cell, ...]
    sampled: bool = False
    partial: bool = False
    published: bool = False


@dataclass(frozen=True)
class OwnTable:
    """A table of models.

    Args:
        caption: what is shown, on which images.
        columns, lines: in order.
        tested: how the marks were decided, in words.
        notes: what else stands below the table.
        suite, images: the suite, and whether its images are published files or generated; "": not one for all rows.
    """

    caption: str
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    tested: str
    notes: tuple[str, ...] = ()
    suite: str = ""
    images: str = ""


def own_table(
    results: Sequence[Result],
    *,
    figures: Sequence[str] = (),
    by: str | None = None,
    comparison: ManyComparison | None = None,
    group_rows: str | None = None,
    seeds: bool = False,
) -> OwnTable:
    """Return a table with a row per result.

    Args:
        results: of one suite.
        figures: the columns: names of summary values; with ``by``, the one metric to be shown; empty: the main ones.
        by: ``corruption``, ``severity`` or ``group``: a column for each, of one metric, and one for the mean.
        comparison: of the same runs in the same order, by which the best values are marked; None: a value is marked
            where its interval lies apart from every other.
        group_rows: ``architecture`` or ``method``: models of one stand together under its name.
        seeds: trainings that differ only in their seed are one row, their mean and standard deviation.

    Raises:
        RobenchError: results of several suites or sources, or values that they do not have.
    """
    _same(results)
    columns = columns_of(results, figures, by)
    lines = _over_seeds(results, columns) if seeds else _one_each(results, columns, comparison if by is None else None)
    if group_rows is not None:
        heads = [_group(members[0], group_rows) for _, members in lines]
        order = list(dict.fromkeys(heads))
        lines = sorted(
            ((replace(line, group=head), members) for head, (line, members) in zip(heads, lines, strict=True)),
            key=lambda pair: order.index(pair[0].group),
        )
    first = results[0].suite
    what = ", means and standard deviations over seeds" if seeds else ""
    if not seeds and any(cell.value and cell.value.low is not None for line, _ in lines for cell in line.cells):
        what = WITH_INTERVALS
    caption = f"{first.title.partition(':')[0]} ({first.name}, {image_words(results[0])}){what}"
    tested = "" if seeds else _tested(results, comparison, by)
    rows = tuple(line for line, _ in lines)
    return OwnTable(caption, columns, rows, tested, _differing(results), suite=first.name, images=first.source)


def with_rows(table: OwnTable, lines: Sequence[Line], notes: Sequence[str] = ()) -> OwnTable:
    """Return the table with further rows, and what is said of them, below."""
    return replace(table, lines=(*table.lines, *lines), notes=(*table.notes, *notes))


def _same(results: Sequence[Result]) -> None:
    suites = sorted({protocol_words(result) for result in results})
    if len(suites) > 1:
        raise RobenchError(
            f"One table shows one suite on images of one source; found {', '.join(suites)}.",
            hint="Make a table for each.",
        )


def _one_each(
    results: Sequence[Result], columns: Sequence[Column], comparison: ManyComparison | None
) -> list[tuple[Line, list[Result]]]:
    values = [[value_in(result, column) for column in columns] for result in results]
    differing = unlike(results)
    best = [
        _best(i, column, values, comparison) if _alike(results, column, differing) else None
        for i, column in enumerate(columns)
    ]
    names = model_names(results)
    return [
        (_line(name, [result], [Cell(v, best[j] == i) for j, v in enumerate(values[i])]), [result])
        for i, (name, result) in enumerate(zip(names, results, strict=True))
    ]


def _alike(results: Sequence[Result], column: Column, differing: Sequence[str]) -> bool:
    """Return whether the results' values of a column are of the same cells and images."""
    if column.of != "corruption" or list(differing) != ["cells"]:
        return not differing
    return len({tuple(cell.name for cell in one.cells if cell.condition == column.key) for one in results}) == 1


def _line(label: str, results: Sequence[Result], cells: Sequence[Cell]) -> Line:
    sampled = any(result.suite.sampled is not None for result in results)
    partial = any(not (result.suite.complete or sampled_whole(result)) for result in results)
    return Line(label, "", tuple(cells), sampled=sampled, partial=partial)


def _over_seeds(results: Sequence[Result], columns: Sequence[Column]) -> list[tuple[Line, list[Result]]]:
    """Return a row per recipe, data and way to answer: the mean and the standard deviation (n - 1) over its seeds."""
    found: dict[object, list[Result]] = {}
    for result in results:
        found.setdefault(training_of(result), []).append(result)
    names = dict(zip([id(one) for one in results], model_names(results), strict=True))
    rows = []
    for members in found.values():
        if len(members) > 1:
            refuse_unlike_seeds(members, [names[id(one)] for one in members])
        label = names[id(members[0])] if len(members) == 1 else recipe_words(members)
        rows.append((_line(label, members, [mean_cell(members, column) for column in columns]), members))
    return rows


def mean_cell(results: Sequence[Result], column: Column) -> Cell:
    """Return the mean of a column over trainings that differ in their seed, with its standard deviation (n - 1)."""
    values = [value_in(result, column) for result in results]
    numbers = [one.value for one in values if one is not None and one.value is not None]
    if len(numbers) < len(results):
        return Cell(None)
    if len(numbers) == 1:
        return Cell(values[0])
    mean = math.fsum(numbers) / len(numbers)
    variance = math.fsum((number - mean) ** 2 for number in numbers) / (len(numbers) - 1)
    return Cell(Value(value=mean), sd=math.sqrt(variance))


def _group(result: Result, kind: str) -> str:
    """Return the heading that a result's row stands under."""
    from robench.tables.boards import method_of

    card = result.model.card
    found = str(card.get("architecture") or "") if kind == "architecture" else method_of(card)
    return found or f"{kind} not known"


def _best(
    i: int, column: Column, values: Sequence[Sequence[Value | None]], comparison: ManyComparison | None
) -> int | None:
    """Return the row whose value is significantly better than every other, or None."""
    lower = column.about.lower_is_better
    if lower is None or len(values) < 2:
        return None
    numbers = [one.value for line in values if (one := line[i]) is not None and one.value is not None]
    if len(numbers) < len(values):
        return None
    first = numbers.index(min(numbers) if lower else max(numbers))
    if comparison is not None:
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
    return "Bold: best value whose interval overlaps no other."


def _differing(results: Sequence[Result]) -> tuple[str, ...]:
    """Return a note on what the results differ in, where they do."""
    if not (differing := unlike(results)):
        return ()
    what = "means over them are" if differing == ["cells"] else "their values are"
    return (f"The results differ in {', '.join(differing)}: {what} not to be compared, and not marked.",)
