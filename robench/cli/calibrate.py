"""``robench calibrate``: temperature or vector scaling fitted on clean images, and what it does under shift."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from robench.cli import completion as complete
from robench.cli import options as o

if TYPE_CHECKING:
    from robench.api import Calibration

HELP = """\
Examples:

    robench calibrate runs/digits-c/augmix-1a2b3c4d
    robench calibrate RUN --fit-run VALIDATION-RUN --method vector
    robench calibrate --logits test.npy --labels test-labels.npy \\
        --fit-logits val.npy --fit-labels val-labels.npy

Without --fit-run, half of the images of the cell --fit-on are used for fitting (half of every class, at random, the \
same for every run on these images) and all others for evaluation, in every cell. With --fit-run on the same data, its \
images are left out of the evaluation. The run must have kept its logits. With --logits, half of the rows \
are used for fitting likewise, unless --fit-logits are given. Every value has a 95% confidence interval; before and \
after are resampled together.
"""


def calibrate(
    run: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="Folder of a run that kept its logits; or give --logits.")
    ] = None,
    fit_on: Annotated[str, typer.Option(metavar="CELL", help="The cell to fit on.")] = "clean",
    fit_run: Annotated[
        str | None,
        typer.Option(metavar="RUN", help="Another run of the same model to fit on, instead of splitting this one."),
    ] = None,
    logits: o.Logits = None,
    labels: o.Labels = None,
    fit_logits: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Logits of held-out images to fit on.", rich_help_panel=o.SAVED),
    ] = None,
    fit_labels: Annotated[
        str | None, typer.Option(metavar="FILE", help="Their labels.", rich_help_panel=o.SAVED)
    ] = None,
    probabilities: o.Probabilities = False,
    class_names: o.SavedClassNames = None,
    method: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="temperature or vector.", autocompletion=complete.one_of("temperature", "vector")
        ),
    ] = "temperature",
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            help="JSON to write (default: RUN/calibration-METHOD.json; nothing for --logits).",
            rich_help_panel=o.OUTPUT,
        ),
    ] = None,
    json_: o.Json = False,
    resamples: o.Resamples = 1000,
    seed: o.BootstrapSeed = 0,
    quiet: o.Quiet = False,
) -> int:
    """Fit, score and print; see HELP."""
    from robench import api
    from robench.cli.common import print_json

    saved = {"logits": logits, "labels": labels, "fit_logits": fit_logits, "fit_labels": fit_labels}
    found = api.calibrate(run, fit_on=fit_on, fit_run=fit_run, method=method, out=out, resamples=resamples, seed=seed,
                          probabilities=probabilities, class_names=class_names, quiet=quiet or json_,
                          **saved)  # fmt: skip
    if json_:
        print_json(found.document())
    else:
        _print(found)
    return 0


def _print(found: Calibration) -> None:
    from rich import box
    from rich.table import Table

    from robench.api.refitting import SHIFTED
    from robench.api.values import show
    from robench.catalogue import row
    from robench.cli.common import console, say

    fitted = "" if found.temperature is None else f", T = {found.temperature:.5g}"
    print(f"{found.model}: {found.method} scaling{fitted}")
    counts = sorted(set(found.images.values()))
    shown = " to ".join(f"{count:,}" for count in dict.fromkeys((counts[0], counts[-1])))
    say(f"Fitted on {found.fit_images:,} images of '{found.cell}'; evaluated on {shown} others per cell.")
    for note in found.notes:
        say(f"note: {note}", "      ")
    groups = [group for group in (found.cell, SHIFTED) if group in found.before]
    for group in groups or list(found.before)[:1]:
        table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
        for head in (group, "before", "after"):
            table.add_column(head, justify="left" if head == group else "right", no_wrap=head != group)
        before, after = found.before[group], found.after[group]
        for name in before:
            table.add_row(row(name).axis, *(show(one[name], name, interval=True) for one in (before, after)))
        console().print(table)
    if found.path is not None:
        print(found.path)
