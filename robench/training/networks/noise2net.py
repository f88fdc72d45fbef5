"""Noise2Net's random Res2Net blocks, a different network for every image (Hendrycks et al. 2021).

As in ``train_noise2net.py`` of hendrycks/imagenet-r: an image becomes ``x + epsilon f(x)`` after four such blocks;
weights are new every step, kernel sizes and dilations every epoch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from robench.training.engine.batch import Batch

_WIDTH, _SCALE, _BLOCKS = 16, 4, 4
"""Channels of each of the parts that a Res2Net block is split into, the number of parts, and of blocks."""

_KERNEL, _DILATION, _EPSILON, _WEIGHTS = 0, 1, 2, 100


@dataclass(frozen=True)
class Shape:
    """Kernel sizes and dilations of the three inner convolutions of every block."""

    kernels: list[list[int]]
    dilations: list[list[int]]


def draw_shape(batch: Batch) -> Shape:
    """Return the epoch's kernel sizes (1 or 3) and dilations (1, 2 or 3), the same for all images."""
    from robench.corruptions.random import Stream

    device = batch.images.device
    zero = torch.zeros(1, dtype=torch.int64, device=device)
    stream = Stream(batch.seed, "train", "noise2net-shape", batch.epoch, index=zero, device=device)
    grid = (_BLOCKS, _SCALE - 1)
    kernels = 1 + 2 * stream.integers(_KERNEL, 0, 2, grid)[0]
    return Shape(kernels.tolist(), stream.integers(_DILATION, 1, 4, grid)[0].tolist())


def noise2net(inputs: torch.Tensor, batch: Batch, shape: Shape, low: float, high: float) -> torch.Tensor:
    """Return the images after their own random networks.

    All images go through one grouped convolution each layer: the batch is folded into the channels, so every
    image has its own filters, and normalisation over a channel is over that image alone.

    Args:
        inputs: normalised float (n, 3, H, W).
        batch: gives the random numbers (of its first n images).
        shape: see ``draw_shape``.
        low, high: epsilon is drawn from U(low, high) once per step, the same for all blocks.

    Returns:
        float (n, 3, H, W), not clamped.
    """
    n, _, height, width = inputs.shape
    x = inputs.reshape(1, 3 * n, height, width)
    epsilon = low + (high - low) * float(batch.stream("noise2net").uniform(_EPSILON, ())[0])
    for block in range(_BLOCKS):
        weights = _Weights(batch, n, block)
        x = x + epsilon * _res2net(x, weights, n, shape.kernels[block], shape.dilations[block])
    return x.view(n, 3, height, width)


class _Weights:
    """Filters of one block for n images, drawn as PyTorch initialises a convolution: U(-1, 1) / sqrt(fan in)."""

    def __init__(self, batch: Batch, n: int, block: int) -> None:
        self._stream = batch.stream(f"noise2net-{block}")
        self._n = n
        self._draw = _WEIGHTS

    def next(self, outputs: int, inputs: int, kernel: int) -> torch.Tensor:
        """Return filters (n * outputs, inputs, kernel, kernel)."""
        self._draw += 1
        numbers = self._stream.uniform(self._draw, (outputs, inputs, kernel, kernel))[: self._n]
        bound = (inputs * kernel * kernel) ** -0.5
        return (bound * (2.0 * numbers - 1.0)).reshape(-1, inputs, kernel, kernel)


def _res2net(x: torch.Tensor, weights: _Weights, n: int, kernels: list[int], dilations: list[int]) -> torch.Tensor:
    hidden = _conv_norm(x, weights.next(_SCALE * _WIDTH, 3, 1), n).relu()
    height, columns = hidden.shape[-2:]
    parts = hidden.view(n, _SCALE, _WIDTH, height, columns).unbind(dim=1)
    outputs = []
    previous: torch.Tensor | None = None
    for part, kernel, dilation in zip(parts, kernels, dilations, strict=False):
        merged = part if previous is None else part + previous
        flat = merged.reshape(1, n * _WIDTH, height, columns)
        filters = weights.next(_WIDTH, _WIDTH, kernel)
        convolved = _conv_norm(flat, filters, n, dilation).relu()
        previous = convolved.view(n, _WIDTH, height, columns)
        outputs.append(previous)
    outputs.append(parts[-1])
    joined = torch.cat(outputs, dim=1).reshape(1, n * _SCALE * _WIDTH, height, columns)
    return _conv_norm(joined, weights.next(3, _SCALE * _WIDTH, 1), n)


def _conv_norm(x: torch.Tensor, filters: torch.Tensor, n: int, dilation: int = 1) -> torch.Tensor:
    padding = dilation * (filters.shape[-1] // 2)
    x = functional.conv2d(x, filters, padding=padding, dilation=dilation, groups=n)
    return functional.instance_norm(x)
