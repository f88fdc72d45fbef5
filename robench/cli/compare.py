"""``robench compare``: which differences between two runs are statistically significant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from robench.cli import options as o

if TYPE_CHECKING:
    from robench.results.comparing import Comparison

HELP = """\
Paired differences with 95% confidence intervals, and McNemar's test in every cell, with Holm's correction.

Examples:

    robench compare runs/digits-c/augmix-1a2b3c4d runs/digits-c/standard-5e6f7a8b
    robench compare A B --cells
    robench compare A B --json
"""


def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="Folder of a run.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Folder of another run of the same suite.")],
    cells: Annotated[bool, typer.Option("--cells", help="Also print every cell.", rich_help_panel=o.OUTPUT)] = False,
    json_: o.Json = False,
    resamples: o.Resamples = 1000,
    seed: o.BootstrapSeed = 0,
) -> int:
    """Compare and print; see HELP."""
    from robench import api
    from robench.cli.common import print_json

    comparison = api.compare(a, b, resamples=resamples, seed=seed)
    if json_:
        print_json(comparison.model_dump(mode="json"))
    else:
        _print(comparison, cells=cells)
    return 0


def differences_text(comparison: Comparison) -> dict[str, str]:
    """Return every summary difference as tables show it: ``-3.21 (-4.00 to -2.40) *`` where it is significant."""
    from robench.catalogue import row

    shown = {}
    for name, difference in comparison.differences.items():
        if difference.value is None:
            continue
        about = row(name)
        text = about.show(difference.value, sign=True)
        if difference.low is not None and difference.high is not None:
            text += f" ({about.show(difference.low, sign=True)} to {about.show(difference.high, sign=True)})"
        shown[name] = text + (" *" if difference.significant else "")
    return shown


def _print(comparison: Comparison, *, cells: bool) -> None:
    from rich import box
    from rich.table import Table

    from robench.catalogue import headlines, row
    from robench.cli.common import console

    screen = console()
    screen.print(f"{comparison.a} minus {comparison.b} on {comparison.suite} (* = significant at the 5 % level)")
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("")
    table.add_column("difference", justify="right")
    shown = differences_text(comparison)
    groups = [name for name in shown if name.startswith("mean_error_")]
    for name in dict.fromkeys([*headlines(shown), *groups]):
        table.add_row(row(name).head, shown[name])
    screen.print(table)
    if cells:
        screen.print(_cell_table(comparison))
    for sentence in comparison.sentences:
        screen.print(f"- {sentence}", highlight=False)


def _cell_table(comparison: Comparison) -> object:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD)
    for head in ("cell", comparison.a, comparison.b, "difference", "p (Holm)"):
        table.add_column(head, justify="left" if head == "cell" else "right", overflow="fold", no_wrap=head == "cell")
    for cell in comparison.cells:
        table.add_row(
            cell.name,
            f"{100 * cell.a:.2f}",
            f"{100 * cell.b:.2f}",
            f"{100 * (cell.difference.value or 0.0):+.2f}",
            f"{cell.p_holm:.2g}" + (" *" if cell.p_holm < 0.05 else ""),
        )
    return table
