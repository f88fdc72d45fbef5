"""AutoLabel for AugMix, mixup and adversarial training: labels that follow the distance of the augmentation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import torch

from robench.training import augment, sampling
from robench.training.adversarial import random_start
from robench.training.attacks import pgd
from robench.training.augmix import ChainLaw
from robench.training.consistency import jensen_shannon
from robench.training.labels import BucketLabels, calibration, spread, spread_two
from robench.training.method import Batch, Method, Network, Step, cross_entropy
from robench.training.mixup import partners

_WITHIN, _SHARE = 300, 301
_CHUNK = 500


@dataclass
class AutoLabel(Method):
    """The part that all three share: buckets, their update after each epoch, its log.

    The paper's text that we have gives neither N nor alpha nor the size of the held-out set (its appendix is
    missing); these are settings here.

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

    def end_epoch(self, net: Network, held_out: Batch | None) -> dict[str, float]:
        """Update every bucket's label (equation 1) from the held-out images."""
        if held_out is None:
            return {}
        was_training = net.module.training
        net.module.eval()
        for bucket in range(self.count):
            probabilities, labels = self.held_out_probabilities(net, held_out, bucket)
            self.labels.update(bucket, calibration(probabilities, labels))
        net.module.train(was_training)
        return {
            "label_first_bucket": float(self.labels.values[0]),
            "label_last_bucket": float(self.labels.values[-1]),
        }

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


def _pieces(batch: Batch) -> Iterator[Batch]:
    """Yield a few hundred images at a time.

    What is augmented at once is kept at once: for an attack, every layer's output of every image. An image's random
    numbers do not depend on its neighbours, so pieces of any size give the same.
    """
    parts = (batch.images.split(_CHUNK), batch.labels.split(_CHUNK), batch.index.split(_CHUNK))
    for images, labels, index in zip(*parts, strict=True):
        yield replace(batch, images=images, labels=labels, index=index)


@torch.no_grad()
def _probabilities(net: Network, pixels: torch.Tensor) -> torch.Tensor:
    return torch.cat([net(part).softmax(dim=1) for part in pixels.split(_CHUNK)])


