"""Several processes under ``torchrun``: each takes its share of every batch, and gradients are averaged.

The gradients of a step are averaged in one all-reduce over a flat buffer after the backward pass. Methods here
run several forward passes a step, change routes through the normalisation, and differentiate with respect to
their inputs; a wrapper that hooks the module's forward would have to know of each.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import distributed, nn


@dataclass(frozen=True)
class World:
    """This process among all.

    Args:
        rank: 0 writes the files and shows the progress.
        size: number of processes.
        local_rank: number of the process on its machine, which is its GPU's number.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def first(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0


@contextmanager
def joined(device_type: str) -> Iterator[World]:
    """Join the process group that ``torchrun`` describes in the environment, and leave it; alone without it.

    At the end all wait for the last; a process that fails leaves at once, so that torchrun can stop the others.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield World()
        return
    if not distributed.is_initialized():
        distributed.init_process_group("nccl" if device_type == "cuda" else "gloo")
    try:
        yield World(distributed.get_rank(), distributed.get_world_size(), int(os.environ.get("LOCAL_RANK", "0")))
        distributed.barrier()
    finally:
        distributed.destroy_process_group()


def share_weights(module: nn.Module, world: World) -> None:
    """Give every process the first one's weights and buffers."""
    if world.size > 1:
        for value in module.state_dict().values():
            distributed.broadcast(value, 0)


def average_gradients(module: nn.Module, world: World) -> None:
    """Replace every gradient by its mean over the processes."""
    if world.size == 1:
        return
    gradients = [p.grad for p in module.parameters() if p.grad is not None]
    flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
    distributed.all_reduce(flat)
    flat /= world.size
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
