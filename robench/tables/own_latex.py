"""A table of the user's models for LaTeX with booktabs, as papers of this field print theirs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from robench.results.labels import ABSENT
from robench.tables.own import WITH_INTERVALS, Cell, Column, Line, OwnTable
from robench.tables.own_cells import label, notes, number
from robench.tables.paper_tables import tex

_TEXT = 345.0
"""Width of the text in points, of LaTeX's own article class; other classes have more."""


@dataclass(frozen=True)
class Size:
    """How a table is set, in points: size of the type, width of a character, space beside a column, widest label."""

    name: str
    character: float
    space: float
    label: float


_SIZES = (
    Size("\\small", 4.6, 6.0, 136),
    Size("\\footnotesize", 4.25, 3.0, 136),
    Size("\\footnotesize", 4.25, 3.0, 102),
)
_SHRUNK = Size("\\scriptsize", 3.8, 2.5, 102)
_SMALL = 4.0
"""Width of the characters of an interval, in points."""
_TURNED_MODELS = 4
_PAGE = 30
"""Rows that stand on one page."""
_SHORT = {
    "gaussian_noise": "Gauss.", "shot_noise": "Shot", "impulse_noise": "Impulse", "speckle_noise": "Speckle",
    "defocus_blur": "Defocus", "glass_blur": "Glass", "motion_blur": "Motion", "zoom_blur": "Zoom",
    "gaussian_blur": "Gauss.", "brightness": "Bright", "elastic_transform": "Elastic", "pixelate": "Pixel",
    "jpeg_compression": "JPEG",
}  # fmt: skip
_INTERVALS = "Square brackets: 95 % intervals."
_SHRINK = "\\resizebox{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}{!}{%"


def latex(table: OwnTable) -> str:
    """Return the table as LaTeX.

    Values have their intervals beside them where they fit the width of the text, else in a table that is turned: a row
    per column. One of many columns and many models has the corruptions' short names under their groups, and values
    alone with one decimal, as papers print it; the CSV has the intervals. One of more rows than a page holds is a
    ``longtable``.
    """
    plain = [_plain_row(line, table.columns) for line in table.lines]
    heads = [column.head for column in table.columns]
    if size := _fitting(plain, [max(_broken(head), key=len) for head in heads]):
        rows = [(line.group, _row(line, table.columns, intervals=True)) for line in table.lines]
        return _document(table, rows, _heads(table.columns, short=False), size)
    turned = [[(head, ""), *(row[1 + j] for row in plain)] for j, head in enumerate(heads)]
    if len(table.lines) <= _TURNED_MODELS and (size := _fitting(turned, [row[0][0] for row in plain])):
        return _turned(table, size)
    rows = [(line.group, _row(line, table.columns, intervals=False)) for line in table.lines]
    return _document(table, rows, _heads(table.columns, short=True), _SHRUNK)


def _fitting(rows: Sequence[list[tuple[str, str]]], heads: Sequence[str]) -> Size | None:
    """Return the size with which rows of (value, interval) fit the text; None: none does."""
    for size in _SIZES:
        widths = [size.character * len(head) for head in heads]
        labels = 0.0
        for (text, _), *cells in rows:
            labels = max(labels, min(size.character * len(text), size.label))
            inside = [size.character * len(value) + _SMALL * len(ends) for value, ends in cells]
            widths = [max(pair) for pair in zip(widths, inside, strict=True)]
        if labels + sum(widths) + 2 * size.space * (len(widths) + 1) <= _TEXT:
            return size
    return None


def _plain_row(line: Line, columns: Sequence[Column]) -> list[tuple[str, str]]:
    return [(label(line), ""), *(_plain(*pair) for pair in zip(line.cells, columns, strict=True))]


def _plain(cell: Cell, column: Column) -> tuple[str, str]:
    """Return the characters of a cell's value and of its interval."""
    value = cell.value
    if value is None or value.low is None or value.high is None:
        return number(cell, column), ""
    return number(cell, column), f"[{column.about.show(value.low)},{column.about.show(value.high)}]"


def _broken(head: str) -> list[str]:
    """Return a head in two lines where it is long.

    >>> _broken("Mean Brier score (0 to 2)"), _broken("Clean error, %")
    (['Mean Brier', 'score (0 to 2)'], ['Clean', 'error, %'])
    """
    words = head.split(" ")
    if len(head) <= 10 or len(words) < 2:
        return [head]
    at = min(range(1, len(words)), key=lambda k: max(len(" ".join(words[:k])), len(" ".join(words[k:]))))
    return [" ".join(words[:at]), " ".join(words[at:])]


def _stacked(head: str) -> str:
    parts = [tex(part) for part in _broken(head)]
    lines = " \\\\ ".join(parts)
    return lines if len(parts) == 1 else f"\\shortstack[r]{{{lines}}}"


