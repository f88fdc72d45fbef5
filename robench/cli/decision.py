"""What ``robench evaluate --until-decided`` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from robench.api import DecidedValue, Decision


def show_decision(found: Decision, *, quiet: bool, as_json: bool) -> None:
    """Print which of two models is better, or that they are equivalent."""
    from rich import box
    from rich.table import Table

    from robench.catalogue import row
    from robench.cli.common import console, print_json

    if as_json:
        print_json(found.document())
        return
    screen = console()
    if not quiet:
        table = Table(box=box.SIMPLE_HEAD)
        for i, head in enumerate(("", found.a, found.b, "difference (95 %)", "margin")):
            table.add_column(head, justify="right" if i else "left", overflow="fold")
        for one in found.values:
            about = row(one.name)
            ends = f"{about.show(one.low, sign=True)} to {about.show(one.high, sign=True)}"
            difference = f"{about.show(one.difference, sign=True)} ({ends})"
            table.add_row(about.head, about.show(one.a), about.show(one.b), difference, about.show(one.margin))
        screen.print(table)
        for note in found.notes:
            screen.print(f"note: {note}", highlight=False)
    for one in found.values:
        screen.print(_sentence(found, one), highlight=False)
    looks = f"{found.looks} look{'s' if found.looks != 1 else ''}"
    screen.print(f"{found.passes:,} of {found.of:,} passes, {found.images} images per cell, {looks}.", highlight=False)
    if any(one.verdict == "undecided" for one in found.values) and not quiet:
        screen.print(after_undecided(found.passes, found.of, "--margin"), highlight=False)


def after_undecided(passes: int, of: int, margin: str) -> str:
    """Return what a user can do after a decision or gate that ended undecided.

    >>> after_undecided(68_000, 68_000, "--margin")
    'Next: a larger --margin, or a suite of more images; this one was measured whole.'
    """
    if passes >= of:
        return f"Next: a larger {margin}, or a suite of more images; this one was measured whole."
    return (
        "Next: the same command with a larger --budget (or --minutes) goes on from here, with the error rates of two"
        f" such commands; or a larger {margin}."
    )


def _sentence(found: Decision, one: DecidedValue) -> str:
    from robench.catalogue import row

    about = row(one.name)
    within = f"{about.show(one.margin)} {about.difference_unit}".rstrip()
    said = {
        "better": f"{found.a} is better than {found.b}",
        "worse": f"{found.a} is worse than {found.b}",
        "equivalent": f"{found.a} and {found.b} are equivalent within {within}",
        "undecided": f"undecided between {found.a} and {found.b}",
    }[one.verdict]
    return f"{about.title[:1].upper() if about.title[1:2].islower() else about.title[:1]}{about.title[1:]}: {said}."
