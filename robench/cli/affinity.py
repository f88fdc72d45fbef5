"""``robench affinity``: how far a recipe's augmented images are from what a model was trained on."""

from __future__ import annotations

from typing import Annotated

import typer

from robench.cli import completion as complete
from robench.cli import options as o

HELP = """\
Accuracy on augmented test images minus accuracy on clean ones, of a model trained on clean images (Gontijo-Lopes et \
al. 2020). 0: the model sees no shift.

Examples:

    robench affinity --model reference:digits/standard --recipe cutout-digits
    robench affinity --model runs/standard-clean-cifar10-wrn28-2 \\
        --data cifar-10-batches-py --recipe weak-augmix-cifar10-wrn28-2 \\
        --out affinities/augmix.json
    robench table split-bn/1 --results affinities/

Images are augmented as the recipe trains on them; Weak Augment's are its weak view.
"""


def affinity(
    *,
    model: Annotated[
        str,
        typer.Option(
            "--model",
            "-m",
            metavar="SPEC",
            help="A model trained on clean images; as for evaluate.",
            autocompletion=complete.models,
        ),
    ],
    recipe: Annotated[
        str,
        typer.Option(
            "--recipe", "-r", metavar="NAME", help="A recipe, or a YAML file.", autocompletion=complete.recipes
        ),
    ],
    data: Annotated[
        str | None, typer.Option(metavar="PATH", help="The clean test set (default: the embedded digits).")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a field of the recipe (repeatable)."),
    ] = None,
    limit: Annotated[int | None, typer.Option(metavar="N", help="Only N images.", rich_help_panel=o.AMOUNT)] = None,
    device: o.Device = None,
    batch_size: o.BatchSize = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of the augmentation.", rich_help_panel=o.ADVANCED)] = 0,
    out: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Write a JSON document, as tables read it.", rich_help_panel=o.OUTPUT),
    ] = None,
    json_: o.Json = False,
) -> int:
    """Measure and print; see HELP."""
    from robench import api
    from robench.cli.common import print_json, say

    found = api.affinity(
        model,
        recipe,
        data=data,
        set=settings or [],
        limit=limit,
        device=device,
        batch_size=batch_size,
        seed=seed,
        out=out,
    )
    if json_:
        print_json(found.document)
        return 0
    say(
        f"{found.recipe} for {found.model}: affinity {100 * found.value:+.2f} points"
        f" ({100 * found.low:+.2f} to {100 * found.high:+.2f}), {100 * found.augmented_accuracy:.2f} % of"
        f" {found.images:,} augmented images right, {100 * found.clean_accuracy:.2f} % of the clean ones"
    )
    return 0
