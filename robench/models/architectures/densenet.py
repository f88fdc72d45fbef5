"""DenseNets for small images (Huang et al. 2017): the bottleneck form of the papers, the plain one of AugMix's code."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from robench.models.architectures.norms import Norm, first_norm, initialise, plain_norm


class _Layer(nn.Module):
    def __init__(self, inputs: int, growth: int, bottleneck: bool, first: Norm, norm: Norm) -> None:
        super().__init__()
        inner = 4 * growth
        self.norm1 = first(inputs)
        if bottleneck:
            self.conv1 = nn.Conv2d(inputs, inner, 1, bias=False)
            self.norm2: nn.Module | None = norm(inner)
            self.conv2: nn.Module | None = nn.Conv2d(inner, growth, 3, padding=1, bias=False)
        else:
            self.conv1 = nn.Conv2d(inputs, growth, 3, padding=1, bias=False)
            self.norm2 = self.conv2 = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.conv1(functional.relu(self.norm1(x)))
        if self.norm2 is not None and self.conv2 is not None:
            out = self.conv2(functional.relu(self.norm2(out)))
        return torch.cat([x, out], dim=1)


class _Transition(nn.Module):
    def __init__(self, inputs: int, outputs: int, norm: Norm) -> None:
        super().__init__()
        self.norm = norm(inputs)
        self.conv = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.avg_pool2d(self.conv(functional.relu(self.norm(x))), 2)


class DenseNet(nn.Module):
    """DenseNet of three dense blocks.

    Args:
        depth, growth: of the name, such as 100 and 12.
        num_classes: K.
        norm: see :mod:`robench.models.architectures.norms`.
        bottleneck: DenseNet-BC (1 x 1 convolutions, channels halved between blocks) or the plain form.
    """

    def __init__(self, depth: int, growth: int, num_classes: int, norm: str = "bn", *, bottleneck: bool) -> None:
        super().__init__()
        plain = plain_norm(norm)
        layers = (depth - 4) // (6 if bottleneck else 3)
        channels = 2 * growth
        self.conv = nn.Conv2d(3, channels, 3, padding=1, bias=False)
        stages: list[nn.Module] = []
        for stage in range(3):
            first = first_norm(norm, stage, 3)
            for _ in range(layers):
                stages.append(_Layer(channels, growth, bottleneck, first, plain))
                channels += growth
            if stage < 2:
                outputs = channels // 2 if bottleneck else channels
                stages.append(_Transition(channels, outputs, plain))
                channels = outputs
        self.stages = nn.Sequential(*stages)
        self.norm = plain(channels)
        self.head = nn.Linear(channels, num_classes)
        initialise(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits (n, K) of normalised images (n, 3, H, W)."""
        features = functional.relu(self.norm(self.stages(self.conv(x))))
        logits: torch.Tensor = self.head(features.mean(dim=(2, 3)))
        return logits


def densenet_bc_100_12(num_classes: int, norm: str = "bn") -> DenseNet:
    """Return DenseNet-BC of depth 100 and growth 12, as in the papers' text."""
    return DenseNet(100, 12, num_classes, norm, bottleneck=True)


def densenet_40_12(num_classes: int, norm: str = "bn") -> DenseNet:
    """Return DenseNet of depth 40 and growth 12 without bottlenecks, as in AugMix's code."""
    return DenseNet(40, 12, num_classes, norm, bottleneck=False)
