"""What several commands share: parsing of options, and tables on the terminal."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from robench.errors import RobenchError

if TYPE_CHECKING:
    from rich.console import Console

    from robench.results.schema import Result


class InterruptedWorkError(Exception):
    """Ctrl-C during long work, with what is kept and how to go on; the command line leaves with 130.

    Not a KeyboardInterrupt, which the command line's library would swallow with its message.
    """


def parse_floats(text: str | None, option: str) -> tuple[float, float, float] | None:
    """Parse ``0.49,0.48,0.45``; one number stands for all.

    Raises:
        RobenchError: not numbers, or the wrong count.
    """
    if text is None:
        return None
    try:
        values = tuple(float(part) for part in text.replace(" ", "").split(","))
    except ValueError:
        values = ()
    if len(values) == 1:
        values *= 3
    if len(values) != 3:
        raise RobenchError(
            f"{option} takes 3 numbers with commas between them; found '{text}'.",
            hint=f"For example {option} 0.4914,0.4822,0.4465",
        )
    # Written so that NaN is refused too.
    if not all(abs(value) <= 1 and (value > 0 or option != "--std") for value in values):
        what = "above 0 and at most 1" if option == "--std" else "of images in [0, 1]"
        raise RobenchError(
            f"{option} takes numbers {what}; found '{text}'.",
            hint="Divide by 255 what is meant for pixels up to 255.",
        )
    return values[0], values[1], values[2]


def split_names(text: str | None) -> tuple[str, ...] | None:
    """Parse ``a,b,c``."""
    return tuple(part.strip() for part in text.split(",") if part.strip()) if text else None


def one_of(option: str, value: str, known: tuple[str, ...]) -> None:
    """Refuse a value of an option that is not one of the known ones.

    Raises:
        RobenchError: it is not.
    """
    if value not in known:
        raise RobenchError(f"{option} is one of {', '.join(known)}; found '{value}'.")


def print_json(document: Any) -> None:
    """Print a document to standard output, for machines."""
    json.dump(document, sys.stdout, indent=2, ensure_ascii=False, allow_nan=False)
    print()


def console(**options: Any) -> Console:
    """Return a console that prints names as they are: ``net[v2]`` is no markup, ``a:fire:b`` no picture."""
    from rich.console import Console

    return Console(markup=False, emoji=False, **options)


def print_summary(results: list[Result], differences: dict[str, str] | None = None) -> None:
    """Print the headline figures of results as a table, with the paired difference where given, and their notes."""
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from robench.catalogue import headlines, row
    from robench.results.labels import ABSENT, show

    first = results[0]
    title = f"{first.suite.name} ({first.suite.source}), with 95 % confidence intervals"
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", title_style="bold", padding=(0, 1))
    table.add_column("")
    for result in results:
        table.add_column(escape(result.model.name), justify="right", overflow="fold")
    if differences:
        table.add_column("difference", justify="right")
    for name in headlines(name for result in results for name in result.summary):
        cells = [_two_lines(show(result.summary.get(name), name, interval=True)) for result in results]
        extra = [_two_lines(differences.get(name, ABSENT))] if differences else []
        table.add_row(row(name).head, *cells, *extra)
    Console(emoji=False).print(table)
    notes: dict[str, list[str]] = {}
    for result in results:
        for note in result.notes:
            notes.setdefault(note, []).append(result.model.name)
    for note, names in notes.items():
        whose = "" if len(names) == len(results) else f"{', '.join(names)}: "
        print(f"note: {whose}{note}")


def _two_lines(text: str) -> str:
    """Put a figure's interval on a line of its own, so that three columns fit an ordinary terminal."""
    value, _, rest = text.partition(" (")
    interval, _, star = rest.partition(")")
    return f"{value}{star}\n[dim]{interval}[/dim]" if interval else value
