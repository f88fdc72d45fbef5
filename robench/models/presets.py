"""Normalisations by name: mean and standard deviation per channel, for images in [0, 1]."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from robench.errors import RobenchError, did_you_mean

Triple = tuple[float, float, float]

PRESETS: dict[str, tuple[Triple, Triple]] = {
    "none": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "cifar100": ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}


def preset(name: str) -> tuple[Triple, Triple]:
    """Return (mean, std) of a preset, per channel, for images in [0, 1].

    >>> preset("half")
    ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))

    Raises:
        RobenchError: no such preset.
    """
    if name not in PRESETS:
        raise RobenchError(f"Unknown normalisation preset '{name}'.", hint=did_you_mean(str(name), PRESETS))
    return PRESETS[name]


def triple(name: str, value: Any) -> Triple | None:
    """Return the three numbers of a normalisation, of which one stands for all; None for None.

    Args:
        name: ``mean`` or ``std``.
        value: a number, or three of any sequence, array or tensor, or as text: ``"0.49,0.48,0.45"``.

    Raises:
        RobenchError: not three numbers, or not for images in [0, 1].

    >>> triple("mean", 0.5), triple("std", "0.25, 0.5, 1")
    ((0.5, 0.5, 0.5), (0.25, 0.5, 1.0))
    """
    if value is None:
        return None
    parts = value.split(",") if isinstance(value, str) else value
    try:
        found = [float(one) for one in parts] if isinstance(parts, Iterable) else [float(parts)]
    except (TypeError, ValueError):
        found = []
    found = found * 3 if len(found) == 1 else found
    if len(found) != 3 or not all(math.isfinite(one) for one in found):
        raise RobenchError(
            f"`{name}` takes 3 numbers, one per channel; found {value!r:.60}.",
            hint=f"For example `{name}=(0.4914, 0.4822, 0.4465)`.",
        )
    if not all(abs(one) <= 1 and (one > 0 or name != "std") for one in found):
        bounds = "above 0 and at most 1" if name == "std" else "for images in [0, 1]"
        raise RobenchError(
            f"`{name}` takes numbers {bounds}; found {value!r:.60}.",
            hint="Divide by 255 what is meant for pixels up to 255.",
        )
    return found[0], found[1], found[2]
