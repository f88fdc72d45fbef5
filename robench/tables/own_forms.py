"""A table of the user's models as text for the terminal, Markdown, CSV or HTML; LaTeX is in ``own_latex``."""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import Callable
from itertools import groupby
from typing import TYPE_CHECKING

from robench.results.labels import markdown
from robench.tables.own import Cell, Column, OwnTable
from robench.tables.own_cells import ends, label, notes, number
from robench.tables.own_latex import latex

if TYPE_CHECKING:
    from rich.table import Table as RichTable


def _terminal(table: OwnTable) -> str:
    """As wide as it needs to be in a pipe; on a terminal turned where few models have many values, else in blocks."""
    from rich.console import Console

    screen = Console()
    output = io.StringIO()
    width = screen.width if screen.is_terminal else 10_000
    console = Console(file=output, width=width, emoji=False, force_terminal=screen.is_terminal)
    turned = len(table.columns) > len(table.lines) and len(table.lines) <= 4
    blocks = [range(len(table.columns))] if turned else _blocks(table, width)
    console.print(table.caption, markup=False, style="bold", highlight=False)
    for block in blocks:
        drawn = _drawn(table, block, turned=turned, piped=not screen.is_terminal)
        if screen.is_terminal and console.measure(drawn, options=console.options.update(width=10_000)).maximum > width:
            drawn = _drawn(table, block, turned=turned, narrow=True)
        console.print(drawn, width=None if screen.is_terminal else console.measure(drawn).maximum)
    for note in notes(table):
        console.print(note if screen.is_terminal else re.sub("^Bold:", "*:", note), markup=False)
    return "\n".join(line.rstrip() for line in output.getvalue().splitlines()) + "\n"


def _blocks(table: OwnTable, width: int) -> list[range]:
    """Return columns that fit side by side beside the labels, in order."""
    head = max((len(label(line)) for line in table.lines), default=0) + 4
    blocks, start, used = [], 0, head
    for j, column in enumerate(table.columns):
        texts = [number(line.cells[j], column) for line in table.lines]
        texts += [part for line in table.lines for part in ends(line.cells[j], column).split("; ")]
        needed = max(map(len, [*texts, *column.head.split()])) + 2
        if j > start and used + needed > width:
            blocks.append(range(start, j))
            start, used = j, head
        used += needed
    return [*blocks, range(start, len(table.columns))]


def _drawn(table: OwnTable, block: range, *, turned: bool, narrow: bool = False, piped: bool = False) -> RichTable:
    """Return some of the columns as rich's table; a narrow one has what an interval is of on a line of its own.

    For a pipe every row is one line, and a star stands for bold.
    """
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    drawn = Table(box=box.SIMPLE_HEAD)
    drawn.add_column("", no_wrap=True)
    columns = [table.columns[j] for j in block]

    def text(cell: Cell, column: Column) -> str:
        shown = f"[bold]{number(cell, column)}[/bold]" if cell.best else number(cell, column)
        if piped:
            shown = number(cell, column) + (f" ({found})" if (found := ends(cell, column)) else "")
            return f"{shown} *" if cell.best else shown
        parts = ends(cell, column).replace("; ", "\n")
        parts = re.sub(r"(?m)^([a-z]+ [a-z]+) ", r"\1\n", parts) if narrow else parts
        return f"{shown}\n[dim]{parts}[/dim]" if parts else shown

    if turned:
        for line in table.lines:
            drawn.add_column(escape(label(line)), justify="right", overflow="fold")
        for j, column in zip(block, columns, strict=True):
            drawn.add_row(escape(column.head), *(text(line.cells[j], column) for line in table.lines))
        return drawn
    for column in columns:
        drawn.add_column(escape(column.head), justify="right", overflow="fold")
    for group, lines in groupby(table.lines, key=lambda line: line.group):
        if group:
            drawn.add_section()
            drawn.add_row(f"[italic]{escape(group)}[/italic]")
        for line in lines:
            drawn.add_row(escape(label(line)), *(text(line.cells[j], table.columns[j]) for j in block))
    return drawn


def _markdown(table: OwnTable) -> str:
    def text(cell: Cell, column: Column) -> str:
        shown = f"**{number(cell, column)}**" if cell.best else number(cell, column)
        found = ends(cell, column)
        return f"{shown} ({found})" if found else shown

    lines = [f"{markdown(table.caption)}.", ""]
    lines += ["| " + " | ".join(["", *(markdown(column.head) for column in table.columns)]) + " |"]
    lines += ["| --- |" + " ---: |" * len(table.columns)]
    for group, members in groupby(table.lines, key=lambda line: line.group):
        if group:
            lines.append(f"| *{markdown(group)}* |" + " |" * len(table.columns))
        lines += [
            "| " + " | ".join([markdown(label(line)), *map(text, line.cells, table.columns)]) + " |" for line in members
        ]
    return "\n".join([*lines, "", *(f"{markdown(note)}" for note in notes(table))]).rstrip() + "\n"


def _csv(table: OwnTable) -> str:
    """One line per model and column, every number as it is stored, in a field of its own."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    head = [
        "model",
        "source",
        "group",
        "column",
        "value_name",
        "value",
        "low",
        "high",
        "sd",
        "best",
        "sampled",
        "partial",
        "full_run_low",
        "full_run_high",
        "suite",
        "images",
    ]
    writer.writerow(head)
    for line in table.lines:
        for cell, column in zip(line.cells, table.columns, strict=True):
            value = cell.value
            numbers = (None, None, None) if value is None else (value.value, value.low, value.high)
            full_run = (None, None) if value is None else (value.full_run_low, value.full_run_high)
            writer.writerow(
                [
                    line.label,
                    line.group if line.published else "measured",
                    "" if line.published else line.group,
                    column.head,
                    column.name,
                    *("" if one is None else repr(one) for one in (*numbers, cell.sd)),
                    *(str(one).lower() for one in (cell.best, line.sampled, line.partial)),
                    *("" if one is None else repr(one) for one in full_run),
                    table.suite,
                    table.images,
                ]
            )
    return text.getvalue()


def _html(table: OwnTable) -> str:
    def text(cell: Cell, column: Column) -> str:
        shown, found = html.escape(number(cell, column)), html.escape(ends(cell, column))
        shown = f"<strong>{shown}</strong>" if cell.best else shown
        return f"<td>{shown}<br><small>{found}</small></td>" if found else f"<td>{shown}</td>"

    heads = "".join(f'<th scope="col">{html.escape(column.head)}</th>' for column in table.columns)
    lines = ["<table>", f"<caption>{html.escape(table.caption)}</caption>"]
    lines.append(f"<thead><tr><td></td>{heads}</tr></thead>")
    for group, members in groupby(table.lines, key=lambda line: line.group):
        lines.append("<tbody>")
        if group:
            lines.append(f'<tr><th colspan="{len(table.columns) + 1}" scope="rowgroup">{html.escape(group)}</th></tr>')
        lines += [
            f'<tr><th scope="row">{html.escape(label(line))}</th>{"".join(map(text, line.cells, table.columns))}</tr>'
            for line in members
        ]
        lines.append("</tbody>")
    return "\n".join([*lines, "</table>", *(f"<p>{html.escape(note)}</p>" for note in notes(table))]) + "\n"


FORMS: dict[str, Callable[[OwnTable], str]] = {
    "terminal": _terminal,
    "markdown": _markdown,
    "latex": latex,
    "csv": _csv,
    "html": _html,
}


def render(table: OwnTable, form: str) -> str:
    """Return the table in a form: a key of :data:`FORMS`."""
    return FORMS[form](table)
