"""ResNeXt-29 for small images (Xie et al. 2017)."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from robench.models.architectures.norms import Norm, first_norm, initialise, plain_norm


class _Bottleneck(nn.Module):
    def __init__(
        self, inputs: int, planes: int, cardinality: int, base_width: int, stride: int, first: Norm, norm: Norm
    ) -> None:
        super().__init__()
        inner, outputs = planes * base_width // 64 * cardinality, 4 * planes
        self.conv1 = nn.Conv2d(inputs, inner, 1, bias=False)
        self.norm1 = first(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride, 1, groups=cardinality, bias=False)
        self.norm2 = norm(inner)
        self.conv3 = nn.Conv2d(inner, outputs, 1, bias=False)
        self.norm3 = norm(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), norm(outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = functional.relu(self.norm1(self.conv1(x)))
        out = functional.relu(self.norm2(self.conv2(out)))
        return functional.relu(self.norm3(self.conv3(out)) + self.shortcut(x))


class ResNeXt29(nn.Module):
    """ResNeXt of 29 layers: three stages of three bottlenecks.

    Args:
        num_classes: K.
        norm: see :mod:`robench.models.architectures.norms`.
        cardinality: groups; AugMix's published code has 4.
        base_width: channels per group at the first stage; there 32.
    """

    def __init__(self, num_classes: int, norm: str = "bn", cardinality: int = 4, base_width: int = 32) -> None:
        super().__init__()
        plain = plain_norm(norm)
        self.conv = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
        self.norm = plain(64)
        stages, inputs = [], 64
        for stage, planes in enumerate((64, 128, 256)):
            first = first_norm(norm, stage, 3)
            layers = []
            for i in range(3):
                stride = 2 if i == 0 and stage > 0 else 1
                layers.append(_Bottleneck(inputs, planes, cardinality, base_width, stride, first, plain))
                inputs = 4 * planes
            stages.append(nn.Sequential(*layers))
        self.stages = nn.Sequential(*stages)
        self.head = nn.Linear(inputs, num_classes)
        initialise(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits (n, K) of normalised images (n, 3, H, W)."""
        features = self.stages(functional.relu(self.norm(self.conv(x))))
        logits: torch.Tensor = self.head(features.mean(dim=(2, 3)))
        return logits


def resnext29(num_classes: int, norm: str = "bn") -> ResNeXt29:
    """Return ResNeXt-29 with 32 groups of 4, as in the papers' text."""
    return ResNeXt29(num_classes, norm, cardinality=32, base_width=4)


def resnext29_4x32(num_classes: int, norm: str = "bn") -> ResNeXt29:
    """Return ResNeXt-29 with 4 groups of 32, as in AugMix's and AugMax's code."""
    return ResNeXt29(num_classes, norm, cardinality=4, base_width=32)
