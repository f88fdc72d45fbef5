"""Standard training: cross-entropy on flipped and cropped images (optionally with label smoothing)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch

from robench.training.engine.batch import Batch
from robench.training.engine.network import Network
from robench.training.methods.base import SHARE, Method, Step
from robench.training.ops.losses import cross_entropy


@dataclass
class Standard(Method):
    """Cross-entropy on the flipped and cropped images.

    Args:
        smoothing: label smoothing of Szegedy et al. 2016, the baseline of AutoLabel; 0: one-hot labels.
    """

    RANGES: ClassVar[Mapping[str, tuple[float, float]]] = {
        "smoothing": SHARE,
    }

    smoothing: float = 0.0

    def labelled_view(self, net: Network, batch: Batch) -> torch.Tensor:
        """See ``Method.labelled_view``: flips and crops."""
        return batch.view()

    def loss(self, net: Network, batch: Batch) -> Step:
        logits = net(batch.view())
        return Step(cross_entropy(logits, batch.labels, self.smoothing), logits, batch.labels)
