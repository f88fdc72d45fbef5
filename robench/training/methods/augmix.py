"""AugMix: chains of random operations, mixed with the image, and a consistency loss between views.

Hendrycks, Mu, Cubuk, Zoph, Gilmer, Lakshminarayanan: AugMix, ICLR 2020. The published code mixes after
normalising; the weights sum to one, so mixing in [0, 1] and normalising afterwards is the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch

from robench.errors import RobenchError
from robench.training.engine.batch import Batch
from robench.training.engine.network import Network
from robench.training.methods.base import GREY, LEVEL, NOT_NEGATIVE, POSITIVE, SHARE, OneView, Step
from robench.training.methods.mixup import partners, shares
from robench.training.ops.chains import ChainDistribution, augmix
from robench.training.ops.losses import cross_entropy, jensen_shannon, paired_cross_entropy


@dataclass
class AugMix(OneView):
    """AugMix with the Jensen-Shannon loss over ``views`` views, or plain cross-entropy on mixed images.

    With dual normalisation the clean view goes through the main route and the mixed views, together, through the
    auxiliary one (AugMix-DuBN and AugMix-DuBIN of the AugMax paper, section 4.3).

    Args:
        width, depth, severity, all_ops: see ``ChainDistribution``.
        alpha: of the Dirichlet and Beta distributions.
        jsd: use the consistency loss; without it the loss is the cross-entropy of one mixed view.
        views: the clean and ``views - 1`` mixed ones; 3 in the paper.
        consistency: weight of the Jensen-Shannon loss.
        fill: grey outside the image: 0 in the published code, 128 in the authors' ImageNet script.
        mixup: alpha of mixup before AugMix ("AugMix on top of Mixup", section 4.3): the images are mixed with others',
            and the cross-entropy with their labels; 0: none.
        probability: of mixing an image at all, without the consistency loss and mixup (DeepFashion Remixed: one half).
    """

    LOSS_OPTIONS: ClassVar[tuple[str, ...]] = ("jsd", "views", "consistency", "mixup")
    RANGES: ClassVar[Mapping[str, tuple[float, float]]] = {
        "severity": LEVEL,
        "alpha": POSITIVE,
        "consistency": NOT_NEGATIVE,
        "fill": GREY,
        "mixup": NOT_NEGATIVE,
        "probability": SHARE,
    }

    width: int = 3
    depth: int = -1
    severity: float = 3.0
    all_ops: bool = False
    alpha: float = 1.0
    jsd: bool = True
    views: int = 3
    consistency: float = 12.0
    fill: int = 0
    mixup: float = 0.0
    probability: float = 1.0

    def __post_init__(self) -> None:
        if not 2 <= self.views <= 8:
            raise RobenchError(f"AugMix's views must be 2 to 8, found {self.views}.")
        if self.probability != 1.0 and (self.jsd or self.mixup):
            raise RobenchError(
                "AugMix's option probability is for training without mixup and the consistency loss (jsd=false)."
            )

    @property
    def norms(self) -> tuple[str, ...]:
        """See ``Method.norms``; one view alone has no use for two routes."""
        return ("bn", "ibn", "dubn", "dubin") if self.jsd else self.NORMS

    @property
    def passes(self) -> float:
        """See ``Method.passes``."""
        return float(self.views) if self.jsd else 1.0

    @property
    def chains(self) -> ChainDistribution:
        """How the chains are drawn."""
        return ChainDistribution(self.width, self.depth, self.severity, self.all_ops)

    def mixed(self, batch: Batch, clean: torch.Tensor, view: int) -> torch.Tensor:
        """Return one AugMix view of the cropped uint8 images: float32 in [0, 1]."""
        return augmix(clean, batch.stream(f"augmix-{view}"), self.chains, self.alpha, self.fill)

    def view(self, batch: Batch) -> torch.Tensor:
        """Return the first AugMix view: float32 in [0, 1]."""
        clean = batch.view()
        mixed = self.mixed(batch, clean, 0)
        if self.probability == 1.0:
            return mixed
        kept = (batch.stream("augmix-applied").uniform(0, ()) >= self.probability).view(-1, 1, 1, 1)
        return torch.where(kept, clean.float() / 255.0, mixed)

    def loss(self, net: Network, batch: Batch) -> Step:
        if not (self.jsd or self.mixup):
            return super().loss(net, batch)
        clean, partner, share = batch.view(), torch.arange(len(batch.labels), device=batch.labels.device), None
        if self.mixup:
            partner, share = partners(batch, "mixup"), shares(batch, "mixup", self.mixup, per_image=False)
            weight = share.view(-1, 1, 1, 1)
            clean = (weight * clean + (1.0 - weight) * clean[partner]).round().to(torch.uint8)
        if not self.jsd:
            logits = net(self.mixed(batch, clean, 0))
            return Step(self._cross_entropy(logits, batch, partner, share), logits, batch.labels)
        mixed = [self.mixed(batch, clean, view) for view in range(self.views - 1)]
        if net.dual:
            views = (net(clean, "main"), *net(torch.cat(mixed), "auxiliary").chunk(self.views - 1))
        else:  # one forward pass over all views: they share BatchNorm statistics, as in the published code
            views = net(torch.cat([clean.float() / 255.0, *mixed])).chunk(self.views)
        loss = self._cross_entropy(views[0], batch, partner, share) + self.consistency * jensen_shannon(views)
        return Step(loss, views[0], batch.labels)

    @staticmethod
    def _cross_entropy(
        logits: torch.Tensor, batch: Batch, partner: torch.Tensor, share: torch.Tensor | None
    ) -> torch.Tensor:
        if share is None:
            return cross_entropy(logits, batch.labels)
        return paired_cross_entropy(logits, batch.labels, partner, share)
