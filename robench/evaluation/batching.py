"""Whether logits depend on which images share a batch: by float noise always, by more in some models.

A network that normalises by batch statistics, adapts to its inputs, or draws random numbers gives different logits
when the same images are run without the rest of their batch. Its results hold for one batch size and order only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from robench.errors import RobenchError
from robench.evaluation.moving import ToHost
from robench.predictions import BatchCheck

if TYPE_CHECKING:
    from robench.evaluation.forward import Forward

_IMAGES = 4
# Of the largest logit. Float noise moves logits by 1e-6 of it in float32, by 1e-3 with TF32 convolutions, and by about
# 0.01 in bfloat16.
_FLOAT_NOISE = {"fp32": 0.01, "bf16": 0.05, "fp16": 0.05}


Check = Callable[[], BatchCheck | None]
"""Gives what was found out, once the device has found it."""


def batch_check(forward: Forward, images: torch.Tensor, logits: torch.Tensor) -> Check:
    """Run some images of a batch by themselves and compare; finds None where that is impossible.

    Half the batch is run again, at most 4 images; a single image is run together with its negative. This is impossible
    where the model takes one batch size only. PyTorch's random state and the module's buffers, in which a network
    keeps running statistics, are restored.

    Args:
        forward: the forward pass.
        images: uint8 (n, 3, H, W), the batch.
        logits: float (n, K), the output of ``forward`` for it.

    Returns:
        What is called for the result; only then a GPU is waited for.
    """
    alone = len(images) == 1
    tried = torch.cat([images, 255 - images]) if alone else images[: min(_IMAGES, len(images) // 2)]
    count = 1 if alone else len(tried)
    try:
        with undisturbed(forward):
            again = forward(tried, compiled=False)[:count].float()
    except RobenchError:
        return lambda: None
    first = logits[:count].float()
    if again.shape != first.shape:
        return lambda: None
    relative = (first - again).abs().max() / first.abs().max().clamp(min=1e-12)
    changed = (first.argmax(dim=1) != again.argmax(dim=1)).sum()
    found = ToHost({"found": torch.stack([torch.isfinite(first).all().float(), relative, changed.float()])})
    allowed, batch = _FLOAT_NOISE[forward.precision], len(images)

    def result() -> BatchCheck | None:
        finite, difference, others = found.arrived()["found"].tolist()
        if not finite:
            return None
        if difference <= allowed:
            return BatchCheck(images=count)
        return BatchCheck(images=count, batch=batch, difference=float(f"{difference:.2g}"), changed=int(others))

    return result


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
    named = [(part, name, buffer) for part in parts for name, buffer in part._buffers.items() if buffer is not None]
    values = _copies([buffer for _, _, buffer in named])
    try:
        yield
    finally:
        with torch.inference_mode():
            for part, name, buffer in named:
                part._buffers[name] = buffer
            _restore([buffer for _, _, buffer in named], values)


def _copies(buffers: list[torch.Tensor]) -> list[torch.Tensor]:
    copies = [torch.empty_like(buffer) for buffer in buffers]
    with torch.inference_mode():
        _copy(copies, buffers)
    return copies


def _restore(buffers: list[torch.Tensor], values: list[torch.Tensor]) -> None:
    """Write values back: those that differ, or all where finding out means waiting for a GPU."""
    pairs = list(zip(buffers, values, strict=True))
    at_once = [(buffer, value) for buffer, value in pairs if buffer.is_cuda and 0 not in buffer.stride()]
    _copy([buffer for buffer, _ in at_once], [value for _, value in at_once])
    for buffer, value in pairs:
        if (not buffer.is_cuda or 0 in buffer.stride()) and not torch.equal(buffer, value):
            buffer.copy_(value)


def _copy(targets: list[torch.Tensor], sources: list[torch.Tensor]) -> None:
    """Copy tensors in one kernel for each type of numbers, instead of one for each of a network's hundred buffers."""
    for dtype in {target.dtype for target in targets}:
        alike = [(target, source) for target, source in zip(targets, sources, strict=True) if target.dtype == dtype]
        torch._foreach_copy_([target for target, _ in alike], [source for _, source in alike])
