"""``robench fourier``: which frequencies a model is sensitive to, as a heat map or under low-pass filters."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from robench.cli import completion as complete
from robench.cli import options as o
from robench.cli.streams import folded

if TYPE_CHECKING:
    from robench.api import Sensitivity

HELP = """\
The error under every vector of the Fourier basis (Yin et al. 2019), or on low-pass filtered images. An interrupted \
map resumes when you repeat the command. `robench plot fourier FILE` and `robench plot lowpass FILE` plot the results.

Examples:

    robench fourier --model reference:digits/augmix --strength 2
    robench fourier --model wrn.pth --arch wrn-40-2 --data cifar-10-batches-py \\
        --limit 1000 --out wrn.json
    robench fourier --model timm:resnet50 --data ImageNet/val --strength 15.7 \\
        --window 63 --within 2 --device cuda --precision bf16
    robench fourier --model wrn.pth --arch wrn-28-2 --data cifar-10-batches-py \\
        --lowpass 4,8,12,16,24,32
"""


def fourier(
    *,
    model: Annotated[
        str,
        typer.Option(
            "--model",
            "-m",
            metavar="SPEC",
            help="Path, timm:NAME, torchvision:NAME, hf:ID, reference:NAME or python:FILE.py:FUNCTION.",
            autocompletion=complete.models,
            rich_help_panel=o.MODEL,
        ),
    ],
    arch: o.Arch = None,
    num_classes: Annotated[
        int | None,
        typer.Option(metavar="N", help="Number of output classes (default: the data's).", rich_help_panel=o.MODEL),
    ] = None,
    norm: o.Norm = None,
    name: o.Name = None,
    prompts: o.Prompts = None,
    class_names: o.ClassNames = None,
    data: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="Clean images with labels (default: the digits).", rich_help_panel=o.DATA),
    ] = None,
    norm_preset: o.NormPreset = None,
    mean: o.Mean = None,
    std: o.Std = None,
    resize: o.Resize = None,
    crop: o.Crop = None,
    interpolation: o.Interpolation = None,
    strength: Annotated[
        float,
        typer.Option(
            metavar="X",
            help="L2 norm of the perturbation per channel, images in [0, 1].",
            rich_help_panel="Perturbation",
        ),
    ] = 4.0,
    window: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Only the centred square of the N lowest frequencies.", rich_help_panel="Perturbation"
        ),
    ] = None,
    lowpass: Annotated[
        str | None,
        typer.Option(
            metavar="A,B",
            help="Bandwidths, e.g. 4,8,16: the low-pass curve instead of the map.",
            rich_help_panel="Perturbation",
        ),
    ] = None,
    signs: Annotated[
        bool,
        typer.Option(
            "--signs/--no-signs",
            help="Draw the sign at random for every image and channel.",
            rich_help_panel="Perturbation",
        ),
    ] = True,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of the signs.", rich_help_panel="Perturbation")] = 0,
    limit: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Number of images, drawn as evaluate does (default: 1000; 10000 with --within).",
            rich_help_panel=o.AMOUNT,
        ),
    ] = None,
    within: Annotated[
        float | None,
        typer.Option(
            metavar="POINTS",
            help="Measure every frequency on images of its own until its error is known to +-POINTS, 95 % of the time.",
            rich_help_panel=o.AMOUNT,
        ),
    ] = None,
    device: o.Device = None,
    precision: o.Precision = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Images at a time (default: 50 on a CPU, 100 in bf16, 500 elsewhere).",
            rich_help_panel=o.RUN,
        ),
    ] = None,
    compile_: o.Compile = False,
    fold: o.Fold = True,
    out: Annotated[
        str | None,
        typer.Option(
            "--out", "-o", metavar="FILE", help="JSON to write (default: fourier-MODEL.json).", rich_help_panel=o.OUTPUT
        ),
    ] = None,
    json_: o.Json = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No progress; print only the path.", rich_help_panel=o.OUTPUT)
    ] = False,
    ema: o.Ema = False,
) -> int:
    """Measure and write; see HELP."""
    from robench import api

    found = api.fourier(
        model,
        data=data,
        out=out,
        limit=limit,
        within=within,
        strength=strength,
        window=window,
        signs=signs,
        seed=seed,
        lowpass=lowpass,
        fold=fold,
        quiet=quiet or json_,
        arch=arch,
        num_classes=num_classes,
        norm=norm,
        name=name,
        prompts=prompts,
        class_names=class_names,
        norm_preset=norm_preset,
        mean=mean,
        std=std,
        ema=ema or None,
        resize=resize,
        crop=crop,
        interpolation=interpolation,
        device=device,
        precision=precision,
        batch_size=batch_size,
        compile=compile_ or None,
    )
    if json_:
        from robench.cli.common import print_json

        print_json(found.document)
        return 0
    if not quiet:
        typer.echo(folded(_in_words(found), sys.stderr), err=True)
    print(found.path)
    return 0


def _in_words(found: Sensitivity) -> str:
    """Return the values that sum the document up; errors in percent."""
    head = f"{found.model}, {found.images:,} images: error"
    if found.bandwidths is not None:
        pairs = zip(found.bandwidths, found.error, strict=True)
        return f"{head} " + ", ".join(f"{100 * error:.2f} % at bandwidth {side}" for side, error in pairs)
    cells = [error for row in found.error for error in row]
    mean, low, high = (100 * value for value in (sum(cells) / len(cells), min(cells), max(cells)))
    clean = 100 * (found.clean_error or 0.0)
    said = f"{head} {clean:.2f} % clean, {mean:.2f} % over the map ({low:.2f} to {high:.2f})"
    if "within" in found.document:
        passes, of, within = (found.document[name] for name in ("passes", "of", "within"))
        said += f"; sampled: {passes:,} of {of:,}, every frequency to within {100 * within:g} points"
    return said
