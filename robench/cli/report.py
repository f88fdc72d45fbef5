"""``robench report``: one page of one or several runs, to open, send or print."""

from __future__ import annotations

from typing import Annotated

import typer

from robench.cli import options as o

HELP = """\
Results with intervals, plots, protocol, and what to run next. The HTML page holds everything and needs no network; \
`--out NAME.md` writes Markdown, with the plots as SVG files beside it. Run folders of the same protocol are also \
compared image by image: differences of all pairs.

Examples:

    robench report runs/digits-c/augmix-1a2b3c4d runs/digits-c/standard-5e6f7a8b
    robench report RUN --out report.md
"""


def report(
    runs: o.Runs,
    compare: Annotated[
        bool,
        typer.Option(
            "--compare/--no-compare", help="Compare the runs on the same images, where their predictions are there."
        ),
    ] = True,
    out: Annotated[
        str,
        typer.Option(
            "--out", "-o", metavar="FILE", help="The page: .html, or .md for Markdown.", rich_help_panel=o.OUTPUT
        ),
    ] = "report.html",
    json_: o.Json = False,
) -> int:
    """Write the page; see HELP."""
    from robench import api
    from robench.cli.common import print_files

    print_files([api.report(runs, out=out, compare=compare)], as_json=json_)
    return 0
