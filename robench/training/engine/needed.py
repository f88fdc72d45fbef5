"""Models that a recipe needs before it can be trained: DeepAugment's image-to-image networks, by recipe name."""

from __future__ import annotations

from pathlib import Path

from robench.training import recipes
from robench.training.recipes.schema import Recipe


def networks(recipe: Recipe) -> list[str]:
    """Return the recipe names among the recipe's ``networks``; paths are not listed."""
    named = list(recipe.options.get("networks", []))
    if recipe.before is not None:
        named += recipe.before.options.get("networks", [])
    known = set(recipes.names())
    return [name for name in named if name in known and not Path(name).exists()]


def folder_name(name: str) -> str:
    """Return the folder that ``robench train --all`` gives a recipe: its name without that of its data."""
    return recipes.short(name, str(recipes.read(name)["data"]["dataset"]))


def find(name: str, parent: Path) -> Path | None:
    """Return the folder of a recipe's model next to the run (in ``parent``) or in ``runs``; None: not trained yet.

    A folder of that name with another recipe's model (``edsr`` of other images) is not it.
    """
    folders = (parent / folder_name(name), parent / name, Path("runs") / name)
    return next((folder for folder in folders if _recipe_in(folder) == name), None)


def place_for(name: str, parent: Path) -> Path:
    """Return the folder that a recipe's model is trained in, where it is not trained yet."""
    usual = parent / folder_name(name)
    return usual if _recipe_in(usual) is None else parent / name


def _recipe_in(folder: Path) -> str | None:
    """Return the recipe of the model in a folder; None where none is finished there."""
    from robench.files import read_document

    card = folder / "card.yaml"
    return str(read_document(card, "card").get("recipe", "")) if card.is_file() else None


def trained(recipe: Recipe, parent: Path = Path("runs")) -> dict[str, Path]:
    """Return the folders of those models that a recipe needs and that are trained already, by recipe name."""
    found = {name: find(name, parent) for name in networks(recipe)}
    return {name: folder for name, folder in found.items() if folder is not None}
