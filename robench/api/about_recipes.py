"""``robench.api.list_recipes()`` and ``describe_recipe(name)``: how models of the papers' tables are trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from robench.api.options import Place
from robench.api.probe import is_probe
from robench.api.train import settings_of
from robench.api.words import place, spelled_out
from robench.errors import RobenchError, did_you_mean

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
        epochs, batch_size: of the training; 0 where a recipe has none.
        passes: forward and backward passes per training image, over the whole run; None: not known.
        hours: of these passes' arithmetic at 10 TFLOP/s, a busy GPU; None: not known. Augmentation and reading come
            on top; ``robench train --all SET --dry-run`` times this machine instead.
    """

    name: str
    title: str
    method: str
    architecture: str
    norm: str | None
    paper: str
    data: str
    epochs: int = 0
    batch_size: int = 0
    passes: float | None = None
    hours: float | None = None


@spelled_out()
def list_recipes(method: str | None = None, data: str | None = None) -> tuple[RecipeRow, ...]:
    """Return the recipes, built-in ones and those of installed packages, and the heads on frozen backbones.

    Args:
        method: only those of this method; None: all.
        data: only those that train on this data set; None: all.

    Raises:
        RobenchError: no recipe has this method or data set.

    >>> next(one for one in list_recipes() if one.name == "augmix-digits").data
    'digits'
    """
    from robench.training import recipes
    from robench.training.probe.options import PAPERS, RECIPES

    rows = {name: recipes.read(name) for name in recipes.names()}
    found = tuple(
        RecipeRow(
            name,
            str(one.get("title", "")),
            str(one.get("method", "")),
            str(one.get("architecture", "")),
            one.get("norm"),
            str(one.get("paper", "")),
            str(one["data"]["dataset"]),
            int(one.get("epochs", 0)),
            int(one.get("batch_size", 0)),
            *_cost(name, one),
        )
        for name, one in rows.items()
    ) + tuple(
        RecipeRow(name, title, name, "a frozen backbone", None, PAPERS[name], "any") for name, title in RECIPES.items()
    )
    return _only(_only(found, "method", method), "data", data)


def _cost(name: str, recipe: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """Return passes and hours of a built-in recipe; of others neither is known before they are built."""
    from robench.training.recipes.costs import costs

    cost = costs().get(name)
    if cost is None:
        return None, None
    data = recipe["data"]
    return cost.passes, cost.hours(str(data["dataset"]), 1 + len(data.get("extra") or ()))


def _only(rows: tuple[RecipeRow, ...], field: str, wanted: str | None) -> tuple[RecipeRow, ...]:
    """Return the rows with this value."""
    known = {getattr(one, field) for one in rows}
    if wanted is None or wanted in known:
        return tuple(one for one in rows if wanted in (None, getattr(one, field)))
    raise RobenchError(f"No recipe has the {field} '{wanted}'.", hint=did_you_mean(wanted, sorted(known)))


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
