"""``robench leaderboard``: check a submission, build the page, list what is on it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    board = typer.Typer(help="Check submissions, build the leaderboard's page, list its boards.", no_args_is_help=True)
    board.command("check")(check)
    board.command("build")(build)
    board.command("list")(list_boards)
    board.command("readme")(readme)
    app.add_typer(board, name="leaderboard")


def check(
    path: Annotated[Path, typer.Argument(help="A result, a run folder, or a folder of results.")],
) -> None:
    """Check results: schema, protocol, cells, checksums, and that every summary follows from its cells.

    Where a run's predictions lie beside its result, the cells are recomputed from them too.

    Examples:

        robench leaderboard check runs/digits-c/augmix-4eaddc90

        robench leaderboard check leaderboards/measured
    """
    from robench.tables.measured import find_results
    from robench.tables.submission import check_submission, has_predictions

    refused = 0
    for file in find_results(path):
        problems = check_submission(file)
        refused += bool(problems)
        depth = "cells recomputed from predictions" if has_predictions(file) else "summaries recomputed from cells"
        print(f"{file}: {'refused' if problems else 'accepted'} ({depth})")
        for problem in problems[:20]:
            print(f"  {problem}")
        if len(problems) > 20:
            print(f"  and {len(problems) - 20} more")
    if refused:
        raise typer.Exit(1)


def build(
    out: Annotated[Path, typer.Option(help="Folder of the page.")] = Path("leaderboard-page"),
    results: Annotated[Path | None, typer.Option(help="Measured results; default: leaderboards/measured.")] = None,
) -> None:
    """Build the page: one folder that opens from disk or from any web host.

    Examples:

        robench leaderboard build

        robench leaderboard build --results runs/ --out page/
    """
    from robench.tables.measured import find_results
    from robench.tables.site import build_site

    print(build_site(out, None if results is None else find_results(results)))


def list_boards() -> None:
    """List the boards: suite, protocol, number of models, and the best model."""
    from robench.results.labels import show
    from robench.tables.boards import make_boards, title
    from robench.tables.site import measured_results

    for board in make_boards(measured_results()):
        best = board.rows[0]
        value = show(best.figures[board.key], board.key)
        print(f"{board.id:<40} {len(board.rows):>5} models  best: {best.name}, {title(board.key)} {value}")


def readme(
    out: Annotated[Path | None, typer.Option(help="File to write; default: print.")] = None,
) -> None:
    """Write the boards and the papers' tables as Markdown, as ``leaderboards/README.md`` shows them.

    Example:

        robench leaderboard readme --out leaderboards/README.md
    """
    from robench.files import atomic_write
    from robench.tables.board_readme import readme_text

    text = readme_text()
    if out is None:
        print(text, end="")
        return
    with atomic_write(out) as file:
        file.write(text.encode())
    print(out)
