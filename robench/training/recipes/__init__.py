"""The recipes that come with robench: YAML files beside this one, and any YAML file of the user's.

A recipe may say ``extends: NAME`` (or a list of names) and then holds only what differs; files whose names
begin with an underscore are such shared parts and cannot be trained by themselves.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from robench.errors import RobenchError, did_you_mean

if TYPE_CHECKING:
    from robench.training.recipe import Recipe

_FOLDER = Path(__file__).parent


def names(data: str | None = None) -> list[str]:
    """Return the names of the recipes, sorted; with ``data`` (such as ``digits``) only those for that data."""
    known = sorted(path.stem for path in _FOLDER.glob("*.yaml") if not path.name.startswith("_"))
    return [name for name in known if data is None or data in name.split("-")]


def short(name: str, data: str) -> str:
    """Return what is left of a recipe's name without its data: ``augmix-digits`` -> ``augmix``."""
    return "-".join(part for part in name.split("-") if part != data)


def in_order(names: list[str]) -> list[str]:
    """Return recipes so that those whose weights others use (EDSR, CAE) come first."""
    return sorted(names, key=lambda name: (not name.startswith(("edsr", "cae")), name))


def load(name: str, assignments: list[str] | None = None) -> Recipe:
    """Return a recipe by name or by the path of a YAML file, with ``key=value`` assignments applied.

    Raises:
        RobenchError: no such recipe, or it does not fit the schema.
    """
    from robench.training.recipe import override, validate

    document = override(read(name), assignments or [])
    document.setdefault("name", Path(name).stem)
    return validate(document, name)


def read(name: str) -> dict[str, Any]:
    """Return the merged YAML document of a recipe, not yet checked."""
    import yaml

    path = Path(name) if name.endswith((".yaml", ".yml")) else _FOLDER / f"{name}.yaml"
    if not path.is_file():
        raise RobenchError(f"No recipe '{name}'.", hint=did_you_mean(name, names()))
    document = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    if not isinstance(document, dict):
        raise RobenchError(f"Recipe {path} is not a mapping of fields.")
    bases = document.pop("extends", [])
    merged: dict[str, Any] = {}
    for base in [bases] if isinstance(bases, str) else bases:
        merged = _merge(merged, read(base))
    return _merge(merged, document)


def _merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            value = _merge(merged[key], value)
        merged[key] = value
    return merged
