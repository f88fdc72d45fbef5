"""Whether answers depend on which images share a batch: by float noise always, by more in some models.

A network that normalises by its batch's own statistics, adapts to what it sees, or draws random numbers answers
otherwise when the same images are run without the others. Its figures hold for one batch size and order only.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch

from robench.errors import RobenchError

if TYPE_CHECKING:
    from robench.evaluation.forward import Forward

_IMAGES = 4


@dataclass(frozen=True)
class BatchNoise:
    """How far logits move when a batch's first images are run without the others.

    Attributes:
        images: how many were run by themselves.
        batch: how many images the batch had.
        difference: largest absolute difference of a logit.
        largest: largest absolute logit of these images.
        changed: how many of them got another class.
    """

    images: int
    batch: int
    difference: float
    largest: float
    changed: int

    def line(self) -> dict[str, Any]:
        """Return it as the run's log keeps it."""
        return asdict(self)


def batch_noise(forward: Forward, images: torch.Tensor, logits: torch.Tensor) -> BatchNoise | None:
    """Run the first images of a batch by themselves and compare; None where that cannot be done.

    It cannot with fewer than 8 images, or where the model takes one batch size only. PyTorch's random numbers go on
    as if nothing had been run.

    Args:
        forward: the forward pass.
        images: uint8 (n, 3, H, W), the batch.
        logits: float (n, K), what ``forward`` made of it.
    """
    if len(images) < 2 * _IMAGES:
        return None
    devices = [logits.device] if logits.device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices=devices):
            alone = forward(images[:_IMAGES])
    except RobenchError:
        return None
    together, alone = logits[:_IMAGES].float(), alone.float()
    return BatchNoise(
        images=_IMAGES,
        batch=len(images),
        difference=float((together - alone).abs().max()),
        largest=float(together.abs().max()),
        changed=int((together.argmax(dim=1) != alone.argmax(dim=1)).sum()),
    )
