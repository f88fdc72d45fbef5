"""The words in a table of the user's models: values, intervals, labels with their marks, and what the marks mean."""

from __future__ import annotations

from robench.results.labels import ABSENT, interval_text
from robench.tables.own import Cell, Column, Line, OwnTable

_SAMPLED, _PARTIAL = "≈", "°"


def notes(table: OwnTable, intervals: int = 2) -> list[str]:
    """Return what stands below the table.

    Args:
        table: the table.
        intervals: how many of a value of a sample the form shows: both, the one for new images, or none.
    """
    found = [table.tested] if any(cell.best for line in table.lines for cell in line.cells) else []
    if any(line.sampled for line in table.lines):
        found.append(f"{_SAMPLED} measured from a sample of the suite.")
    if any(
        cell.value is not None and cell.value.full_run_low is not None for line in table.lines for cell in line.cells
    ):
        found += {
            2: ["Values of a sample have two intervals: of what the full run would give, and of new images."],
            1: ["Intervals of a sample are for new images, as the others are."],
        }.get(intervals, [])
    if any(line.partial for line in table.lines):
        found.append(f"{_PARTIAL} partial run: cells or images are missing.")
    if any(cell.sd is not None for line in table.lines for cell in line.cells):
        found.append("±: standard deviation over seeds.")
    if any(line.published for line in table.lines):
        found.append("Published rows come without intervals.")
    return [*found, *table.notes]


def label(line: Line) -> str:
    """Return a row's name with the marks that the notes explain."""
    return line.label + _SAMPLED * line.sampled + _PARTIAL * line.partial


def number(cell: Cell, column: Column) -> str:
    """Return the value of a cell as text, with the decimals that its source prints; a dash where there is none."""
    value = cell.value
    if value is None or value.value is None:
        return ABSENT
    shown = column.about.show(value.value, decimals=cell.decimals)
    return shown if cell.sd is None else f"{shown} ± {column.about.show(cell.sd)}"


def ends(cell: Cell, column: Column) -> str:
    """Return the interval of a cell as text; "" where there is none."""
    return "" if cell.value is None or cell.value.value is None else interval_text(cell.value, column.about.name)
