"""``robench data deepaugment``: DeepAugment's training images, written once as the published scripts do."""

from __future__ import annotations

from typing import Annotated

import typer

from robench.cli import options as o

HELP = """\
Pass every training image once through a network with randomly distorted weights and signals (DeepAugment).

The files keep their class folders and names. Recipes such as deepaugment-imagenet-resnet50 read them beside the clean \
images: name the folders EDSR and CAE and put them next to the data, or give their paths with --set data.extra. An \
interrupted run resumes when you repeat the command.

Examples:

    robench data deepaugment --network edsr --source ILSVRC2012 --out EDSR
    robench data deepaugment --network cae --source ILSVRC2012 --out CAE \\
        --weights model_final.state --device cuda
    robench train --recipe deepaugment-imagenet-resnet50 --data ILSVRC2012 \\
        --set 'data.extra=[EDSR, CAE]'
"""


def deepaugment(
    *,
    network: Annotated[str, typer.Option(metavar="NAME", help="edsr or cae.")],
    source: Annotated[str, typer.Option(metavar="FOLDER", help="Class folders of training images.")],
    out: Annotated[str, typer.Option("--out", "-o", metavar="FOLDER", help="Folder for the files.")],
    weights: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="The trained network: a folder or a file (default: runs/NETWORK-imagenet)."),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of the distortions.")] = 0,
    workers: Annotated[
        int | None,
        typer.Option(metavar="N", help="Processes on the CPU (default: one per core).", rich_help_panel=o.RUN),
    ] = None,
    device: o.Device = None,
    json_: o.Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.", rich_help_panel=o.OUTPUT)] = False,
) -> int:
    """Write the images; see HELP."""
    from robench import api
    from robench.cli.common import print_json

    made = api.deepaugment(
        network, source, out, weights=weights, seed=seed, workers=workers, device=device, quiet=quiet or json_
    )
    if json_:
        print_json(
            {
                "folder": str(made.folder),
                "images": made.images,
                "written": made.written,
                "unreadable": list(made.unreadable),
            }
        )
    elif not quiet:
        print(
            f"{made.images - len(made.unreadable):,} of {made.images:,} images in {out}, {made.written:,} of them new."
        )
    if made.unreadable:
        typer.echo(f"{len(made.unreadable):,} images could not be read and have no copy:", err=True)
        for message in made.unreadable[:20]:
            typer.echo(f"  {message}", err=True)
        if len(made.unreadable) > 20:
            typer.echo(f"  and {len(made.unreadable) - 20:,} more", err=True)
    return 1 if made.unreadable else 0
