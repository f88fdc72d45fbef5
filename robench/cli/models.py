"""``robench models``: what can be evaluated, and how to name it."""

from __future__ import annotations

import typer

HELP = """\
Architectures, reference models, and the forms of a model spec.

**Examples**

    robench models list

    robench models show reference:digits/augmix

    robench models show wrn-40-2
"""


def register(app: typer.Typer) -> None:
    """Add the verb."""
    models = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode="markdown")
    models.command("list")(list_models)
    models.command("show")(show)
    app.add_typer(models, name="models")


def list_models(
    json_: bool = typer.Option(False, "--json", help="Print as JSON."),
) -> int:
    """List the forms of a spec, our architectures, and the models that come with robench."""
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


def show(
    name: str = typer.Argument(..., help="A model spec, or one of our architectures."),
    num_classes: int = typer.Option(10, min=1, help="Classes to build an architecture for."),
) -> int:
    """Show what is known of a model: architecture, parameters, preprocessing, card."""
    from torch import nn

    from robench.models import load_model
    from robench.models.architectures import build, descriptions, known

    if known(name):
        network = build(name, num_classes)
        count = sum(parameter.numel() for parameter in network.parameters())
        _table(name, {"what": descriptions().get(name, "of a family"), "parameters": f"{count:,}"})
        return 0
    model = load_model(name, num_classes=num_classes)
    rows = {"name": model.name, "classes": str(model.num_classes), "hash": model.hash}
    if isinstance(model.module, nn.Module) and (own := list(model.module.parameters())):  # a program's are constants
        rows["parameters"] = f"{sum(parameter.numel() for parameter in own):,}"
    rows |= {key: str(value) for key, value in model.preprocessing.record().items()}
    _table(name, rows | {key: str(value) for key, value in model.card.items()})
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
