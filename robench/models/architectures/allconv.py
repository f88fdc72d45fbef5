"""AllConvNet (Salimans and Kingma 2016, after Springenberg et al. 2015), as in AugMix's code."""

from __future__ import annotations

import torch
from torch import nn

from robench.models.architectures.norms import Norm, initialise, plain_norm


class _SigmoidGelu(nn.Module):
    """The sigmoid approximation of GELU: x sigmoid(1.702 x)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.sigmoid(1.702 * x)


def _layer(inputs: int, outputs: int, norm: Norm, kernel: int = 3, padding: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, kernel, padding=padding), norm(outputs), _SigmoidGelu()]


class AllConvNet(nn.Module):
    """Convolutions only, up to a linear classifier; for 32-pixel images.

    The two 1 x 1 convolutions are padded by 1, so the map grows to 10 x 10 and the 8 x 8 mean covers its upper left
    corner: a slip of the published code that published weights depend on.

    Args:
        num_classes: K.
        norm: ``bn``, ``dubn`` or ``splitbn`` (DuBIN has no place here: it is dual BatchNorm everywhere).
    """

    def __init__(self, num_classes: int, norm: str = "bn") -> None:
        super().__init__()
        plain = plain_norm(norm)
        layers: list[nn.Module] = []
        inputs = 3
        for width in (96, 192):
            for _ in range(3):
                layers += _layer(inputs, width, plain)
                inputs = width
            layers += [nn.MaxPool2d(2), nn.Dropout(0.5)]
        layers += _layer(192, 192, plain, padding=0)
        layers += _layer(192, 192, plain, kernel=1)
        layers += _layer(192, 192, plain, kernel=1)
        self.features = nn.Sequential(*layers, nn.AvgPool2d(8))
        self.head = nn.Linear(192, num_classes)
        initialise(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits (n, K) of normalised images (n, 3, 32, 32)."""
        logits: torch.Tensor = self.head(self.features(x).flatten(1))
        return logits
