"""Split BatchNorm with weak augmentation ("Weak Augment"): strong views have their own BatchNorm.

Every batch has two views: a weakly augmented one through the main BatchNorm, a strongly augmented one through the
auxiliary; the loss is the mean of both (Algorithm 1 of the paper on separate BatchNorms). The finished model
predicts from the main BatchNorm, from the auxiliary one, or from their mean.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch

from robench.errors import RobenchError
from robench.training.engine.batch import Batch
from robench.training.engine.network import Network
from robench.training.methods.base import AT_LEAST_1, NOT_NEGATIVE, RADIUS, Method, Step
from robench.training.methods.cutout import cutout
from robench.training.methods.randaugment import randaugment
from robench.training.ops.attacks import pgd, random_start
from robench.training.ops.chains import ChainDistribution, augmix
from robench.training.ops.losses import cross_entropy
from robench.training.ops.pixels import flip_and_crop

VIEWS = ("none", "flip", "flip-crop", "cutout", "randaugment", "augmix", "gaussian", "adversarial")
_NOISE = 0


@dataclass
class WeakAugment(Method):
    """Weak views through the main, strong views through the auxiliary normalisation.

    The norm ``splitbn`` gives each its own affine parameters (the paper's), ``splitbn-shared`` both the same.

    Args:
        weak: ``cutout`` (the paper's), ``none``, ``flip``, ``flip-crop``, ``augmix``, ``gaussian``, ``adversarial``,
            ``randaugment``.
        strong: ``randaugment`` (the paper's) or any other of these.
        cutout: side of the square (16 on CIFAR, 90 at 224 pixels).
        strong_cutout: side of the square after RandAugment; -1: as ``cutout``.
        count, magnitude: of RandAugment.
        std: of the Gaussian noise.
        epsilon, steps, step_size: of the attack of ``adversarial``, PGD through the view's own route.
    """

    NORMS: ClassVar[tuple[str, ...]] = ("splitbn", "splitbn-shared", "dubn", "bn")
    TEST_ROUTE: ClassVar[str | None] = "main"
    RANGES: ClassVar[Mapping[str, tuple[float, float]]] = {
        "cutout": NOT_NEGATIVE,
        "strong_cutout": (-1.0, math.inf),
        "count": AT_LEAST_1,
        "magnitude": NOT_NEGATIVE,
        "std": NOT_NEGATIVE,
        "epsilon": RADIUS,
        "steps": AT_LEAST_1,
        "step_size": RADIUS,
    }

    weak: str = "cutout"
    strong: str = "randaugment"
    cutout: int = 16
    count: int = 3
    magnitude: float = 4.0
    std: float = 0.2
    strong_cutout: int = -1
    epsilon: float = 4 / 255
    steps: int = 5
    step_size: float = 1 / 255

    def __post_init__(self) -> None:
        for view in (self.weak, self.strong):
            if view not in VIEWS:
                raise RobenchError(f"Weak Augment's views must be among {', '.join(VIEWS)}; found '{view}'.")

    @property
    def passes(self) -> float:
        """See ``Method.passes``."""
        return 2.0 + self.steps * sum(view == "adversarial" for view in (self.weak, self.strong))

    def loss(self, net: Network, batch: Batch) -> Step:
        weak = net(self.view(net, batch, self.weak, "weak", "main"), "main")
        strong = net(self.view(net, batch, self.strong, "strong", "auxiliary"), "auxiliary")
        loss = 0.5 * (cross_entropy(weak, batch.labels) + cross_entropy(strong, batch.labels))
        return Step(loss, weak, batch.labels)

    def labelled_view(self, net: Network, batch: Batch) -> torch.Tensor:
        """See ``Method.labelled_view``: the weak view, of the main BatchNorm."""
        return self.view(net, batch, self.weak, "weak", "main")

    def view(self, net: Network, batch: Batch, kind: str, label: str, route: str) -> torch.Tensor:
        """Return a view with its own flips and crops: float32 in [0, 1]."""
        part = batch.data
        flip, pad = part.flip and kind != "none", 0 if kind in ("none", "flip") else part.padding
        images = flip_and_crop(batch.images, batch.stream(label), flip=flip, pad=pad)
        if kind == "randaugment":
            images = randaugment(batch, images, self.count, self.magnitude, label=f"{label}-randaugment")
            side = self.cutout if self.strong_cutout < 0 else self.strong_cutout
            return cutout(images, batch, side, f"{label}-cutout")
        if kind == "cutout":
            return cutout(images, batch, self.cutout, f"{label}-cutout")
        if kind == "augmix":
            return augmix(images, batch.stream(f"{label}-augmix"), ChainDistribution())
        pixels = images.float() / 255.0
        if kind == "adversarial":
            attack = (self.epsilon, self.steps, self.step_size, random_start(batch, f"{label}-pgd"))
            return pgd(net, pixels, batch.labels, *attack, route)
        if kind == "gaussian":
            noise = batch.stream(f"{label}-noise").normal(_NOISE, tuple(pixels.shape[1:]))
            pixels = (pixels + self.std * noise).clamp(0.0, 1.0)
        return pixels


@torch.no_grad()
def blended_probabilities(net: Network, pixels: torch.Tensor, share: float) -> torch.Tensor:
    """Return ``(1 - share) * main + share * auxiliary`` softmax probabilities, (n, K); section 6 of the paper."""
    main = net(pixels, "main").softmax(dim=1)
    return main if share == 0.0 else (1.0 - share) * main + share * net(pixels, "auxiliary").softmax(dim=1)
