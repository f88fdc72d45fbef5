"""``robench table``: the papers' tables, as published or with measured results beside them."""

from __future__ import annotations

from typing import Annotated

import typer

from robench.cli import options as o

HELP = """\
A cell is filled by what a result is, never by its name: a model with the digest of the cell's recipe, or the cell's \
public weights, on all of the cell's published images. --why lists what nearly fits, and why it does not count.

Examples:

    robench table list
    robench table coverage                which cells can be filled, and why not the others
    robench table augmix/2
    robench table augmix/1 --results runs/ --format markdown
    robench table augmax/2 --results runs/ --why
    robench table many-faces/8 --results runs/ --recipe cbam=cbam-resnet50
"""


def table(
    address: Annotated[
        str, typer.Argument(metavar="[TABLE]", help="Paper and number, such as augmix/2; list, or coverage.")
    ] = "list",
    results: Annotated[
        str | None,
        typer.Option(metavar="FOLDER", help="Results: measured values beside the printed ones."),
    ] = None,
    recipe: Annotated[
        list[str] | None,
        typer.Option(metavar="MODEL=RECIPE", help="What a model is whose card says nothing (repeatable)."),
    ] = None,
    why: Annotated[
        bool, typer.Option("--why", help="Also list near misses, and why they do not count; as CSV, only these.")
    ] = False,
    generated: Annotated[
        bool,
        typer.Option("--generated", help="Also show values on images that robench generated, marked."),
    ] = False,
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
    if address == "coverage":
        from robench.tables.coverage import coverage_text

        print(coverage_text(), end="")
        return
    text = api.table(address, results=results, format=form, recipe=recipe or (), why=why, generated=generated)
    print(_in_options(text) if results is not None else text, end="")


def _in_options(text: str) -> str:
    """Return what stands below the table with the words of the command line; the table itself has none of Python's."""
    from robench.cli.app import build
    from robench.cli.words import in_options

    parameters = build("table").params
    return in_options(text, lambda name: parameters if name in (None, "table") else ())
