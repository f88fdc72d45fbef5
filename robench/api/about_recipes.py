"""``robench.api.list_recipes()`` and ``describe_recipe(name)``: how models of the papers' tables are trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from robench.api.options import Place
from robench.api.probe import is_probe
from robench.api.train import settings_of
from robench.api.words import place, spelled_out

if TYPE_CHECKING:
    from robench.api.train import Settings
    from robench.training.probe.options import Settings as ProbeSettings
    from robench.training.recipes.schema import Recipe


@dataclass(frozen=True)
class RecipeRow:
    """A recipe in the list.

    Args:
        name: as it is typed.
        title: of its method and variant.
        method: that computes its loss.
        architecture: of its network.
        norm: batch-norm variant; None: the architecture's.
        paper: paper and row that it is for.
        data: data set that it trains on.
    """

    name: str
    title: str
    method: str
    architecture: str
    norm: str | None
    paper: str
    data: str


@spelled_out()
def list_recipes() -> tuple[RecipeRow, ...]:
    """Return all recipes, built-in ones and those of installed packages, and the heads on frozen backbones.

    >>> next(one for one in list_recipes() if one.name == "augmix-digits").data
    'digits'
    """
    from robench.training import recipes
    from robench.training.probe.options import PAPERS, RECIPES

    rows = {name: recipes.read(name) for name in recipes.names()}
    return tuple(
        RecipeRow(
            name,
            str(one.get("title", "")),
            str(one.get("method", "")),
            str(one.get("architecture", "")),
            one.get("norm"),
            str(one.get("paper", "")),
            str(one["data"]["dataset"]),
        )
        for name, one in rows.items()
    ) + tuple(
        RecipeRow(name, title, name, "a frozen backbone", None, PAPERS[name], "any") for name, title in RECIPES.items()
    )


@spelled_out()
def describe_recipe(name: Place, *, set: Settings = ()) -> Recipe | ProbeSettings:
    """Return a recipe in full, with every default filled in.

    Args:
        name: a recipe's name, or a YAML file.
        set: fields to override: ``{"epochs": 20}`` or ``["epochs=20"]``.

    Raises:
        RobenchError: no such recipe, or settings that do not fit.

    >>> describe_recipe("augmix-digits", set={"epochs": 3}).epochs
    3
    """
    from robench.training import recipes

    if is_probe(name):
        from robench.training.probe.options import settings_of as of_probe

        return of_probe(str(name), settings_of(set))
    return recipes.load(str(place("name", name)), settings_of(set))
