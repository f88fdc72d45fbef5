"""AugMax: the mixing weights of AugMix learnt adversarially; and its ablations AdvMix, AdvMax, AugMix+PGD.

Wang, Xiao, Kossaifi, Yu, Anandkumar, Wang: AugMax, NeurIPS 2021. Paper and published code (VITA-Group/AugMax)
differ in two places, both options: whether images stop early one by one (``early_stop``), and whether the AugMax
view has its own cross-entropy (``loss_form``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch.nn import functional

from robench.errors import RobenchError
from robench.training.engine.batch import Batch
from robench.training.engine.network import Network
from robench.training.methods.base import AT_LEAST_1, GREY, LEVEL, NOT_NEGATIVE, RADIUS, Method, Step
from robench.training.ops import augment, sampling
from robench.training.ops.attacks import Taken, pgd, random_start
from robench.training.ops.chains import ChainDistribution, augmix
from robench.training.ops.losses import cross_entropy, jensen_shannon
from robench.training.ops.stadv import spatial_attack

_M, _Q = 200, 201
HARD_VIEWS = ("augmax", "advmix", "advmax", "augmix+pgd")


def mix_chains(clean: torch.Tensor, chains: torch.Tensor, m: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """Return ``(1 - m) clean + m sum_k softmax(q)_k chain_k``.

    Args:
        clean: float (n, 3, H, W).
        chains: float (n, K, 3, H, W).
        m: (n,), share of the chains.
        q: (n, K), logits of the chains' weights.
    """
    weights = functional.softmax(q, dim=1)
    mixed = torch.einsum("nk,nkchw->nchw", weights, chains)
    share = m.view(-1, 1, 1, 1)
    return (1.0 - share) * clean + share * mixed


def worst_mixture(
    net: Network,
    clean: torch.Tensor,
    chains: torch.Tensor,
    labels: torch.Tensor,
    m: torch.Tensor,
    q: torch.Tensor,
    *,
    steps: int,
    step_size: float,
    patience: int,
    early_stop: str,
    route: str | None,
) -> tuple[torch.Tensor, float]:
    """Return AugMax images: m and q after sign-gradient ascent on the cross-entropy (Algorithm 1).

    Args:
        net: attacked in evaluation mode with frozen weights.
        clean, chains, m, q: as in ``mix_chains``; m and q are where the ascent begins.
        labels: int64 (n,).
        steps: n of the paper, the most steps.
        step_size: of m and q.
        patience: k of the paper: misclassifications after which an image stops.
        early_stop: ``paper``: every image stops by itself, after one step at the earliest; ``code``: images move on
            until all have been misclassified ``patience`` times; ``none``.
        route: through dual normalisation.

    Returns:
        float (n, 3, H, W), detached; and the number of images' passes that it took, of at most ``steps * n``: a
        forward pass alone counts as a third.
    """
    part, wrong, passes = (clean, chains, labels), torch.zeros_like(labels), 0.0
    m, q = m.clone(), q.clone()
    now_m, now_q, moving = m, q, torch.arange(len(labels), device=labels.device)
    with net.frozen():
        for step in range(steps):
            now_m, now_q = now_m.detach().requires_grad_(True), now_q.detach().requires_grad_(True)
            logits = net(mix_chains(part[0], part[1], now_m, now_q), route)
            passes += len(now_m) / 3
            # Algorithm 1 looks after each step, never at the start; the code looks before each.
            if step or early_stop != "paper":
                wrong += logits.argmax(dim=1) != part[2]
            still = wrong < patience
            if early_stop != "none" and not bool(still.any()):
                break
            if early_stop == "paper" and not bool(still.all()):  # the network does not see again what has stopped
                moving, wrong = moving[still], wrong[still]
                part = (clean[moving], chains[moving], labels[moving])
                logits = logits[still]
            loss = functional.cross_entropy(logits, part[2], reduction="sum")
            grad_m, grad_q = torch.autograd.grad(loss, (now_m, now_q))
            passes += len(now_m) * 2 / 3
            if len(moving) < len(now_m):
                now_m, now_q, grad_m, grad_q = now_m[still], now_q[still], grad_m[still], grad_q[still]
            now_m = (now_m.detach() + step_size * grad_m.sign()).clamp(0.0, 1.0)
            now_q = now_q.detach() + step_size * grad_q.sign()
            m[moving], q[moving] = now_m, now_q
    return mix_chains(clean, chains, m, q), passes


@dataclass
class AugMax(Method):
    """AugMax with its consistency loss over the clean, the AugMax and an AugMix view, each in its own pass.

    With a dual normalisation the AugMax view goes through the auxiliary route and the others, in the order
    AugMix, clean, through the main one (separate batch statistics), as in the published code.

    Args:
        hard: the adversarial view: ``augmax``; ``advmix`` (worst of several magnitudes, mixed at
            random); ``advmax`` (both, then the spatial attack of ``spatial_steps``); ``augmix+pgd`` (AugMix, then
            PGD on the pixels).
        width, depth, severity: of the chains, as for AugMix.
        steps, step_size, patience: n, the step, and k of the paper.
        early_stop: see ``worst_mixture``.
        loss_form: ``code``: CE(clean) + consistency; ``paper``: (CE(clean) + CE(hard)) / 2 + consistency (eq. 5).
        consistency: weight of the Jensen-Shannon loss.
        worst_of: sets of magnitudes tried by AdvMix and AdvMax.
        epsilon, pgd_steps, pgd_step_size: of ``augmix+pgd``.
        spatial_steps, spatial_largest, spatial_smoothness: of the attack stAdv at the end of ``advmax``; 0 steps:
            none. The paper (appendix B) names the attack but not its settings; these are robench's.
        fill: grey outside the image.
    """

    NORMS: ClassVar[tuple[str, ...]] = ("dubin", "dubn", "bn", "ibn")
    TEST_ROUTE: ClassVar[str | None] = "main"
    RANGES: ClassVar[Mapping[str, tuple[float, float]]] = {
        "severity": LEVEL,
        "steps": AT_LEAST_1,
        "step_size": NOT_NEGATIVE,
        "patience": AT_LEAST_1,
        "consistency": NOT_NEGATIVE,
        "worst_of": AT_LEAST_1,
        "epsilon": RADIUS,
        "pgd_steps": AT_LEAST_1,
        "pgd_step_size": RADIUS,
        "spatial_steps": NOT_NEGATIVE,
        "spatial_largest": NOT_NEGATIVE,
        "spatial_smoothness": NOT_NEGATIVE,
        "fill": GREY,
    }

    hard: str = "augmax"
    width: int = 3
    depth: int = -1
    severity: float = 3.0
    steps: int = 10
    step_size: float = 0.1
    patience: int = 1
    early_stop: str = "paper"
    loss_form: str = "code"
    consistency: float = 10.0
    worst_of: int = 5
    epsilon: float = 8 / 255
    pgd_steps: int = 7
    pgd_step_size: float = 2 / 255
    spatial_steps: int = 0
    spatial_largest: float = 1.0
    spatial_smoothness: float = 0.005
    fill: int = 0
    _taken: Taken = field(default_factory=Taken, init=False, repr=False)

    def __post_init__(self) -> None:
        for name, value, known in (
            ("hard", self.hard, HARD_VIEWS),
            ("early_stop", self.early_stop, ("paper", "code", "none")),
            ("loss_form", self.loss_form, ("paper", "code")),
        ):
            if value not in known:
                raise RobenchError(f"AugMax's option {name} must be one of {', '.join(known)}, found '{value}'.")

    @property
    def passes(self) -> float:
        """See ``Method.passes``."""
        attack = {"augmix+pgd": self.pgd_steps, "advmix": 0, "advmax": self.steps + self.spatial_steps}
        tried = self.worst_of / 3 if self.hard in ("advmix", "advmax") else 0.0
        return 3.0 + tried + attack.get(self.hard, self.steps)

    @property
    def passes_taken(self) -> float:
        """See ``Method.passes_taken``: an image that stops early takes fewer than ``steps`` of the attack."""
        return self.passes - self.steps + self._taken.per_image(self.steps)

    def state(self) -> dict[str, Any]:
        return self._taken.state()

    def load_state(self, state: dict[str, Any]) -> None:
        self._taken.load_state(state)

    @property
    def chains(self) -> ChainDistribution:
        """How the chains are drawn."""
        return ChainDistribution(self.width, self.depth, self.severity)

    def loss(self, net: Network, batch: Batch) -> Step:
        clean = batch.view()
        hard = self.hard_view(net, batch, clean)
        easy = augmix(clean, batch.stream("augmix-easy"), self.chains, 1.0, self.fill)
        hard_logits = net(hard, "auxiliary")
        easy_logits = net(easy, "main")
        logits = net(clean, "main")
        loss = cross_entropy(logits, batch.labels)
        if self.loss_form == "paper":
            loss = 0.5 * (loss + cross_entropy(hard_logits, batch.labels))
        loss = loss + self.consistency * jensen_shannon([logits, hard_logits, easy_logits])
        return Step(loss, logits, batch.labels)

    def hard_view(self, net: Network, batch: Batch, clean: torch.Tensor) -> torch.Tensor:
        """Return the adversarial view of the cropped uint8 images: float32 in [0, 1]."""
        if self.hard == "augmix+pgd":
            return self._augmix_pgd(net, batch, clean)
        if self.hard == "augmax":
            ops, values = self.chains.draw(batch.stream("augmax").on_host(), clean.shape[-1])
            chains = augment.chains(clean, ops, values, self.fill).float() / 255.0
        else:
            chains = self._worst_chains(net, batch, clean)
        pixels = clean.float() / 255.0
        if self.hard == "advmix":
            m, weights = self._random_mixture(batch)
            return mix_chains(pixels, chains, m, weights.log())
        stream = batch.stream("augmax")
        mixed, taken = worst_mixture(
            net,
            pixels,
            chains,
            batch.labels,
            stream.uniform(_M, ()),
            stream.uniform(_Q, (self.width,)),
            steps=self.steps,
            step_size=self.step_size,
            patience=self.patience,
            early_stop=self.early_stop,
            route="auxiliary",
        )
        self._taken.add(taken, len(clean))
        if self.hard != "advmax" or not self.spatial_steps:
            return mixed
        return spatial_attack(
            net,
            mixed,
            batch.labels,
            steps=self.spatial_steps,
            largest=self.spatial_largest,
            smoothness=self.spatial_smoothness,
            route="auxiliary",
        )

    def _random_mixture(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        stream = batch.stream("advmix")
        return stream.uniform(_M, ()), sampling.dirichlet(stream, 0, 1.0, self.width)

    def _worst_chains(self, net: Network, batch: Batch, clean: torch.Tensor) -> torch.Tensor:
        """Return for every image the chains of the worst of ``worst_of`` sets of magnitudes (appendix B)."""
        pixels = clean.float() / 255.0
        m, weights = self._random_mixture(batch)
        ops, _ = self.chains.draw(batch.stream("augmax").on_host(), clean.shape[-1])
        worst = pixels.new_full((len(clean),), -1.0)
        chosen = pixels.new_empty(len(clean), self.width, *clean.shape[1:])
        for trial in range(self.worst_of):
            values = self.chains.values(batch.stream(f"advmix-{trial}").on_host(), ops, clean.shape[-1])
            chains = augment.chains(clean, ops, values, self.fill).float() / 255.0
            with net.frozen(), torch.no_grad():
                logits = net(mix_chains(pixels, chains, m, weights.log()), "auxiliary")
            loss = functional.cross_entropy(logits, batch.labels, reduction="none")
            worse = loss > worst
            worst = torch.where(worse, loss, worst)
            chosen = torch.where(worse.view(-1, 1, 1, 1, 1), chains, chosen)
        return chosen

    def _augmix_pgd(self, net: Network, batch: Batch, clean: torch.Tensor) -> torch.Tensor:
        mixed = augmix(clean, batch.stream("augmax"), self.chains, 1.0, self.fill)
        start = random_start(batch)
        attack = (self.epsilon, self.pgd_steps, self.pgd_step_size)
        return pgd(net, mixed, batch.labels, *attack, start, "auxiliary")
