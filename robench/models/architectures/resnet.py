"""ResNets for small images: ``resnet-18`` with a 3 x 3 stem, and ``resnet-20`` to ``resnet-110`` (He et al. 2016)."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from robench.models.architectures.norms import Norm, first_norm, initialise, plain_norm


class _Shortcut(nn.Module):
    """A strided 1 x 1 convolution with its normalisation."""

    def __init__(self, inputs: int, outputs: int, stride: int, norm: Norm) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
        self.norm = norm(outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.norm(self.conv(x))
        return out


class _PaddedShortcut(nn.Module):
    """Option A of the paper: every second pixel, new channels filled with zeros, no parameters."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.stride, self.extra = stride, outputs - inputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        half = self.extra // 2
        return functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, half, self.extra - half))


class _Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int, first: Norm, norm: Norm, padded: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = first(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = norm(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            make_padded = _PaddedShortcut(inputs, outputs, stride) if padded else None
            self.shortcut = make_padded or _Shortcut(inputs, outputs, stride, norm)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = functional.relu(self.norm1(self.conv1(x)))
        return functional.relu(self.norm2(self.conv2(out)) + self.shortcut(x))


class SmallResNet(nn.Module):
    """A ResNet of basic blocks for small images.

    Args:
        blocks: blocks of every stage.
        widths: channels of every stage; the stem has the first one's.
        num_classes: K.
        norm: see :mod:`robench.models.architectures.norms`.
        padded: shortcuts of option A (zeros) instead of 1 x 1 convolutions.
        stem_stride: of the first convolution; 2 at 64 pixels.
    """

    def __init__(
        self,
        blocks: tuple[int, ...],
        widths: tuple[int, ...],
        num_classes: int,
        norm: str = "bn",
        *,
        padded: bool,
        stem_stride: int = 1,
    ) -> None:
        super().__init__()
        plain = plain_norm(norm)
        self.conv = nn.Conv2d(3, widths[0], 3, stem_stride, 1, bias=False)
        self.norm = plain(widths[0])
        stages, inputs = [], widths[0]
        for stage, (count, width) in enumerate(zip(blocks, widths, strict=True)):
            first = first_norm(norm, stage, len(blocks))
            layers = []
            for i in range(count):
                layers.append(_Block(inputs, width, 2 if i == 0 and stage > 0 else 1, first, plain, padded))
                inputs = width
            stages.append(nn.Sequential(*layers))
        self.stages = nn.Sequential(*stages)
        self.head = nn.Linear(inputs, num_classes)
        initialise(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits (n, K) of normalised images (n, 3, H, W)."""
        features = self.stages(functional.relu(self.norm(self.conv(x))))
        logits: torch.Tensor = self.head(features.mean(dim=(2, 3)))
        return logits


def resnet18(num_classes: int, norm: str = "bn") -> SmallResNet:
    """Return ResNet-18 with a 3 x 3 stem and no pooling."""
    return SmallResNet((2, 2, 2, 2), (64, 128, 256, 512), num_classes, norm, padded=False)


def resnet18_64(num_classes: int, norm: str = "bn") -> SmallResNet:
    """Return ResNet-18 for 64 pixels: its 3 x 3 stem has stride 2, as in AugMax's code for Tiny ImageNet."""
    return SmallResNet((2, 2, 2, 2), (64, 128, 256, 512), num_classes, norm, padded=False, stem_stride=2)


def cifar_resnet(depth: int, num_classes: int, norm: str) -> SmallResNet:
    """Return the thin ResNet of depth 6 n + 2 (He et al. 2016, section 4.2; shortcuts of option A)."""
    count = (depth - 2) // 6
    return SmallResNet((count,) * 3, (16, 32, 64), num_classes, norm, padded=True)
