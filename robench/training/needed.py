"""Models that a recipe needs before it can be trained: DeepAugment's image-to-image networks, by recipe name."""

from __future__ import annotations

from pathlib import Path

from robench.training import recipes
from robench.training.recipe import Recipe


def networks(recipe: Recipe) -> list[str]:
    """Return the recipes' names among the recipe's ``networks``; paths of the user's own files are left out."""
    known = set(recipes.names())
    return [name for name in recipe.options.get("networks", []) if name in known and not Path(name).exists()]


def folder_name(name: str) -> str:
    """Return the folder that ``robench train --all`` gives a recipe: its name without that of its data."""
    return recipes.short(name, str(recipes.read(name)["data"]["dataset"]))


def find(name: str, beside: Path) -> Path | None:
    """Return the folder of a trained model: beside the run, below ``runs``, or among robench's own models."""
    dataset = str(recipes.read(name)["data"]["dataset"])
    own = Path(__file__).parents[2] / "reference_models" / dataset
    for folder in (beside / folder_name(name), beside / name, Path("runs") / name, own / folder_name(name)):
        if (folder / "card.yaml").is_file():
            return folder
    return None
