"""``robench table``: the papers' tables, as published or with measured figures beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from robench.errors import RobenchError


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command("table")(table)


def table(
    address: Annotated[str, typer.Argument(help="`list`, or paper and number: `augmix/2`.")] = "list",
    results: Annotated[
        Path | None, typer.Option(help="Folder with results (or one result): measured figures beside the printed ones.")
    ] = None,
    form: Annotated[str, typer.Option("--format", help="terminal, markdown, latex, csv or html.")] = "terminal",
    recipe: Annotated[
        list[str] | None,
        typer.Option(help="MODEL=RECIPE for a model whose card names no recipe; may be given several times."),
    ] = None,
) -> None:
    """Show a table of a paper, as published or with results beside it.

    A cell is filled only where a result has the same suite, metric and recipe; other cells say that they are not
    measured.

    Examples:

        robench table list

        robench table augmix/2

        robench table augmix/1 --results runs/ --format markdown

        robench table augmix/2 --results runs/ --recipe timm:resnet50=standard-imagenet-resnet50
    """
    from robench.tables.measured import cover, find_results
    from robench.tables.paper_tables import render
    from robench.tables.published import addresses, load_table

    if address == "list":
        for one in addresses():
            print(f"{one:<15} {load_table(one).caption}")
        return
    loaded = load_table(address)
    covered, recipes = None, _mapping(recipe or [])
    if results is not None:
        covered = cover(loaded, find_results(results).values(), recipes)
    print(render(loaded, covered, form), end="")


def _mapping(pairs: list[str]) -> dict[str, str]:
    parts = {pair: pair.rpartition("=") for pair in pairs}
    wrong = [pair for pair, (model, _, recipe) in parts.items() if not model or not recipe]
    if wrong:
        raise RobenchError(
            f"--recipe takes MODEL=RECIPE; found '{wrong[0]}'.",
            hint="For example --recipe timm:resnet50=standard-imagenet-resnet50",
        )
    return {model: recipe for model, _, recipe in parts.values()}
