"""The reference models that come with robench: one folder per model, with weights, card and recipe."""

from __future__ import annotations

from pathlib import Path

from robench.errors import RobenchError, did_you_mean
from robench.models.cards import read_card

__all__ = ["folder", "names", "read_card", "root"]

_PACKAGE = Path(__file__).parents[1]
_PLACES = (_PACKAGE / "_shipped" / "reference_models", _PACKAGE.parent / "reference_models")


def root() -> Path:
    """Return the folder of reference models: in an installed wheel, or in the checkout.

    Raises:
        RobenchError: it is in neither.
    """
    for place in _PLACES:
        if place.is_dir():
            return place
    raise RobenchError("The reference models are missing.", hint="Install robench again: pip install --force-reinstall")


def names() -> list[str]:
    """Return the names of all reference models, such as ``digits/augmix``."""
    try:
        place = root()
    except RobenchError:
        return []
    return sorted(str(card.parent.relative_to(place)) for card in place.glob("*/*/card.yaml"))


def folder(name: str) -> Path:
    """Return a reference model's folder.

    Raises:
        RobenchError: no such model; the message suggests the nearest names.
    """
    if name not in names():
        raise RobenchError(f"Unknown reference model '{name}'.", hint=did_you_mean(name, names()))
    return root() / name
