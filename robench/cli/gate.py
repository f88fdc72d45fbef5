"""``robench gate``: does a new model lose against the one it is to replace? For people, scripts and code hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from robench.cli import completion as complete
from robench.cli import options as o
from robench.cli.common import path

if TYPE_CHECKING:
    from robench.api import GateOutcome

HELP = """\
The sample grows until every value's loss is shown to be below --max-loss, or one's above it. Of two equal models at \
most 5% of gates end in a loss; a model that loses --max-loss or more passes in at most 5%. An interrupted gate \
resumes when you repeat the command.

Examples:

    robench gate --model new.pt --baseline runs/cifar10-c/old-1a2b3c4d \\
        --suite cifar10-c --data CIFAR-10-C --max-loss 1.0
    robench gate --model new.pth --baseline old.pth --arch resnet-20 \\
        --norm-preset cifar10 --suite cifar10-c --max-loss 1.0 --budget 15000
    robench gate -m new.pt --baseline result.json -s cifar10-c \\
        --max-loss mean_error=1,mean_brier=0.01 --minutes 5
    robench gate -m new.pt --baseline old.pt -s cifar10-c --max-loss 1.0 \\
        --junit gate.xml --markdown "$GITHUB_STEP_SUMMARY"

Exit codes: 0 no loss beyond the margin, 1 loss, 3 undecided within the budget, 2 usage.
"""


def gate(
    *,
    model: Annotated[
        list[str],
        typer.Option(
            "--model",
            "-m",
            metavar="SPEC",
            help="The new model; several are joined into one ensemble.",
            autocompletion=complete.models,
            rich_help_panel=o.MODEL,
        ),
    ],
    baseline: Annotated[
        str,
        typer.Option(
            metavar="RUN|SPEC|FILE",
            help="What to compare with: a run folder, a model, or a result.json (unpaired: needs more images).",
            rich_help_panel=o.MODEL,
        ),
    ],
    arch: o.Arch = None,
    baseline_arch: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Architecture of the baseline's weights (default: --arch).",
            autocompletion=complete.architectures,
            rich_help_panel=o.MODEL,
        ),
    ] = None,
    num_classes: o.NumClasses = None,
    norm: o.Norm = None,
    name: o.Name = None,
    suite: Annotated[
        str,
        typer.Option(
            "--suite",
            "-s",
            metavar="NAME",
            help="What to measure (`robench suites list`).",
            rich_help_panel=o.DATA,
            autocompletion=complete.suites,
        ),
    ],
    data: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="The suite's files, or the clean images it is generated from.",
            rich_help_panel=o.DATA,
        ),
    ] = None,
    max_loss: Annotated[
        str,
        typer.Option(
            metavar="POINTS",
            help="How much worse the model may be; VALUE=AMOUNT,... for several values.",
            rich_help_panel=o.TESTS,
        ),
    ],
    figures: Annotated[
        str | None,
        typer.Option(
            metavar="A,B",
            help="Decide on these, e.g. mean_error,rms_calibration_error (default: the suite's headline).",
            autocompletion=complete.values,
            rich_help_panel=o.TESTS,
        ),
    ] = None,
    budget: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="At most N forward passes (default: the whole suite).", rich_help_panel=o.AMOUNT
        ),
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(metavar="N", help="At most N minutes.", rich_help_panel=o.AMOUNT)
    ] = None,
    corruption: o.Corruption = None,
    severity: o.Severity = None,
    norm_preset: o.NormPreset = None,
    mean: o.Mean = None,
    std: o.Std = None,
    resize: o.Resize = None,
    crop: o.Crop = None,
    interpolation: o.Interpolation = None,
    device: o.Device = None,
    precision: o.Precision = None,
    batch_size: o.BatchSize = None,
    compile_: o.Compile = False,
    fold: o.Fold = False,
    out: Annotated[
        str | None,
        typer.Option(
            "--out", "-o", metavar="FOLDER", help="Folder of the runs (default: runs).", rich_help_panel=o.OUTPUT
        ),
    ] = None,
    junit: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write a JUnit XML report.", rich_help_panel=o.OUTPUT)
    ] = None,
    markdown: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Write a summary in Markdown; appended where FILE is $GITHUB_STEP_SUMMARY.",
            rich_help_panel=o.OUTPUT,
        ),
    ] = None,
    json_: o.Json = False,
    quiet: o.Quiet = False,
    seed: Annotated[
        int | None, typer.Option(metavar="N", help="Seed of generated corruptions.", rich_help_panel=o.ADVANCED)
    ] = None,
    ema: o.Ema = False,
    ensemble: o.Ensemble = None,
) -> int:
    """Measure, decide and print; see HELP."""
    from robench import api

    files = {"junit": path("junit", junit), "markdown": path("markdown", markdown)}
    found = api.gate(
        model if len(model) > 1 else model[0],
        suite,
        baseline=baseline,
        max_loss=max_loss,
        figures=figures,
        budget=budget,
        minutes=minutes,
        baseline_arch=baseline_arch,
        data=data,
        out=out,
        arch=arch,
        num_classes=num_classes,
        norm=norm,
        name=name,
        corruption=corruption,
        severity=severity,
        seed=seed,
        norm_preset=norm_preset,
        mean=mean,
        std=std,
        resize=resize,
        crop=crop,
        interpolation=interpolation,
        device=device,
        precision=precision,
        batch_size=batch_size,
        compile=compile_ or None,
        fold=fold or None,
        ema=ema or None,
        ensemble=ensemble,
        quiet=quiet or json_,
    )
    api.write_gate(found, **files)
    _show(found, quiet=quiet, as_json=json_)
    return found.exit_code


def _show(found: GateOutcome, *, quiet: bool, as_json: bool) -> None:
    from rich import box
    from rich.table import Table

    from robench.cli.common import console, print_json
    from robench.cli.decision import after_undecided
    from robench.tables.gates import headline, table

    if as_json:
        print_json(found.document())
        return
    screen = console()
    if not quiet:
        head, rows = table(found)
        shown = Table(box=box.SIMPLE_HEAD)
        # One column per value: the names of models may be long, the values are few.
        for i, title in enumerate(("", *(line[0] for line in rows))):
            shown.add_column(title, justify="right" if i else "left", overflow="fold")
        for place in range(1, len(head)):
            shown.add_row(head[place], *(line[place] for line in rows))
        screen.print(shown)
        for note in found.notes:
            screen.print(f"note: {note}", highlight=False)
    screen.print(headline(found), highlight=False)
    if found.verdict == "undecided" and not quiet:
        screen.print(after_undecided(found.passes, found.of, "--max-loss"), highlight=False)
