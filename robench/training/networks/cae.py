"""The compressive autoencoder that DeepAugment distorts.

The network of hendrycks/imagenet-r: an image at a quarter of its side, 32 binary channels, with one block of three
residual pairs on each side of the code. The parameters carry the published names, so the published weights load.
"""

from __future__ import annotations

import torch
from torch import nn

FACTOR = 4
"""The code's sides are the image's divided by this."""


def _pair(features: int) -> nn.Sequential:
    def padded() -> list[nn.Module]:
        return [nn.ZeroPad2d(1), nn.Conv2d(features, features, 3)]

    return nn.Sequential(*padded(), nn.LeakyReLU(), *padded())


def _up(inputs: int, middle: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, middle, 3),
        nn.LeakyReLU(),
        nn.ZeroPad2d(1),
        nn.ConvTranspose2d(middle, outputs, 2, stride=2),
    )


class CAE(nn.Module):
    """Images in [0, 1], (n, 3, H, W) with sides divisible by 4, to images of the same size in [-1, 1].

    ``encode`` gives the tanh code, ``binarise`` its stochastic bits in {0, 1}, ``decode`` the image: DeepAugment
    distorts between them.

    Args:
        width: channels of the residual blocks (128 published); the others follow in proportion.
        code: channels of the code.
    """

    def __init__(self, width: int = 128, code: int = 32) -> None:
        super().__init__()
        half = width // 2
        pad = (1, 2, 1, 2)
        self.e_conv_1 = nn.Sequential(nn.ZeroPad2d(pad), nn.Conv2d(3, half, 5, stride=2), nn.LeakyReLU())
        self.e_conv_2 = nn.Sequential(nn.ZeroPad2d(pad), nn.Conv2d(half, width, 5, stride=2), nn.LeakyReLU())
        self.e_block_1, self.e_block_2, self.e_block_3 = _pair(width), _pair(width), _pair(width)
        self.e_conv_3 = nn.Sequential(nn.Conv2d(width, code, 5, padding=2), nn.Tanh())
        self.d_up_conv_1 = _up(code, half, width)
        self.d_block_1, self.d_block_2, self.d_block_3 = _pair(width), _pair(width), _pair(width)
        self.d_up_conv_2 = _up(width, width // 4, 2 * width)
        self.d_up_conv_3 = nn.Sequential(
            nn.Conv2d(2 * width, width // 8, 3),
            nn.LeakyReLU(),
            nn.ReflectionPad2d(2),
            nn.Conv2d(width // 8, 3, 3),
            nn.Tanh(),
        )

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Return the code in (-1, 1): (n, C, H/4, W/4)."""
        x = self.e_conv_2(self.e_conv_1(x))
        for block in (self.e_block_1, self.e_block_2, self.e_block_3):
            x = x + block(x)
        return self.e_conv_3(x)

    @staticmethod
    def binarise(code: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
        """Return bits, 1 with probability (1 + code) / 2; the gradient passes straight through (half of it).

        Args:
            code: in [-1, 1].
            uniform: random numbers in [0, 1) of the code's shape.
        """
        bits = (uniform <= (1.0 + code) / 2.0).to(code.dtype)
        return bits.detach() + 0.5 * (code - code.detach())

    def decode(self, bits: torch.Tensor) -> torch.Tensor:
        """Return the image of bits in {0, 1}."""
        y = self.d_up_conv_1(bits * 2.0 - 1.0)
        for block in (self.d_block_1, self.d_block_2, self.d_block_3):
            y = y + block(y)
        return self.d_up_conv_3(self.d_up_conv_2(y))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Encode, binarise at random, decode."""
        code = self.encode(x)
        return self.decode(self.binarise(code, torch.rand_like(code)))
