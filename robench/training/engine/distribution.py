"""Several processes under ``torchrun``: each takes its share of every batch, and gradients are averaged.

The gradients of a step are averaged in one all-reduce over a flat buffer after the backward pass. Methods here
run several forward passes per step, change routes through the normalisation, and differentiate with respect to
their inputs; a wrapper that hooks the module's forward would have to know of each.
"""

from __future__ import annotations

import torch
from torch import distributed, nn

from robench.processes import World


def share_weights(module: nn.Module, world: World) -> None:
    """Give every process the first one's weights and buffers."""
    if world.size > 1:
        for value in module.state_dict().values():
            distributed.broadcast(value, 0)


def average_gradients(module: nn.Module, world: World, images: int) -> None:
    """Replace every gradient by its mean over the images of all processes.

    Args:
        module: whose gradients are means over this process's images.
        world: the processes.
        images: this process's in this step; an epoch's last step may give some processes one more than others.
    """
    if world.size == 1:
        return
    gradients = [p.grad for p in module.parameters() if p.grad is not None]
    count = gradients[0].new_full((1,), images)
    flat = torch.cat([*(gradient.reshape(-1) * images for gradient in gradients), count])
    distributed.all_reduce(flat)
    flat /= flat[-1].clone()
    offset = 0
    for gradient in gradients:
        gradient.copy_(flat[offset : offset + gradient.numel()].view_as(gradient))
        offset += gradient.numel()


def total(values: torch.Tensor, world: World) -> torch.Tensor:
    """Return the sum of a small tensor over all processes."""
    if world.size > 1:
        distributed.all_reduce(values)
    return values


def average_buffers(module: nn.Module, world: World) -> None:
    """Average the running statistics over the processes, so that the saved ones have seen all images."""
    if world.size == 1:
        return
    for buffer in module.buffers():
        if buffer.is_floating_point():
            distributed.all_reduce(buffer)
            buffer /= world.size
