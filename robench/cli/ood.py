"""``robench ood``: how well a model's confidence tells foreign images from its own."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from robench.cli import options as o

if TYPE_CHECKING:
    from rich.table import Table

    from robench.api import Detection
    from robench.results.schema import Value

HELP = """\
Neither the model nor the images are needed.

Examples:

    robench evaluate --model MODEL --suite ood:textures --out runs/textures
    robench ood runs/imagenet-c/MODEL --far runs/textures
    robench ood RUN --near runs/imagenet-o --far grey=runs/a --far noise=runs/b
    robench ood RUN --far runs/textures --cell fog/3
    robench plot ood RUN

RUN has images of the model's own classes; --near and --far name runs of the same model on foreign images. \
Out-of-distribution images are the positives. Every value has a 95% confidence interval.
"""

_LEFT_OUT = "ood_aupr_in"  # in the JSON


def ood(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Folder of a run on images of the model's classes.")],
    near: Annotated[
        list[str] | None,
        typer.Option(metavar="[NAME=]RUN", help="A run on foreign images of similar classes (repeatable)."),
    ] = None,
    far: Annotated[
        list[str] | None,
        typer.Option(metavar="[NAME=]RUN", help="A run on foreign images of other kinds (repeatable)."),
    ] = None,
    cell: Annotated[
        str | None, typer.Option(metavar="CELL", help="The in-distribution cell, e.g. fog/3 (default: the clean one).")
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            "--out", "-o", metavar="FILE", help="JSON to write (default: RUN/ood.json).", rich_help_panel=o.OUTPUT
        ),
    ] = None,
    json_: o.Json = False,
    resamples: o.Resamples = 1000,
    seed: o.BootstrapSeed = 0,
) -> int:
    """Score and print; see HELP."""
    from robench import api
    from robench.cli.common import print_json

    found = api.ood(run, near=near or None, far=far or None, cell=cell, out=out, resamples=resamples, seed=seed)
    if json_:
        print_json(found.document())
    else:
        _print(found)
    return 0


def _print(found: Detection) -> None:
    from robench.cli.common import console, say

    say(f"{found.model}: {found.images:,} in-distribution images of '{found.cell}' ({found.run})")
    for note in found.notes:
        say(f"note: {note}", "      ")
    for name, one in found.sets.items():
        console().print(_table(f"{name} ({one.group}, {one.images:,} images)", one.values))
    for group, values in found.groups.items():
        count = sum(one.group == group for one in found.sets.values())
        if count > 1:
            console().print(_table(f"mean of {count} {group} sets", values))
    print(found.path)


def _table(title: str, values: Mapping[str, Value]) -> Table:
    from rich import box
    from rich.table import Table

    from robench.api.values import show
    from robench.catalogue import detection_rows
    from robench.cli.common import interval_below

    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", padding=(0, 1))
    rows = detection_rows("ood")
    table.add_column("score", max_width=18 if sys.stdout.isatty() else None)
    wanted = {head for names in rows.values() for head, name in names.items() if not name.startswith(_LEFT_OUT)}
    heads = [head for head in next(iter(rows.values())) if head in wanted]
    for head in heads:
        table.add_column(f"{head}, %", justify="right", min_width=15)
    for score, names in rows.items():
        shown = [show(values[names[head]], names[head], interval=True) for head in heads]
        table.add_row(score, *map(interval_below, shown))
    return table
