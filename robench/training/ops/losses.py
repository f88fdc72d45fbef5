"""Losses that several methods share."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

from robench.errors import RobenchError


def cross_entropy(logits: torch.Tensor, targets: torch.Tensor, smoothing: float = 0.0) -> torch.Tensor:
    """Return the mean cross-entropy, in nats.

    Args:
        logits: float (n, K).
        targets: int64 (n,) labels, or float (n, K) probabilities.
        smoothing: label smoothing of Szegedy et al. 2016, in [0, 1).

    Raises:
        RobenchError: sets of labels, int64 (n, K).

    >>> float(cross_entropy(torch.zeros(2, 4), torch.tensor([1, 3])))  # log(4)
    1.3862943649291992
    """
    _refuse_sets(targets)
    return functional.cross_entropy(logits, targets, label_smoothing=smoothing)


def _refuse_sets(labels: torch.Tensor) -> None:
    if labels.ndim == 2 and not labels.is_floating_point():
        raise RobenchError(
            "This method needs one label per image; these images have a set of labels each.",
            hint="Use `set='method=multi-label'`, with augmentation as `before.method`.",
        )


def paired_cross_entropy(
    logits: torch.Tensor, labels: torch.Tensor, partner: torch.Tensor, share: torch.Tensor
) -> torch.Tensor:
    """Return ``share * CE(labels) + (1 - share) * CE(the partner's labels)``, mean over the batch, in nats.

    Args:
        logits: float (n, K).
        labels: int64 (n,).
        partner: int64 (n,), the place of every image's partner in the batch.
        share: float (n,) in [0, 1].
    """
    _refuse_sets(labels)
    own = functional.cross_entropy(logits, labels, reduction="none")
    other = functional.cross_entropy(logits, labels[partner], reduction="none")
    return (share * own + (1.0 - share) * other).mean()


def jensen_shannon(logits: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return the Jensen-Shannon divergence between the views' predictions, in nats, mean over the batch.

    Args:
        logits: V tensors (n, K), one per view.

    Returns:
        A scalar in [0, log(min(V, K))] up to the clamp: the mean over the views of KL(p_v || M), where M is
        the mean of the V softmaxes clamped to [1e-7, 1].

    Source: Hendrycks et al. 2020, equation 2; the clamp is the published code's.

    >>> one = torch.tensor([[3.0, 0.0]])
    >>> round(float(jensen_shannon([one, one])), 6)
    0.0
    """
    probabilities = [functional.softmax(one, dim=1) for one in logits]
    mixture = torch.stack(probabilities).mean(dim=0).clamp(1e-7, 1.0).log()
    divergences = [functional.kl_div(mixture, one, reduction="batchmean") for one in probabilities]
    return torch.stack(divergences).mean()
