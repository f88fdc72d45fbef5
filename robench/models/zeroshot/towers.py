"""What a family of two-tower models gives: an image encoder, a text encoder, the scale between them, preprocessing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from robench.models.base import Preprocessing

Tokens = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Towers:
    """A two-tower model with the library's own tokenizer.

    Args:
        name: what tables call the model.
        family: library and kind: ``open_clip CLIP``, ``transformers SiglipModel``.
        image: from normalised float images (n, 3, H, W) to features (n, d), not normalised.
        text: holds the text encoder; moved to the device that text features are computed on.
        tokenize: from texts to named tensors, each (n, ...), as the text encoder takes them.
        encode: from these to features (n, d), not normalised.
        scale: what cosines are multiplied by before the softmax: 1 / temperature.
        bias: what is added to all logits (SigLIP), or None; it changes no softmax.
        preprocessing: of the model's own configuration.
        weights: SHA-256 over all weights and the configuration.
        tokenizer: its class and the number of tokens of a text.
        card: more that is known.
    """

    name: str
    family: str
    image: nn.Module
    text: nn.Module
    tokenize: Callable[[Sequence[str]], Tokens]
    encode: Callable[[Tokens], torch.Tensor]
    scale: float
    bias: float | None
    preprocessing: Preprocessing
    weights: str
    tokenizer: str
    card: dict[str, Any] = field(default_factory=dict)

    @property
    def temperature(self) -> float:
        """What cosines are divided by before the softmax."""
        return 1.0 / self.scale

    def record(self) -> dict[str, Any]:
        """Return what a card says of how logits come from features."""
        return {
            "family": self.family,
            "logit_scale": self.scale,
            "temperature": self.temperature,
            "logit_bias": self.bias,
            "tokenizer": self.tokenizer,
        }


class CosineClassifier(nn.Module):
    """Logits of an image encoder: its scaled cosines with one text feature per class.

    Args:
        image: from images (n, 3, H, W) to features (n, d).
        text: float32 (K, d), each of length 1.
        scale, bias: as in :class:`Towers`.
    """

    text: torch.Tensor

    def __init__(self, image: nn.Module, text: torch.Tensor, scale: float, bias: float | None) -> None:
        super().__init__()
        self.image, self.scale, self.bias = image, scale, bias or 0.0
        self.register_buffer("text", text, persistent=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return float32 logits (n, K).

        Cosines are multiplied by up to 100 or more: half precision would move logits by tenths, so that the product is
        float32 under autocast, too.
        """
        features = self.image(images)
        with torch.autocast(features.device.type, enabled=False):
            unit = nn.functional.normalize(features.float(), dim=-1)
            logits: torch.Tensor = self.scale * (unit @ self.text.T) + self.bias
        return logits
