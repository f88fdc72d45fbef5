"""``robench rank``: where a model would stand among the published rows of the same protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from robench.cli import completion as complete
from robench.cli import options as o

if TYPE_CHECKING:
    from robench.tables.ranking import Standing

HELP = """\
Published rows come from RobustBench (cifar10-c, cifar100-c, imagenet-c) and timm (imagenet-a, imagenet-r, \
imagenet-real, imagenet-sketch, imagenet-v2: matched-frequency); a result is ranked only among rows on the same images.

Examples:

    robench rank --suite cifar10-c RUN
    robench rank RUN --metric clean_error
    robench evaluate --model MODEL --suite imagenet-c --data DIR \\
        --images robustbench
"""

_AROUND = 5  # rows that are shown on either side


def rank(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run folder or a result.json.")],
    suite: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Refuse a run of another suite (default: any suite).",
            autocompletion=complete.ranked_suites,
        ),
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="mean_error, mce, clean_error... (default: the board's first).",
            autocompletion=complete.values,
        ),
    ] = None,
    json_: o.Json = False,
) -> int:
    """Rank and print; see HELP."""
    from dataclasses import asdict

    from robench import api
    from robench.cli.common import print_json

    found = api.rank(run, suite=suite, metric=metric)
    if json_:
        print_json(
            {
                "suite": found.suite,
                "protocol": found.protocol,
                "metric": found.metric,
                "value": found.value.model_dump(),
                "rank": found.rank,
                "first": found.first,
                "last": found.last,
                "of": len(found.places),
                "places": [asdict(place) for place in found.places],
                "notes": list(found.notes),
            }
        )
    else:
        _print(found)
    return 0


def _print(found: Standing) -> None:
    from rich import box
    from rich.table import Table

    from robench.api.values import show
    from robench.catalogue import row
    from robench.cli.common import console, say

    about = row(found.metric)
    say(f"{found.suite}: {found.protocol}")
    say(f"{about.head}: {show(found.value, found.metric, interval=True)}, {found.sentence}")
    for note in found.notes:
        say(f"note: {note}", "      ")
    table = Table("rank", "model", "architecture", about.head, "source", box=box.SIMPLE_HEAD, padding=(0, 1))
    shown = range(max(0, found.rank - 1 - _AROUND), min(len(found.places), found.rank + _AROUND))
    for i in shown:
        place = found.places[i]
        style = "bold" if place.own else None
        table.add_row(str(i + 1), place.name, place.architecture, about.show(place.value), place.source, style=style)
    console().print(table)
    if len(shown) < len(found.places):
        say(f"Shown are {len(shown)} of {len(found.places)} rows; --json has all.")
