"""From logits to the columns of the per-image table, on the device and without synchronising with it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from robench.errors import RobenchError
from robench.evaluation.fingerprints import fingerprints
from robench.models.classes import advice_on_width
from robench.predictions import CellNotes, OutputCheck, Predictions
from robench.suites.base import Batch

# Columns are computed from at least this many logits at once: with few classes, one call per batch would cost more
# than the arithmetic.
_CHUNK = 1 << 21
_SUM_TOLERANCE = 0.01  # of a softmax in bfloat16
_FARTHEST = 9.9e5  # nats: results hold less than a million
_ROWS_OF_A_SUM = 8  # a few rows of true logits may have much the same sum by chance


@dataclass
class ColumnBuilder:
    """Collects a cell's logits batch by batch and returns its predictions at the end.

    Nothing is copied to the host before :meth:`finish`, so that a GPU is never waited for.

    Args:
        cell: the cell's name, for error messages.
        num_classes: classes that the suite expects.
        subset: class indices that logits are cut to before everything else, or None.
        superclasses: the class indices of each superclass, where these are predicted, or None.
        keep_logits: whether the (cut) logits become a column.
        multilabel: whether an image's target is a set of classes.
    """

    cell: str
    num_classes: int
    subset: torch.Tensor | None = None
    superclasses: tuple[tuple[int, ...], ...] | None = None
    keep_logits: bool = False
    multilabel: bool = False
    _logits: list[torch.Tensor] = field(default_factory=list)
    _targets: list[np.ndarray] = field(default_factory=list)
    _waiting: int = 0
    _parts: list[dict[str, torch.Tensor]] = field(default_factory=list)
    _raw: list[torch.Tensor] = field(default_factory=list)
    _prints: list[torch.Tensor] = field(default_factory=list)
    _index: list[np.ndarray] = field(default_factory=list)
    _frame: list[np.ndarray] = field(default_factory=list)
    _all_targets: list[np.ndarray] = field(default_factory=list)
    _unreadable: list[str] = field(default_factory=list)

    def add(self, logits: torch.Tensor, batch: Batch) -> None:
        """Add one batch's raw outputs, shape (n, K).

        Raises:
            RobenchError: they are not one row of logits per image, or of another number of classes than the suite's.
        """
        self._check_shape(logits, len(batch.index))
        logits = logits.float()
        self._raw.append(_extremes(logits))
        self._prints.append(fingerprints(batch.images))
        if self.subset is not None:
            logits = logits[:, self.subset.to(logits.device)]
        if self.superclasses is not None:
            logits = of_superclasses(logits, self.superclasses)
        several = batch.target.ndim == 2 and not self.multilabel
        target = most_probable(logits, batch.target) if several else batch.target
        self._logits.append(logits)
        self._targets.append(target)
        self._all_targets.append(target)
        self._index.append(batch.index)
        if batch.frame is not None:
            self._frame.append(batch.frame)
        self._waiting += logits.numel()
        if self._waiting >= _CHUNK:
            self._reduce()

    def note_unreadable(self, messages: tuple[str, ...]) -> None:
        """Add the messages of images that could not be read."""
        self._unreadable.extend(messages)

    def finish(self) -> Predictions:
        """Return the predictions of all batches, with notes of the raw outputs and of what could not be read.

        Raises:
            RobenchError: there was no image, or some logits were NaN or infinite.
        """
        self._reduce()
        if not self._parts and self._unreadable:
            raise RobenchError(
                f"None of the {len(self._unreadable):,} images of cell '{self.cell}' could be read; the first:"
                f" {self._unreadable[0]}",
                hint="Get the files again; the run goes on with the cells that are finished.",
            )
        if not self._parts:
            raise RobenchError(f"Cell '{self.cell}' has no images.", hint="Check the data folder and `limit`.")
        columns = {name: torch.cat([p[name] for p in self._parts]).cpu().numpy() for name in self._parts[0]}
        self._refuse_not_finite(columns.pop("finite"))
        target = np.concatenate(self._all_targets)
        none = np.full(len(target), -1, np.int32)
        return Predictions(
            index=np.concatenate(self._index),
            target=none if self.multilabel else target.astype(np.int32),
            fingerprint=torch.cat(self._prints).cpu().numpy(),
            frame=np.concatenate(self._frame).astype(np.int32) if self._frame else None,
            targets=target.astype(np.uint8) if self.multilabel else None,
            notes=CellNotes.of(self._unreadable, self._output_check(len(target))),
            **columns,
        )

    def _output_check(self, images: int) -> OutputCheck:
        low, high, least, most = torch.stack(self._raw).cpu().unbind(1)
        within = bool(low.min() >= 0.0) and bool(high.max() <= 1.0)
        first, last = float(least.min()), float(most.max())
        one = within and max(1.0 - first, last - 1.0) <= _SUM_TOLERANCE
        alike = bool(low.min() >= 0.0) and 0.0 < last <= (1.0 + 2 * _SUM_TOLERANCE) * first
        shared = alike and not one and images >= _ROWS_OF_A_SUM
        about_zero = bool(-1.0 - _SUM_TOLERANCE <= low.min() < 0.0) and bool(high.max() <= 1.0 + _SUM_TOLERANCE)
        return OutputCheck(
            images=images,
            in_unit_interval=within,
            sums_to_one=one,
            share_a_sum=shared or None,
            about_zero=about_zero or None,
        )

    def _reduce(self) -> None:
        if not self._logits:
            return
        logits = torch.cat(self._logits)
        target = np.concatenate(self._targets)
        if self.multilabel:
            target = np.full(len(target), -1)
        device_target = torch.from_numpy(np.ascontiguousarray(target, np.int64)).to(logits.device)
        part = logits_to_columns(logits, device_target)
        if self.keep_logits or self.multilabel:
            part["logits"] = logits
        self._parts.append(part)
        self._logits, self._targets, self._waiting = [], [], 0

    def _check_shape(self, logits: object, images: int) -> None:
        if not isinstance(logits, torch.Tensor) or logits.ndim != 2 or logits.shape[0] != images:
            found = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
            raise RobenchError(
                f"The model must return logits of shape ({images}, classes) for {images} images; it returned {found}.",
                hint="Wrap it so that it returns one row of logits per image (python:FILE:FUNCTION).",
            )
        if logits.shape[1] != self.num_classes:
            outputs, advice = logits.shape[1], advice_on_width(logits.shape[1], self.num_classes)
            lacking = (
                f" Where a clean set lacks some of the model's classes, say how many it has: `num_classes={outputs}`."
            )
            raise RobenchError(
                f"The model has {outputs:,} output classes; the suite needs {self.num_classes:,}.",
                hint=advice + (lacking if self.num_classes < outputs < 1001 else ""),
            )

    def _refuse_not_finite(self, finite: np.ndarray) -> None:
        bad = int((~finite).sum())
        if bad:
            raise RobenchError(
                f"In cell '{self.cell}' the model's logits are NaN or infinite, or too far apart to be scored, for"
                f" {bad} of {len(finite)} images.",
                hint="Finished cells are kept. Check the weights and the normalisation; with precision fp16 try bf16"
                " or fp32.",
            )


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


def _extremes(outputs: torch.Tensor) -> torch.Tensor:
    """Return the smallest and largest output, and the smallest and largest sum of a row, shape (4,)."""
    sums = outputs.sum(1)
    return torch.stack([outputs.min(), outputs.max(), sums.min(), sums.max()])


def _top5(logits: torch.Tensor) -> torch.Tensor:
    """Return the five largest logits' classes, the lower class first on ties, -1 beyond K; shape (n, 5)."""
    n, classes = logits.shape
    k = min(5, classes)
    values, order = logits.topk(min(6, classes), dim=1)
    # topk does not define the order of equal values: those rows are sorted again, stably.
    tied = (values[:, 1:] == values[:, :-1]).any(1)
    order = order[:, :k]
    if bool(tied.any()):
        order[tied] = logits[tied].sort(dim=1, descending=True, stable=True).indices[:, :k]
    if k < 5:
        order = torch.cat([order, order.new_full((n, 5 - k), -1)], dim=1)
    return order
