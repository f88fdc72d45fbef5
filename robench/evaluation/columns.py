"""From logits to the columns of the per-image table, on the device and without synchronising with it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

_FARTHEST = 9.9e5  # nats: results hold less than a million


def logits_to_columns(logits: torch.Tensor, target: torch.Tensor) -> dict[str, torch.Tensor]:
    """Compute the per-image columns from float32 logits.

    Args:
        logits: float32, shape (n, K).
        target: int64, shape (n,); -1 where there is no label.

    Returns:
        Columns of robench.predictions.table by name, plus ``finite`` (bool: no NaN or infinity in the row, and a
        likelihood that results can hold).
        Where ``target`` is -1, those of the target are NaN, and its rank is -1.

    >>> columns = logits_to_columns(torch.tensor([[2.0, 0.0, 1.0]]), torch.tensor([2]))
    >>> columns["predicted"].item(), columns["target_rank"].item(), round(columns["confidence"].item(), 4)
    (0, 1, 0.6652)
    """
    log_p = torch.log_softmax(logits, dim=1)
    p = log_p.exp()
    top5 = _top5(logits)
    predicted = top5[:, 0].long()
    labelled = target >= 0
    nll = -log_p.gather(1, target.clamp(min=0)[:, None])[:, 0]
    p_target = torch.exp(-nll)
    brier = (p * p).sum(1) - 2 * p_target + 1
    nan = torch.full_like(nll, float("nan"))
    return {
        "predicted": predicted.int(),
        "confidence": p.gather(1, predicted[:, None])[:, 0].clamp(max=1.0),
        "target_probability": torch.where(labelled, p_target.clamp(max=1.0), nan),
        "nll": torch.where(labelled, nll, nan) + 0.0,  # zeros of one sign
        "brier": torch.where(labelled, brier.clamp(min=0.0, max=2.0), nan),
        # p log p is 0 where p is 0, but the product of 0 and -inf is NaN.
        "entropy": -torch.where(p > 0, p * log_p, torch.zeros_like(p)).sum(1).clamp(max=0.0),
        "top5": top5.int(),
        **_beyond_confidence(logits, target, top5),
        # False also of NaN; a difference of two logits may overflow, too. Masked classes may lie far below.
        "finite": torch.isfinite(logits.amax(1) - logits.amin(1)) & ~(labelled & (nll > _FARTHEST)),
    }


def _beyond_confidence(logits: torch.Tensor, target: torch.Tensor, top5: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return what float32 probabilities lose: margins, energy, the target's rank, log(1 - confidence).

    Probabilities are taken relative to the second largest: those of all classes but the first then neither underflow
    nor vanish next to 1, however confident the model is.
    """
    largest, first = logits.gather(1, top5[:, :1]), top5[:, :1]
    second = logits.gather(1, top5[:, 1:2]) if logits.shape[1] > 1 else torch.full_like(largest, float("nan"))
    labelled, wanted = target >= 0, target.clamp(min=0)[:, None]
    others = (logits - second).exp_().scatter_(1, first, 0.0)
    others_sum = others.sum(1)
    value, classes = logits.gather(1, wanted), torch.arange(logits.shape[1], device=logits.device)
    before = (logits > value) | ((logits == value) & (classes < wanted))
    after_sum = others.scatter_(1, wanted, 0.0).masked_fill_(before, 0.0).sum(1)

    wide = torch.float32 if logits.device.type == "mps" else torch.float64  # MPS has no float64
    top, gap = largest[:, 0].to(wide), (largest - second.nan_to_num(-torch.inf))[:, 0].to(wide)
    odds = others_sum.to(wide) * torch.exp(-gap)  # of all other classes together against the first
    tail = (after_sum.to(wide) * torch.exp(-gap) / (1.0 + odds)).clamp(0.0, 1.0)
    return {
        "log_complement": (others_sum.to(wide).log() - gap - torch.log1p(odds)).float(),
        "logsumexp": (top + torch.log1p(odds)).float(),
        "max_logit": largest[:, 0],
        "second_logit": second[:, 0],
        "target_rank": torch.where(labelled, before.sum(1), -1).int(),
        "target_tail": torch.where(labelled, tail, torch.nan).float(),
    }


def of_superclasses(logits: torch.Tensor, superclasses: Sequence[Sequence[int]]) -> torch.Tensor:
    """Return logits of superclasses, (n, S): the logarithms of their classes' mean probabilities.

    A softmax over them makes the mean probabilities sum to 1; which one is the largest stays.

    Args:
        logits: float tensor (n, K).
        superclasses: indices of each superclass's classes.

    >>> found = of_superclasses(torch.tensor([[0.0, 0.0, 1.0, 9.0]]), [(0, 1), (2,)])
    >>> [round(x, 4) for x in torch.softmax(found, 1)[0].tolist()]
    [0.2689, 0.7311]
    """
    log_p = torch.log_softmax(logits, dim=1)
    means = [torch.logsumexp(log_p[:, list(classes)], dim=1) - math.log(len(classes)) for classes in superclasses]
    return torch.stack(means, dim=1)


def most_probable(logits: torch.Tensor, allowed: np.ndarray) -> np.ndarray:
    """Return each image's allowed class with the largest logit, -1 where none is allowed; int64 (n,).

    An answer is then right where it is any of the allowed classes.

    Args:
        logits: float tensor (n, K).
        allowed: 0/1, (n, K).
    """
    mask = torch.from_numpy(np.ascontiguousarray(allowed)).to(logits.device).bool()
    best = logits.masked_fill(~mask, -torch.inf).argmax(dim=1)
    return np.where(allowed.any(axis=1), best.cpu().numpy(), -1).astype(np.int64)


def extremes(outputs: torch.Tensor) -> torch.Tensor:
    """Return the smallest and largest output, and the smallest and largest sum of a row, shape (4,)."""
    sums = outputs.sum(1)
    return torch.stack([outputs.min(), outputs.max(), sums.min(), sums.max()])


def _top5(logits: torch.Tensor) -> torch.Tensor:
    """Return the five largest logits' classes, the lower class first on ties, -1 beyond K; shape (n, 5)."""
    k = min(5, logits.shape[1])
    # Whether there are ties is to be read from the device, for which a GPU would be waited for.
    order = _order_by_keys(logits, k) if logits.is_cuda else _order(logits, k)
    if k < 5:
        order = torch.cat([order, order.new_full((len(logits), 5 - k), -1)], dim=1)
    return order


def _order(logits: torch.Tensor, k: int) -> torch.Tensor:
    values, order = logits.topk(min(k + 1, logits.shape[1]), dim=1)
    # topk does not define the order of equal values: those rows are sorted again, stably.
    tied = (values[:, 1:] == values[:, :-1]).any(1)
    order = order[:, :k]
    if bool(tied.any()):
        order[tied] = logits[tied].sort(dim=1, descending=True, stable=True).indices[:, :k]
    return order


def _order_by_keys(logits: torch.Tensor, k: int) -> torch.Tensor:
    """Return the same from keys that never tie: the logit's bits, in an order as integers have it, and its class."""
    bits = (logits + 0.0).view(torch.int32).long()  # zeros of one sign
    rising = bits ^ ((bits >> 31) & 0x7FFFFFFF)
    before = torch.arange(logits.shape[1] - 1, -1, -1, device=logits.device)
    return ((rising << 32) + before).topk(k, dim=1).indices
