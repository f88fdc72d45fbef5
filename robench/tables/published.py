"""The papers' tables as data: a CSV as printed, and a YAML that says what each row and column is.

``leaderboards/published/<paper>/<table>.csv`` has the columns ``group``, ``row`` and one for each column of the
table. In the YAML, rows and columns carry any of the fields of :class:`Axis`; what a cell is follows from its row and
its column together, so that a table may have its methods above or at the side. ``method``, ``dataset`` and ``arch``
together are a key; the table's ``recipes`` say which recipe is the row's where several recipes share a key, and its
``without`` why no recipe of robench's is the row's model.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from robench.errors import RobenchError, did_you_mean
from robench.files import read_document
from robench.tables.locations import leaderboards

PAPERS = ("augmix", "augmax", "many-faces", "autolabel", "split-bn")


@dataclass(frozen=True)
class Meaning:
    """What a cell means, and what fills it: one recipe's model or one set of public weights, on a suite, by a metric.

    Args:
        suite, metric: None where robench has no counterpart.
        recipe: name of the recipe, whose digest is in :mod:`robench.tables.identities`; None: not a recipe's.
        weights: name of public weights in ``published/weights.yaml``; None: not somebody's weights.
        branch: of a network with two normalisations, the one that predicts: ``main``, ``auxiliary`` or ``mean``.
        minus: the cell is the difference to this recipe's value.
        sd_of: the cell is the standard deviation over the seeds of this column of its row.
        direction: ``lower`` or ``higher`` is better, ``mixed`` or ``none``.
        why: why nothing fills it.
    """

    suite: str | None
    metric: str | None
    recipe: str | None
    direction: str
    weights: str | None = None
    branch: str = "main"
    minus: str | None = None
    sd_of: str | None = None
    why: str | None = None

    @property
    def filled_by_results(self) -> bool:
        """Whether a result can hold its value."""
        return None not in (self.suite, self.metric) and (self.recipe or self.weights) is not None


@dataclass(frozen=True)
class Axis:
    """A row or a column of a published table, and what it says of its cells.

    Args:
        title: the column's head, or the row's label as printed.
        group: of rows; "" where the table has none.
        suite, metric, recipe, weights, branch, minus, sd_of, direction, why: as in :class:`Meaning`.
        seen_by: the cell is a value of this recipe's model, of the view of the recipe that the other axis names.
        method, dataset, arch: which together are the key of a recipe.
    """

    title: str
    group: str = ""
    suite: str | None = None
    metric: str | None = None
    recipe: str | None = None
    weights: str | None = None
    branch: str | None = None
    minus: str | None = None
    sd_of: str | None = None
    direction: str | None = None
    why: str | None = None
    seen_by: str | None = None
    method: str | None = None
    dataset: str | None = None
    arch: str | None = None

    @property
    def label(self) -> str:
        """The title, with the group where there is one."""
        return f"{self.group}/{self.title}" if self.group else self.title


@dataclass(frozen=True)
class Check:
    """How cells of a table must follow from others.

    Args:
        tolerance: half a unit of the last printed digit, plus what rounding of the summands adds.
        row, mean_of_rows: a row that is the mean of others.
        column, mean_of_columns, difference: a column that is the mean of others, or the difference of two.
        except_rows: labels of rows that the columns' check omits.
    """

    tolerance: float
    row: str = ""
    mean_of_rows: tuple[str, ...] = ()
    column: str = ""
    mean_of_columns: tuple[str, ...] = ()
    difference: tuple[str, ...] = ()
    except_rows: tuple[str, ...] = ()


@dataclass(frozen=True)
class Note:
    """A cell that was unreadable or inconsistent, and how it was settled."""

    cell: str
    problem: str
    settled: str


@dataclass(frozen=True)
class PaperTable:
    """One table of a paper.

    Args:
        paper, table: its address, ``augmix`` and ``2``.
        caption: what it shows.
        source: the paper, and the table's number there.
        unit: of all its numbers (``%``: a fraction times 100), or ``text``.
        direction: ``lower`` or ``higher`` is better, ``mixed`` (see the columns) or ``none``.
        columns: by id, in printed order.
        rows: in printed order.
        cells: printed texts, [row][column]; "" where the paper has none.
        checks: how rows and columns must follow from each other.
        notes: cells that were unreadable or inconsistent.
        recipes: key of method, data set and network -> the recipe that it is in this table, where its name is another.
        without: key -> why no recipe is the model of its cells.
        runs: how many training runs the printed numbers are means of; 0: not said.
    """

    paper: str
    table: str
    caption: str
    source: str
    unit: str
    direction: str
    columns: dict[str, Axis]
    rows: tuple[Axis, ...]
    cells: tuple[tuple[str, ...], ...]
    checks: tuple[Check, ...] = ()
    notes: tuple[Note, ...] = ()
    recipes: Mapping[str, str] = field(default_factory=dict)
    without: Mapping[str, str] = field(default_factory=dict)
    runs: int = 0

    @property
    def address(self) -> str:
        """The name that users type."""
        return f"{self.paper}/{self.table}"

    def labels(self) -> list[str]:
        """Return the rows' labels, with their group where they have one."""
        return [row.label for row in self.rows]

    def meaning(self, row: int, column: str) -> Meaning:
        """Return what a cell means; what the row says goes before what the column says."""
        ours, theirs = self.rows[row], self.columns[column]

        def said(name: str) -> str | None:
            found: str | None = getattr(ours, name) or getattr(theirs, name)
            return found

        recipe, weights, why = said("recipe"), said("weights"), said("why")
        key = [said(name) for name in ("method", "dataset", "arch")]
        if recipe is None and weights is None and all(key):
            recipe = "-".join(map(str, key))
            why = why or self.without.get(recipe)
            recipe = None if recipe in self.without else self.recipes.get(recipe, recipe)
        metric, seen_by = said("metric"), said("seen_by")
        if seen_by is not None:
            metric, recipe = f"{metric}@{recipe}", seen_by
        return Meaning(
            suite=said("suite"),
            metric=metric,
            recipe=recipe,
            direction=said("direction") or self.direction,
            weights=weights,
            branch=said("branch") or "main",
            minus=said("minus"),
            sd_of=said("sd_of"),
            why=why,
        )

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
    about = read_document(f"{base}.yaml", "published table")
    with open(f"{base}.csv", newline="", encoding="utf-8") as file:
        head, *lines = list(csv.reader(file))
    columns = {name: Axis(**fields) for name, fields in about["columns"].items()}
    rows = tuple(Axis(title=fields.pop("row"), **fields) for fields in about["rows"])
    _check_files(f"{base}.csv", columns, rows, head, lines)
    return PaperTable(
        columns=columns,
        rows=rows,
        cells=tuple(tuple(line[2:]) for line in lines),
        checks=tuple(_check(fields) for fields in about.get("checks", ())),
        notes=tuple(Note(**fields) for fields in about.get("notes", ())),
        recipes=about.get("recipes", {}),
        without=about.get("without", {}),
        runs=about.get("runs", 0),
        **{key: about[key] for key in ("paper", "table", "caption", "source", "unit", "direction")},
    )


