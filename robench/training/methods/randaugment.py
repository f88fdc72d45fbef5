"""RandAugment: N operations drawn uniformly, all at one magnitude (Cubuk et al. 2020)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch

from robench.training.engine.batch import Batch
from robench.training.methods.autoaugment import OVERLAPPING, magnitude_value
from robench.training.methods.base import AT_LEAST_1, NOT_NEGATIVE, OneView
from robench.training.methods.cutout import cutout
from robench.training.ops import augment
from robench.training.ops import operations as op

_OPERATION, _SIGN = 0, 1
# The paper's fourteen: thirteen operations and the identity.
_OPERATIONS = (op.NONE, *range(op.INVERT))


def randaugment(
    batch: Batch,
    images: torch.Tensor,
    count: int,
    magnitude: float,
    starred: bool = False,
    label: str = "randaugment",
) -> torch.Tensor:
    """Return uint8 images after ``count`` random operations at ``magnitude`` (tenths of the full range).

    Args:
        batch: gives the random numbers.
        images: uint8 (n, 3, S, S).
        count, magnitude: N and M of the paper.
        starred: omit the operations that overlap with the corruptions.
        label: of the random stream.
    """
    known = [number for number in _OPERATIONS if not (starred and number in OVERLAPPING)]
    stream, size = batch.stream(label).on_host(), images.shape[-1]
    device = stream.device
    values = [0.0 if n < 0 else magnitude_value(n, magnitude / 10, size) for n in known]
    choice = stream.integers(_OPERATION, 0, len(known), (count,))
    ops = torch.tensor(known, device=device)[choice]
    value = torch.tensor(values, dtype=torch.float64, device=device)[choice]
    warps = torch.isin(ops, torch.tensor(op.WARP_OPERATIONS, device=device))
    negative = warps & (stream.uniform(_SIGN, (count,)) < 0.5)
    return augment.apply(images, ops, torch.where(negative, -value, value))


@dataclass
class RandAugment(OneView):
    """RandAugment with Cutout.

    Args:
        count: N, operations per image.
        magnitude: M, in tenths of AutoAugment's ranges; above 10 they are extended linearly, as in the published code.
        starred: omit the operations that overlap with the corruptions.
        cutout: side of the Cutout square afterwards, part of RandAugment on CIFAR; 0: none.
    """

    RANGES: ClassVar[Mapping[str, tuple[float, float]]] = {
        "count": AT_LEAST_1,
        "magnitude": NOT_NEGATIVE,
        "cutout": NOT_NEGATIVE,
    }

    count: int = 3
    magnitude: float = 4.0
    starred: bool = False
    cutout: int = 16

    def view(self, batch: Batch) -> torch.Tensor:
        """Return the images after their operations, and Cutout where asked for: float32 in [0, 1]."""
        images = randaugment(batch, batch.view(), self.count, self.magnitude, self.starred)
        return cutout(images, batch, self.cutout)
