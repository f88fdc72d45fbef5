"""Multi-label training: an independent binary cross-entropy for every class (DeepFashion Remixed)."""

from __future__ import annotations

from dataclasses import dataclass

from torch.nn import functional

from robench.training.engine.batch import Batch
from robench.training.engine.network import Network
from robench.training.methods.base import Method, Step


@dataclass
class MultiLabel(Method):
    """Binary cross-entropy of every class's logit, its mean over images and classes.

    As ``deepfashion_remix/train.py`` of hendrycks/imagenet-r. Augmentation comes ``before``. Images of one label each
    count as those of a set of one.
    """

    def loss(self, net: Network, batch: Batch) -> Step:
        logits = net(batch.view())
        labels = batch.labels
        if labels.ndim == 1:
            targets = functional.one_hot(labels, logits.shape[1]).float()
            loss = functional.binary_cross_entropy_with_logits(logits, targets)
            return Step(loss, logits, labels)
        return Step(functional.binary_cross_entropy_with_logits(logits, labels.float()))
