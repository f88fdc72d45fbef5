"""What was chosen of a model, in words: its normalisation, its geometry, and which part of its file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from robench.results.schema import Result


def used(result: Result) -> str:
    """Return in one line which preprocessing and which part of the model's file a result is of.

    A choice is named even where a rule made it: the reader of a table cannot tell one network of a checkpoint from
    another, nor a missing normalisation from a right one.
    """
    card = result.model.card
    geometry = result.suite.protocol.get("geometry") or result.model.preprocessing.get("geometry") or {}
    parts = [f"normalisation {normalisation(result.model.preprocessing)}", _geometry(geometry)]
    if card.get("normalises"):
        parts[0] = f"{parts[0]}, and the model's own ('{card['normalises']}')".replace(" none, and", "")
    if card.get("ensemble"):
        parts.insert(0, f"one ensemble of {len(card['members'])} models ({card['ensemble']})")
    if card.get("key"):
        what = "output" if card.get("format") == "ONNX" else "weights"
        beside = f", beside {', '.join(map(str, card['beside']))}" if card.get("beside") else ""
        parts.append(f"{what} '{card['key']}' of {card.get('file', 'the file')}{beside}")
    elif card.get("beside"):
        parts.append(f"weights {card.get('file')}, beside {', '.join(map(str, card['beside']))}")
    if card.get("unused"):
        parts.append(f"unused: {', '.join(map(str, card['unused']))}")
    if card.get("class_order"):
        parts.append(f"classes ordered {card['class_order']}")
    return "; ".join(part for part in parts if part)


def normalisation(record: Mapping[str, Any]) -> str:
    """Return a preprocessing's normalisation and where it is from.

    >>> normalisation({"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25], "origin": "card"})
    'mean 0.5, 0.5, 0.5; standard deviation 0.25, 0.25, 0.25 (card)'
    >>> normalisation({"mean": [0, 0, 0], "std": [1, 1, 1], "origin": "default"})
    'none'
    """
    if record["origin"] in ("default", "file"):
        return "none"
    if record["origin"] == "ensemble":
        return "each member's own"
    mean, std = (", ".join(f"{value:g}" for value in record[key]) for key in ("mean", "std"))
    return f"mean {mean}; standard deviation {std} ({record['origin']})"


def _geometry(record: Mapping[str, Any]) -> str:
    """Return a resize and crop in words; nothing where images stay as they are."""
    sides = [f"{key} {record[key]}" for key in ("resize", "crop") if record.get(key) is not None]
    return ", ".join([*sides, str(record.get("interpolation"))]) if sides else ""
