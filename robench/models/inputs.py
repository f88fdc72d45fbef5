"""What networks in files take: pixels or normalised images, channels first or last, a fixed number at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from robench.errors import RobenchError
from robench.models.presets import PRESETS

if TYPE_CHECKING:
    from robench.models.request import Request

_NONE = PRESETS["none"]


def is_channels_last(shape: tuple[int | None, ...]) -> bool:
    """Return whether images of this shape have their three channels last.

    >>> is_channels_last((None, 32, 32, 3)), is_channels_last((None, 3, 32, 32))
    (True, False)
    """
    return len(shape) == 4 and shape[3] == 3 and shape[1] != 3


def in_grey_levels(images: torch.Tensor) -> torch.Tensor:
    """Return images in [0, 1] as uint8 pixels from 0 to 255.

    >>> in_grey_levels(torch.tensor([0.0, 0.5, 1.0])).tolist()
    [0, 128, 255]
    """
    return (images * 255.0).round_().clamp_(0, 255).to(torch.uint8)


def refuse_normalisation(path: Path, request: Request) -> None:
    """Refuse a normalisation of images for a network that takes pixels from 0 to 255.

    Raises:
        RobenchError: the request has one.
    """
    if (request.mean or _NONE[0], request.std or _NONE[1]) != _NONE:
        raise RobenchError(
            f"{path} takes pixels from 0 to 255 (uint8), which are not normalised.",
            hint="Omit `mean`, `std` and `norm_preset`.",
        )


def in_batches(
    function: Callable[[torch.Tensor], torch.Tensor], images: torch.Tensor, least: int, most: int | None
) -> torch.Tensor:
    """Return what ``function`` gives for images (n, ...), called with ``least`` to ``most`` at a time.

    A last batch that is too small is padded with copies of its last image, whose results are dropped.

    >>> in_batches(lambda part: part + len(part), torch.tensor([[1], [2], [3]]), 2, 2).tolist()
    [[3], [4], [5]]
    """
    if len(images) >= least and (most is None or len(images) <= most):
        return function(images)
    found = []
    for part in images.split(most or len(images)):
        count = len(part)
        if count < least:
            part = part[torch.arange(least, device=part.device).clamp_(max=count - 1)]
        found.append(function(part)[:count])
    return torch.cat(found)
