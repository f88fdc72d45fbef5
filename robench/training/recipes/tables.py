"""Reads the recipe files: tables of recipes that are put together from named parts.

A file holds ``recipes`` (name -> fields), and may hold ``shared`` fields for all of them and ``parts`` for some. A
recipe names parts and other recipes under ``extends``. Later fields win: first the shared ones, then what is
extended, in order, then the recipe's own. ``words`` fill the ``{braces}`` in title, paper and notes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from robench.errors import RobenchError, did_you_mean
from robench.files import read_document
from robench.registry import Registry

Document = dict[str, Any]

FOLDER = Path(__file__).parent
TEXTS = ("title", "paper", "notes")


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> Document:
    """Return ``below`` with the fields of ``above`` laid over it, field by field in nested mappings."""
    merged = dict(below)
    for key, value in above.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            value = merge(merged[key], value)
        merged[key] = value
    return merged


def read_own(name: str) -> Document:
    """Return the document of a built-in file; libyaml reads them all in the time that PyYAML takes for one."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    document: Document = yaml.load((FOLDER / name).read_text(encoding="utf-8"), loader)
    return document


@cache
def _parts() -> dict[str, Document]:
    return read_own("_parts.yaml")


@cache
def tables() -> dict[str, Document]:
    """Return every built-in recipe's fields by name, together with the file's ``shared`` and ``parts``."""
    found: dict[str, Document] = {}
    for path in sorted(FOLDER.glob("*.yaml")):
        if path.name.startswith("_"):
            continue
        table = read_own(path.name)
        scope = {"shared": table.get("shared", {}), "parts": table.get("parts", {})}
        found |= {name: {"own": own, **scope} for name, own in table["recipes"].items()}
    return found


def built_in(name: str) -> Document:
    """Return a built-in recipe's fields, all that it extends merged in; its words are not filled in yet."""
    entry = tables()[name]
    return merge(entry["shared"], flatten(entry["own"], entry["parts"]))


def flatten(document: Mapping[str, Any], parts: Mapping[str, Document] | None = None) -> Document:
    """Return a document with everything that it extends merged in.

    Args:
        document: fields, ``extends`` among them.
        parts: named parts of the same file, which come before the common ones.

    Raises:
        RobenchError: it extends something that does not exist.
    """
    own = dict(document)
    bases = own.pop("extends", [])
    merged: Document = {}
    for base in [bases] if isinstance(bases, str) else bases:
        merged = merge(merged, _base(base, parts or {}))
    return merge(merged, own)


def _base(name: str, parts: Mapping[str, Document]) -> Document:
    if name in parts:
        return flatten(parts[name], parts)
    if name in _parts():
        return flatten(_parts()[name])
    if name in RECIPES:
        return document(name)
    raise RobenchError(f"No recipe or part '{name}' to extend.", hint=did_you_mean(name, [*parts, *_parts(), *RECIPES]))


def fill(document: Mapping[str, Any]) -> Document:
    """Return the document with its words filled into its texts.

    Raises:
        RobenchError: a text has a word in braces that the recipe does not define.
    """
    filled = dict(document)
    words = filled.pop("words", {})
    for field in TEXTS:
        if isinstance(filled.get(field), str):
            filled[field] = re.sub(r"\{(\w+)\}", lambda match: _word(match[1], words), filled[field])
    return filled


def _word(name: str, words: Mapping[str, Any]) -> str:
    if name not in words:
        raise RobenchError(f"The recipe's text has {{{name}}}, which is not among its words.", hint="words: {...}")
    return str(words[name])


RECIPES: Registry[Mapping[str, Any] | Path] = Registry("recipe", tables(), group="robench.recipes")


def document(name: str) -> dict[str, Any]:
    """Return the merged fields of a recipe, its ``words`` not yet filled in.

    Raises:
        RobenchError: no such recipe or file.
    """
    if name.endswith((".yaml", ".yml")):
        return flatten(
            read_document(name, "recipe", hint="A built-in recipe is given by its name, such as augmix-digits.")
        )
    if name in tables():
        return built_in(name)
    found = RECIPES.get(name)
    fields = read_document(found, "recipe") if isinstance(found, Path) else dict(found)
    return flatten(fields)
