"""robench's metrics of confidence as torchmetrics has them: on any device, over ranks, in Lightning's ``self.log``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from robench.errors import RobenchError, did_you_mean
from robench.metrics.streaming import StreamingMetrics

try:
    from torchmetrics import Metric, MetricCollection
except ImportError as error:
    raise RobenchError("Metrics for training loops need torchmetrics.", hint="pip install torchmetrics") from error

NAMES = tuple(StreamingMetrics().compute())
"""``accuracy``, ``error``, ``ece``, ``max_calibration_error``, ``overconfidence_gap``, ``nll``, ``brier``..."""


class ConfidenceMetric(Metric):
    """One of robench's metrics over a stream of batches, equal to :class:`robench.metrics.StreamingMetrics`.

    It keeps sums and bins in float64 on its own device; ranks are added up. ``update``, ``compute``, ``forward``,
    ``reset`` and ``to`` are torchmetrics'.

    Args:
        name: one of :data:`NAMES`.
        logits: whether batches are logits (else probabilities); it is never guessed.
        bins: bins of equal width of the calibration errors.
        options: of ``torchmetrics.Metric``.

    Raises:
        RobenchError: an unknown name.

    >>> ece = ConfidenceMetric("ece", logits=False)
    >>> ece.update(torch.tensor([[0.25, 0.75], [0.5, 0.5]]), torch.tensor([1, 1]))
    >>> round(float(ece.compute()), 4)
    0.375
    """

    is_differentiable = False
    full_state_update = False
    images: torch.Tensor
    sums: torch.Tensor
    bin_sums: torch.Tensor

    def __init__(self, name: str = "ece", *, logits: bool = True, bins: int = 15, **options: Any) -> None:
        if name not in NAMES:
            raise RobenchError(f"There is no streaming metric '{name}'.", hint=did_you_mean(name, NAMES))
        super().__init__(**options)
        self.name, self.logits = name, logits
        self.bins = StreamingMetrics(bins=bins).bins
        self.set_dtype(torch.float64)
        for state, shape in (("images", ()), ("sums", (5,)), ("bin_sums", (self.bins, 2))):
            self.add_state(state, torch.zeros(shape, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, preds: torch.Tensor, target: torch.Tensor) -> None:
        """Take a batch.

        Args:
            preds: logits or probabilities (n, K).
            target: int (n,).

        Raises:
            RobenchError: other shapes, a target out of range, or values that are not finite or no probabilities.
        """
        _check(preds, target)
        values = preds.detach().to(self.sums)
        log_p = values.log_softmax(1) if self.logits else values.clamp_min(1e-45).log()
        p = log_p.exp() if self.logits else values
        if not bool(torch.isfinite(values).all()) or (not self.logits and _no_probabilities(p)):
            raise RobenchError(
                "The batch holds NaN or infinity." if self.logits else "The batch does not hold probabilities.",
                hint="Check the model's output." if self.logits else "Give logits=True for logits.",
            )
        confidence, predicted = p.max(dim=1)
        correct = (predicted == target).to(p)
        gap = confidence - correct
        truth = torch.zeros_like(p).scatter_(1, target[:, None], 1.0)
        brier = (p - truth).square().sum(dim=1)
        nll = -log_p.gather(1, target[:, None])[:, 0]
        self.images += len(p)
        self.sums += torch.stack([one.sum() for one in (correct, confidence, nll, brier, gap * gap)])
        place = (confidence * self.bins).long().clamp(max=self.bins - 1)
        self.bin_sums.index_add_(0, place, torch.stack([gap, torch.ones_like(gap)], dim=1))

    def compute(self) -> torch.Tensor:
        """Return the metric of all batches, a float64 scalar; NaN without images."""
        found = StreamingMetrics(bins=self.bins, logits=self.logits)
        found.images = int(self.images)
        found.sums, found.bin_sums = self.sums.cpu().numpy(), self.bin_sums.cpu().numpy()
        return torch.tensor(found.compute()[self.name], dtype=torch.float64, device=self.sums.device)


def confidence_metrics(
    names: Sequence[str] = NAMES, *, logits: bool = True, bins: int = 15, prefix: str = ""
) -> MetricCollection:
    """Return several metrics as a ``torchmetrics.MetricCollection``, which keeps their state once.

    >>> metrics = confidence_metrics(logits=False)
    >>> metrics(torch.tensor([[0.25, 0.75]]), torch.tensor([1]))["brier"]
    tensor(0.1250, dtype=torch.float64)
    """
    return MetricCollection({name: ConfidenceMetric(name, logits=logits, bins=bins) for name in names}, prefix=prefix)


def _check(preds: torch.Tensor, target: torch.Tensor) -> None:
    if preds.ndim != 2 or target.shape != preds.shape[:1] or target.is_floating_point():
        raise RobenchError(
            f"Expected values (n, K) and whole numbers (n,); found {tuple(preds.shape)} and {target.dtype}"
            f" {tuple(target.shape)}.",
            hint="Give logits or probabilities and one label for every image.",
        )
    if len(target) and (int(target.min()) < 0 or int(target.max()) >= preds.shape[1]):
        raise RobenchError(
            f"A target lies outside the {preds.shape[1]} classes: {int(target.min())} to {int(target.max())}.",
            hint="Leave out images without a label.",
        )


def _no_probabilities(p: torch.Tensor) -> bool:
    return bool(len(p)) and (bool((p < 0).any()) or bool((p > 1.001).any()))
