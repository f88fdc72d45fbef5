"""EDSR, a super-resolution network, as DeepAugment distorts it.

Lim et al. 2017 (baseline: 16 blocks, 64 features, scale 4). The parameters carry the published names, so the
published weights load; robench's own are trained by ``robench.train("edsr-...")`` on any images.
"""

from __future__ import annotations

import torch
from torch import nn

_DIV2K_MEAN = (0.4488, 0.4371, 0.4040)
BODY_SPLIT = 5
"""Mid-body distortions act after so many blocks."""


class _Block(nn.Module):
    def __init__(self, features: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(features, features, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(features, features, 3, padding=1),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.body(x)


class EDSR(nn.Module):
    """Images in [0, 1], (n, 3, H, W), to images ``scale`` times as large.

    ``encode``, ``refine`` and ``decode`` are its three parts: DeepAugment distorts between and within them.

    Args:
        blocks: residual blocks.
        features: channels.
        scale: 2 or 4.
    """

    mean: torch.Tensor

    def __init__(self, blocks: int = 16, features: int = 64, scale: int = 4) -> None:
        super().__init__()
        self.head = nn.Sequential(nn.Conv2d(3, features, 3, padding=1))
        last = nn.Conv2d(features, features, 3, padding=1)
        self.body = nn.Sequential(*[_Block(features) for _ in range(blocks)], last)
        stages: list[nn.Module] = []
        for _ in range(scale.bit_length() - 1):
            stages += [nn.Conv2d(features, 4 * features, 3, padding=1), nn.PixelShuffle(2)]
        self.tail = nn.Sequential(nn.Sequential(*stages), nn.Conv2d(features, 3, 3, padding=1))
        self.register_buffer("mean", torch.tensor(_DIV2K_MEAN).view(1, 3, 1, 1), persistent=False)

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Return the head's features (n, F, H, W). The published network works in units of 0 to 255."""
        return self.head((x - self.mean) * 255.0)

    def refine(self, features: torch.Tensor) -> torch.Tensor:
        """Return the body's residual."""
        return self.body(features)

    def decode(self, features: torch.Tensor) -> torch.Tensor:
        """Return images in units of [0, 1], not clamped."""
        return self.tail(features) / 255.0 + self.mean

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Super-resolve."""
        features = self.encode(x)
        return self.decode(features + self.refine(features))
