"""What several commands share: tables on the terminal, and JSON."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robench.cli.streams import folded, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rich.console import Console
    from rich.table import Table

    from robench.results.schema import Result


def path(name: str, given: str | None) -> Path | None:
    """Return a path that was typed; None where none was.

    Raises:
        RobenchError: an empty one, or one that no file system takes.
    """
    from robench.api.words import place

    return None if given is None else place(name, given)


def say(text: str, indent: str = "") -> None:
    """Print a sentence: on one line in a pipe, broken between words on a terminal that is too narrow for it."""
    print(folded(text, sys.stdout, indent))


def print_fields(rows: Iterable[tuple[str, str]], width: int) -> None:
    """Print names and texts, one per line; what does not fit a terminal goes on below the text.

    Args:
        rows: name and text.
        width: columns of the names.
    """
    for name, text in rows:
        say(f"{name:<{width - 1}} {text}", " " * width)


def print_json(document: Any) -> None:
    """Print a document to standard output, for machines."""
    json.dump(document, sys.stdout, indent=2, ensure_ascii=False, allow_nan=False)
    print()


def print_files(files: Sequence[Path | str], *, as_json: bool) -> None:
    """Print the paths of written files, one per line, or as ``{"files": [...]}``."""
    if as_json:
        print_json({"files": [str(file) for file in files]})
        return
    for file in files:
        print(file)


def console(**options: Any) -> Console:
    """Return a console that prints names as they are: ``net[v2]`` is not markup, ``a:fire:b`` not an emoji.

    In a pipe it is as wide as any table, so that a row stays one line, and no line ends in blanks.
    """
    from rich.console import Console

    class Screen(Console):
        def on_broken_pipe(self) -> None:  # rich would leave with 1
            raise BrokenPipeError

        def print(self, *objects: Any, **words: Any) -> None:
            if self.is_terminal:
                super().print(*objects, **words)
                return
            with self.capture() as text:  # rows are padded to the width of their table
                super().print(*objects, **words)
            self.file.write("\n".join(line.rstrip() for line in text.get().split("\n")))

    stream = sys.stderr if options.get("stderr") else sys.stdout
    width = None if stream is not None and stream.isatty() else _PIPED
    return Screen(**{"markup": False, "emoji": False, "width": width} | options)


_PIPED = 100_000  # columns
_LEAST = 24  # columns that a text needs to be worth its place


def print_columns(
    columns: Mapping[str, Sequence[str]], narrower: Sequence[Mapping[str, Sequence[str] | None]] = ()
) -> None:
    """Print a list, one line per row, never wrapped: in full in a pipe; on a terminal what fits it, names whole.

    Args:
        columns: head -> texts; a head that begins with ``>`` is of numbers, flush right. The last one may be cut.
        narrower: what to change in turn while the lines are wider than the terminal: a column, or None to omit it.
    """
    columns = dict(columns)
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for change in ({}, *narrower):
        if room is None:
            break
        columns = {head: told for head in columns if (told := change.get(head, columns[head])) is not None}
        columns |= _last_cut(columns, room)
        if _wide(columns) <= room:
            break
    widths = {head: max(len(head.lstrip(">")), *map(len, texts), 0) for head, texts in columns.items()}
    lines = [[head.lstrip(">") for head in columns], ["-" * widths[head] for head in columns]]
    for line in (*lines, *zip(*columns.values(), strict=True)):
        cells = [
            f"{text:>{widths[h]}}" if h[0] == ">" else f"{text:<{widths[h]}}"
            for h, text in zip(columns, line, strict=True)
        ]
        print(printable("  ".join(cells).rstrip()))


def fit(columns: Mapping[str, Sequence[str]]) -> bool:
    """Return whether a list fits the terminal uncut; in a pipe any does."""
    return not sys.stdout.isatty() or _wide(columns) <= shutil.get_terminal_size().columns


def _last_cut(columns: Mapping[str, Sequence[str]], room: int) -> dict[str, list[str]]:
    """Return the last column without the ends that do not fit, where enough of it is left to be read."""
    last = [*columns][-1]
    left = room - _wide(columns) + max(map(len, [last, *columns[last]]))
    if left < _LEAST:
        return {}
    return {last: [text if len(text) <= left else f"{text[: left - 1]}…" for text in columns[last]]}


def _wide(columns: Mapping[str, Sequence[str]]) -> int:
    return sum(max(len(head.lstrip(">")), *map(len, texts), 0) + 2 for head, texts in columns.items()) - 2


def print_summary(
    results: Sequence[Result], differences: dict[str, str] | None = None, *, left_out: str | None = None
) -> None:
    """Print headline values as a table, with the paired difference where given, the notes, and what was used.

    Args:
        results: of one suite.
        differences: by the name of the summary value, as text.
        left_out: a note that is printed elsewhere.
    """
    from rich.markup import escape

    from robench.api.values import ABSENT, image_words, show, used
    from robench.catalogue import headlines, row

    first = results[0]
    title = f"{first.suite.name} ({image_words(first)}), with 95 % confidence intervals"
    names = headlines(name for result in results for name in result.summary)
    heads = [escape(result.model.name) for result in results] + (["difference"] if differences else [])
    rows = []
    for name in names:
        cells = [show(result.summary.get(name), name, interval=True) for result in results]
        rows.append([*cells, *([differences.get(name, ABSENT)] if differences else [])])
    print_values(title, [row(name).head for name in names], heads, rows)
    notes: dict[str, list[str]] = {}
    for result in results:
        for note in result.notes:
            notes.setdefault(note, []).append(result.model.name)
    for note, names in notes.items():
        whose = "" if len(names) == len(results) else f"{', '.join(names)}: "
        if note != left_out:
            say(f"note: {whose}{note_in_options(note)}", "      ")
    for result in results:
        say(f"model: {result.model.name}: {used(result)}", "       ")


def note_in_options(text: str) -> str:
    """Return what a run says of itself with the options of `robench evaluate`, by which it is measured again."""
    from robench.cli.app import build
    from robench.cli.words import in_options

    parameters = build("evaluate").params
    return in_options(text, lambda name: parameters if name in (None, "evaluate") else ())


def print_values(title: str, names: Sequence[str], heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print values of models: a row per value; where the models are too many for the terminal, a row per model.

    A turned table whose values do not fit side by side is printed in parts below one another. In a pipe a row is one
    line, whatever its width.

    Args:
        title: printed above.
        names: of the values.
        heads: of the models, as markup.
        rows: of every value, a text per head; an interval in parentheses goes on a line of its own on a terminal.
    """
    screen = console(markup=True)
    piped = not sys.stdout.isatty()
    screen.print(f"[bold]{title}[/bold]", soft_wrap=True)
    shown = [list(line) if piped else [_two_lines(text) for text in line] for line in rows]
    upright = _table(["", *heads], [[name, *line] for name, line in zip(names, shown, strict=True)])
    room = screen.width
    if piped or len(heads) == 1 or _width(upright, screen) <= room:
        screen.print(upright)
        return
    _print_turned(screen, ["", *heads], [[head, *line] for head, line in zip(names, shown, strict=True)])


