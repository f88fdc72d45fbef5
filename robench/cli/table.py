"""``robench table``: the papers' tables, as published or with measured results beside them."""

from __future__ import annotations

from typing import Annotated

import typer

from robench.cli import options as o

HELP = """\
A cell is filled only where a result has the same suite, metric and recipe; other cells say that they are not measured.

Examples:

    robench table list
    robench table augmix/2
    robench table augmix/1 --results runs/ --format markdown
    robench table augmix/2 --results runs/ \\
        --recipe timm:resnet50=standard-imagenet-resnet50
"""


def table(
    address: Annotated[
        str, typer.Argument(metavar="[TABLE]", help="Paper and number, such as augmix/2; or list.")
    ] = "list",
    results: Annotated[
        str | None,
        typer.Option(metavar="FOLDER", help="Results: measured values beside the printed ones."),
    ] = None,
    recipe: Annotated[
        list[str] | None,
        typer.Option(metavar="MODEL=RECIPE", help="For a model whose card names no recipe (repeatable)."),
    ] = None,
    form: Annotated[
        str,
        typer.Option(
            "--format", metavar="NAME", help="terminal, markdown, latex, csv or html.", rich_help_panel=o.OUTPUT
        ),
    ] = "terminal",
) -> None:
    """List tables or show one; see HELP."""
    from robench import api
    from robench.tables.published import addresses, load_table

    if address == "list":
        for one in addresses():
            print(f"{one:<15} {load_table(one).caption}")
        return
    print(api.table(address, results=results, format=form, recipe=recipe or ()), end="")
