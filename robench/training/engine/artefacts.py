"""The folder of a finished run: weights, card, resolved recipe."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import nn

from robench.data.classes import class_list
from robench.errors import RobenchError
from robench.files import atomic_write
from robench.processes import Precision, dtype_of
from robench.training.recipes.digest import digest, run_key, settings
from robench.training.recipes.schema import Recipe


def round_weights(module: nn.Module, kind: Precision) -> dict[str, torch.Tensor]:
    """Round the module's weights to the type they are saved in, in place, and return them in that type.

    Buffers of running statistics are rounded as well; integer buffers stay.
    """
    dtype = dtype_of(kind)
    rounded = {}
    with torch.no_grad():
        for name, value in module.state_dict().items():
            if value.is_floating_point():
                saved = value.to(dtype)
                value.copy_(saved)
            else:
                saved = value
            rounded[name] = saved.cpu().contiguous().clone()  # the file format has no shared memory
    return rounded


def write(out: Path, recipe: Recipe, weights: dict[str, torch.Tensor], card: dict[str, Any]) -> None:
    """Write ``weights.safetensors``, ``recipe.yaml`` and ``card.yaml`` (last: a card marks a finished run)."""
    from safetensors.torch import save

    with atomic_write(out / "weights.safetensors", own=True) as file:
        file.write(save(weights))
    _write_yaml(out / "recipe.yaml", recipe.model_dump(mode="json"))
    _write_yaml(out / "card.yaml", card)


def check_same(out: Path, recipe: Recipe) -> None:
    """Check that the finished run in ``out`` is this one, by ``run_key``.

    Raises:
        RobenchError: it is of another recipe, or of other settings.
    """
    import yaml

    path = out / "recipe.yaml"
    finished = ""
    with suppress(OSError, ValueError, RobenchError, yaml.YAMLError):
        finished = run_key(Recipe.model_validate(yaml.safe_load(path.read_text(encoding="utf-8"))))
    if finished != run_key(recipe):
        raise RobenchError(
            f"{out} holds a finished run with other settings.",
            hint="Give another `out`, or `fresh=True` to start again there.",
        )


def images_digest(out: Path) -> str | None:
    """Return the digest of the training images of the finished run in ``out``; None where its card has none."""
    from robench.files import read_document

    found = (read_document(out / "card.yaml", "model card").get("trained_with") or {}).get("images_digest")
    return None if found is None else str(found)


def make_card(
    recipe: Recipe, command: str, trained_with: dict[str, Any], classes: Sequence[str] | None = None
) -> dict[str, Any]:
    """Return the card of a trained model: what it is, how to load it, and how to train it again.

    Args:
        recipe: of the model.
        command: that trained it.
        trained_with: seed, epochs, images, seconds and what was measured.
        classes: names by label, which the card holds where the data set's own do not say the same; None: not known.
    """
    names = tuple(str(name) for name in classes or ())
    named = names and len(names) == recipe.num_classes and names != class_list(recipe.data.dataset)
    return {
        "name": _model_name(recipe),
        "architecture": recipe.architecture,
        "norm": recipe.norm,
        "num_classes": recipe.num_classes,
        **({"classes": list(names)} if named else {}),
        "dataset": recipe.data.dataset,
        "mean": list(recipe.data.mean),
        "std": list(recipe.data.std),
        "recipe": recipe.name,
        "recipe_digest": digest(recipe),
        "settings": settings(recipe),
        "command": command,
        "trained_with": trained_with,
    }


def _model_name(recipe: Recipe) -> str:
    """Return the recipe's name; with the network that was trained, where the recipe's own was replaced."""
    from robench.training import recipes

    if recipe.name not in recipes.names() or (own := recipes.load(recipe.name).architecture) == recipe.architecture:
        return recipe.name
    old, new = (re.sub(r"-(?=\d)", "", name, count=1) for name in (own, recipe.architecture))  # wrn-40-2: wrn40-2
    replaced = recipe.name.replace(old, new)
    return replaced if replaced != recipe.name else f"{recipe.name}-{new}"


def _write_yaml(path: Path, document: dict[str, Any]) -> None:
    import yaml

    text = io.StringIO()
    yaml.safe_dump(document, text, sort_keys=False, allow_unicode=True, width=100)
    with atomic_write(path, own=True) as file:
        file.write(text.getvalue().encode())
