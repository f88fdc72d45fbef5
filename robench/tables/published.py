"""The papers' tables as data: a CSV as printed, and a YAML that says what each row and column is.

``leaderboards/published/<paper>/<table>.csv`` has the columns ``group``, ``row`` and one for each column of the
table. In the YAML, rows and columns carry any of ``suite``, ``metric``, ``recipe``, ``method``, ``dataset`` and
``arch``; what a cell is follows from its row and its column together, so that a table may have its methods above or
at the side.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from robench.errors import RobenchError, did_you_mean
from robench.tables.locations import leaderboards

PAPERS = ("augmix", "augmax", "many-faces", "autolabel", "split-bn")


@dataclass(frozen=True)
class Meaning:
    """What a cell means: a recipe's model on a suite, by a metric; any of them None where there is no counterpart."""

    suite: str | None
    metric: str | None
    recipe: str | None
    direction: str


@dataclass(frozen=True)
class PaperTable:
    """One table of a paper.

    Args:
        paper, table: its address, ``augmix`` and ``2``.
        caption: what it shows, in own words.
        source: the paper, and the table's number there.
        unit: of all its numbers (``%``: a fraction times 100), or ``text``.
        direction: ``lower`` or ``higher`` is better, ``mixed`` (see the columns) or ``none``.
        columns: id -> title, suite, metric and so on.
        rows: group, row, suite, metric and so on, in printed order.
        cells: printed texts, [row][column]; "" where the paper has none.
        checks: how rows and columns must follow from each other.
        notes: cells that were unreadable or inconsistent, and how each was settled.
    """

    paper: str
    table: str
    caption: str
    source: str
    unit: str
    direction: str
    columns: dict[str, dict[str, Any]]
    rows: tuple[dict[str, Any], ...]
    cells: tuple[tuple[str, ...], ...]
    checks: tuple[dict[str, Any], ...] = ()
    notes: tuple[dict[str, str], ...] = field(default=())

    @property
    def address(self) -> str:
        """The name that users type."""
        return f"{self.paper}/{self.table}"

    def labels(self) -> list[str]:
        """Return the rows' labels, with their group where they have one."""
        return [f"{row['group']}/{row['row']}" if row.get("group") else row["row"] for row in self.rows]

    def meaning(self, row: int, column: str) -> Meaning:
        """Return what a cell means."""
        merged = self.columns[column] | self.rows[row]
        recipe = merged.get("recipe")
        if recipe is None and all(merged.get(key) for key in ("method", "dataset", "arch")):
            recipe = f"{merged['method']}-{merged['dataset']}-{merged['arch']}"
        direction = merged.get("direction", self.direction)
        return Meaning(merged.get("suite"), merged.get("metric"), recipe, direction)

    def number(self, row: int, column: str) -> float | None:
        """Return a cell's number, or None where it is empty or text."""
        text = self.cells[row][list(self.columns).index(column)]
        return float(text) if re.fullmatch(r"[+-]?\d+(\.\d+)?", text) else None


def addresses() -> list[str]:
    """Return the addresses of all published tables, in the order of the papers and their tables."""
    folder = leaderboards() / "published"
    return [
        f"{paper}/{file.stem}"
        for paper in PAPERS
        for file in sorted((folder / paper).glob("*.yaml"), key=lambda file: int(file.stem))
    ]


def load_table(address: str) -> PaperTable:
    """Read a published table.

    Args:
        address: paper and number, ``augmix/2``.

    Raises:
        RobenchError: there is no such table, or its two files do not fit together.

    >>> table = load_table("augmix/2")
    >>> table.labels()[0], table.number(0, "mce"), table.meaning(0, "mce").metric
    ('Standard', 80.6, 'mce')
    """
    known = addresses()
    if address not in known:
        raise RobenchError(f"Unknown published table '{address}'.", hint=did_you_mean(address, known))
    base = leaderboards() / "published" / address
    about = yaml.safe_load(Path(f"{base}.yaml").read_text(encoding="utf-8"))
    with open(f"{base}.csv", newline="", encoding="utf-8") as file:
        head, *lines = list(csv.reader(file))
    _check_files(f"{base}.csv", about, head, lines)
    return PaperTable(
        columns=about["columns"],
        rows=tuple(about["rows"]),
        cells=tuple(tuple(line[2:]) for line in lines),
        checks=tuple(about.get("checks", ())),
        notes=tuple(about.get("notes", ())),
        **{key: about[key] for key in ("paper", "table", "caption", "source", "unit", "direction")},
    )


def _check_files(name: str, about: Mapping[str, Any], head: list[str], lines: list[list[str]]) -> None:
    expected = ["group", "row", *about["columns"]]
    rows = [[row.get("group", ""), row["row"]] for row in about["rows"]]
    if head != expected or [line[:2] for line in lines] != rows or any(len(line) != len(head) for line in lines):
        raise RobenchError(
            f"{name} does not fit its YAML file: columns {head}, expected {expected}; {len(lines)} rows,"
            f" expected {len(rows)} with the same labels.",
            hint="Rows and columns stand in the same order in both files.",
        )


def inconsistencies(table: PaperTable) -> list[str]:
    """Recompute every mean and difference that the table's checks name, and return those that do not follow.

    The tolerance of a check is half a unit of the last printed digit, plus what rounding of the summands adds.
    """
    found = []
    for check in table.checks:
        for where, printed, computed in _recomputed(table, check):
            if abs(printed - computed) > check["tolerance"]:
                found.append(f"{table.address} {where}: printed {printed}, follows {computed:.3f}")
    return found


def _recomputed(table: PaperTable, check: Mapping[str, Any]) -> list[tuple[str, float, float]]:
    """Return (where, printed, recomputed) of one check."""
    labels = table.labels()
    if "row" in check:
        target, members = labels.index(check["row"]), [labels.index(one) for one in check["mean_of_rows"]]
        pairs = [(f"{check['row']}, {c}", target, c, [(m, c) for m in members]) for c in table.columns]
    else:
        names = check.get("mean_of_columns") or check["difference"]
        kept = [i for i, label in enumerate(labels) if label not in check.get("except_rows", ())]
        pairs = [(f"{labels[i]}, {check['column']}", i, check["column"], [(i, n) for n in names]) for i in kept]
    result = []
    for where, row, column, cells in pairs:
        printed = table.number(row, column)
        values = [value for r, c in cells if (value := table.number(r, c)) is not None]
        if printed is None or len(values) != len(cells):
            raise RobenchError(f"{table.address}: the check of {where} needs cells that hold no number.")
        computed = values[0] - values[1] if "difference" in check else sum(values) / len(values)
        result.append((where, printed, computed))
    return result
