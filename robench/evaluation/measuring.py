"""One cell, or some of its images, through the model: from batches to predictions."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from robench.errors import RobenchError
from robench.evaluation.attacks import Attacker
from robench.evaluation.batching import batch_check
from robench.evaluation.collecting import Collected, ColumnBuilder, UnreadableCellError
from robench.evaluation.forward import Forward
from robench.evaluation.masking import check_masking
from robench.evaluation.options import EvaluationOptions, kept_logits
from robench.evaluation.prefetch import prefetch
from robench.evaluation.progress import Progress
from robench.predictions import AttackCheck, BatchCheck, Predictions, Timing
from robench.suites.base import Attack, Batch, Cell
from robench.suites.opened import OpenSuite

_Check = Callable[[], BatchCheck | AttackCheck | None]


@dataclass(frozen=True)
class Measured:
    """The predictions of a cell, or of some of its images, and how they were made.

    Attributes:
        predictions: one row per image, with notes of what could not be read and of the raw outputs.
        batch_size: the one that fitted into the device's memory.
        device: ``cpu``, ``cuda:0``...
        seconds: from the first batch asked for to the last prediction.
    """

    predictions: Predictions
    batch_size: int
    device: str
    seconds: float

    @property
    def timing(self) -> Timing:
        """Seconds and images, as the run's record keeps them."""
        return Timing(seconds=round(self.seconds, 4), images=len(self.predictions))

    def line(self, cell: str, start: int = 0, stop: int | None = None, after: int = 0) -> dict[str, Any]:
        """Return the line for the run's log.

        Args:
            cell: the cell's name.
            start, stop, after: which images these are, where this is only a part of the cell; see :func:`measure`.
        """
        notes = self.predictions.notes
        return {
            "cell": cell,
            "start": start,
            **({} if stop is None else {"stop": stop}),
            **({"after": after} if after else {}),
            "images": len(self.predictions),
            "seconds": round(self.seconds, 4),
            "device": self.device,
            "batch_size": self.batch_size,
            **({"unreadable": notes.unreadable} if notes is not None and notes.unreadable else {}),
        }


@dataclass(frozen=True)
class Passed:
    """The images of a cell, or some of them, have been through the model; a GPU may not be done with them yet.

    Attributes:
        collected: what the predictions are made of.
        check: gives what a look at the first batch found.
        batch_size: the one that fitted into the device's memory.
        device: ``cpu``, ``cuda:0``...
        began: when the first batch was asked for, by :func:`time.monotonic`.
    """

    collected: Collected
    check: _Check
    batch_size: int
    device: str
    began: float

    def measured(self, since: float = 0.0) -> Measured:
        """Return the predictions, waiting for the device.

        Args:
            since: when the predictions of the cell before were there: its time is not this one's.

        Raises:
            RobenchError: the model's logits are not finite.
        """
        predictions = _noted(self.collected.predictions(), self.check())
        return Measured(predictions, self.batch_size, self.device, time.monotonic() - max(self.began, since))


def measure(
    forward: Forward,
    suite: OpenSuite,
    cell: Cell,
    options: EvaluationOptions,
    batch_size: int,
    progress: Progress,
    *,
    after: int = 0,
    start: int = 0,
    stop: int | None = None,
) -> Measured:
    """Measure a cell, or its images start..stop of those beyond the first ``after`` draws.

    Arguments and errors are those of :func:`pass_through`; also a RobenchError where logits are not finite.
    """
    passed = pass_through(forward, suite, cell, options, batch_size, progress, after=after, start=start, stop=stop)
    return passed.measured()


