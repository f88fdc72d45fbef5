"""``robench evaluate``: one model (or an ensemble) on one suite, or many models on many suites."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from robench.cli import completion as complete
from robench.cli import options as o

if TYPE_CHECKING:
    from robench.api.scored import Evaluated

HELP = """\
Interrupted runs resume when you repeat the command.

Examples:

    robench evaluate --model reference:digits/augmix --suite digits-c
    robench evaluate --model wrn.pth --arch wrn-40-2 --norm-preset half \\
        --suite cifar10-c --data CIFAR-10-C
    robench evaluate --model timm:resnet50.a1_in1k --suite imagenet-c \\
        --data ImageNet-C --device cuda --precision bf16
    robench evaluate --model python:mymodel.py:make --suite cifar10-c \\
        --data cifar-10-batches-py
    robench evaluate --model timm:resnet50.a1_in1k --suite imagenet-c \\
        --data ImageNet-C --within 0.5
    robench evaluate --models a.pt,b.pt --suite cifar10-c \\
        --until-decided --margin 0.5
    robench evaluate --models models.yaml --suite cifar10-c,cifar10-p \\
        --data cifar-10-batches-py --dry-run
    torchrun --nproc-per-node 8 -m robench evaluate --model big.pt2 \\
        --suite imagenet-c --data ImageNet-C

