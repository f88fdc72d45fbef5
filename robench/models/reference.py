"""The reference models that come with robench: a folder each, with weights, card and recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from robench.errors import RobenchError, did_you_mean

_PACKAGE = Path(__file__).parents[1]
_PLACES = (_PACKAGE / "_shipped" / "reference_models", _PACKAGE.parent / "reference_models")


def root() -> Path:
    """Return the folder of reference models: inside an installed wheel, or in the checkout.

    Raises:
        RobenchError: neither is there.
    """
    for place in _PLACES:
        if place.is_dir():
            return place
    raise RobenchError(
        "The reference models are not here.", hint="Install robench again: pip install --force-reinstall"
    )


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


def read_card(path: Path) -> dict[str, Any]:
    """Return a model card.

    Raises:
        RobenchError: it cannot be read, or lacks a field.
    """
    import yaml

    try:
        card = yaml.safe_load((path / "card.yaml").read_text())
    except (OSError, yaml.YAMLError) as error:
        raise RobenchError(f"{path / 'card.yaml'} cannot be read: {error}", hint="Train the model again.") from error
    needed = ("name", "architecture", "num_classes", "mean", "std")
    missing = [key for key in needed if not isinstance(card, dict) or key not in card]
    if missing:
        raise RobenchError(f"{path / 'card.yaml'} lacks {', '.join(missing)}.", hint="See docs in robench/models.")
    return dict(card)
