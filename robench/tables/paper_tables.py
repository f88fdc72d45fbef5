"""A published table, with measured values next to the printed ones, as text, Markdown, LaTeX, CSV or HTML."""

from __future__ import annotations

import csv
import html
import io
import textwrap
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from robench.errors import RobenchError, did_you_mean
from robench.tables.measured import MARKS, Measured, marks
from robench.tables.published import PaperTable

if TYPE_CHECKING:
    from rich.table import Table as RichTable

Covered = Mapping[tuple[int, str], Measured] | Mapping[tuple[int, str], str]
"""Measured values; of a table of signs, the signs that follow from measured values."""
NOT_COVERED = "not measured"
_SENTENCE = 24  # columns from which on a cell's text is a sentence, which may break


def render(table: PaperTable, covered: Covered | None, form: str) -> str:
    """Return the table in a form.

    Args:
        table: the published table.
        covered: measured values by (row, column); None: the table as published.
        form: ``terminal``, ``markdown``, ``latex``, ``csv`` or ``html``.

    Raises:
        RobenchError: no such form.
    """
    if form not in FORMS:
        raise RobenchError(f"Unknown form '{form}'.", hint=did_you_mean(form, FORMS))
    return FORMS[form](table, covered)


def _grid(table: PaperTable, covered: Covered | None) -> tuple[list[str], list[list[str]]]:
    """Return head and rows as text; with results a cell reads ``printed; measured [low, high] (difference)``."""
    head = ["", *[column.title for column in table.columns.values()]]
    rows = [
        [label, *[_cell(table, covered, i, j, column) for j, column in enumerate(table.columns)]]
        for i, label in enumerate(table.labels())
    ]
    return head, rows


def _cell(table: PaperTable, covered: Covered | None, i: int, j: int, column: str) -> str:
    printed = table.cells[i][j]
    if covered is None or not printed:
        return printed
    measured = covered.get((i, column))
    if measured is None:
        return f"{printed}; {NOT_COVERED}"
    return f"{printed}; {measured if isinstance(measured, str) else show(measured)}"


def show(measured: Measured) -> str:
    """Return ``12.03 [11.80, 12.26] (+0.83)``, or ``12.03 ± 0.15, 3 seeds (+0.83)``.

    A dagger marks images that are not the published ones, ≈ a sample of them.
    """
    spread = "" if measured.low is None else f" [{measured.low:.2f}, {measured.high:.2f}]"
    if measured.sd is not None:
        spread = f" ± {measured.sd:.2f}, {measured.seeds} seeds"
    return f"{measured.value:.2f}{marks(measured)}{spread} ({measured.difference:+.2f})"


def _summary(table: PaperTable, covered: Covered | None) -> str:
    unit = {"%": "in percent", "text": ""}.get(table.unit, f"in {table.unit}")
    better = {"lower": "lower is better", "higher": "higher is better"}.get(table.direction, "")
    text = ", ".join(part for part in (unit, better) if part)
    if covered is None:
        return text
    cells = sum(bool(text) for line in table.cells for text in line)
    values = [one for one in covered.values() if not isinstance(one, str)]
    if covered and not values:
        said = "".join(
            f"; {mark}: {of}" for mark, of in MARKS.items() if any(mark in str(one) for one in covered.values())
        )
        return f"printed; from measured values: {len(covered)} of {cells} cells{said}"
    reading = f"printed; measured [95 % interval] (difference): {len(covered)} of {cells} cells are measured"
    if any(measured.sd is not None for measured in values):
        reading += "; ±: standard deviation over seeds"
    if any(measured.remade for measured in values):
        reading += f"; †: {MARKS['†']}"
    if any(measured.sampled for measured in values):
        reading += f"; ≈: {MARKS['≈']}, with the interval of the full run"
    return f"{text}. {reading}" if text else reading


def _terminal(table: PaperTable, covered: Covered | None) -> str:
    """As wide as it needs to be in a pipe; on a terminal in blocks of columns, one below the other."""
    from rich.console import Console

    head, rows = _grid(table, covered)
    # An uncovered cell is short here: forty times "not measured" hides what was measured.
    rows = [[cell.replace(f"; {NOT_COVERED}", "; -").replace("; ", "\n") for cell in row] for row in rows]
    screen, output = Console(), io.StringIO()
    width = screen.width if screen.is_terminal else 10_000
    console = Console(file=output, width=width, markup=False, emoji=False, highlight=False)
    console.print(f"{table.source}\n{table.caption}")
    needed = [_needed(head[j], [row[j] for row in rows]) for j in range(len(head))]
    needed[0] = max(len(row[0]) for row in rows)  # labels do not break
    for block in _blocks(needed, width):
        drawn = _drawn(table, [0, *block], head, rows)
        if console.measure(drawn, options=console.options.update(width=10_000)).maximum > width:
            narrow = [textwrap.fill(one, room, break_long_words=False) for one, room in zip(head, needed, strict=True)]
            drawn = _drawn(table, [0, *block], narrow, rows)
        console.print(drawn, width=None if screen.is_terminal else console.measure(drawn).maximum)
    console.print(_summary(table, covered) + (". -: not measured" if covered is not None else ""))
    return "\n".join(line.rstrip() for line in output.getvalue().rstrip().splitlines()) + "\n"


