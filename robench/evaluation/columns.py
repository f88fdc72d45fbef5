"""From logits to the columns of the per-image table, on the device and without waiting for it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch

from robench.errors import RobenchError
from robench.predictions import Predictions
from robench.suites.base import Batch

# Columns are made from at least this many logits at once: for few classes one call per batch would cost more
# than the arithmetic.
_CHUNK = 1 << 21


@dataclass
class ColumnBuilder:
    """Collects a cell's logits batch by batch and gives its predictions at the end.

    Nothing is copied to the host before :meth:`finish`, so a GPU is never waited for.

    Args:
        cell: the cell's name, for error messages.
        num_classes: classes that the suite expects.
        subset: class indices that logits are cut to before everything else, or None.
        keep_logits: whether the (cut) logits become a column.
        multilabel: whether the target of an image is a set of classes.
    """

    cell: str
    num_classes: int
    subset: torch.Tensor | None = None
    keep_logits: bool = False
    multilabel: bool = False
    _logits: list[torch.Tensor] = field(default_factory=list)
    _targets: list[np.ndarray] = field(default_factory=list)
    _waiting: int = 0
    _parts: list[dict[str, torch.Tensor]] = field(default_factory=list)
    _index: list[np.ndarray] = field(default_factory=list)
    _frame: list[np.ndarray] = field(default_factory=list)
    _all_targets: list[np.ndarray] = field(default_factory=list)

    def add(self, logits: torch.Tensor, batch: Batch) -> None:
        """Take one batch's logits, shape (n, K)."""
        self._check_shape(logits, len(batch.index))
        logits = logits.float()
        if self.subset is not None:
            logits = logits[:, self.subset.to(logits.device)]
        self._logits.append(logits)
        self._targets.append(batch.target)
        self._all_targets.append(batch.target)
        self._index.append(batch.index)
        if batch.frame is not None:
            self._frame.append(batch.frame)
        self._waiting += logits.numel()
        if self._waiting >= _CHUNK:
            self._reduce()

    def finish(self) -> Predictions:
        """Return the predictions of all batches.

        Raises:
            RobenchError: there was no image, or some logits were NaN or infinite.
        """
        self._reduce()
        if not self._parts:
            raise RobenchError(f"Cell '{self.cell}' has no images.", hint="Check the data folder and --limit.")
        columns = {name: torch.cat([p[name] for p in self._parts]).cpu().numpy() for name in self._parts[0]}
        self._refuse_not_finite(columns.pop("finite"))
        target = np.concatenate(self._all_targets)
        none = np.full(len(target), -1, np.int32)
        return Predictions(
            index=np.concatenate(self._index),
            target=none if self.multilabel else target.astype(np.int32),
            frame=np.concatenate(self._frame).astype(np.int32) if self._frame else None,
            targets=target.astype(np.uint8) if self.multilabel else None,
            **columns,
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
                hint="Wrap it so that it returns one row of logits an image (python:FILE:FUNCTION).",
            )
        if logits.shape[1] != self.num_classes:
            raise RobenchError(
                f"The model puts out {logits.shape[1]} classes; the suite needs {self.num_classes}.",
                hint="Give a model trained on this suite's classes, or choose its suite (robench suites list).",
            )

    def _refuse_not_finite(self, finite: np.ndarray) -> None:
        bad = int((~finite).sum())
        if bad:
            raise RobenchError(
                f"In cell '{self.cell}' the model's logits are NaN or infinite for {bad} of {len(finite)} images.",
                hint="Finished cells are kept. Check the weights and the normalisation; with --precision fp16 try bf16"
                " or fp32.",
            )


def logits_to_columns(logits: torch.Tensor, target: torch.Tensor) -> dict[str, torch.Tensor]:
    """Compute the per-image columns from float32 logits.

    Args:
        logits: float32, shape (n, K).
        target: int64, shape (n,); -1 where there is no label.

    Returns:
        Columns of robench.predictions.table by name, plus ``finite`` (bool: no NaN or infinity in the row).
        Where ``target`` is -1, target_probability, nll and brier are NaN.
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
        "nll": torch.where(labelled, nll, nan),
        "brier": torch.where(labelled, brier.clamp(min=0.0, max=2.0), nan),
        # p log p is 0 where p is 0, but the product of 0 and -inf is NaN.
        "entropy": -torch.where(p > 0, p * log_p, torch.zeros_like(p)).sum(1).clamp(max=0.0),
        "top5": top5.int(),
        "finite": torch.isfinite(logits).all(1),
    }


def _top5(logits: torch.Tensor) -> torch.Tensor:
    """Return the five largest logits' classes, the lower class first on ties, -1 beyond K; shape (n, 5)."""
    n, classes = logits.shape
    k = min(5, classes)
    values, order = logits.topk(min(6, classes), dim=1)
    # topk leaves the order of equal values open: those rows are sorted again, stably.
    tied = (values[:, 1:] == values[:, :-1]).any(1)
    order = order[:, :k]
    if bool(tied.any()):
        order[tied] = logits[tied].sort(dim=1, descending=True, stable=True).indices[:, :k]
    if k < 5:
        order = torch.cat([order, order.new_full((n, 5 - k), -1)], dim=1)
    return order
