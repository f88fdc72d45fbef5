"""Whether answers depend on which images share a batch: by float noise always, by more in some models.

A network that normalises by its batch's own statistics, adapts to what it sees, or draws random numbers answers
otherwise when the same images are run without the others. Its figures hold for one batch size and order only.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch

from robench.errors import RobenchError

if TYPE_CHECKING:
    from robench.evaluation.forward import Forward

_IMAGES = 4
LEAST = 2 * _IMAGES  # images of a batch that it can be tried on


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

    It cannot with fewer than 8 images, or where the model takes one batch size only. PyTorch's random numbers and the
    module's buffers, in which a network keeps running statistics, go on as if nothing had been run.

    Args:
        forward: the forward pass.
        images: uint8 (n, 3, H, W), the batch.
        logits: float (n, K), what ``forward`` made of it.
    """
    if len(images) < LEAST:
        return None
    devices = [logits.device] if logits.device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices=devices), _kept_buffers(forward.model.module):
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


@contextmanager
def _kept_buffers(module: Any) -> Iterator[None]:
    """Put a module's buffers back as they were, whether they are written to or replaced."""
    parts = list(module.modules()) if isinstance(module, torch.nn.Module) else []
    kept = [
        (part, name, buffer, buffer.clone())
        for part in parts
        for name, buffer in part._buffers.items()
        if buffer is not None
    ]
    try:
        yield
    finally:
        with torch.inference_mode():
            for part, name, buffer, values in kept:
                part._buffers[name] = buffer
                if not torch.equal(buffer, values):
                    buffer.copy_(values)
