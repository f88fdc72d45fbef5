"""``robench table``: the papers' tables with measured results beside them, and tables of the user's models."""

from __future__ import annotations

from typing import Annotated

import typer

from robench.cli import completion as complete
from robench.cli import options as o
from robench.errors import RobenchError

HELP = """\
A cell is filled by what a result is, never by its name: a model with the digest of the cell's recipe, or the cell's \
public weights, on all of the cell's published images. --why lists what nearly fits, and why it does not count.

Examples:

    robench table list
    robench table coverage            which cells can be filled, and which not
    robench table augmix/2
    robench table augmix/1 --results runs/ --format markdown
    robench table cifar10-reference --results runs/cifar10
    robench table augmax/2 --results runs/ --why
    robench table many-faces/8 --results runs/ --recipe cbam=cbam-resnet50
    robench table --runs runs/a runs/b --format latex
    robench table --runs runs/a runs/b --by corruption --figures error
    robench table --runs runs/a --by corruption --figures ce \\
        --with-published --sources papers
    robench table --runs runs/a --with-published
"""


_OWN = "Your own models"


def table(
    address: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TABLE]",
            help="Paper and number, such as augmix/2; list, or coverage.",
            autocompletion=complete.tables,
        ),
    ] = None,
    results: Annotated[
        str | None,
        typer.Option(metavar="FOLDER", help="Results: measured values beside the printed ones."),
    ] = None,
    recipe: Annotated[
        list[str] | None,
        typer.Option(metavar="MODEL=RECIPE", help="The recipe of a model whose card does not name it (repeatable)."),
    ] = None,
    why: Annotated[
        bool,
        typer.Option("--why", help="Also list results that nearly fit, and why they do not count; as CSV, only these."),
    ] = False,
    generated: Annotated[
        bool,
        typer.Option("--generated", help="Also show values on images that robench generated, marked."),
    ] = False,
    runs: Annotated[
        list[str] | None,
        typer.Option(metavar="RUN...", help="Rows: run folders, or results.", rich_help_panel=_OWN),
    ] = None,
    figures: Annotated[
        str | None,
        typer.Option(
            metavar="A,B",
            help="Columns: summary values; with --by, one metric.",
            autocompletion=complete.values,
            rich_help_panel=_OWN,
        ),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="A column per corruption, severity or group.",
            autocompletion=complete.one_of("corruption", "severity", "group"),
            rich_help_panel=_OWN,
        ),
    ] = None,
    with_published: Annotated[
        bool,
        typer.Option("--with-published", help="Add published rows of the same protocol.", rich_help_panel=_OWN),
    ] = False,
    sources: Annotated[
        str | None,
        typer.Option(
            metavar="A,B",
            help="Sources of published rows: papers, robustbench, timm (default: all).",
            autocompletion=complete.one_of("papers", "robustbench", "timm"),
            rich_help_panel=_OWN,
        ),
    ] = None,
    group_rows: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Group rows by architecture or method.",
            autocompletion=complete.one_of("architecture", "method"),
            rich_help_panel=_OWN,
        ),
    ] = None,
    seeds: Annotated[
        bool,
        typer.Option("--seeds", help="One row per recipe: mean and SD over its seeds.", rich_help_panel=_OWN),
    ] = False,
    form: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="NAME",
            help="terminal, markdown, latex, csv or html.",
            autocompletion=complete.one_of("terminal", "markdown", "latex", "csv", "html"),
            rich_help_panel=o.OUTPUT,
        ),
    ] = "terminal",
    json_: o.Json = False,
) -> None:
    """List tables or show one; see HELP."""
    from robench import api
    from robench.cli.common import print_fields, print_json
    from robench.tables import reference
    from robench.tables.published import addresses, load_table

    words = address or []
    if json_ and form != "terminal":
        raise RobenchError("`format` and --json were both given.", hint="Use only one of them.")
    form = "csv" if json_ else form
    if runs:  # further runs follow the first without its option
        text = api.table(
            None, runs=[*runs, *words], results=results, format=form, recipe=recipe or (), why=why, generated=generated,
            figures=figures, by=by, with_published=with_published, sources=sources, group_rows=group_rows, seeds=seeds,
        )  # fmt: skip
        _print(text, as_json=json_)
        return
    if len(words) > 1:
        raise RobenchError(f"One table at a time; found {', '.join(words)}.", hint="For a table of runs: `runs`.")
    name = words[0] if words else "list"
    if name == "list":
        captions = {one: load_table(one).caption for one in addresses()}
        captions[reference.ADDRESS] = "Models of `robench train --all cifar10`, beside printed rows"
        if json_:
            print_json(captions)
        else:
            print_fields(captions.items(), max(map(len, captions)) + 2)
        return
    if name == "coverage":
        from robench.tables.coverage import coverage_text, table_coverage

        if json_:
            found = {one: table_coverage(one) for one in addresses()}
            print_json({name: {"cells": len(one.how), "fillable": one.fillable} for name, one in found.items()})
        else:
            print(coverage_text(), end="")
        return
    text = api.table(
        name, results=results, format=form, recipe=recipe or (), why=why, generated=generated, figures=figures, by=by,
        with_published=with_published, sources=sources, group_rows=group_rows, seeds=seeds,
    )  # fmt: skip
    _print(_in_options(text) if results is not None else text, as_json=json_)


def _print(text: str, *, as_json: bool) -> None:
    """Print a table; as JSON, its CSV form as a list of rows, with numbers as numbers."""
    if not as_json:
        print(text, end="")
        return
    import csv

    from robench.cli.common import print_json

    lines = csv.DictReader(text.splitlines())
    print_json([{head: _number(cell) for head, cell in line.items()} for line in lines])


def _number(text: str) -> float | int | str | bool | None:
    """Return a cell's number, truth value or text; None for an empty one."""
    if text in (words := {"": None, "true": True, "false": False}):
        return words[text]
    try:
        return int(text) if text.lstrip("-").isdigit() else float(text)
    except ValueError:
        return text


def _in_options(text: str) -> str:
    """Return what stands below the table with the words of the command line; the table itself has none of Python's."""
    from robench.cli.app import build
    from robench.cli.words import in_options

    parameters = build("table").params
    return in_options(text, lambda name: parameters if name in (None, "table") else ())
