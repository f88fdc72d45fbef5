"""AutoLabel: labels that follow the distance of the augmentation; what its three forms share.

"What are effective labels for augmented data? Improving robustness with AutoLabel" (ICLR 2021 submission). The forms
for AugMix, mixup and adversarial training are in ``autolabel_augmix``, ``autolabel_mixup``, ``autolabel_adversarial``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch

from robench.training.engine.batch import Batch
from robench.training.engine.network import Network
from robench.training.methods.base import Method
from robench.training.ops.labels import BucketLabels, calibration

_WITHIN = 300
SHARE = 301
"""Draw number of an image's distance."""
CHUNK = 500
"""Held-out images that are augmented at a time."""


@dataclass
class AutoLabel(Method):
    """What all three forms share: the buckets, their update after each epoch, and its log.

    The available text gives neither N nor alpha nor the size of the held-out set (its appendix is missing); they are
    settings here.

    Args:
        buckets: N, distance buckets (for AugMix a depth).
        rate: alpha, the step of the labels.
    """

    NEEDS_VALIDATION: ClassVar[bool] = True

    buckets: int = 10
    rate: float = 1.0
    labels: BucketLabels = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.labels = BucketLabels(self.count, self.rate)

    @property
    def count(self) -> int:
        """Number of buckets in all."""
        return self.buckets

    def held_out_probabilities(self, net: Network, batch: Batch, bucket: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return probabilities and labels of the held-out images augmented at a bucket's distance."""
        raise NotImplementedError

    def end_epoch(self, net: Network, held_out: Batch | None) -> dict[str, Any]:
        """Update every bucket's label (equation 1) from the held-out images; all of them are logged.

        Every bucket is a number ``label_1``, ``label_2``... in the order of its number; ``labels`` is a list of lists,
        one for mixup and attacks, one per depth for AugMix, of the labels in the order of their buckets: by rising
        distance for mixup and attacks, by rising share of the clean image (falling distance) for AugMix.
        """
        if held_out is None:
            return {}
        was_training = net.module.training
        net.module.eval()
        for bucket in range(self.count):
            found, labels = self.held_out_probabilities(net, held_out, bucket)
            self.labels.update(bucket, calibration(found, labels))
        net.module.train(was_training)
        values = self.labels.values.tolist()
        curves = [values[start : start + self.buckets] for start in range(0, self.count, self.buckets)]
        return {f"label_{bucket + 1}": value for bucket, value in enumerate(values)} | {"labels": curves}

    def state(self) -> dict[str, Any]:
        return {"labels": self.labels.values}

    def load_state(self, state: dict[str, Any]) -> None:
        self.labels.values = state["labels"].double()

    def within(self, batch: Batch, bucket: int) -> torch.Tensor:
        """Return distances drawn uniformly within bucket ``bucket`` of ``buckets`` on (0, 1]: float32 (n,)."""
        u = batch.stream(f"autolabel-{bucket}").uniform(_WITHIN, ())
        return (bucket + u) / self.buckets

    def bucket_of(self, distance: torch.Tensor) -> torch.Tensor:
        """Return the bucket of distances in [0, 1], int64; distance 0 joins the first."""
        return (distance * self.buckets).ceil().long().clamp(1, self.buckets) - 1


def pieces(batch: Batch) -> Iterator[Batch]:
    """Yield a few hundred images at a time.

    What is augmented at once is kept at once: for an attack, every layer's output of every image. An image's random
    numbers do not depend on its neighbours, so pieces of any size give the same.
    """
    for start in range(0, len(batch.labels), CHUNK):
        yield batch.part(slice(start, start + CHUNK))


@torch.no_grad()
def probabilities(net: Network, pixels: torch.Tensor) -> torch.Tensor:
    """Return the softmax of images (n, 3, H, W), a few hundred at a time: float32 (n, K)."""
    return torch.cat([net(part).softmax(dim=1) for part in pixels.split(CHUNK)])