The run goes to runs/SUITE/MODEL-HASH (or --out): one Parquet file of predictions per cell, and result.json. \
`robench suites list` lists the suites, `robench models list` the architectures. Exit code with --until-decided: 0 \
decided, 3 undecided within the budget.
"""


def evaluate(
    *,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            metavar="SPEC",
            help="Path, timm:NAME, torchvision:NAME, hf:ID, open_clip:ARCH/PRETRAINED, reference:NAME or "
            "python:FILE.py:FUNCTION. "
            "Several --model are joined into one ensemble.",
            autocompletion=complete.models,
            rich_help_panel=o.MODEL,
        ),
    ] = None,
    models: Annotated[
        str | None,
        typer.Option(
            metavar="A,B|FILE",
            help="Models, each evaluated on its own: specs, or a YAML list, one per line: `- PATH`, or "
            "`- {model: PATH, arch: NAME, norm_preset: half}`.",
            rich_help_panel=o.MODEL,
        ),
    ] = None,
    arch: o.Arch = None,
    num_classes: o.NumClasses = None,
    norm: o.Norm = None,
    name: o.Name = None,
    prompts: o.Prompts = None,
    class_names: o.ClassNames = None,
    suite: Annotated[
        str,
        typer.Option(
            "--suite",
            "-s",
            metavar="NAME",
            help="What to measure (`robench suites list`); several as A,B.",
            autocompletion=complete.suites,
            rich_help_panel=o.DATA,
        ),
    ],
    data: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATH",
            help="The suite's files, or the clean images it is generated from; SUITE=PATH for one of several suites.",
            rich_help_panel=o.DATA,
        ),
    ] = None,
    norm_preset: o.NormPreset = None,
    mean: o.Mean = None,
    std: o.Std = None,
    resize: o.Resize = None,
    crop: o.Crop = None,
    interpolation: o.Interpolation = None,
    corruption: o.Corruption = None,
    severity: o.Severity = None,
    within: Annotated[
        str | None,
        typer.Option(
            metavar="POINTS",
            help="Stop when the headline is known to +-POINTS, 95 % of the time; VALUE=POINTS,... for others.",
            rich_help_panel=o.AMOUNT,
        ),
    ] = None,
    until_decided: Annotated[
        bool,
        typer.Option(
            "--until-decided",
            help="Measure two --models in turn on the same images until one is better or they are equivalent.",
            rich_help_panel=o.AMOUNT,
        ),
    ] = False,
    margin: Annotated[
        str | None,
        typer.Option(
            metavar="POINTS",
            help="With --until-decided: within which the two count as equivalent; VALUE=AMOUNT,... for several values.",
            rich_help_panel=o.AMOUNT,
        ),
    ] = None,
    budget: Annotated[
        int | None,
        typer.Option(metavar="N", help="With --until-decided: at most N forward passes.", rich_help_panel=o.AMOUNT),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(metavar="N", help="With --until-decided: at most N minutes.", rich_help_panel=o.AMOUNT),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Only N images per cell, the same for every model; the result is marked as sampled.",
            rich_help_panel=o.AMOUNT,
        ),
    ] = None,
    with_run: Annotated[
        str | None,
        typer.Option(
            "--with",
            metavar="RUN",
            help="Another model's run of all images, which narrows the interval of a sample.",
            rich_help_panel=o.AMOUNT,
        ),
    ] = None,
    device: o.Device = None,
    precision: o.Precision = None,
    batch_size: o.BatchSize = None,
    workers: Annotated[
        int | None,
        typer.Option(metavar="N", help="Threads that decode images (default: one per core).", rich_help_panel=o.RUN),
    ] = None,
    compile_: o.Compile = False,
    fold: o.Fold = False,
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", help="Spread the work over a Ray cluster: auto or HOST:PORT.", rich_help_panel=o.RUN
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would be measured.", rich_help_panel=o.RUN)
    ] = False,
    out: Annotated[
        str | None, typer.Option("--out", "-o", metavar="FOLDER", help="Folder of the run.", rich_help_panel=o.OUTPUT)
    ] = None,
    json_: o.Json = False,
    quiet: o.Quiet = False,
    seed: Annotated[
        int | None, typer.Option(metavar="N", help="Seed of generated corruptions.", rich_help_panel=o.ADVANCED)
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Split of a clean set (default: test).", rich_help_panel=o.ADVANCED),
    ] = None,
    clean: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="The matching clean images, where --data has only corrupted ones.",
            rich_help_panel=o.ADVANCED,
        ),
    ] = None,
    difficulty: Annotated[
        int | None,
        typer.Option(metavar="N", help="Difficulty of perturbation sequences: 1 to 3.", rich_help_panel=o.ADVANCED),
    ] = None,
    images: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            help="Only a published list of ImageNet-C's images: robustbench (5,000).",
            rich_help_panel=o.ADVANCED,
        ),
    ] = None,
    definition: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="YAML file defining a custom metadata split.", rich_help_panel=o.ADVANCED),
    ] = None,
    frost: Annotated[
        str | None,
        typer.Option(metavar="FOLDER", help="The original frost images.", rich_help_panel=o.ADVANCED),
    ] = None,
    skip_corrupt: Annotated[
        bool,
        typer.Option(
            "--skip-corrupt",
            help="Leave out image files that cannot be read, and count them.",
            rich_help_panel=o.ADVANCED,
        ),
    ] = False,
    keep_logits: Annotated[
        str | None,
        typer.Option(
            metavar="WHEN",
            help="Keep logits: yes, no or auto, up to 32 classes (default: auto).",
            rich_help_panel=o.ADVANCED,
        ),
    ] = None,
    surrogate: Annotated[
        str | None,
        typer.Option(
            metavar="SPEC",
            help="A second model, whose black-box images test whether an attack fails by masked gradients.",
            rich_help_panel=o.ADVANCED,
        ),
    ] = None,
    resamples: o.Resamples = 1000,
    ema: o.Ema = False,
    ensemble: o.Ensemble = None,
) -> int:
    """Measure and print; see HELP."""
    from robench.api import decide, plan
    from robench.api.decide import check_deciding
    from robench.api.evaluate import run_one
    from robench.api.options import EvaluateWords
    from robench.api.packing import pack
    from robench.api.suites import places_by_suite
    from robench.api.words import both_given
    from robench.cli.decision import show_decision
    from robench.cli.grid import run_grid, show_plan

    check_deciding(
        until_decided,
        models,
        {"model": model, "cluster": cluster, "dry_run": dry_run},
        {"margin": margin, "budget": budget, "minutes": minutes},
    )
    words = EvaluateWords(
        arch=arch,
        num_classes=num_classes,
        mean=mean,
        std=std,
        norm_preset=norm_preset,
        norm=norm,
        ema=ema or None,
        ensemble=ensemble,
        name=name,
        prompts=prompts,
        class_names=class_names,
        corruption=corruption,
        severity=severity,
        within=within,
        with_run=with_run,
        limit=limit,
        seed=seed,
        split=split,
        clean=clean,
        difficulty=difficulty,
        images=images,
        definition=definition,
        frost=frost,
        resize=resize,
        crop=crop,
        interpolation=interpolation,
        skip_corrupt=skip_corrupt or None,
        workers=workers,
        device=device,
        precision=precision,
        batch_size=batch_size,
        compile=compile_ or None,
        fold=fold or None,
        keep_logits=keep_logits,
        surrogate=surrogate,
        resamples=None if until_decided else resamples,
        quiet=quiet or json_,
    )
    if until_decided:
        found = decide(
            models or [],
            suite,
            margin=margin or "",
            budget=budget,
            minutes=minutes,
            data=places_by_suite(data, [suite]).get(suite),
            out=out,
            **words,
        )
        show_decision(found, quiet=quiet, as_json=json_)
        return 0 if found.decided else 3
    if models is not None or "," in suite:
        both_given([("models", models, "model", model), ("models or several suites", True, "cluster", cluster)])
        listed = models if models is not None else [model or []]
        return run_grid(listed, suite, data, out, words, dry_run=dry_run, quiet=quiet, as_json=json_)
    place = places_by_suite(data, [suite]).get(suite)
    if dry_run:
        show_plan(plan(model or [], suite, data=place, out=out, **words), as_json=json_)
        return 0
    evaluated = run_one(model or [], suite, pack(words), data=place, out=out, cluster=cluster)
    if evaluated is None:  # under torchrun, another process speaks
        return 0
    _show(evaluated, quiet=quiet, as_json=json_)
    return 1 if evaluated.result.failures else 0


def _show(found: Evaluated, *, quiet: bool, as_json: bool) -> None:
    from robench.cli.common import print_json, print_summary

    if as_json:
        print_json(found.result.model_dump(mode="json"))
        return
    if not quiet:
        print_summary([found.result], left_out=found.remark)
        print(f"run: {found.folder}")
    if found.kept is not None:
        typer.echo(f"robench: {found.kept}", err=True)
    if found.remark is not None:
        typer.echo(found.remark, err=quiet)
    for failure in found.result.failures:
        typer.echo(f"failed: {failure}", err=True)
