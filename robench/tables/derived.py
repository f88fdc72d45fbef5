"""Cells of a table that follow from its other cells: means, differences, and standard deviations over seeds."""

from __future__ import annotations

from collections.abc import Mapping

from robench.tables.measured import Address, Measured
from robench.tables.published import Check, PaperTable


def members(table: PaperTable) -> dict[Address, tuple[str, list[Address]]]:
    """Return what the cells that the table's checks name follow from: (row, column) -> (``mean`` or ``difference``,
    the cells), and ``sd`` of cells that print the standard deviation over the seeds of another.
    """
    found: dict[Address, tuple[str, list[Address]]] = {}
    for check in table.checks:
        found |= _of_check(table, check)
    for i in range(len(table.rows)):
        for column in table.columns:
            target = table.meaning(i, column).sd_of
            if target is not None:
                found[i, column] = ("sd", [(i, target)])
    return {cell: how for cell, how in found.items() if table.number(*cell) is not None}


def _of_check(table: PaperTable, check: Check) -> dict[Address, tuple[str, list[Address]]]:
    labels = table.labels()
    if check.row:
        rows = [labels.index(one) for one in check.mean_of_rows]
        target = labels.index(check.row)
        return {(target, column): ("mean", [(row, column) for row in rows]) for column in table.columns}
    kind = "difference" if check.difference else "mean"
    names = check.mean_of_columns or check.difference
    return {(i, check.column): (kind, [(i, name) for name in names]) for i in range(len(labels))}


def derive(table: PaperTable, filled: dict[Address, Measured]) -> None:
    """Add the cells that follow from measured ones, all of which must be there."""
    for cell, (kind, parts) in members(table).items():
        if cell in filled or any(part not in filled for part in parts):
            continue
        value = _value(kind, [filled[part] for part in parts])
        printed = table.number(*cell)
        if value is not None and printed is not None:
            results = tuple(result for part in parts for result in filled[part].results)
            filled[cell] = Measured(value, None, None, value - printed, results, derived=True)


def _value(kind: str, parts: list[Measured]) -> float | None:
    if kind == "sd":
        return parts[0].sd
    values = [part.value for part in parts]
    return values[0] - values[1] if kind == "difference" else sum(values) / len(values)


def can_follow(table: PaperTable, fillable: Mapping[Address, bool]) -> set[Address]:
    """Return the cells that follow from others which can all be filled."""
    return {cell for cell, (_, parts) in members(table).items() if all(fillable.get(part, False) for part in parts)}
