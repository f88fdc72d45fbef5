"""AutoLabel's labels: one per distance bucket, updated from the calibration of augmented held-out images.

"What are effective labels for augmented data? Improving robustness with AutoLabel", equations 1 and 2.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional

from robench.corruptions._gpu import upload

_BINS = 15


@dataclass(frozen=True)
class Calibration:
    """A classifier on one set of images: accuracy, mean confidence, expected calibration error."""

    accuracy: float
    confidence: float
    ece: float


def calibration(probabilities: torch.Tensor, labels: torch.Tensor, bins: int = _BINS) -> Calibration:
    """Return accuracy, mean top confidence, and ECE over equal-width bins.

    Args:
        probabilities: (n, K), rows summing to 1, n >= 1.
        labels: int64 (n,).
        bins: of the confidence, each open on the left and closed on the right.

    Returns:
        fractions in [0, 1].
    """
    confidence, predicted = probabilities.double().max(dim=1)
    correct = (predicted == labels).double()
    number = (confidence * bins).ceil().long().clamp(1, bins) - 1
    gap = torch.zeros(bins, dtype=torch.float64, device=probabilities.device)
    gap.scatter_add_(0, number, correct - confidence)
    ece = gap.abs().sum() / len(labels)
    return Calibration(float(correct.mean()), float(confidence.mean()), float(ece))


class BucketLabels:
    """The label of the true class, one number per bucket; 1 at first.

    Args:
        buckets: how many.
        rate: alpha of equation 1.
        device: where the numbers live.
    """

    def __init__(self, buckets: int, rate: float) -> None:
        self.values = torch.ones(buckets, dtype=torch.float64)
        self.rate = rate

    def update(self, bucket: int, found: Calibration) -> None:
        """Move one bucket's label against its miscalibration (equation 1), clipped to [accuracy, 1].

        Overconfident on the bucket's held-out images: the label goes down; underconfident: up.
        """
        difference = found.confidence - found.accuracy
        sign = (difference > 0) - (difference < 0)
        moved = float(self.values[bucket]) - self.rate * found.ece * sign
        self.values[bucket] = min(max(moved, found.accuracy), 1.0)

    def of(self, bucket: torch.Tensor) -> torch.Tensor:
        """Return the true class's label for every image's bucket: float32 (n,)."""
        return upload(self.values, bucket.device)[bucket].float()


def spread(labels: torch.Tensor, value: torch.Tensor, classes: int) -> torch.Tensor:
    """Return targets with ``value`` on the true class and the rest shared equally (equation 2).

    Args:
        labels: int64 (n,).
        value: (n,) in [0, 1].
        classes: K >= 2.

    Returns:
        float32 (n, K), rows summing to 1.
    """
    rest = ((1.0 - value) / (classes - 1)).unsqueeze(1).expand(-1, classes).clone()
    return rest.scatter(1, labels.unsqueeze(1), value.unsqueeze(1))


def spread_two(
    major: torch.Tensor, minor: torch.Tensor, minor_share: torch.Tensor, value: torch.Tensor, classes: int
) -> torch.Tensor:
    """Return mixup's targets: ``value`` on the majority class, a part on the other, the rest shared.

    The minor class gets ``min(1 - value, value * g / (1 - g))`` where g in [0, 1/2] is its share of the image, which
    keeps the ratio of the two classes; what then remains goes to the other K - 2 classes (section 4.3 of the paper).
    Where both images are of one class, it gets both parts; of two classes in all, the minor one gets ``1 - value``.

    Args:
        major, minor: int64 (n,).
        minor_share: g, (n,).
        value: (n,) in [0, 1].
        classes: K >= 2.

    Returns:
        float32 (n, K), rows summing to 1.
    """
    second = torch.minimum(1.0 - value, value * minor_share / (1.0 - minor_share))
    same = major == minor
    if classes == 2:
        second = torch.where(same, second, 1.0 - value)
    others = torch.where(same, classes - 1, classes - 2).clamp(min=1)
    rest = ((1.0 - value - second) / others).unsqueeze(1)
    hot_major = functional.one_hot(major, classes).float()
    hot_minor = functional.one_hot(minor, classes).float()
    background = rest * (1.0 - torch.maximum(hot_major, hot_minor))
    return background + value.unsqueeze(1) * hot_major + second.unsqueeze(1) * hot_minor
