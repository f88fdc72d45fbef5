"""A cell's outputs, collected batch by batch: nothing is read from the device before all batches are through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from robench.errors import RobenchError
from robench.evaluation.columns import extremes, logits_to_columns, most_probable, of_superclasses
from robench.evaluation.fingerprints import fingerprints
from robench.evaluation.moving import ToHost, to_device
from robench.models.classes import advice_on_width
from robench.predictions import CellNotes, OutputCheck, Predictions
from robench.suites.base import Batch

# Columns are computed from at least this many logits at once: with few classes, one call per batch would cost more
# than the arithmetic.
_CHUNK = 1 << 21
_SUM_TOLERANCE = 0.01  # of a softmax in bfloat16
_ROWS_OF_A_SUM = 8  # a few rows of true logits may have much the same sum by chance


class UnreadableCellError(Exception):
    """A cell's images could not be read: the cell fails, the run continues."""


@dataclass
class ColumnBuilder:
    """Collects a cell's logits batch by batch; its predictions are made of them at the end.

    Nothing is read from the device before :meth:`Collected.predictions`, so that a GPU is never waited for.

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
        self._raw.append(extremes(logits))
        self._prints.append(fingerprints(batch.images))
        if self.subset is not None:
            self.subset = self.subset.to(logits.device)  # once: the host waits for the device meanwhile
            logits = logits[:, self.subset]
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

    @property
    def waits(self) -> bool:
        """Whether reading a value means waiting for a device: the outputs are not in the host's memory."""
        return self._prints[0].device.type != "cpu"

    def note_unreadable(self, messages: tuple[str, ...]) -> None:
        """Add the messages of images that could not be read."""
        self._unreadable.extend(messages)

    def close(self) -> Collected:
        """Return what was collected; what is left to do with it does not hold up the device.

        Raises:
            UnreadableCellError: there were images, and none could be read.
            RobenchError: there was no image.
        """
        if not self._index and self._unreadable:
            raise UnreadableCellError(
                f"None of the {len(self._unreadable):,} images of cell '{self.cell}' could be read; the first:"
                f" {self._unreadable[0]}"
            )
        if not self._index:
            raise RobenchError(f"Cell '{self.cell}' has no images.", hint="Check the data folder and `limit`.")
        return Collected(self)

    def finish(self) -> Predictions:
        """Return the predictions of all batches, with notes of the raw outputs and of what could not be read.

        Raises:
            UnreadableCellError: as :meth:`close`.
            RobenchError: there was no image, or some logits were NaN or infinite.
        """
        return self.close().predictions()

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return the columns that come from the device, ``finite``, ``fingerprint``, and ``raw``: see `extremes`."""
        self._reduce()
        columns = {}
        for name in list(self._parts[0]):
            columns[name] = torch.cat([part.pop(name) for part in self._parts])  # logits are not kept twice
        return columns | {"fingerprint": torch.cat(self._prints), "raw": torch.stack(self._raw)}

    def predictions(self, tensors: Mapping[str, torch.Tensor]) -> Predictions:
        """Return the predictions made of :meth:`tensors`, which have come to the host.

        Raises:
            RobenchError: some logits were NaN or infinite.
        """
        columns: dict[str, Any] = {name: tensor.numpy() for name, tensor in tensors.items() if name != "raw"}
        self._refuse_not_finite(columns.pop("finite"))
        target = np.concatenate(self._all_targets)
        none = np.full(len(target), -1, np.int32)
        return Predictions(
            index=np.concatenate(self._index),
            target=none if self.multilabel else target.astype(np.int32),
            frame=np.concatenate(self._frame).astype(np.int32) if self._frame else None,
            targets=target.astype(np.uint8) if self.multilabel else None,
            notes=CellNotes.of(self._unreadable, self._output_check(tensors["raw"], len(target))),
            **columns,
        )

    @staticmethod
    def _output_check(raw: torch.Tensor, images: int) -> OutputCheck:
        low, high, least, most = raw.unbind(1)
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
        part = logits_to_columns(logits, to_device(np.ascontiguousarray(target, np.int64), logits.device))
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


class Collected:
    """A cell all of whose images have been through the model; its columns may still be on their way from the device.

    Args:
        builder: what collected its batches.
    """

    def __init__(self, builder: ColumnBuilder) -> None:
        self._builder = builder
        # A GPU is given all that is left to do, and goes on with the next cell's images behind it. On a CPU it is done
        # when it is asked for, in the thread that asks.
        self._coming = ToHost(builder.tensors()) if builder.waits else None

    def predictions(self) -> Predictions:
        """Return the predictions once they are there.

        Raises:
            RobenchError: some logits were NaN or infinite.
        """
        tensors = self._builder.tensors() if self._coming is None else self._coming.arrived()
        return self._builder.predictions(tensors)
