"""Normalisations by name: mean and standard deviation per channel, for images in [0, 1]."""

from __future__ import annotations

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
