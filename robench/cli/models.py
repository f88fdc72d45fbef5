"""``robench models``: what can be evaluated, and how to name it."""

from __future__ import annotations

from typing import Annotated

import typer

from robench.cli import options as o
from robench.cli.app import group
from robench.cli.help import Command

HELP = """\
Examples:

    robench models list
    robench models show reference:digits/augmix
    robench models show wrn-40-2
"""
app = group()


@app.command("list", cls=Command)
def list_models(json_: o.Json = False) -> int:
    """List the forms of a model spec, the built-in architectures, and the reference models."""
    from robench.cli.common import print_json
    from robench.models import reference
    from robench.models.architectures import descriptions
    from robench.models.presets import PRESETS
    from robench.models.specs import forms

    if json_:
        print_json({"forms": forms(), "architectures": descriptions(), "reference": reference.names()})
        return 0
    _table("--model takes", forms())
    _table("--arch takes, beside any timm or torchvision name", descriptions())
    cards = {name: reference.read_card(reference.folder(name)) for name in reference.names()}
    _table("Reference models", {f"reference:{name}": _describe(card) for name, card in cards.items()})
    _table("--norm-preset takes", {name: f"mean {mean}, std {std}" for name, (mean, std) in PRESETS.items()})
    return 0


@app.command(cls=Command)
def show(
    name: Annotated[str, typer.Argument(metavar="SPEC", help="A model spec, or a built-in architecture.")],
    num_classes: Annotated[int, typer.Option(metavar="N", help="Classes to build an architecture for.")] = 10,
    json_: o.Json = False,
) -> int:
    """Show what is known of a model: architecture, parameters, preprocessing, card."""
    from torch import nn

    from robench.api.words import whole
    from robench.cli.common import print_json
    from robench.models import load_model
    from robench.models.architectures import build, descriptions, known

    whole("num_classes", num_classes, least=1, most=10**6)
    if known(name):
        network = build(name, num_classes)
        count = sum(parameter.numel() for parameter in network.parameters())
        found: dict[str, object] = {"what": descriptions().get(name, "of a family"), "parameters": count}
        title = name
    else:
        model = load_model(name, num_classes=num_classes)
        found, title = {"name": model.name, "classes": model.num_classes, "hash": model.hash}, model.name
        if isinstance(model.module, nn.Module) and (own := list(model.module.parameters())):
            found["parameters"] = sum(parameter.numel() for parameter in own)  # a program's are constants
        found |= model.preprocessing.record() | model.card
    if json_:
        print_json(found)
    else:
        _table(title, {key: f"{one:,}" if key == "parameters" else str(one) for key, one in found.items()})
    return 0


def _describe(card: dict[str, object]) -> str:
    trained = card.get("trained_with")
    accuracy = trained.get("test_accuracy") if isinstance(trained, dict) else None
    shown = f", clean accuracy {100 * accuracy:.1f} %" if isinstance(accuracy, float) else ""
    return f"{card['architecture']} on {card.get('dataset', '?')}, recipe {card.get('recipe', '?')}{shown}"


def _table(title: str, rows: dict[str, str]) -> None:
    from rich import box
    from rich.table import Table

    from robench.cli.common import console

    table = Table(box=box.SIMPLE, title=title, title_justify="left", title_style="bold", show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in rows.items():
        table.add_row(name, text)
    console().print(table)
