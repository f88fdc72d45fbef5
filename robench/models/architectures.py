"""Architectures that robench trains, by name, with the normalisation that a training method needs.

Wide ResNets ``wrn-D-W`` for 32-pixel images (Zagoruyko and Komodakis 2016): pre-activation blocks, He fan-out
initialisation, global average pooling.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn import functional

from robench.errors import RobenchError

NORMS = ("bn", "dubn", "dubin", "splitbn")
ROUTES = ("main", "auxiliary")

Norm = Callable[[int], nn.Module]


class DualBatchNorm(nn.Module):
    """Two BatchNorms, statistics and affine parameters apart; ``route`` says which one is in use."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.main = nn.BatchNorm2d(channels)
        self.auxiliary = nn.BatchNorm2d(channels)
        self.route = "main"

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise by the route in use."""
        normalised: torch.Tensor = self.main(x) if self.route == "main" else self.auxiliary(x)
        return normalised


class DuBIN(nn.Module):
    """AugMax's DuBIN: the first half of the channels InstanceNorm, shared by both routes, the rest dual BatchNorm."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.half = channels // 2
        self.instance = nn.InstanceNorm2d(self.half, affine=True)
        self.batch = DualBatchNorm(channels - self.half)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise the two halves."""
        first, second = x[:, : self.half], x[:, self.half :]
        return torch.cat([self.instance(first.contiguous()), self.batch(second.contiguous())], dim=1)


@contextmanager
def routed(module: nn.Module, route: str) -> Iterator[None]:
    """Send images through one route of all dual normalisations within; without any, nothing changes."""
    if route not in ROUTES:
        raise RobenchError(f"Unknown route '{route}'.", hint="Routes: main, auxiliary.")
    dual = [part for part in module.modules() if isinstance(part, DualBatchNorm)]
    before = [part.route for part in dual]
    for part in dual:
        part.route = route
    try:
        yield
    finally:
        for part, earlier in zip(dual, before, strict=True):
            part.route = earlier


class _Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int, first: Norm, norm: Norm) -> None:
        super().__init__()
        self.norm1 = first(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm2 = norm(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        same = inputs == outputs and stride == 1
        self.shortcut = None if same else nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        activated = functional.relu(self.norm1(x))
        left = x if self.shortcut is None else self.shortcut(activated)
        right = self.conv2(functional.relu(self.norm2(self.conv1(activated))))
        return left + right


class WideResNet(nn.Module):
    """Wide ResNet for 32-pixel images.

    Args:
        depth: 6 n + 4.
        width: widening factor.
        num_classes: K.
        norm: ``bn``, ``dubn``, ``dubin`` (first norm of the blocks of the first two stages, IBN-a; dual BatchNorm
            elsewhere) or ``splitbn`` (the same modules as ``dubn``).
    """

    def __init__(self, depth: int, width: int, num_classes: int, norm: str = "bn") -> None:
        super().__init__()
        plain: Norm = nn.BatchNorm2d if norm == "bn" else DualBatchNorm
        blocks = (depth - 4) // 6
        widths = (16, 16 * width, 32 * width, 64 * width)
        self.conv = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        stages = []
        for stage in range(3):
            first: Norm = DuBIN if norm == "dubin" and stage < 2 else plain
            inputs = [widths[stage]] + [widths[stage + 1]] * (blocks - 1)
            strides = [1 if stage == 0 else 2] + [1] * (blocks - 1)
            pairs = zip(inputs, strides, strict=True)
            stages.append(nn.Sequential(*[_Block(i, widths[stage + 1], s, first, plain) for i, s in pairs]))
        self.stages = nn.Sequential(*stages)
        self.norm = plain(widths[3])
        self.head = nn.Linear(widths[3], num_classes)
        self._initialise()

    def _initialise(self) -> None:
        for part in self.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(self.head.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits (n, K) of normalised images (n, 3, H, W)."""
        features = functional.relu(self.norm(self.stages(self.conv(x))))
        logits: torch.Tensor = self.head(features.mean(dim=(2, 3)))
        return logits


def build(name: str, num_classes: int, norm: str = "bn") -> nn.Module:
    """Return a freshly initialised network.

    Args:
        name: ``wrn-D-W``.
        num_classes: K.
        norm: ``bn``, ``dubn``, ``dubin`` or ``splitbn``.

    Raises:
        RobenchError: an unknown name, depth or normalisation.
    """
    if norm not in NORMS:
        raise RobenchError(f"Unknown normalisation '{norm}'.", hint="Known: " + ", ".join(NORMS) + ".")
    found = re.fullmatch(r"wrn-(\d+)-(\d+)", name)
    if found is None or (int(found[1]) - 4) % 6:
        raise RobenchError(f"Unknown architecture '{name}'.", hint="wrn-D-W with D = 6 n + 4, such as wrn-40-2.")
    return WideResNet(int(found[1]), int(found[2]), num_classes, norm)


def known(name: str) -> bool:
    """Return whether ``build`` has this architecture."""
    found = re.fullmatch(r"wrn-(\d+)-(\d+)", name)
    return found is not None and (int(found[1]) - 4) % 6 == 0


def names() -> list[str]:
    """Return the names of architectures that papers use."""
    return ["wrn-10-1", "wrn-28-2", "wrn-28-10", "wrn-40-2"]
