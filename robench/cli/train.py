"""``robench train``: reference training, every method by one loop."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from robench.errors import RobenchError

if TYPE_CHECKING:
    from robench.training.recipes.schema import Recipe

HELP = """\
Train a model by a recipe: one loop, data, schedule and budget for every method.

Leaves weights.safetensors, card.yaml, recipe.yaml (resolved) and log.csv in the output folder. A run that was
stopped goes on where it was when the same command is given again. Under `torchrun` the batch is split over the
processes.

**Examples**

    robench train --list

    robench train --recipe augmix-digits

    robench train --recipe augmix-cifar10-wrn40-2 --data DIR --out runs/augmix

    robench train --recipe augmix-cifar10-wrn40-2 --data DIR --set epochs=20 --set precision=bfloat16

    robench train --all digits --out runs/digits

    torchrun --nproc-per-node 8 -m robench train --recipe augmix-imagenet-resnet50-code --data DIR
"""


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("train", help=HELP)(train)


def train(
    recipe: str | None = typer.Option(None, "--recipe", "-r", help="A recipe's name, or a YAML file."),
    data: Path | None = typer.Option(None, "--data", help="Folder or file of the training data."),
    out: Path | None = typer.Option(None, "--out", "-o", help="Output folder; default runs/RECIPE."),
    settings: list[str] = typer.Option([], "--set", metavar="KEY=VALUE", help="Override a field (repeatable)."),
    everything: str | None = typer.Option(None, "--all", metavar="DATA", help="Every recipe for DATA (digits)."),
    device: str | None = typer.Option(None, "--device", help="cpu, cuda, cuda:1; default: a GPU where there is one."),
    fresh: bool = typer.Option(False, "--fresh", help="Start again instead of going on."),
    list_: bool = typer.Option(False, "--list", help="List the recipes, their paper and table row."),
    show: str | None = typer.Option(None, "--show", metavar="RECIPE", help="Print a recipe in full."),
    quiet: bool = typer.Option(False, "--quiet", "-q", help="No progress."),
) -> int:
    """Train; see HELP."""
    if list_:
        return _list()
    if show is not None:
        return _show(show, settings)
    if recipe is not None and everything is not None:
        raise RobenchError("--recipe and --all do not go together.", hint="Leave one of them away.")
    if recipe is None and everything is None:
        raise RobenchError("Say what to train.", hint="--recipe NAME or --all digits; --list names the recipes.")
    if everything is not None:
        return _train_all(everything, data, out, settings, device, fresh, quiet)
    assert recipe is not None
    from robench.training import recipes

    return _train_one(recipes.load(recipe, settings), recipe, data, out, settings, device, fresh, quiet)


def _train_one(
    recipe: Recipe,
    name: str,
    data: Path | None,
    out: Path | None,
    settings: list[str],
    device: str | None,
    fresh: bool,
    quiet: bool,
) -> int:
    from robench.training import recipes
    from robench.training.engine import needed
    from robench.training.engine.loop import train as run

    folder = out if out is not None else Path("runs") / recipe.name
    folders = {}
    for network in needed.networks(recipe):
        found = needed.find(network, folder.parent)
        if found is None:
            found = folder.parent / needed.folder_name(network)
            _train_one(recipes.load(network), network, data, found, [], device, False, quiet)
        folders[network] = found
    command = command_line(name, data, settings)
    run(recipe, data, folder, device=device, fresh=fresh, quiet=quiet, command=command, folders=folders)
    if not quiet:
        print(f"{recipe.name}: {folder / 'weights.safetensors'}{_accuracy(folder)}")
    return 0


def command_line(recipe: str, data: Path | None, settings: list[str]) -> str:
    """Return the command that repeats a run, for its card; a data folder appears as DATA."""
    words = ["robench", "train", "--recipe", recipe]
    words += ["--data", "DATA"] if data is not None else []
    for setting in settings:
        words += ["--set", setting]
    return shlex.join(words)


def _train_all(
    data_name: str,
    data: Path | None,
    out: Path | None,
    settings: list[str],
    device: str | None,
    fresh: bool,
    quiet: bool,
) -> int:
    from robench.training import recipes

    names = recipes.names(data_name)
    if not names:
        raise RobenchError(f"No recipe is for '{data_name}'.", hint="`robench train --list` names them.")
    folder = out if out is not None else Path("runs") / data_name
    for name in recipes.in_order(names):
        recipe = recipes.load(name, settings)
        _train_one(recipe, name, data, folder / recipes.short(name, data_name), settings, device, fresh, quiet)
    return 0


def _accuracy(folder: Path) -> str:
    import yaml

    card = yaml.safe_load((folder / "card.yaml").read_text(encoding="utf-8"))
    trained = card["trained_with"]
    accuracy = trained.get("test_accuracy")
    text = "" if accuracy is None else f", clean test accuracy {accuracy:.2%}"
    return f"{text}, {trained['seconds']:.0f} s"


def _list() -> int:
    from rich import box
    from rich.table import Table

    from robench.cli.common import console
    from robench.training import recipes

    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("recipe", no_wrap=True)
    for column in ("method", "network", "paper and row"):
        table.add_column(column)
    for name in recipes.names():
        document = recipes.read(name)
        network = f"{document['architecture']} {document.get('norm', '')}".strip()
        table.add_row(name, document["title"], network, document["paper"])
    # Where nobody looks at a terminal, a row stays a line, for grep.
    console(width=None if sys.stdout.isatty() else 260).print(table)
    return 0


def _show(name: str, settings: list[str]) -> int:
    import yaml

    from robench.training import recipes

    print(yaml.safe_dump(recipes.load(name, settings).model_dump(mode="json"), sort_keys=False, width=100), end="")
    return 0
