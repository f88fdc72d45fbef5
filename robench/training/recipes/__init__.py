"""The recipes that come with robench, one file per method with a table of its variants; and those of others.

A custom recipe is a YAML file with the fields of ``schema.Recipe``; with ``extends: NAME`` it holds only what
differs. Installed packages add recipes through the entry-point group ``robench.recipes``: a mapping of fields, or
the path of a YAML file.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from robench.training.recipes import tables
from robench.training.recipes.tables import RECIPES, document

if TYPE_CHECKING:
    from robench.training.recipes.schema import Recipe


def names(data: str | None = None) -> list[str]:
    """Return the names of the recipes, sorted; with ``data`` (such as ``digits``) only those for that data.

    >>> "augmix-tiny-imagenet-resnet18" in names("tiny-imagenet"), "augmix-tiny-imagenet-resnet18" in names("imagenet")
    (True, False)
    """
    return [name for name in sorted(RECIPES) if data is None or _dataset(name) == data]


def _dataset(name: str) -> str | None:
    part = document(name).get("data")
    return str(part["dataset"]) if isinstance(part, dict) and "dataset" in part else None


def short(name: str, data: str) -> str:
    """Return what is left of a recipe's name without its data.

    >>> short("augmix-digits", "digits"), short("edsr-tiny-imagenet", "tiny-imagenet")
    ('augmix', 'edsr')
    """
    return f"-{name}-".replace(f"-{data}-", "-").strip("-")


def in_order(names: list[str]) -> list[str]:
    """Return recipes so that those whose weights others use (EDSR, CAE) come first."""
    return sorted(names, key=lambda name: (not name.startswith(("edsr", "cae")), name))


def load(name: str, assignments: list[str] | None = None) -> Recipe:
    """Return a recipe by name or by the path of a YAML file, with ``key=value`` assignments applied.

    Raises:
        RobenchError: no such recipe, it does not fit the schema, or an assignment has no effect.
    """
    from robench.training.recipes.schema import override, refuse_idle, validate

    fields = override(read(name), assignments or [])
    fields.setdefault("name", Path(name).stem if name.endswith((".yaml", ".yml")) else name)
    recipe = validate(fields, name)
    refuse_idle(recipe, assignments or [])
    return recipe


def read(name: str) -> dict[str, Any]:
    """Return the merged fields of a recipe, not yet checked."""
    return tables.fill(document(name))