def print_rows(title: str, rows: Mapping[str, Mapping[str, str]]) -> None:
    """Print values of many rows, a row per line; what does not fit the terminal side by side goes on below.

    Args:
        title: printed above.
        rows: name -> head -> text, an interval in parentheses; every row has the same heads.
    """
    from rich.markup import escape

    piped = not sys.stdout.isatty()
    screen = console(markup=True)
    screen.print(f"[bold]{escape(title)}[/bold]", soft_wrap=True)
    heads, names = list(next(iter(rows.values()))), [escape(name) for name in rows]
    shown = {name: {h: text if piped else _two_lines(text) for h, text in line.items()} for name, line in rows.items()}
    lines = shown.values()
    if piped:
        screen.print(_table(["", *heads], [[name, *line.values()] for name, line in zip(names, lines, strict=True)]))
        return
    _print_turned(screen, ["", *names], [[head, *(line[head] for line in lines)] for head in heads])


def _print_turned(screen: Console, first: Sequence[str], columns: Sequence[Sequence[str]]) -> None:
    """Print as many columns side by side as fit, and the others below."""
    room = screen.width
    while columns:
        taken = 1
        while taken < len(columns) and _width(_turned(first, columns[: taken + 1]), screen) <= room:
            taken += 1
        screen.print(_turned(first, columns[:taken]))
        columns = columns[taken:]


def _turned(first: Sequence[str], columns: Sequence[Sequence[str]]) -> Table:
    """Return a table with a row per model, its heads broken at words to be narrow."""
    import textwrap

    heads = ["", *("\n".join(textwrap.wrap(column[0], 16, break_long_words=False)) for column in columns)]
    rows = [[name, *(column[i] for column in columns)] for i, name in enumerate(first) if i]
    return _table(heads, rows)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    for i, head in enumerate(heads):
        table.add_column(head, justify="right" if i else "left", overflow="fold")
    for line in rows:
        table.add_row(*line)
    return table


def _width(table: Table, screen: Console) -> int:
    """Return the columns that a table takes where nothing is folded."""
    return screen.measure(table, options=screen.options.update(width=10_000)).maximum


def interval_below(text: str) -> str:
    """Return a value's text with its interval on a line of its own; in a pipe, where a row is one line, as it is."""
    return text.replace(" (", "\n").replace(")", "") if sys.stdout.isatty() else text


def _two_lines(text: str) -> str:
    """Put a value's intervals on lines of their own, so that three columns fit an ordinary terminal."""
    value, _, rest = text.partition(" (")
    intervals, _, star = rest.partition(")")
    lines = [f"[dim]{interval}[/dim]" for interval in intervals.split("; ") if interval]
    return "\n".join([f"{value}{star}", *lines])
