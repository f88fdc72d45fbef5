"""Wide ResNets ``wrn-D-W`` for small images (Zagoruyko and Komodakis 2016): pre-activation blocks."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from robench.models.architectures.norms import Norm, first_norm, initialise, plain_norm


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
        plain = plain_norm(norm)
        blocks = (depth - 4) // 6
        widths = (16, 16 * width, 32 * width, 64 * width)
        self.conv = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        stages = []
        for stage in range(3):
            first = first_norm(norm, stage, 3)
            inputs = [widths[stage]] + [widths[stage + 1]] * (blocks - 1)
            strides = [1 if stage == 0 else 2] + [1] * (blocks - 1)
            pairs = zip(inputs, strides, strict=True)
            stages.append(nn.Sequential(*[_Block(i, widths[stage + 1], s, first, plain) for i, s in pairs]))
        self.stages = nn.Sequential(*stages)
        self.norm = plain(widths[3])
        self.head = nn.Linear(widths[3], num_classes)
        initialise(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits (n, K) of normalised images (n, 3, H, W)."""
        features = functional.relu(self.norm(self.stages(self.conv(x))))
        logits: torch.Tensor = self.head(features.mean(dim=(2, 3)))
        return logits
