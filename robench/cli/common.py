"""What several commands share: tables on the terminal, and JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from robench.results.schema import Result


def path(name: str, given: str | None) -> Path | None:
    """Return a path that was typed; None where none was.

    Raises:
        RobenchError: an empty one, or one that no file system takes.
    """
    from robench.api.words import place

    return None if given is None else place(name, given)


def print_json(document: Any) -> None:
    """Print a document to standard output, for machines."""
    json.dump(document, sys.stdout, indent=2, ensure_ascii=False, allow_nan=False)
    print()


def console(**options: Any) -> Console:
    """Return a console that prints names as they are: ``net[v2]`` is not markup, ``a:fire:b`` not an emoji."""
    from rich.console import Console

    class Screen(Console):
        def on_broken_pipe(self) -> None:  # rich would leave with 1
            raise BrokenPipeError

    return Screen(**{"markup": False, "emoji": False} | options)


def plain_width() -> int | None:
    """Return the width for tables whose rows must stay on one line in a pipe; None on a terminal: its own."""
    return None if sys.stdout.isatty() else 260


def print_summary(
    results: Sequence[Result], differences: dict[str, str] | None = None, *, left_out: str | None = None
) -> None:
    """Print headline values as a table, with the paired difference where given, the notes, and what was used.

    Args:
        results: of one suite.
        differences: by the name of the summary value, as text.
        left_out: a note that is printed elsewhere.
    """
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    from robench.api.values import ABSENT, show, used
    from robench.catalogue import headlines, row

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
    console(markup=True).print(table)
    notes: dict[str, list[str]] = {}
    for result in results:
        for note in result.notes:
            notes.setdefault(note, []).append(result.model.name)
    for note, names in notes.items():
        whose = "" if len(names) == len(results) else f"{', '.join(names)}: "
        if note != left_out:
            print(f"note: {whose}{note_in_options(note)}")
    for result in results:
        print(f"model: {result.model.name}: {used(result)}")


def note_in_options(text: str) -> str:
    """Return what a run says of itself with the options of `robench evaluate`, by which it is measured again."""
    from robench.cli.app import build
    from robench.cli.words import in_options

    parameters = build("evaluate").params
    return in_options(text, lambda name: parameters if name in (None, "evaluate") else ())


def _two_lines(text: str) -> str:
    """Put a value's intervals on lines of their own, so that three columns fit an ordinary terminal."""
    value, _, rest = text.partition(" (")
    intervals, _, star = rest.partition(")")
    lines = [f"[dim]{interval}[/dim]" for interval in intervals.split("; ") if interval]
    return "\n".join([f"{value}{star}", *lines])
