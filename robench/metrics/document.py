"""The table of cell metrics in docs/metrics.md, written from :mod:`robench.catalogue`.

    python -m robench.metrics.document docs/metrics.md

rewrites the lines between the two markers and leaves the hand-written rest alone.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

from robench.catalogue import METRICS, Metric, metric
from robench.errors import RobenchError

BEGIN = "<!-- table of metrics: begin (python -m robench.metrics.document docs/metrics.md) -->"
END = "<!-- table of metrics: end -->"
_HEAD = ("name", "unit", "better", "range", "computed from", "source")


def table_text() -> str:
    """Return a Markdown table with a row for every metric, in the list's order, ending in a newline."""
    rows = [_HEAD, ("---",) * len(_HEAD), *(_row(metric(name)) for name in METRICS)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def table_part(text: str) -> str:
    """Return what stands between the markers of a document.

    Raises:
        RobenchError: a marker is missing, or they are the wrong way round.
    """
    begin, end = _span(text)
    return text[begin:end]


def with_table(text: str) -> str:
    """Return the document with the current table between its markers.

    Raises:
        RobenchError: as :func:`table_part`.
    """
    begin, end = _span(text)
    return text[:begin] + table_text() + text[end:]


def _span(text: str) -> tuple[int, int]:
    begin, end = text.find(BEGIN), text.find(END)
    if begin < 0 or end < begin:
        raise RobenchError(
            "The document lacks the two markers that the table of metrics stands between.",
            hint=f"Put the lines '{BEGIN}' and '{END}' where the table belongs.",
        )
    return begin + len(BEGIN) + 1, end


def _row(entry: Metric) -> tuple[str, ...]:
    low, high = (_bound(value) for value in entry.range)
    return (
        f"`{entry.name}`",
        entry.unit,
        entry.better,
        f"{low} to {high}",
        ", ".join(f"`{column}`" for column in entry.needs),
        entry.source,
    )


def _bound(value: float) -> str:
    return "unbounded" if math.isinf(value) else f"{value:g}"


def main(path: Path) -> None:
    """Rewrite the table in the document at ``path``."""
    path.write_text(with_table(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
