"""``robench models``: what can be evaluated, and how to name it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from robench.cli import completion as complete
from robench.cli import options as o
from robench.cli.app import group
from robench.cli.help import Command

if TYPE_CHECKING:
    from robench.api import ReferenceModel

HELP = """\
Examples:

    robench models list
    robench models show reference:digits/augmix
    robench models show wrn-40-2
    robench models show open_clip:ViT-B-32/laion2b_s34b_b79k --dataset imagenet
"""
app = group()


@app.command("list", cls=Command)
def list_models(json_: o.Json = False) -> int:
    """List the forms of a model spec, the built-in architectures, and the reference models."""
    from robench import api
    from robench.cli.common import print_json

    found = api.list_models()
    if json_:
        names = [model.spec.removeprefix("reference:") for model in found.reference]
        print_json({"forms": found.forms, "architectures": found.architectures, "reference": names})
        return 0
    _table("--model takes", found.forms)
    _table("--arch takes, beside any timm or torchvision name", found.architectures)
    _table("Reference models", {model.spec: _describe(model) for model in found.reference})
    _table("--norm-preset takes", {name: f"mean {mean}, std {std}" for name, (mean, std) in found.presets.items()})
    return 0


@app.command(cls=Command)
def show(
    name: Annotated[
        str,
        typer.Argument(
            metavar="SPEC", help="A model spec, or a built-in architecture.", autocompletion=complete.models
        ),
    ],
    num_classes: Annotated[int, typer.Option(metavar="N", help="Classes to build an architecture for.")] = 10,
    prompts: o.Prompts = None,
    class_names: o.ClassNames = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Zero-shot: the data set whose names and prompts are used, e.g. imagenet, cifar10, digits.",
            rich_help_panel=o.MODEL,
        ),
    ] = None,
    json_: o.Json = False,
) -> int:
    """Show what is known of a model: architecture, parameters, preprocessing, prompts, card."""
    from robench import api
    from robench.cli.common import print_json

    found = api.describe_model(name, num_classes=num_classes, prompts=prompts, class_names=class_names, dataset=dataset)
    if json_:
        print_json(found.facts)
    else:
        _table(found.name, _lines(found.facts))
    return 0


def _lines(facts: Mapping[str, Any]) -> dict[str, str]:
    """Return values as text; those of a zero-shot model on lines of their own."""
    lines: dict[str, str] = {}
    for key, one in facts.items():
        if isinstance(one, dict) and key == "zero_shot":
            lines |= {name: str(value) for name, value in one.items()}
        elif isinstance(one, dict):
            lines[key] = ", ".join(f"{name} {value}" for name, value in one.items())
        elif one is not None:
            lines[key] = f"{one:,}" if key == "parameters" else str(one)
    return lines


def _describe(model: ReferenceModel) -> str:
    shown = "" if model.accuracy is None else f", clean accuracy {100 * model.accuracy:.1f} %"
    return f"{model.architecture} on {model.dataset or '?'}, recipe {model.recipe or '?'}{shown}"


def _table(title: str, rows: Mapping[str, str]) -> None:
    from rich import box
    from rich.table import Table

    from robench.cli.common import console

    table = Table(box=box.SIMPLE, title=title, title_justify="left", title_style="bold", show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in rows.items():
        table.add_row(name, text)
    console().print(table)
