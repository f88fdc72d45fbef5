"""The image operations of AutoAugment and AugMix: their names, and how a level becomes a value.

A *value* is what an operation does to the pixels, free of any scale: degrees, pixels, a shear factor, a
threshold, bits to keep, a blending factor. The kernels (``kernels_cpu``, ``kernels_torch``) know values only;
every augmentation method has its own way from its random draws to values.

Sources: Cubuk et al. 2019 (AutoAugment); Hendrycks et al. 2020 (AugMix) and its published code.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from robench.errors import RobenchError, did_you_mean

if TYPE_CHECKING:
    import torch

NONE = -1
AUTOCONTRAST, EQUALIZE, POSTERIZE, ROTATE, SOLARIZE = range(5)
SHEAR_X, SHEAR_Y, TRANSLATE_X, TRANSLATE_Y = range(5, 9)
COLOR, CONTRAST, BRIGHTNESS, SHARPNESS, INVERT = range(9, 14)

NAMES: tuple[str, ...] = (
    "autocontrast",
    "equalize",
    "posterize",
    "rotate",
    "solarize",
    "shear_x",
    "shear_y",
    "translate_x",
    "translate_y",
    "color",
    "contrast",
    "brightness",
    "sharpness",
    "invert",
)

AUGMIX = NAMES[:9]
"""The nine operations of AugMix; contrast, color, brightness and sharpness overlap with ImageNet-C."""
AUGMIX_ALL = NAMES[:13]

LUT_OPERATIONS = (AUTOCONTRAST, EQUALIZE, POSTERIZE, SOLARIZE, INVERT, BRIGHTNESS)
WARP_OPERATIONS = (ROTATE, SHEAR_X, SHEAR_Y, TRANSLATE_X, TRANSLATE_Y)


def numbers(names: Sequence[str]) -> list[int]:
    """Return the operation numbers of ``names``.

    Raises:
        RobenchError: an unknown operation.
    """
    for name in names:
        if name not in NAMES:
            raise RobenchError(f"Unknown augmentation operation '{name}'.", hint=did_you_mean(name, NAMES))
    return [NAMES.index(name) for name in names]


def augmix_values(ops: torch.Tensor, levels: torch.Tensor, negative: torch.Tensor, size: int) -> torch.Tensor:
    """Return the values of AugMix operations at given levels.

    Args:
        ops: int64 tensor of operation numbers, any shape; ``NONE`` gives 0.
        levels: float64, same shape, in (0, 10]: the level L, drawn from U(0.1, severity).
        negative: bool, same shape: reverse the direction (rotate, shear, translate only).
        size: side of the image in pixels (the unit of translation is a thirtieth of it, times L).

    Returns:
        float64 of the same shape. Integers where the published code truncates (degrees, pixels, bits,
        thresholds).

    Source: google-research/augmix, ``augmentations.py``.
    """
    import torch

    start, factor, divisor, whole, signed = _scales(size, levels.device)[:, ops]
    scaled = levels * factor / divisor
    scaled = torch.where(whole > 0, scaled.long().to(scaled.dtype), scaled)
    return start + torch.where(negative & (signed > 0), -scaled, scaled)


@lru_cache(maxsize=16)
def _scales(size: int, device: torch.device) -> torch.Tensor:
    """Return float64 (5, 15), an operation's place its number and the last that of ``NONE``.

    A value is ``start + level * factor / divisor``, the second term truncated where ``whole``, and with a random sign
    where ``signed``.
    """
    import torch

    enhance = (0.1, 0.18, 1.0, 0, 0)
    shear, translate = (0.0, 0.03, 1.0, 0, 1), (0.0, size / 3, 10.0, 1, 1)
    rows = {
        POSTERIZE: (4.0, -0.4, 1.0, 1, 0),
        ROTATE: (0.0, 3.0, 1.0, 1, 1),
        SOLARIZE: (256.0, -25.6, 1.0, 1, 0),
        **dict.fromkeys((SHEAR_X, SHEAR_Y), shear),
        **dict.fromkeys((TRANSLATE_X, TRANSLATE_Y), translate),
        **dict.fromkeys((COLOR, CONTRAST, BRIGHTNESS, SHARPNESS), enhance),
    }
    none = (0.0, 0.0, 1.0, 0, 0)
    table = [rows.get(number, none) for number in (*range(len(NAMES)), NONE)]
    return torch.tensor(table, dtype=torch.float64, device=device).T.contiguous()
