"""``robench leaderboard``: check a submission, build the page, list what is on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from robench.cli import options as o
from robench.cli.app import group
from robench.cli.help import Command
from robench.errors import in_users_words

if TYPE_CHECKING:
    from pathlib import Path

    from robench.tables.boards import Board

HELP = """\
Examples:

    robench leaderboard list
    robench leaderboard check runs/digits-c/augmix-4eaddc90
    robench leaderboard build --results runs/ --out page/
"""
app = group()


@app.command(cls=Command)
def check(
    path: Annotated[str, typer.Argument(metavar="PATH", help="A result, a run folder, or a folder of results.")],
    json_: o.Json = False,
) -> int:
    """Check results: schema, protocol, cells, checksums, and that every summary follows from its cells.

    Where a run's predictions are stored with its result, the cells are recomputed from them too.

    Examples:

        robench leaderboard check runs/digits-c/augmix-4eaddc90
        robench leaderboard check leaderboards/measured
    """
    from robench.api.words import place
    from robench.cli.common import print_json, say
    from robench.tables.measured import find_results
    from robench.tables.submission import check_submission, has_predictions

    found = {file: check_submission(file) for file in find_results(place("path", path))}
    if json_:
        print_json({str(file): problems for file, problems in found.items()})
        return 1 if any(found.values()) else 0
    for file, problems in found.items():
        depth = "cells recomputed from predictions" if has_predictions(file) else "summaries recomputed from cells"
        say(f"{file}: {'refused' if problems else 'accepted'} ({depth})")
        for problem in problems[:20]:
            say(f"  {in_users_words(problem)}", "    ")
        if len(problems) > 20:
            print(f"  and {len(problems) - 20} more")
    return 1 if any(found.values()) else 0


@app.command(cls=Command)
def build(
    out: Annotated[str, typer.Option("--out", "-o", metavar="FOLDER", help="Folder of the page.")] = "leaderboard-page",
    results: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Measured results (default: those that come with robench).")
    ] = None,
    json_: o.Json = False,
) -> None:
    """Build the page: one folder that opens from disk or from any web host.

    Examples:

        robench leaderboard build
        robench leaderboard build --results runs/ --out page/
    """
    from robench.api.words import place
    from robench.cli.common import print_files
    from robench.tables.measured import find_results
    from robench.tables.site import build_site

    found = None if results is None else find_results(place("results", results))
    print_files([build_site(place("out", out), found)], as_json=json_)


@app.command("list", cls=Command)
def list_boards(json_: o.Json = False) -> None:
    """List the boards: suite, protocol, number of models, and the best one.

    Where the terminal is too narrow for a table, a board has two lines.
    """
    from robench.api.values import show
    from robench.cli.common import fit, print_columns, print_json, say
    from robench.tables.boards import make_boards, title
    from robench.tables.site import measured_results

    boards = make_boards(measured_results())
    if json_:
        print_json([_record(board) for board in boards])
        return
    best = [(board.rows[0], board.key) for board in boards]
    columns = {
        "board": [board.id for board in boards],
        ">models": [f"{len(board.rows):,}" for board in boards],
        ">best": [show(row.values[key], key) for row, key in best],
        "value": [title(key) for _, key in best],
        "model": [row.name for row, _ in best],
    }
    if fit(columns):
        print_columns(columns)
        return
    for board, models, value, by, name in zip(*columns.values(), strict=True):
        print(f"{board:<40} {models:>5} models")
        say(f"  best: {name}, {by} {value}", "  ")


def _record(board: Board) -> dict[str, object]:
    """Return a board and its best model as a JSON-able document."""
    best = board.rows[0]
    value = best.values[board.key].value
    return {"board": board.id, "models": len(board.rows), "best": best.name, "by": board.key, "value": value}


@app.command(cls=Command)
def readme(
    out: Annotated[
        str | None, typer.Option("--out", "-o", metavar="FILE", help="File to write (default: print it).")
    ] = None,
    json_: o.Json = False,
) -> None:
    """Write the boards and the papers' tables as Markdown, as leaderboards/README.md shows them.

    Example:

        robench leaderboard readme --out leaderboards/README.md
    """
    from robench.cli.common import path
    from robench.tables.board_readme import readme_text

    _write(readme_text(), path("out", out), as_json=json_)


@app.command(cls=Command)
def findings(
    folder: Annotated[str, typer.Argument(metavar="FOLDER", help="Folder of `robench train --all cifar10`.")],
    out: Annotated[
        str | None,
        typer.Option("--out", "-o", metavar="FILE", help="File to write, its numbers beside it (default: print it)."),
    ] = None,
    earlier: Annotated[
        str | None,
        typer.Option("--earlier", metavar="FILE", help="Numbers of an earlier page; kept where FOLDER lacks the runs."),
    ] = None,
    results: Annotated[
        str | None,
        typer.Option("--results", metavar="DIR", help="Results of all models (default: those in FOLDER)."),
    ] = None,
    resamples: Annotated[int, typer.Option(metavar="N", help="Bootstrap resamples of the intervals.")] = 1000,
    json_: o.Json = False,
) -> None:
    r"""Say which of the papers' claims hold for models trained under one budget, as Markdown.

    Beside the page lie its numbers (findings.json). To add a model without the
    runs of the others, give these and the results of all.

    Examples:

        robench leaderboard findings runs/cifar10 --out docs/findings.md
        robench leaderboard findings runs/new --earlier docs/findings.json \
            --results leaderboards/measured/cifar10-jpeg --out docs/findings.md
    """
    from robench.api.words import place, whole
    from robench.cli.common import path
    from robench.files import write_json
    from robench.tables.findings import numbers_of, page_of

    number, home = whole("resamples", resamples, least=100, most=100_000), place("folder", folder)
    numbers = numbers_of(home, resamples=number, earlier=path("earlier", earlier))
    page, file = page_of(numbers, path("results", results) or home), path("out", out)
    if file is not None:
        write_json(file.with_suffix(".json"), numbers.document())
    _write(page, file, as_json=json_)


def _write(text: str, file: Path | None, *, as_json: bool) -> None:
    """Write a text to a file, or print it."""
    from robench.cli.common import print_files, print_json
    from robench.files import atomic_write

    if file is None:
        if as_json:
            print_json({"text": text})
        else:
            print(text, end="")
        return
    with atomic_write(file) as opened:
        opened.write(text.encode())
    print_files([file], as_json=as_json)
