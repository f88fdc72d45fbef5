"""What became of the results that a table was given: how many count, and why the others do not."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from robench.tables.measured import Coverage, Miss
from robench.tables.published import PaperTable


def lines(table: PaperTable, coverage: Coverage, *, every: bool) -> list[str]:
    """Return how many results were found, and why those that fill nothing do not count.

    Args:
        table: the published table.
        coverage: what the results say of it.
        every: every near miss of every cell, with the cell; else one line for each result that fills nothing.
    """
    used, found = len(coverage.used), coverage.found
    said = [f"Found {found} result{'s' * (found != 1)}: {used or 'none'} fill{'s' * (used < 2)} {_cells(coverage)}."]
    for path, reason in coverage.strangers.items():
        said.append(f"{path}: {reason}.")
    misses = coverage.misses if every else [one for one in coverage.misses if one.path not in coverage.used]
    for path, cells, reasons in _grouped(misses):
        where = _where(table, cells) if every else f"{len(cells)} cell{'s' * (len(cells) != 1)}"
        said.append(f"{path}: does not count for {where}: {'; '.join(reasons)}.")
    return said


def as_csv(table: PaperTable, coverage: Coverage) -> str:
    """Return every near miss as a line of ``result,row,column,reason``; results of no cell have neither."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["result", "row", "column", "reason"])
    writer.writerows([str(path), "", "", reason] for path, reason in coverage.strangers.items())
    for miss in coverage.misses:
        row, column = miss.cell
        writer.writerows([str(miss.path), table.rows[row].label, column, reason] for reason in miss.reasons)
    return text.getvalue()


def _cells(coverage: Coverage) -> str:
    cells = len(coverage.filled)
    return "a cell" if not cells else "1 cell" if cells == 1 else f"{cells} cells"


def _grouped(misses: Sequence[Miss]) -> list[tuple[Path, list[tuple[int, str]], tuple[str, ...]]]:
    """Return the misses of one result for the same reasons together."""
    groups: dict[tuple[Path, tuple[str, ...]], list[tuple[int, str]]] = {}
    for miss in misses:
        groups.setdefault((miss.path, miss.reasons), []).append(miss.cell)
    return [(path, cells, reasons) for (path, reasons), cells in groups.items()]


def _where(table: PaperTable, cells: Sequence[tuple[int, str]]) -> str:
    """Return the cells by row and column, the columns of one row together."""
    rows: dict[int, list[str]] = {}
    for row, column in cells:
        rows.setdefault(row, []).append(table.columns[column].title)
    return ", ".join(f"{table.rows[row].label} ({', '.join(columns)})" for row, columns in rows.items())
