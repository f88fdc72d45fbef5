"""A table of the user's models as text for the terminal, Markdown, LaTeX (booktabs), CSV or HTML."""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Callable
from itertools import groupby

from robench.results.labels import interval_text, markdown, show
from robench.tables.own import Cell, Column, Line, OwnTable
from robench.tables.paper_tables import tex

_SAMPLED, _PARTIAL = "≈", "°"


def render(table: OwnTable, form: str) -> str:
    """Return the table in a form: a key of :data:`FORMS`."""
    return FORMS[form](table)


def notes(table: OwnTable) -> list[str]:
    """Return what stands below the table."""
    found = [table.tested] if any(cell.best for line in table.lines for cell in line.cells) else []
    if any(line.sampled for line in table.lines):
        found.append(f"{_SAMPLED} measured from a sample of the suite.")
    if any(line.partial for line in table.lines):
        found.append(f"{_PARTIAL} only a part of the suite was measured.")
    if any(line.group for line in table.lines):
        found.append("Published rows have no intervals where their source gives none.")
    return found


def _label(line: Line) -> str:
    return line.label + _SAMPLED * line.sampled + _PARTIAL * line.partial


def _terminal(table: OwnTable) -> str:
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    turned = len(table.columns) > len(table.lines) and len(table.lines) <= 4
    drawn = Table(box=box.SIMPLE_HEAD, title=escape(table.caption), title_justify="left", title_style="bold")
    drawn.add_column("", no_wrap=True)

    def text(cell: Cell, column: Column) -> str:
        ends = interval_text(cell.value, column.name) if cell.value is not None else ""
        shown = show(cell.value, column.name)
        shown = f"[bold]{shown}[/bold]" if cell.best else shown
        return f"{shown}\n[dim]{ends}[/dim]" if ends else shown

    if turned:
        for line in table.lines:
            drawn.add_column(escape(_label(line)), justify="right", overflow="fold")
        for j, column in enumerate(table.columns):
            drawn.add_row(escape(column.head), *(text(line.cells[j], column) for line in table.lines))
    else:
        for column in table.columns:
            drawn.add_column(escape(column.head), justify="right", overflow="fold")
        for group, lines in groupby(table.lines, key=lambda line: line.group):
            if group:
                drawn.add_section()
                drawn.add_row(f"[italic]{escape(group)}[/italic]")
            for line in lines:
                drawn.add_row(escape(_label(line)), *map(text, line.cells, table.columns))
    width = max(Console().width, 22 + 16 * (len(table.lines) if turned else len(table.columns)))
    console = Console(file=io.StringIO(), width=width, emoji=False, force_terminal=Console().is_terminal)
    console.print(drawn)
    for note in notes(table):
        console.print(note, markup=False)
    output: io.StringIO = console.file  # type: ignore[assignment]
    return output.getvalue()


def _markdown(table: OwnTable) -> str:
    def text(cell: Cell, column: Column) -> str:
        shown = show(cell.value, column.name, interval=True)
        if not cell.best:
            return shown
        value, space, ends = shown.partition(" ")
        return f"**{value}**{space}{ends}"

    lines = [f"{markdown(table.caption)}.", ""]
    lines += ["| " + " | ".join(["", *(markdown(column.head) for column in table.columns)]) + " |"]
    lines += ["| --- |" + " ---: |" * len(table.columns)]
    for group, members in groupby(table.lines, key=lambda line: line.group):
        if group:
            lines.append(f"| *{markdown(group)}* |" + " |" * len(table.columns))
        lines += [
            "| " + " | ".join([markdown(_label(line)), *map(text, line.cells, table.columns)]) + " |"
            for line in members
        ]
    return "\n".join([*lines, "", *(f"{markdown(note)}" for note in notes(table))]).rstrip() + "\n"


def _latex(table: OwnTable) -> str:
    def text(cell: Cell, column: Column) -> str:
        value = cell.value
        if value is None or value.value is None:
            return "--"
        shown = tex(column.about.show(value.value))
        shown = f"\\textbf{{{shown}}}" if cell.best else shown
        if value.low is None or value.high is None:
            return shown
        low, high = (tex(column.about.show(end)) for end in (value.low, value.high))
        return f"{shown} {{\\scriptsize [{low}, {high}]}}"

    lines = [
        "% needs \\usepackage{booktabs}",
        "\\begin{table}",
        "\\centering",
        f"\\caption{{{tex(' '.join([table.caption + '.', *notes(table)]))}}}",
        f"\\begin{{tabular}}{{l{'r' * len(table.columns)}}}",
        "\\toprule",
        " & ".join(["Model", *(tex(column.head) for column in table.columns)]) + " \\\\",
        "\\midrule",
    ]
    for group, members in groupby(table.lines, key=lambda line: line.group):
        if group:
            lines += ["\\midrule", f"\\multicolumn{{{len(table.columns) + 1}}}{{l}}{{\\textit{{{tex(group)}}}}} \\\\"]
        lines += [" & ".join([tex(_label(line)), *map(text, line.cells, table.columns)]) + " \\\\" for line in members]
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}", "\\end{table}"]) + "\n"


def _csv(table: OwnTable) -> str:
    """One line per model and column, every number as it is stored, in a field of its own."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["model", "source", "column", "value_name", "value", "low", "high", "best", "sampled", "partial"])
    for line in table.lines:
        for cell, column in zip(line.cells, table.columns, strict=True):
            value = cell.value
            numbers = (None, None, None) if value is None else (value.value, value.low, value.high)
            writer.writerow(
                [
                    line.label,
                    line.group or "measured",
                    column.head,
                    column.name,
                    *("" if number is None else repr(number) for number in numbers),
                    *(str(one).lower() for one in (cell.best, line.sampled, line.partial)),
                ]
            )
    return text.getvalue()


def _html(table: OwnTable) -> str:
    def text(cell: Cell, column: Column) -> str:
        shown = html.escape(show(cell.value, column.name))
        ends = html.escape(interval_text(cell.value, column.name)) if cell.value is not None else ""
        shown = f"<strong>{shown}</strong>" if cell.best else shown
        return f"<td>{shown}<br><small>{ends}</small></td>" if ends else f"<td>{shown}</td>"

    heads = "".join(f'<th scope="col">{html.escape(column.head)}</th>' for column in table.columns)
    lines = ["<table>", f"<caption>{html.escape(table.caption)}</caption>"]
    lines.append(f"<thead><tr><td></td>{heads}</tr></thead>")
    for group, members in groupby(table.lines, key=lambda line: line.group):
        lines.append("<tbody>")
        if group:
            lines.append(f'<tr><th colspan="{len(table.columns) + 1}" scope="rowgroup">{html.escape(group)}</th></tr>')
        lines += [
            f'<tr><th scope="row">{html.escape(_label(line))}</th>{"".join(map(text, line.cells, table.columns))}</tr>'
            for line in members
        ]
        lines.append("</tbody>")
    return "\n".join([*lines, "</table>", *(f"<p>{html.escape(note)}</p>" for note in notes(table))]) + "\n"


FORMS: dict[str, Callable[[OwnTable], str]] = {
    "terminal": _terminal,
    "markdown": _markdown,
    "latex": _latex,
    "csv": _csv,
    "html": _html,
}
