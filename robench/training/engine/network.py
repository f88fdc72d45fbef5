"""The network in training, as methods call it: normalisation, mixed precision, routes, freezing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


class Network:
    """The module in training, with its normalisation: what a method calls.

    Args:
        module: the architecture, taking normalised float images.
        mean, std: per channel, for images in [0, 1].
        autocast: type of the mixed precision, or None.
    """

    def __init__(
        self,
        module: nn.Module,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        device: torch.device,
        autocast: torch.dtype | None = None,
    ) -> None:
        self.module = module
        self.device = device
        self._autocast = autocast
        self._compiled: nn.Module | None = getattr(module, "_orig_mod", None)  # its class would import the compiler
        self._largest = 1
        self._mean = torch.tensor(mean, device=device).view(1, -1, 1, 1)
        self._std = torch.tensor(std, device=device).view(1, -1, 1, 1)

    def normalise(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return pixels (uint8, or float in [0, 1]) as the module's float32 input, channels last."""
        if pixels.dtype == torch.uint8:
            pixels = pixels.float().div_(255.0)
        normal = (pixels - self._mean) / self._std
        return normal.contiguous(memory_format=torch.channels_last)

    def __call__(self, pixels: torch.Tensor, route: str | None = None) -> torch.Tensor:
        """Return float32 logits of uint8 pixels, or of float pixels in [0, 1]."""
        return self.raw(self.normalise(pixels), route)

    def raw(self, inputs: torch.Tensor, route: str | None = None) -> torch.Tensor:
        """Return float32 logits of inputs that are normalised already."""
        if route is None:
            return self._forward(inputs)
        from robench.models.architectures import routed

        with routed(self.module, route):
            return self._forward(inputs)

    def _forward(self, inputs: torch.Tensor) -> torch.Tensor:
        if self._compiled is None or self._compiled.training:
            return self._once(inputs)
        return self._once(self._padded(inputs))[: len(inputs)]

    def _padded(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the inputs filled up to a quarter, half, three quarters or all of the largest batch so far.

        An attack whose images stop one by one has batches of every size, and each would be compiled anew. In
        evaluation mode no image's output depends on the others.
        """
        self._largest = max(self._largest, len(inputs))
        part = -(-self._largest // 4)
        missing = min(-(-len(inputs) // part) * part, self._largest) - len(inputs)
        if not missing:
            return inputs
        filled = torch.cat([inputs, inputs.new_zeros(missing, *inputs.shape[1:])])
        return filled.contiguous(memory_format=torch.channels_last)

    def _once(self, inputs: torch.Tensor) -> torch.Tensor:
        if self._autocast is None:
            return self.module(inputs)
        with torch.autocast(self.device.type, dtype=self._autocast):
            return self.module(inputs).float()

    @property
    def dual(self) -> bool:
        """Whether the module has dual normalisation, whose two routes see different views."""
        from robench.models.architectures import DualBatchNorm

        return any(isinstance(part, DualBatchNorm) for part in self.module.modules())

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Evaluation mode and no parameter gradients within: for attacks on the input."""
        was_training = self.module.training
        wanted = [p for p in self.module.parameters() if p.requires_grad]
        self.module.eval()
        for parameter in wanted:
            parameter.requires_grad_(False)
        try:
            yield
        finally:
            for parameter in wanted:
                parameter.requires_grad_(True)
            self.module.train(was_training)