@dataclass
class AutoLabelAugMix(AutoLabel):
    """AutoLabel for AugMix with one chain (the paper's): buckets by depth and by the clean image's share.

    Args:
        severity: as for AugMix.
        consistency: weight of a Jensen-Shannon loss between the clean and the mixed view; 0: none, and the loss is
            the cross-entropy of the mixed view alone (the text does not say that the paper uses it).
        clean: also the cross-entropy of the clean view, with its one-hot label.
    """

    severity: float = 3.0
    consistency: float = 0.0
    clean: bool = False
    depths: int = 3

    @property
    def count(self) -> int:
        """``depths * buckets``: bucket ``(d, n)`` is number ``(d - 1) * buckets + n - 1``."""
        return self.depths * self.buckets

    def mixed(
        self, batch: Batch, images: torch.Tensor, share: torch.Tensor, label: str, depth: int | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return one-chain AugMix images ``share * x + (1 - share) * chain`` and the chains' depths (n,)."""
        chain = ChainLaw(1, -1 if depth is None else depth, self.severity, uniform_depth=self.depths)
        ops, values = chain.draw(batch.stream(label), images.shape[-1])
        weights = torch.ones(len(images), 1, device=images.device)
        return augment.mix(images, ops, values, weights, 1.0 - share), (ops[:, 0] >= 0).sum(dim=1)

    def loss(self, net: Network, batch: Batch) -> Step:
        images = batch.view()
        share = batch.stream("autolabel").uniform(_SHARE, ())
        mixed, depths = self.mixed(batch, images, share, "autolabel-chain")
        bucket = (depths - 1) * self.buckets + self.bucket_of(share)
        if not (self.clean or self.consistency):
            logits = net(mixed)
            targets = spread(batch.labels, self.labels.of(bucket), logits.shape[1])
            return Step(cross_entropy(logits, targets), logits, batch.labels)
        plain, logits = net(torch.cat([images.float() / 255.0, mixed])).chunk(2)
        targets = spread(batch.labels, self.labels.of(bucket), logits.shape[1])
        loss = cross_entropy(logits, targets)
        if self.clean:
            loss = 0.5 * (loss + cross_entropy(plain, batch.labels))
        if self.consistency:
            loss = loss + self.consistency * jensen_shannon([plain, logits])
        return Step(loss, logits, batch.labels)

    def held_out_probabilities(self, net: Network, batch: Batch, bucket: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Augment at the bucket's depth with shares from its range."""
        depth, number = bucket // self.buckets + 1, bucket % self.buckets
        label = f"autolabel-held-out-{bucket}"
        found = []
        for piece in _pieces(batch):
            mixed, _ = self.mixed(piece, piece.images, self.within(piece, number), label, depth)
            found.append(_probabilities(net, mixed))
        return torch.cat(found), batch.labels


@dataclass
class AutoLabelMixup(AutoLabel):
    """AutoLabel for mixup: buckets by the minor image's share.

    Args:
        alpha: of mixup's Beta law (1 in the paper); one share an image.
    """

    alpha: float = 1.0

    def loss(self, net: Network, batch: Batch) -> Step:
        pixels = batch.view().float() / 255.0
        share = sampling.beta(batch.stream("autolabel-mixup"), 0, self.alpha)
        minor = torch.minimum(share, 1.0 - share)
        partner = partners(batch, "autolabel-partners")
        weight = share.view(-1, 1, 1, 1)
        logits = net(weight * pixels + (1.0 - weight) * pixels[partner])
        own_major = share >= 0.5
        major = torch.where(own_major, batch.labels, batch.labels[partner])
        other = torch.where(own_major, batch.labels[partner], batch.labels)
        value = self.labels.of(self.bucket_of(2.0 * minor))
        targets = spread_two(major, other, minor, value, logits.shape[1])
        return Step(cross_entropy(logits, targets), logits, major)

    def held_out_probabilities(self, net: Network, batch: Batch, bucket: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Mix held-out images with one another; the class that prevails counts as right."""
        pixels = batch.images.float() / 255.0
        partner = partners(batch, f"autolabel-held-out-{bucket}")
        minor = (0.5 * self.within(batch, bucket)).view(-1, 1, 1, 1)
        return _probabilities(net, (1.0 - minor) * pixels + minor * pixels[partner]), batch.labels


@dataclass
class AutoLabelAdversarial(AutoLabel):
    """AutoLabel for adversarial training: the radius is drawn for every image, buckets by radius.

    Args:
        epsilon: the greatest radius, in units of [0, 1].
        steps: of the attack.
        step_fraction: length of a step as a share of the radius.
    """

    epsilon: float = 8 / 255
    steps: int = 7
    step_fraction: float = 0.25

    def attacked(self, net: Network, batch: Batch, pixels: torch.Tensor, radius: torch.Tensor) -> torch.Tensor:
        """Return PGD examples within every image's own radius (n,)."""
        epsilon = radius.view(-1, 1, 1, 1)
        start = random_start(batch)
        return pgd(net, pixels, batch.labels, epsilon, self.steps, self.step_fraction * epsilon, start)

    def loss(self, net: Network, batch: Batch) -> Step:
        share = batch.stream("autolabel-radius").uniform(_SHARE, ())
        attacked = self.attacked(net, batch, batch.view().float() / 255.0, share * self.epsilon)
        logits = net(attacked)
        targets = spread(batch.labels, self.labels.of(self.bucket_of(share)), logits.shape[1])
        return Step(cross_entropy(logits, targets), logits, batch.labels)

    def held_out_probabilities(self, net: Network, batch: Batch, bucket: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Attack the held-out images with radii from the bucket's range."""
        found = []
        for piece in _pieces(batch):
            radius = self.within(piece, bucket) * self.epsilon
            attacked = self.attacked(net, piece, piece.images.float() / 255.0, radius)
            found.append(_probabilities(net, attacked))
        return torch.cat(found), batch.labels
