"""The rows of the papers' tables that go with the user's results."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from robench.results.protocols import clean_condition, protocol_of, shifted
from robench.results.schema import Result, Value
from robench.tables.own import Cell, Line
from robench.tables.own_columns import Column
from robench.tables.published import Meaning, PaperTable, addresses, load_table

_NAMES = {
    "augmix": "AugMix",
    "augmax": "AugMax",
    "many-faces": "Many Faces",
    "autolabel": "AutoLabel",
    "split-bn": "Split BatchNorms",
}


def leads(line: Line, columns: Sequence[Column]) -> bool:
    """Whether a row has a value in the leading column, or in a third of them; see ``published_lines``."""
    there = [cell.value is not None for cell in line.cells]
    by = any(column.of != "summary" for column in columns) or columns[0].key.startswith("mean_error_")
    return 3 * sum(there) >= len(there) if by else there[0]


@dataclass
class _Model:
    """The published numbers of one model of one paper."""

    label: str
    tables: list[str]
    cells: dict[int, Cell] = field(default_factory=dict)


def papers_lines(result: Result, columns: Sequence[Column]) -> tuple[list[Line], list[str]]:
    """Return a row per model of each paper, and what the papers are.

    Numbers of one model stand in one row, whatever table of the paper prints them.
    """
    wanted = _wanted(result, columns)
    papers: dict[str, dict[tuple[str, ...], _Model]] = {}
    sources: dict[str, str] = {}
    for table in map(load_table, addresses()):
        source, _, number = table.source.rpartition(", Table ")
        sources[table.paper] = _short(source)
        for i, c, meaning in _cells(table, result.suite.name):
            places = wanted.get((meaning.metric or "").removeprefix("1-"), ())
            if not places:
                continue
            identity = meaning.recipe or meaning.weights
            key = (identity, meaning.branch) if identity else (table.table, table.labels()[i], c)
            model = papers.setdefault(table.paper, {}).setdefault(key, _Model(_label(table, i, c), []))
            for k in places:
                if k not in model.cells:
                    model.cells[k] = _printed(table, i, c, meaning)
                    model.tables += [number] * (number not in model.tables)
    lines, said = [], []
    for paper, models in papers.items():
        kept = [model for model in models.values() if leads(_line(model, columns, ""), columns)]
        numbers = sorted({number for model in kept for number in model.tables}, key=int)
        heading = f"{_NAMES[paper]}, {'Table' if len(numbers) == 1 else 'Tables'} {', '.join(numbers)}"
        lines += [_line(model, columns, heading) for model in kept]
        said += [f"{_NAMES[paper]}: {sources[paper]}".rstrip("?") + "."] * bool(kept)
    return lines, said


def _wanted(result: Result, columns: Sequence[Column]) -> dict[str, list[int]]:
    """Return the names that papers' tables give the columns -> their places."""
    suite = protocol_of(result)
    alone = shifted(suite, result.conditions)
    found: dict[str, list[int]] = {}
    for k, column in enumerate(columns):
        names = [column.key] if column.of == "summary" else []
        if column.of == "corruption":
            names.append(f"{column.name}@{column.key}")
        if column.of == "corruption" and column.key == clean_condition(suite):
            names.append(f"clean_{column.name}")
        if column.of == "severity" and column.key == "0":
            names.append(f"clean_{column.name}")
        if column.key == "error" and len(alone) == 1:
            names.append(f"error@{alone[0]}")
        if column.key == "matching_error":
            names.append(f"error@{clean_condition(suite)}")
        for name in names:
            found.setdefault(name, []).append(k)
    return found


def _cells(table: PaperTable, suite: str) -> Iterator[tuple[int, str, Meaning]]:
    """Yield (row, column, meaning) of the cells that print a value of this suite, not a difference or a spread."""
    if table.unit != "%":
        return
    gains = {check.column for check in table.checks if check.difference}
    gains = {column for column in gains if column in table.columns and table.columns[column].metric is None}
    for i in range(len(table.rows)):
        for c in table.columns:
            meaning = table.meaning(i, c)
            if meaning.suite != suite or c in gains or meaning.minus or meaning.sd_of or table.number(i, c) is None:
                continue
            yield i, c, meaning


def _printed(table: PaperTable, row: int, column: str, meaning: Meaning) -> Cell:
    text = table.cells[row][list(table.columns).index(column)]
    share = (table.number(row, column) or 0.0) / 100
    value = 1 - share if (meaning.metric or "").startswith("1-") else share
    return Cell(Value(value=value), decimals=len(text.partition(".")[2]))


def _label(table: PaperTable, row: int, column: str) -> str:
    """Return a model's name: the row's, the column's, or both, without what says only the data set or the metric.

    Of rows that differ in the metric alone (SA and RA of one network) the titles are no part of the model's name.
    """
    ours, theirs = table.rows[row], table.columns[column]
    twins = [
        one
        for one in table.rows
        if one is not ours
        and (one.group, one.arch, one.dataset, one.suite, one.recipe, one.weights, one.method)
        == (ours.group, ours.arch, ours.dataset, ours.suite, ours.recipe, ours.weights, ours.method)
        and None not in (one.metric, ours.metric)
        and one.metric != ours.metric
    ]
    parts = [] if _plain(ours.group).startswith(_plain(ours.dataset or "imagenet")) else [ours.group]
    parts.append((ours.arch or "" if not any(parts) else "") if twins else ours.title)
    if theirs.metric is None:
        parts.append(theirs.title)
    return ", ".join(filter(None, parts)) or ours.label


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower()) or "-"


def _short(source: str) -> str:
    """Return a source with no more than one author.

    >>> _short("Hendrycks, Mu, Cubuk: AugMix, ICLR 2020"), _short("AutoLabel, submission to ICLR 2021")
    ('Hendrycks et al.: AugMix, ICLR 2020', 'AutoLabel, submission to ICLR 2021')
    """
    authors, colon, rest = source.partition(": ")
    return f"{authors.partition(',')[0]} et al.: {rest}" if colon and "," in authors else source


def _line(model: _Model, columns: Sequence[Column], group: str) -> Line:
    cells = tuple(model.cells.get(k, Cell(None)) for k in range(len(columns)))
    return Line(model.label, group, cells, published=True)
