"""Write ``robench/training/recipes/_costs.csv``: what each recipe's network and passes cost, for ``train --list``.

python scripts/recipe_costs.py
"""

from __future__ import annotations

import csv

import torch
from torch.utils.flop_counter import FlopCounterMode

from robench.errors import RobenchError
from robench.models.networks import build
from robench.training import methods, recipes
from robench.training.recipes.costs import FILE
from robench.training.recipes.schema import Recipe


def forward_operations(recipe: Recipe) -> int | None:
    """Return the floating-point operations of one image's forward pass; None: not a classifier of ours.

    A multiplication and an addition are two; convolutions and matrix products are counted (PyTorch's counter).
    """
    try:
        network = build(recipe.architecture, recipe.num_classes).eval()
    except RobenchError:
        return None
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 3, recipe.data.size, recipe.data.size))
    return counter.get_total_flops()


def rows() -> list[list[str]]:
    """Return a row per recipe, sorted by name."""
    counted: dict[tuple[str, int], int | None] = {}
    found = []
    for name in sorted(recipes.names()):
        recipe = recipes.load(name)
        key = (recipe.architecture, recipe.data.size)
        if key not in counted:
            counted[key] = forward_operations(recipe)
        passes = recipe.epochs * methods.of(recipe)[1].passes
        operations = counted[key]
        found.append([name, f"{passes:g}", "" if operations is None else str(operations)])
    return found


if __name__ == "__main__":
    with FILE.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["recipe", "passes", "forward_operations"])
        writer.writerows(rows())