def _check(fields: Mapping[str, Any]) -> Check:
    given: dict[str, Any] = {name: tuple(one) if isinstance(one, list) else one for name, one in fields.items()}
    return Check(**given)


def _check_files(
    name: str, columns: Mapping[str, Axis], rows: Sequence[Axis], head: list[str], lines: list[list[str]]
) -> None:
    expected = ["group", "row", *columns]
    labels = [[row.group, row.title] for row in rows]
    if head != expected or [line[:2] for line in lines] != labels or any(len(line) != len(head) for line in lines):
        raise RobenchError(
            f"{name} does not fit its YAML file: columns {head}, expected {expected}; {len(lines)} rows,"
            f" expected {len(rows)} with the same labels.",
            hint="Rows and columns stand in the same order in both files.",
        )


def inconsistencies(table: PaperTable) -> list[str]:
    """Recompute every mean and difference that the table's checks name, and return those that do not follow."""
    return [
        f"{table.address} {where}: printed {printed}, follows {computed:.3f}"
        for check in table.checks
        for where, printed, computed in _recomputed(table, check)
        if abs(printed - computed) > check.tolerance
    ]


def _recomputed(table: PaperTable, check: Check) -> list[tuple[str, float, float]]:
    """Return (where, printed, recomputed) of one check."""
    labels = table.labels()
    if check.row:
        target, members = labels.index(check.row), [labels.index(one) for one in check.mean_of_rows]
        pairs = [(f"{check.row}, {c}", target, c, [(m, c) for m in members]) for c in table.columns]
    else:
        names = check.mean_of_columns or check.difference
        kept = [i for i, label in enumerate(labels) if label not in check.except_rows]
        pairs = [(f"{labels[i]}, {check.column}", i, check.column, [(i, n) for n in names]) for i in kept]
    result = []
    for where, row, column, cells in pairs:
        printed = table.number(row, column)
        values = [value for r, c in cells if (value := table.number(r, c)) is not None]
        if printed is None or len(values) != len(cells):
            raise RobenchError(f"{table.address}: the check of {where} needs cells that hold no number.")
        computed = values[0] - values[1] if check.difference else sum(values) / len(values)
        result.append((where, printed, computed))
    return result
