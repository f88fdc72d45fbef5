"""Comparisons of runs as Markdown, LaTeX and CSV: differences with intervals, verdicts, ranks."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from typing import Any

from robench.catalogue import headlines, row
from robench.results.comparing import Comparison, difference_text
from robench.results.comparing_many import ManyComparison, Ranked, ValueComparison
from robench.results.labels import markdown, sentence
from robench.tables.paper_tables import tex

__all__ = [
    "FORMS",
    "difference_text",
    "in_order",
    "lines_of",
    "matrix",
    "pair_tables",
    "pair_text",
    "rank_text",
    "value_text",
]

Rows = list[list[str]]


def rank_text(found: Ranked) -> str:
    """Return a rank with what the intervals leave open: ``2`` or ``1 to 3``.

    >>> rank_text(Ranked(value=0.1, best_rank=1, worst_rank=3))
    '1 to 3'
    """
    return f"{found.best_rank}" if found.best_rank == found.worst_rank else f"{found.best_rank} to {found.worst_rank}"


def value_text(name: str, found: Ranked) -> str:
    """Return a run's value with its interval: ``12.30 (11.80 to 12.80)``."""
    about = row(name)
    text = about.show(found.value)
    if found.low is None or found.high is None:
        return text
    return f"{text} ({about.show(found.low)} to {about.show(found.high)})"


def pair_text(name: str, found: ValueComparison, a: str, b: str) -> str:
    """Return a difference with its simultaneous interval, a star where it is significant, and = where equivalent."""
    about, pair = row(name), found.pair(a, b)
    ends = f"{about.show(pair.low, sign=True)} to {about.show(pair.high, sign=True)}"
    mark = " =" if pair.verdict == "equivalent" else " *" if pair.significant else ""
    return f"{about.show(pair.difference, sign=True)} ({ends}){mark}"


def in_order(found: ValueComparison, name: str) -> list[str]:
    """Return the runs, the best value first."""
    higher = row(name).lower_is_better is False
    return sorted(found.runs, key=lambda run: -found.runs[run].value if higher else found.runs[run].value)


def matrix(name: str, found: ValueComparison) -> tuple[list[str], Rows]:
    """Return the head and a row per run, the best first: rank, value, and its difference to every other run."""
    runs = in_order(found, name)
    rows = [
        [rank_text(found.runs[run]), run, value_text(name, found.runs[run])]
        + ["" if run == other else pair_text(name, found, run, other) for other in runs]
        for run in runs
    ]
    return ["rank", "model", row(name).head, *(f"minus {run}" for run in runs)], rows


def _pairs(found: Comparison | ManyComparison) -> tuple[list[str], Rows]:
    """Return one row per value and pair, with every number in a column of its own, as they are stored."""
    head = ["value", "a", "b", "difference", "low", "high", "significant", "verdict"]
    if isinstance(found, Comparison):
        shown = [(name, found.a, found.b, one) for name, one in found.differences.items() if one.value is not None]
        return head, [
            [name, a, b, *map(_number, (d.value, d.low, d.high)), str(d.significant).lower(), d.verdict or ""]
            for name, a, b, d in shown
        ]
    return head, [
        [name, p.a, p.b, *map(_number, (p.difference, p.low, p.high)), str(p.significant).lower(), p.verdict]
        for name, one in found.values.items()
        for p in one.pairs
    ]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _csv(found: Comparison | ManyComparison) -> str:
    text = io.StringIO()
    head, rows = _pairs(found)
    csv.writer(text, lineterminator="\n").writerows([head, *rows])
    return text.getvalue()


def _tables(found: Comparison | ManyComparison) -> list[tuple[str, list[str], Rows]]:
    """Return (title, head, rows) of every table that Markdown and LaTeX show."""
    if isinstance(found, Comparison):
        tested = any(one.verdict for one in found.differences.values())
        rows = [
            [sentence(row(name).axis), difference_text(name, one)] + ([one.verdict or ""] if tested else [])
            for name in headlines(found.differences)
            if (one := found.differences[name]).value is not None
        ]
        title = f"{found.a} minus {found.b} on {found.suite}, with 95 % intervals; * significant at the 5 % level"
        return [(title, ["", "difference", *(["verdict"] if tested else [])], rows)]
    about = "simultaneous 95 % intervals (max-t); * significant at the 5 % level"
    return [
        (f"{sentence(row(name).axis)} on {found.suite}: ranks and differences (row minus column), {about}",
         *matrix(name, one))
        for name, one in found.values.items()
    ]  # fmt: skip


def _markdown(found: Comparison | ManyComparison) -> str:
    parts = []
    for title, head, rows in _tables(found):
        lines = [[markdown(cell) for cell in line] for line in (head, *rows)]
        lines.insert(1, ["---", *["---:"] * (len(head) - 1)])
        table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
        parts.append(f"**{markdown(title)}**\n\n{table}")
    said = "\n".join(f"- {markdown(text)}" for text in found.sentences)
    return "\n\n".join([*parts, said]).strip() + "\n"


def _latex(found: Comparison | ManyComparison) -> str:
    lines = ["% needs \\usepackage{booktabs}"]
    for title, head, rows in _tables(found):
        lines += ["\\begin{table}", f"\\caption{{{tex(title)}.}}", f"\\begin{{tabular}}{{l{'r' * (len(head) - 1)}}}"]
        lines += ["\\toprule", " & ".join(map(tex, head)) + " \\\\", "\\midrule"]
        lines += [" & ".join(map(tex, line)) + " \\\\" for line in rows]
        lines += ["\\bottomrule", "\\end{tabular}", "\\end{table}"]
    if found.sentences:
        lines += ["\\begin{itemize}", *(f"\\item {tex(text)}" for text in found.sentences), "\\end{itemize}"]
    return "\n".join(lines) + "\n"


FORMS: dict[str, Callable[[Comparison | ManyComparison], str]] = {
    "markdown": _markdown,
    "latex": _latex,
    "csv": _csv,
}


def lines_of(found: ManyComparison, name: str) -> tuple[Sequence[str], Rows]:
    """Return the head and a row per pair, for screens too narrow for the matrix."""
    runs = in_order(found.values[name], name)
    rows = [
        [f"{a} minus {b}", pair_text(name, found.values[name], a, b), found.values[name].pair(a, b).verdict]
        for i, a in enumerate(runs)
        for b in runs[i + 1 :]
    ]
    return ["pair", f"difference, {row(name).difference_unit}".rstrip(", "), "verdict"], rows


def pair_tables(found: ManyComparison, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return title, head and rows of a report's tables of pairs, one per named value."""
    tables = []
    for name in names:
        if name in found.values:
            head, rows = matrix(name, found.values[name])
            tables.append({"title": sentence(row(name).axis), "head": head, "rows": rows})
    return tables