def pass_through(
    forward: Forward,
    suite: OpenSuite,
    cell: Cell,
    options: EvaluationOptions,
    batch_size: int,
    progress: Progress,
    *,
    after: int = 0,
    start: int = 0,
    stop: int | None = None,
    between: Callable[[], None] = lambda: None,
) -> Passed:
    """Pass a cell's images through the model, or start..stop of those beyond the first ``after`` draws.

    The batch size is halved whenever the device's memory runs out.

    Args:
        forward: the forward pass.
        suite: the suite, opened.
        cell: the cell.
        options: whether logits are kept.
        batch_size: images per batch.
        progress: shows the progress.
        after: draws that were measured before; see :meth:`robench.suites.opened.OpenSuite.batches`.
        start, stop: which of the images (sequences: clips) beyond these; None: to the last.
        between: called after every batch; an error that it raises ends the passes.

    Raises:
        UnreadableCellError: the images cannot be read.
        RobenchError: the model does not fit the suite, or one image is too much.
    """
    began = time.monotonic()
    passes = _Passes(forward, suite, cell, options)
    while True:
        # In a cell of several parts, the first part runs the check.
        shown, tried = 0, start > 0 or after > 0
        check: _Check = _nothing
        builder = _builder(suite, cell, options)
        readable = _readable(
            suite.batches(cell, batch_size, after=after, start=start, stop=stop, device=forward.device)
        )
        try:
            for batch in prefetch(readable, forward.device):
                builder.note_unreadable(batch.unreadable)
                if len(batch.index) == 0:
                    continue
                logits = passes(batch)
                builder.add(logits, batch)
                if not tried:
                    check, tried = passes.check(batch, logits), True
                shown += len(batch.index)
                progress.advance(len(batch.index), cell.name)
                between()
            return Passed(builder.close(), check, batch_size, forward.device, began)
        except torch.OutOfMemoryError as error:
            progress.advance(-shown, cell.name)
            if forward.model.batch_size is not None:
                raise RobenchError(
                    f"Not enough memory on {forward.device} for a batch of {batch_size} in cell '{cell.name}', whose"
                    " statistics the model takes.",
                    hint="Choose a smaller one in the spec: ?bn=batch&batch=N.",
                ) from error
            batch_size = _back_off(forward.device, batch_size, cell, error)
            progress.say(f"Out of memory on {forward.device}: continuing with batches of {batch_size}.")


class _Passes:
    """The passes of a cell's batches: the images as they are, or as an attack on the model changes them."""

    def __init__(self, forward: Forward, suite: OpenSuite, cell: Cell, options: EvaluationOptions) -> None:
        self.forward, self.options = forward, options
        self.attack: Attack | None = suite.suite.attack(cell.condition)
        self.attacker = Attacker(forward, suite.options.seed)

    def __call__(self, batch: Batch) -> torch.Tensor:
        """Return the logits of a batch."""
        if self.attack is None:
            return self.forward(batch.images)
        return self.attacker(batch.images, batch.target, batch.index, self.attack)

    def check(self, batch: Batch, logits: torch.Tensor) -> _Check:
        """Look whether what was found holds beyond this batch: for other batches, for other attacks."""
        if self.attack is None:
            return batch_check(self.forward, batch.images, logits)
        surrogate = self.options.surrogate
        other = None if surrogate is None else Forward(surrogate, self.options)
        found = check_masking(self.attacker, batch, logits, self.attack, other)
        return lambda: found


def _nothing() -> None:
    return None


def _noted(predictions: Predictions, check: BatchCheck | AttackCheck | None) -> Predictions:
    if predictions.notes is not None and check is not None:
        name = "batch" if isinstance(check, BatchCheck) else "attack"
        predictions.notes = predictions.notes.model_copy(update={name: check})
    return predictions


def _back_off(device: str, batch_size: int, cell: Cell, error: Exception) -> int:
    if batch_size == 1:
        raise RobenchError(
            f"Not enough memory on {device} for a single image in cell '{cell.name}'.",
            hint="Use another device, or precision bf16.",
        ) from error
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
    return max(1, batch_size // 2)


def _builder(suite: OpenSuite, cell: Cell, options: EvaluationOptions) -> ColumnBuilder:
    from robench.suites import subset_indices
    from robench.suites.superclasses import SUPERCLASSES

    definition = suite.suite
    subset = subset_indices(definition.subset) if definition.subset else None
    superclasses = tuple(SUPERCLASSES[definition.superclasses].values()) if definition.superclasses else None
    return ColumnBuilder(
        cell.name,
        definition.num_classes,
        subset=None if subset is None else torch.as_tensor(np.asarray(subset)),
        superclasses=superclasses,
        keep_logits=options.keeps_logits(kept_logits(definition)),
        multilabel=definition.task == "multilabel",
    )


def _readable(batches: Iterator[Batch]) -> Iterator[Batch]:
    """Yield a cell's batches; distinguishes errors of reading from errors of the model."""
    while True:
        try:
            batch = next(batches)
        except StopIteration:
            return
        except RobenchError as error:
            raise UnreadableCellError(str(error)) from error
        yield batch
