"""What identifies the models and protocols of published cells: digests of recipes, public weights, suites' versions.

``published/recipes.csv`` and ``published/suites.csv`` are written by ``scripts/published_identities.py`` from the
recipes and suites of this version; ``published/weights.yaml`` is written by hand.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from robench.files import read_document
from robench.tables.locations import leaderboards


@dataclass(frozen=True)
class RecipeIdentity:
    """What a model must be to count as a recipe's.

    Args:
        name: the recipe's.
        digest: of the resolved recipe, :func:`robench.training.recipes.digest.digest`.
        dataset: whose training images it saw.
        images: how many of them; 0 where a recipe's settings do not fix it.
    """

    name: str
    digest: str
    dataset: str
    images: int


@dataclass(frozen=True)
class Weights:
    """Public weights.

    Args:
        name: what tables and users call them.
        title: one line.
        spec: the model spec that loads them; None: they are a file that the user brings.
        source: where that file is; of a model of the user's own, what it was trained on.
        evidence: why they are those of the paper.
        own: whether nobody published them, so that only who trained such a model has them.
    """

    name: str
    title: str
    evidence: str
    spec: str | None = None
    source: str = ""
    own: bool = False


@cache
def recipes() -> Mapping[str, RecipeIdentity]:
    """Return the recipes that published cells name, by name.

    >>> recipes()["augmix-cifar10-wrn40-2"].dataset, len(recipes()["augmix-cifar10-wrn40-2"].digest)
    ('cifar10', 64)
    """
    return {
        line["recipe"]: RecipeIdentity(line["recipe"], line["digest"], line["dataset"], int(line["images"] or 0))
        for line in _lines("recipes.csv")
    }


@cache
def suite_versions() -> Mapping[str, int]:
    """Return the version of every suite that published cells name."""
    return {line["suite"]: int(line["version"]) for line in _lines("suites.csv")}


@cache
def weights() -> Mapping[str, Weights]:
    """Return the public weights that published cells name, by name.

    >>> weights()["resnet50"].spec
    'torchvision:resnet50.IMAGENET1K_V1'
    """
    document: dict[str, Any] = dict(read_document(leaderboards() / "published" / "weights.yaml", "list of weights"))
    return {name: Weights(name=name, **fields) for name, fields in document.items()}


def same_but_form(name: str) -> str:
    """Return a recipe's name without its form: ``-code`` follows the published code, ``-paper`` the text.

    >>> same_but_form("augmax-cifar10-resnet18-paper")
    'augmax-cifar10-resnet18'
    """
    return name.removesuffix("-paper").removesuffix("-code")


def _lines(name: str) -> list[dict[str, str]]:
    path = leaderboards() / "published" / name
    if not path.is_file():  # while the list is made for the first time
        return []
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
