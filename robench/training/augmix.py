"""AugMix: chains of random operations, mixed with the image, and a consistency loss between views.

Hendrycks, Mu, Cubuk, Zoph, Gilmer, Lakshminarayanan: AugMix, ICLR 2020. The published code mixes after
normalising; the weights sum to one, so mixing in [0, 1] and normalising afterwards is the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from robench.errors import RobenchError
from robench.training import augment, operations, sampling
from robench.training.consistency import jensen_shannon
from robench.training.method import Batch, Method, Network, Step, cross_entropy

if TYPE_CHECKING:
    from robench.corruptions.random import Stream

_DEPTH, _OPERATION, _LEVEL, _SIGN, _M, _WEIGHTS = 0, 1, 2, 3, 10, 30


@dataclass(frozen=True)
class ChainLaw:
    """How chains are drawn.

    Args:
        width: number of chains.
        depth: operations a chain; -1: one, two or three, each as likely.
        severity: the level of an operation is drawn from U(0.1, severity).
        all_ops: also contrast, color, brightness and sharpness, which overlap with the -C corruptions.
        uniform_depth: greatest depth when ``depth`` is -1.
    """

    width: int = 3
    depth: int = -1
    severity: float = 3.0
    all_ops: bool = False
    uniform_depth: int = 3

    def __post_init__(self) -> None:
        if self.width < 1 or not (self.depth == -1 or self.depth >= 1):
            raise RobenchError(
                f"AugMix's width is 1 or more and its depth 1 or more, or -1 for one to three; "
                f"found {self.width} and {self.depth}."
            )

    def draw(self, stream: Stream, size: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return ops int64 (n, width, D) and values float64 (n, width, D) for images of side ``size``."""
        longest = self.uniform_depth if self.depth < 0 else self.depth
        known = operations.AUGMIX_ALL if self.all_ops else operations.AUGMIX
        shape = (self.width, longest)
        # The lists are the first operations by number, so a place in the list is the number itself.
        ops = stream.integers(_OPERATION, 0, len(known), shape)
        values = self.values(stream, ops, size)
        if self.depth < 0:
            depths = stream.integers(_DEPTH, 1, longest + 1, (self.width, 1))
            beyond = torch.arange(longest, device=ops.device).view(1, 1, -1) >= depths
            ops = torch.where(beyond, operations.NONE, ops)
        return ops, values

    def values(self, stream: Stream, ops: torch.Tensor, size: int) -> torch.Tensor:
        """Return fresh values float64 for the operations ``ops`` (n, width, D)."""
        shape = tuple(ops.shape[1:])
        levels = 0.1 + (self.severity - 0.1) * stream.uniform(_LEVEL, shape).double()
        return operations.augmix_values(ops, levels, stream.uniform(_SIGN, shape) < 0.5, size)


def augmix(images: torch.Tensor, stream: Stream, law: ChainLaw, alpha: float = 1.0, fill: int = 0) -> torch.Tensor:
    """Return the AugMix of every image.

    Args:
        images: uint8 (n, 3, S, S), flipped and cropped already.
        stream: the images' random numbers.
        law: how the chains are drawn.
        alpha: of the Dirichlet law of the chains' weights and of the Beta law of their share.
        fill: grey value outside the image.

    Returns:
        float32 (n, 3, S, S) in [0, 1].
    """
    ops, values = law.draw(stream, images.shape[-1])
    weights = sampling.dirichlet(stream, _WEIGHTS, alpha, law.width)
    m = sampling.beta(stream, _M, alpha)
    return augment.mix(images, ops, values, weights, m, fill)


@dataclass
class AugMix(Method):
    """AugMix with the Jensen-Shannon loss over ``views`` views, or plain cross-entropy on mixed images.

    Args:
        width, depth, severity, all_ops: see ``ChainLaw``.
        alpha: of the Dirichlet and Beta laws.
        jsd: use the consistency loss; without it the loss is the cross-entropy of one mixed view.
        views: 3 (clean and two mixed views; the paper's) or 2 (clean and one).
        consistency: weight of the Jensen-Shannon loss.
        fill: grey outside the image: 0 in the published code, 128 in the authors' ImageNet script.
    """

    width: int = 3
    depth: int = -1
    severity: float = 3.0
    all_ops: bool = False
    alpha: float = 1.0
    jsd: bool = True
    views: int = 3
    consistency: float = 12.0
    fill: int = 0

    def __post_init__(self) -> None:
        if self.views not in (2, 3):
            raise RobenchError(f"AugMix's views must be 2 or 3, found {self.views}.")

    @property
    def law(self) -> ChainLaw:
        """The law of the chains."""
        return ChainLaw(self.width, self.depth, self.severity, self.all_ops)

    def mixed(self, batch: Batch, clean: torch.Tensor, view: int) -> torch.Tensor:
        """Return one AugMix view of the cropped images: float32 in [0, 1]."""
        return augmix(clean, batch.stream(f"augmix-{view}"), self.law, self.alpha, self.fill)

    def loss(self, net: Network, batch: Batch) -> Step:
        clean = batch.view()
        if not self.jsd:
            logits = net(self.mixed(batch, clean, 0))
            return Step(cross_entropy(logits, batch.labels), logits, batch.labels)
        mixed = [self.mixed(batch, clean, view) for view in range(self.views - 1)]
        # One forward pass over all views: they share BatchNorm statistics, as in the published code.
        views = net(torch.cat([clean.float() / 255.0, *mixed])).chunk(self.views)
        loss = cross_entropy(views[0], batch.labels) + self.consistency * jensen_shannon(views)
        return Step(loss, views[0], batch.labels)
