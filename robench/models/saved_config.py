"""What a file of weights says of its preprocessing: timm's configuration in it or beside it, or training options."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from robench.documents import read_document
from robench.errors import RobenchError
from robench.models.safe_reading import Options, read_metadata

_CONFIGS = ("pretrained_cfg", "default_cfg", "data_config")
_HIGHEST = 1.5  # values above it are for pixels from 0 to 255
_MAX_BYTES = 16 << 20  # of a configuration with 21,843 names


@dataclass(frozen=True)
class SavedConfig:
    """The part of timm's configuration that decides what images become.

    Args:
        values: of ``mean``, ``std``, ``input_size``, ``crop_pct``, ``crop_mode`` and ``interpolation`` those that are
            said.
        origin: where they stand: ``checkpoint`` or ``config.json``.
        classes: ``label_names``; None: not said.
    """

    values: Mapping[str, Any]
    origin: str
    classes: tuple[str, ...] | None = field(default=None, repr=False)


def find_config(document: Any, path: Path, architecture: str, *, required: bool = True) -> SavedConfig | None:
    """Return what a file of weights says of its preprocessing, or None.

    The rule: a configuration within the checkpoint, else in the metadata of a safetensors file, else (for timm's
    architectures) the options of timm's training script in the checkpoint, else ``config.json`` beside it, if that is
    of the same architecture. Nothing is taken of a configuration without mean and std.

    Args:
        document: what the file holds.
        path: the file.
        architecture: with its library, such as ``timm:resnet18``.
        required: whether its mean and std are needed, as no option replaces them.

    Raises:
        RobenchError: they are needed, and not those of images in [0, 1].
    """
    for origin, found in _configurations(document, path, architecture):
        if found.get("mean") is None or found.get("std") is None:
            continue
        wrong = next((key for key in ("mean", "std") if not _is_triple(found[key], positive=key == "std")), None)
        if wrong is None:
            return SavedConfig(_values(found), origin, _names(found))
        if required:
            raise RobenchError(
                f"{path} has a configuration whose {wrong} is {str(found[wrong])[:60]}; expected three numbers for"
                " images in [0, 1].",
                hint="Correct it, or give `mean` and `std`.",
            )
    return None


def _configurations(document: Any, path: Path, architecture: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(document, Mapping):
        yield from (("checkpoint", document[key]) for key in _CONFIGS if isinstance(document.get(key), Mapping))
    for key, text in read_metadata(path).items():
        if key in (*_CONFIGS, "config") and (found := _parsed(text)) is not None:
            yield "checkpoint", found.get(_CONFIGS[0], found)
    library, _, name = architecture.partition(":")
    if library != "timm":
        return
    options = document.get("args") if isinstance(document, Mapping) else None
    if isinstance(options, Options):
        yield "checkpoint", _of_training(options.values)
    beside = _beside(path)
    if str(beside.get("architecture")).partition(".")[0] == name.partition(".")[0]:
        yield "config.json", {"label_names": beside.get("label_names"), **(beside.get(_CONFIGS[0]) or {})}


def _parsed(text: str) -> Mapping[str, Any] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _beside(path: Path) -> Mapping[str, Any]:
    """Return the document beside a file of weights; empty where there is none that can be read: nobody asked for it."""
    try:
        found: dict[str, Any] = read_document(path.parent / "config.json", "model configuration", max_bytes=_MAX_BYTES)
    except RobenchError:
        return {}
    return found if isinstance(found.get(_CONFIGS[0], {}), dict) else {}


def _of_training(options: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return timm's training options as a configuration; what was not set is None or empty there."""
    side = options.get("img_size")
    size = options.get("input_size") or ((3, side, side) if side else None)
    return {**{key: options.get(key) for key in ("mean", "std", "crop_pct", "interpolation")}, "input_size": size}


def _is_triple(value: Any, *, positive: bool) -> bool:
    if not isinstance(value, Sequence) or len(value) != 3 or not all(_is_number(one) for one in value):
        return False
    return max(value) <= _HIGHEST and (min(value) > 0 or not positive)


def _values(found: Mapping[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {key: tuple(float(one) for one in found[key]) for key in ("mean", "std")}
    size, portion = found.get("input_size"), found.get("crop_pct")
    if isinstance(size, Sequence) and len(size) == 3 and all(isinstance(one, int) and one > 0 for one in size):
        values["input_size"] = tuple(size)
    if portion is not None and _is_number(portion) and portion > 0:
        values["crop_pct"] = float(portion)
    texts = {key: found.get(key) for key in ("crop_mode", "interpolation")}
    return values | {key: text for key, text in texts.items() if text and isinstance(text, str)}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _names(found: Mapping[str, Any]) -> tuple[str, ...] | None:
    names = found.get("label_names")
    return tuple(map(str, names)) if isinstance(names, Sequence) and not isinstance(names, str) else None