def _row(line: Line, columns: Sequence[Column], *, intervals: bool) -> list[str]:
    cells = zip(line.cells, columns, strict=True)
    return [tex(label(line)), *(_cell(cell, column, intervals=intervals) for cell, column in cells)]


def _cell(cell: Cell, column: Column, *, intervals: bool) -> str:
    shown = number(cell, column)
    if shown == ABSENT:
        return "--"
    if not intervals and cell.decimals is None and cell.value is not None and cell.value.value is not None:
        fewer = max(column.about.decimals - 1, 1)
        shown = column.about.show(cell.value.value, decimals=fewer)
        shown += "" if cell.sd is None else f" ± {column.about.show(cell.sd, decimals=fewer)}"
    shown = f"\\textbf{{{tex(shown)}}}" if cell.best else tex(shown)
    value = cell.value
    if not intervals or value is None or value.low is None or value.high is None:
        return shown
    low, high = (tex(column.about.show(end)) for end in (value.low, value.high))
    return f"{shown} {{\\scriptsize [{low}, {high}]}}"


def _heads(columns: Sequence[Column], *, short: bool) -> list[str]:
    """Return the lines of the head: the groups of the corruptions where they have some, and the columns' names."""
    names = [_stacked(_SHORT.get(column.key, column.head) if short else column.head) for column in columns]
    lines = [" & ".join(["Model", *names]) + " \\\\"]
    if not short or not any(column.group for column in columns):
        return lines
    spans, rules, at = [""], [], 2
    for group, members in groupby(columns, key=lambda column: column.group):
        size = len(list(members))
        spans.append(f"\\multicolumn{{{size}}}{{c}}{{{tex(group)}}}")
        rules += [f"\\cmidrule(lr){{{at}-{at + size - 1}}}"] * bool(group)
        at += size
    return [" & ".join(spans) + " \\\\", " ".join(rules), *lines]


def _turned(table: OwnTable, size: Size) -> str:
    """Return the table with a row per column and the models side by side."""
    rows = []
    for j, column in enumerate(table.columns):
        cells = [_cell(line.cells[j], column, intervals=True) for line in table.lines]
        rows.append((column.group, [tex(column.head), *cells]))
    heads = [" & ".join(["", *(tex(label(line)) for line in table.lines)]) + " \\\\"]
    return _document(table, rows, heads, size)


def _document(table: OwnTable, rows: Sequence[tuple[str, list[str]]], heads: Sequence[str], size: Size) -> str:
    """Return the environment; of the smallest size the table is shrunk to the width of the text."""
    columns = len(rows[0][1]) - 1
    wrapped = any(len(row[0]) * size.character > size.label for _, row in rows)
    form = (f"p{{{size.label:g}pt}}" if wrapped else "l") + "r" * columns
    shown = any("\\scriptsize" in cell for _, row in rows for cell in row)
    said = [(table.caption if shown else table.caption.removesuffix(WITH_INTERVALS)) + ".", *notes(table, int(shown))]
    said += [_INTERVALS] * shown
    caption = f"\\caption{{{tex(' '.join(said))}}}"
    body: list[str] = []
    for k, (group, members) in enumerate(groupby(rows, key=lambda row: row[0])):
        body += ["\\midrule"] * bool(k)
        if group:
            body.append(f"\\multicolumn{{{columns + 1}}}{{l}}{{\\textit{{{tex(group)}}}}} \\\\")
        body += [" & ".join([_in_lines(name) if wrapped else name, *row]) + " \\\\" for _, (name, *row) in members]
    start = [size.name, f"\\setlength{{\\tabcolsep}}{{{size.space:g}pt}}"]
    shrunk = size is _SHRUNK
    if len(rows) > _PAGE and not shrunk:
        begin = ["% needs \\usepackage{booktabs,longtable}", "{", *start, f"\\begin{{longtable}}{{{form}}}"]
        begin += [f"{caption} \\\\", "\\toprule", *heads, "\\midrule", "\\endfirsthead", "\\toprule", *heads]
        begin += ["\\midrule", "\\endhead", "\\bottomrule", "\\endfoot"]
        return "\n".join([*begin, *body, "\\end{longtable}", "}", ""])
    packages = "booktabs,graphicx" if shrunk else "booktabs"
    lines = [f"% needs \\usepackage{{{packages}}}", "\\begin{table}", "\\centering", caption, "\\vspace{1ex}", *start]
    lines += [_SHRINK] * shrunk + [f"\\begin{{tabular}}{{{form}}}", "\\toprule", *heads, "\\midrule", *body]
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}" + "}" * shrunk, "\\end{table}", ""])


def _in_lines(name: str) -> str:
    """Return a name that may stand in several lines."""
    return "\\raggedright " + name.replace("\\_", "\\_\\allowbreak{}")
