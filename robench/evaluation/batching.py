"""Whether logits depend on which images share a batch: by float noise always, by more in some models.

A network that normalises by batch statistics, adapts to its inputs, or draws random numbers gives different logits
when the same images are run without the rest of their batch. Its results hold for one batch size and order only.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from robench.errors import RobenchError
from robench.predictions import BatchCheck

if TYPE_CHECKING:
    from robench.evaluation.forward import Forward

_IMAGES = 4
# Of the largest logit. Float noise moves logits by 1e-6 of it in float32, by 1e-3 with TF32 convolutions, and by about
# 0.01 in bfloat16.
_FLOAT_NOISE = {"fp32": 0.01, "bf16": 0.05, "fp16": 0.05}


def batch_check(forward: Forward, images: torch.Tensor, logits: torch.Tensor) -> BatchCheck | None:
    """Run some images of a batch by themselves and compare; None where that is impossible.

    Half the batch is run again, at most 4 images; a single image is run together with its negative. This is impossible
    where the model takes one batch size only. PyTorch's random state and the module's buffers, in which a network
    keeps running statistics, are restored.

    Args:
        forward: the forward pass.
        images: uint8 (n, 3, H, W), the batch.
        logits: float (n, K), the output of ``forward`` for it.
    """
    alone = len(images) == 1
    tried = torch.cat([images, 255 - images]) if alone else images[: min(_IMAGES, len(images) // 2)]
    count = 1 if alone else len(tried)
    try:
        with undisturbed(forward):
            again = forward(tried, compiled=False)[:count].float()
    except RobenchError:
        return None
    first = logits[:count].float()
    if again.shape != first.shape or not torch.isfinite(first).all():
        return None
    relative = float((first - again).abs().max() / first.abs().max().clamp(min=1e-12))
    if relative <= _FLOAT_NOISE[forward.precision]:
        return BatchCheck(images=count)
    changed = int((first.argmax(dim=1) != again.argmax(dim=1)).sum())
    return BatchCheck(images=count, batch=len(images), difference=float(f"{relative:.2g}"), changed=changed)


@contextmanager
def undisturbed(forward: Forward) -> Iterator[None]:
    """Restore the random state and the module's buffers after the block."""
    devices = [forward.device] if forward.device.startswith("cuda") else []
    with torch.random.fork_rng(devices=devices), _kept_buffers(forward.model.module):
        yield


@contextmanager
def _kept_buffers(module: Any) -> Iterator[None]:
    """Restore a module's buffers, whether they were written to or replaced."""
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