def _needed(head: str, cells: list[str]) -> int:
    """Return the columns that a column of a table needs: heads and sentences break at words, values do not."""
    lines = [part for cell in cells for part in cell.split("\n")]
    words = max(len(word) for text in (head, *lines) for word in text.split() or [""])
    return max(words, min(max(map(len, lines), default=0), _SENTENCE))


def _blocks(needed: list[int], width: int) -> list[range]:
    """Return columns that fit side by side beside the first one, the labels, in order."""
    labels = needed[0] + 4
    blocks, start, used = [], 1, labels
    for j, one in enumerate(needed[1:], start=1):
        if j > start and used + one + 3 > width:
            blocks.append(range(start, j))
            start, used = j, labels
        used += one + 3
    return [*blocks, range(start, len(needed))]


def _drawn(table: PaperTable, block: list[int], head: list[str], rows: list[list[str]]) -> RichTable:
    from rich import box
    from rich.table import Table

    drawn = Table(box=box.SIMPLE_HEAD)
    for j in block:
        drawn.add_column(head[j], justify="right" if j and table.unit != "text" else "left", no_wrap=not j)
    for row in rows:
        drawn.add_row(*(row[j] for j in block))
    return drawn


def _markdown(table: PaperTable, covered: Covered | None) -> str:
    head, rows = _grid(table, covered)
    align = ["---", *["---" if table.unit == "text" else "---:"] * (len(head) - 1)]
    lines = [f"**{table.source}.** {table.caption} ({_summary(table, covered)}).", ""]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in (head, align, *rows)]
    return "\n".join(lines) + "\n"


def _latex(table: PaperTable, covered: Covered | None) -> str:
    head, rows = _grid(table, covered)
    lines = [
        "% needs \\usepackage{booktabs}",
        "\\begin{table}",
        f"\\caption{{{tex(table.source)}. {tex(table.caption)} ({tex(_summary(table, covered))}).}}",
        f"\\begin{{tabular}}{{l{('l' if table.unit == 'text' else 'r') * (len(head) - 1)}}}",
        "\\toprule",
        " & ".join(map(tex, head)) + " \\\\",
        "\\midrule",
    ]
    for i, row in enumerate(rows):
        if i and table.rows[i].group != table.rows[i - 1].group:
            lines.append("\\midrule")
        lines.append(" & ".join(map(tex, row)) + " \\\\")
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}", "\\end{table}"]) + "\n"


def tex(text: str) -> str:
    """Return text for LaTeX, its special characters escaped."""
    special = {"\\": "\\textbackslash{}", "%": "\\%", "&": "\\&", "_": "\\_", "#": "\\#", "$": "\\$", "{": "\\{"}
    special |= {"}": "\\}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "±": "$\\pm$", "λ": "$\\lambda$",
                "−": "$-$", "†": "$^\\dagger$", "≈": "$^\\approx$"}  # fmt: skip
    return "".join(special.get(character, character) for character in text)


def _csv(table: PaperTable, covered: Covered | None) -> str:
    """As published: the file's own columns. With results: one line per cell, so that each number has its own field."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if covered is None:
        writer.writerow(["row", *table.columns])
        writer.writerows([label, *line] for label, line in zip(table.labels(), table.cells, strict=True))
        return text.getvalue()
    writer.writerow(_CSV_HEAD)
    for i, label in enumerate(table.labels()):
        for j, column in enumerate(table.columns):
            meaning, measured = table.meaning(i, column), covered.get((i, column))
            said = [label, column, meaning.suite, meaning.metric, meaning.recipe or meaning.weights, table.cells[i][j]]
            writer.writerow([*said, *_csv_values(measured)])
    return text.getvalue()


_CSV_HEAD = ["row", "column", "suite", "metric", "model", "published", "measured", "low", "high", "difference", "sd",
             "seeds", "images"]  # fmt: skip


def _csv_values(measured: Measured | str | None) -> list[str]:
    if measured is None:
        return [""] * 7
    if isinstance(measured, str):
        sign = measured.rstrip("".join(MARKS))
        return [sign, *[""] * 5, "derived" + ", generated" * ("†" in measured) + ", sampled" * ("≈" in measured)]
    values = [measured.value, measured.low, measured.high, measured.difference, measured.sd]
    shown = ["" if value is None else f"{value:.4f}" for value in values]
    sampled = ", sampled" * measured.sampled
    if measured.derived:
        return [*shown, "", "derived" + ", generated" * measured.remade + sampled]
    return [*shown, str(measured.seeds), measured.results[0].suite.source + sampled]


def _html(table: PaperTable, covered: Covered | None) -> str:
    head, rows = _grid(table, covered)
    caption = f"{table.source}. {table.caption} ({_summary(table, covered)})."
    lines = ["<table>", f"<caption>{html.escape(caption)}</caption>", "<thead><tr>"]
    lines += [f'<th scope="col">{html.escape(title)}</th>' if title else "<td></td>" for title in head]
    lines.append("</tr></thead>\n<tbody>")
    for label, *cells in rows:
        body = "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)
        lines.append(f'<tr><th scope="row">{html.escape(label)}</th>{body}</tr>')
    return "\n".join([*lines, "</tbody>", "</table>"]) + "\n"


FORMS: dict[str, Callable[[PaperTable, Covered | None], str]] = {
    "terminal": _terminal,
    "markdown": _markdown,
    "latex": _latex,
    "csv": _csv,
    "html": _html,
}
