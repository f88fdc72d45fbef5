"""What a recipe trains, as one checksum: with data and seed, the identity of a trained model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robench import files

if TYPE_CHECKING:
    from robench.training.recipes.schema import Recipe

VERSION = 1
"""Incremented whenever a default changes, since defaults are not in the digest."""
WORDS = ("name", "title", "paper", "notes")
IDENTITY = ("seed",)
EXECUTION = ("compile", "checkpoint_steps")


def digest(recipe: Recipe) -> str:
    """Return the SHA-256 of everything in the resolved recipe that changes what is trained, 64 hex digits.

    Not in it: the recipe's name and texts, the seed, the name of the data set (card and result state both
    next to the digest), and settings that change how the work is done but not its outcome (``compile``,
    ``checkpoint_steps``). A value that equals its default is not in it either, so that ``width: 3`` written out and
    left to the default are one recipe, and a new setting does not change the digests of before. Of a path only the
    last part counts; of a network given by its recipe, that recipe's digest; of a method in a file, the file's bytes;
    of a metadata split in a file, what it says.
    """
    return files.digest(content(recipe))


def run_key(recipe: Recipe) -> str:
    """Return what two calls must have in common to be one run: the digest's content, seed, names, and compilation.

    Texts do not count, nor how often a checkpoint is written: a later version may word them otherwise, and a run that
    was stopped may go on with more checkpoints.
    """
    names = {"recipe": recipe.name, "dataset": recipe.data.dataset, "seed": recipe.seed, "compile": recipe.compile}
    return files.digest(content(recipe) | {"run": names})


def settings(recipe: Recipe) -> dict[str, Any]:
    """Return every setting that changes what is trained, by its path, defaults of the method included.

    For plots against a setting; the digest is the identity.

    >>> from robench.training import recipes
    >>> found = settings(recipes.load("augmix-digits"))
    >>> found["options.width"], found["optimiser.schedule"], "seed" in found
    (3, 'cosine', False)
    """
    document = recipe.model_dump(mode="json", exclude={*WORDS, *IDENTITY, *EXECUTION})
    document["options"] = _defaults(recipe.method) | document["options"]
    if recipe.before is not None:
        document["before"]["options"] = _defaults(recipe.before.method) | document["before"]["options"]
    return dict(_flat("", document))


def _defaults(method: str) -> dict[str, Any]:
    from robench.training.methods import find

    known = [one for one in fields(find(method)) if one.init and one.default is not MISSING]
    return {one.name: one.default for one in known}


def _flat(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _flat(f"{path}.{name}" if path else name, part)
    elif value is not None:
        yield path, value


def content(recipe: Recipe) -> dict[str, Any]:
    """Return the document of which ``digest`` is the checksum."""
    document = recipe.model_dump(mode="json", exclude_defaults=True, exclude={*WORDS, *IDENTITY, *EXECUTION})
    document["data"].pop("dataset", None)
    if "extra" in document["data"]:
        document["data"]["extra"] = [Path(folder).name for folder in document["data"]["extra"]]
    if recipe.data.definition is not None:
        document["data"]["definition"] = _definition(recipe.data.definition)
    if recipe.init is not None:
        document["init"] = _last_part(recipe.init)
    document |= _method(recipe.method, recipe.options)
    if recipe.before is not None:
        document["before"] = _method(recipe.before.method, recipe.before.options)
    return {"version": VERSION} | {name: _plain(value) for name, value in document.items()}


def _method(name: str, options: dict[str, Any]) -> dict[str, Any]:
    from robench.training.methods import find

    known = {field.name: field for field in fields(find(name)) if field.init}
    kept = {}
    for option, value in options.items():
        field = known.get(option)
        default = MISSING if field is None else field.default
        if field is not None and field.default_factory is not MISSING:
            default = field.default_factory()
        if value != default or isinstance(value, bool) != isinstance(default, bool):
            kept[option] = value
    if "networks" in kept:
        kept["networks"] = [_network(str(network)) for network in kept["networks"]]
    return {"method": _named_by_content(name), "options": kept}


def _named_by_content(method: str) -> str:
    """Return the method's name; of a method in a file, the checksum of the file in place of its path."""
    where, _, attribute = method.removeprefix("python:").rpartition(":")
    if method.startswith("python:") and where.endswith(".py"):
        return f"python:{files.sha256(where)}:{attribute}"
    return method


def _definition(name: str) -> str:
    """Return a metadata split's name, or the checksum of what a file says of it."""
    from robench.suites.splits import load_definition

    return files.digest(load_definition(Path(name)).model_dump()) if name.endswith((".yaml", ".yml")) else name


def _network(network: str) -> str:
    """Return the digest of the recipe that trains a network, or the last part of a custom path."""
    from robench.training import recipes

    return digest(recipes.load(network)) if network in recipes.RECIPES else _last_part(network)


def _last_part(path: str) -> str:
    return Path(path).name if "/" in path or "\\" in path else path


def _plain(value: Any) -> Any:
    """Return a document whose whole numbers are written one way: 3 and 3.0 are the same setting."""
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
