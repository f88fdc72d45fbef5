"""``robench train``: reference training, every method by one loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from robench.cli import options as o

if TYPE_CHECKING:
    from robench.api import Trained

HELP = """\
The output folder holds weights.safetensors, card.yaml, recipe.yaml (resolved) and log.csv. An interrupted training \
resumes when you repeat the command. Under `torchrun` the batch is split over the processes.

Examples:

    robench train --list
    robench train --recipe augmix-digits
    robench train --recipe augmix-cifar10-wrn40-2 --data DIR --out runs/augmix
    robench train --recipe augmix-cifar10-wrn40-2 --data DIR --set epochs=20
    robench train --all digits --out runs/digits
    torchrun --nproc-per-node 8 -m robench train \\
        --recipe augmix-imagenet-resnet50-code --data DIR
"""


def train(
    recipe: Annotated[
        str | None, typer.Option("--recipe", "-r", metavar="NAME", help="A recipe's name, or a YAML file.")
    ] = None,
    everything: Annotated[
        str | None, typer.Option("--all", metavar="DATA", help="Every recipe for this data set (digits).")
    ] = None,
    data: Annotated[
        str | None, typer.Option("--data", metavar="PATH", help="Folder or file of the training data.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a field (repeatable).")
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="List the recipes, their paper and table row.")] = False,
    show: Annotated[str | None, typer.Option("--show", metavar="NAME", help="Print a recipe in full.")] = None,
    device: o.Device = None,
    precision: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="fp32 or bf16 (default: the recipe's).", rich_help_panel=o.RUN),
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start again instead of resuming.", rich_help_panel=o.RUN)
    ] = False,
    out: Annotated[
        str | None,
        typer.Option(
            "--out", "-o", metavar="FOLDER", help="Output folder (default: runs/RECIPE).", rich_help_panel=o.OUTPUT
        ),
    ] = None,
    json_: Annotated[
        bool, typer.Option("--json", help="With --list: print as JSON.", rich_help_panel=o.OUTPUT)
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.", rich_help_panel=o.OUTPUT)] = False,
) -> int:
    """Train; see HELP."""
    from robench import api

    if list_:
        return _list(as_json=json_)
    if show is not None:
        return _show(show, settings or [])
    api.train(
        recipe,
        all=everything,
        data=data,
        out=out,
        set=settings or [],
        device=device,
        precision=precision,
        fresh=fresh,
        quiet=quiet,
        finished=None if quiet else _print,
    )
    return 0


def _print(trained: Trained) -> None:
    accuracy = "" if trained.accuracy is None else f", clean test accuracy {trained.accuracy:.2%}"
    print(f"{trained.recipe}: {trained.folder / 'weights.safetensors'}{accuracy}, {trained.seconds:.0f} s")


def _list(*, as_json: bool) -> int:
    from rich import box
    from rich.table import Table

    from robench.cli.common import console, plain_width, print_json
    from robench.training import recipes

    rows = {name: recipes.read(name) for name in recipes.names()}
    if as_json:
        print_json(
            {
                name: {key: one.get(key) for key in ("title", "method", "architecture", "norm", "paper")}
                | {"data": one["data"]["dataset"]}
                for name, one in rows.items()
            }
        )
        return 0
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("recipe", no_wrap=True)
    for column in ("method", "network", "paper and row"):
        table.add_column(column)
    for name, document in rows.items():
        network = f"{document['architecture']} {document.get('norm', '')}".strip()
        table.add_row(name, document["title"], network, document["paper"])
    console(width=plain_width()).print(table)
    return 0


def _show(name: str, settings: list[str]) -> int:
    import yaml

    from robench.training import recipes

    print(yaml.safe_dump(recipes.load(name, settings).model_dump(mode="json"), sort_keys=False, width=100), end="")
    return 0
