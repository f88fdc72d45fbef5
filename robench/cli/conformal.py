"""``robench conformal``: prediction sets with a promised coverage, and what is left of it under shift."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from robench.cli import completion as complete
from robench.cli import options as o

if TYPE_CHECKING:
    from robench.api import Conformal

HELP = """\
Examples:

    robench conformal runs/digits-c/augmix-1a2b3c4d
    robench conformal RUN --alpha 0.05 --method aps
    robench conformal RUN --method raps --penalty 0.1 --kreg 2
    robench plot coverage RUN

A set holds the right class with probability 1 - alpha for images like those of the calibration. Without --fit-run, \
half of the images of the cell --fit-on are used for calibration (half of every class, at random, the same for every \
run on these images) and all others for evaluation, in every cell. The sizes of sets need a run that kept its \
logits (robench evaluate --keep-logits yes); coverage does not. Every value has a 95% confidence interval.
"""


def conformal(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Folder of a run.")],
    alpha: Annotated[
        float, typer.Option(metavar="SHARE", help="Share of sets that may miss the right class, e.g. 0.1.")
    ] = 0.1,
    method: Annotated[
        str,
        typer.Option(metavar="NAME", help="lac, aps or raps.", autocompletion=complete.one_of("lac", "aps", "raps")),
    ] = "lac",
    penalty: Annotated[
        float | None, typer.Option(metavar="NUMBER", help="raps: penalty for every rank beyond --kreg (default: 0.01).")
    ] = None,
    kreg: Annotated[
        int | None, typer.Option(metavar="N", help="raps: number of ranks without a penalty (default: 5).")
    ] = None,
    fit_on: Annotated[str, typer.Option(metavar="CELL", help="The cell to calibrate on.")] = "clean",
    fit_run: Annotated[
        str | None,
        typer.Option(
            metavar="RUN", help="Another run of the same model to calibrate on, instead of splitting this one."
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            help="JSON to write (default: RUN/conformal-METHOD-ALPHA.json).",
            rich_help_panel=o.OUTPUT,
        ),
    ] = None,
    json_: o.Json = False,
    resamples: o.Resamples = 1000,
    seed: o.BootstrapSeed = 0,
) -> int:
    """Calibrate, measure and print; see HELP."""
    from robench import api
    from robench.cli.common import print_json

    found = api.conformal(
        run,
        alpha=alpha,
        method=method,
        penalty=penalty,
        kreg=kreg,
        fit_on=fit_on,
        fit_run=fit_run,
        out=out,
        resamples=resamples,
        seed=seed,
    )
    if json_:
        print_json(found.document())
    else:
        _print(found)
    return 0


def _print(found: Conformal) -> None:
    from rich import box
    from rich.table import Table

    from robench.api.values import show
    from robench.catalogue import row
    from robench.cli.common import console, interval_below, say

    low, high = (100 * end for end in found.expected)
    near_one = 0.0 < found.below_one < 1e-5
    limit = f"1 - {found.below_one:.2g}" if near_one else f"{found.threshold:.5g}"
    print(f"{found.model}: {found.method.upper()} sets, alpha = {found.alpha:g}, threshold {limit}")
    say(
        f"Calibrated on {found.fit_images:,} images of '{found.cell}'; for other images like them, coverage is"
        f" expected between {low:.2f} and {high:.2f} %."
    )
    for note in found.notes:
        say(f"note: {note}", "      ")
    summed = {group for group in found.values if group not in found.images}
    shown = [group for group in found.values if group in summed or len(found.images) <= 12 or group == found.cell]
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    table.add_column("images", no_wrap=True)
    for name in next(iter(found.values.values())):
        table.add_column(row(name).head, justify="right", min_width=15)
    for group in shown:
        texts = [show(value, name, interval=True) for name, value in found.values[group].items()]
        table.add_row(group, *map(interval_below, texts))
    console().print(table)
    print(found.path)
