"""Runs a model over a suite's cells and writes one file of predictions a cell; knows nothing of metrics."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import BaseFileLock, Timeout

from robench.errors import RobenchError
from robench.evaluation.batching import LEAST, BatchNoise, batch_noise
from robench.evaluation.columns import ColumnBuilder
from robench.evaluation.forward import Forward
from robench.evaluation.options import EvaluationOptions
from robench.evaluation.plan import make_record, prepare
from robench.evaluation.prefetch import prefetch
from robench.evaluation.progress import Progress, QuietProgress
from robench.models.base import Model
from robench.predictions import Predictions, RunFolder
from robench.processes import keep_to_quota, kept_memory
from robench.suites.base import Batch, Cell, OpenSuite

_NAMED = 20


class UnreadableCellError(Exception):
    """A cell's images could not be read: the cell fails, the run goes on."""


@dataclass
class Outcome:
    """How an evaluation ended.

    Args:
        run: the run's folder.
        failures: cell name -> why its images could not be read.
        fresh: cells measured now (the others were there already).
    """

    run: RunFolder
    failures: dict[str, str] = field(default_factory=dict)
    fresh: list[str] = field(default_factory=list)


def evaluate_suite(
    model: Model,
    suite: OpenSuite,
    out: str | Path,
    options: EvaluationOptions | None = None,
    *,
    progress: Progress | None = None,
    cells: list[Cell] | None = None,
) -> Outcome:
    """Measure every cell that ``out`` does not hold yet.

    Args:
        model: the model.
        suite: the suite, opened.
        out: the run's folder; may hold finished cells of the same run.
        options: device, precision, batch size.
        progress: told how far it is.
        cells: only these cells (the run still lists them all).

    Returns:
        The run and the cells that failed.

    Raises:
        RobenchError: the model does not fit the suite, its logits are not finite, the folder belongs to another
            run, or it cannot be written to. Finished cells are kept.
    """
    options = options or EvaluationOptions()
    progress = progress or QuietProgress()
    model = prepare(model, options, progress.say)
    run = RunFolder.create(out, make_record(model, suite, options))
    outcome = Outcome(run)
    wanted = list(cells if cells is not None else suite.suite.cells)
    pending = pending_cells(run, wanted, progress)
    total = sum(suite.length(cell) for cell in wanted)
    left = sum(suite.length(cell) for cell in pending)
    keep_to_quota()
    with progress, kept_memory(options.resolved_device()):
        progress.start(total, total - left)
        if pending:
            _Measuring(Forward(model, options), suite, options, progress, outcome).measure_all(pending)
    return outcome


def pending_cells(run: RunFolder, cells: list[Cell], progress: Progress) -> list[Cell]:
    """Return the cells that are not finished, and say which of them are damaged."""
    pending = []
    for cell in cells:
        if run.is_done(cell.name):
            continue
        if run.is_damaged(cell.name):
            progress.say(f"{run.cell_path(cell.name)} is damaged (wrong checksum): measured again.")
        pending.append(cell)
    return pending


class _Measuring:
    """Measures cells one after another, while a thread writes the one before.

    A cell is measured under its lock, so that several processes share a run without doing anything twice.
    """

    def __init__(
        self,
        forward: Forward,
        suite: OpenSuite,
        options: EvaluationOptions,
        progress: Progress,
        outcome: Outcome,
    ) -> None:
        self.forward, self.suite, self.options = forward, suite, options
        self.progress, self.outcome, self.run = progress, outcome, outcome.run
        self.batch_size = options.resolved_batch_size(forward.device)
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="robench-writer")
        self._written: list[Future[None]] = []

    def measure_all(self, pending: list[Cell]) -> None:
        """Measure ``pending`` in order; cells that another process is at come last and are waited for."""
        try:
            busy = [cell for cell in pending if not self._try(cell, timeout=0)]
            for cell in busy:
                self._try(cell, timeout=-1)
        finally:
            # Also after Ctrl-C: what is measured gets written.
            self._writer.shutdown(wait=True)
        self._raise_failed_write()

    def _try(self, cell: Cell, timeout: float) -> bool:
        """Measure one cell; False if another process holds its lock."""
        lock = self.run.lock(cell.name)
        try:
            lock.acquire(timeout=timeout)
        except Timeout:
            return False
        handed_over = False
        try:
            if self.run.is_done(cell.name):
                self.progress.advance(self.suite.length(cell), cell.name)
            elif (measured := self._measure_or_note(cell)) is not None:
                self._written.append(self._writer.submit(self._write, cell.name, measured, lock))
                handed_over = True
        finally:
            if not handed_over:
                lock.release()
        self._raise_failed_write()
        return True

    def _measure_or_note(self, cell: Cell) -> Measured | None:
        try:
            measured = self._measure(cell)
        except UnreadableCellError as error:
            self.outcome.failures[cell.name] = str(error)
            self.progress.say(f"Cell '{cell.name}' failed: {error}")
            return None
        self.outcome.fresh.append(cell.name)
        return measured

    def _measure(self, cell: Cell) -> Measured:
        measured = measure(self.forward, self.suite, cell, self.options, self.batch_size, self.progress)
        self.batch_size = measured.batch_size
        return measured

    def _write(self, cell: str, measured: Measured, lock: BaseFileLock) -> None:
        try:
            # The log first: it counts pictures that were left out, and a finished cell is not measured again.
            self.run.log(measured.line(cell))
            self.run.write(cell, measured.predictions)
        finally:
            lock.release()

    def _raise_failed_write(self) -> None:
        for future in self._written:
            if future.done():
                future.result()


@dataclass(frozen=True)
class Measured:
    """The predictions of a cell, or of some of its images, and how they came about.

    Attributes:
        predictions: one row an image.
        batch_size: the one that fitted the device's memory.
        device: ``cpu``, ``cuda:0``...
        seconds: from the first batch asked for to the last prediction.
        unreadable: messages of pictures that were left out (only with ``--skip-corrupt``).
        noise: what the batch does to the logits, where it was tried on these images.
    """

    predictions: Predictions
    batch_size: int
    device: str
    seconds: float
    unreadable: tuple[str, ...]
    noise: BatchNoise | None = None

    def line(self, cell: str, start: int = 0, stop: int | None = None) -> dict[str, Any]:
        """Return the line for the run's log; ``start`` and ``stop`` where this is not the whole cell."""
        line: dict[str, Any] = {
            "cell": cell,
            "start": start,
            **({} if stop is None else {"stop": stop}),
            "images": len(self.predictions),
            "seconds": round(self.seconds, 4),
            "device": self.device,
            "batch_size": self.batch_size,
        }
        if self.noise is not None:
            line["batch_noise"] = self.noise.line()
        if self.unreadable:
            line |= {"unreadable": len(self.unreadable), "unreadable_first": list(self.unreadable[:_NAMED])}
        return line


def measure(
    forward: Forward,
    suite: OpenSuite,
    cell: Cell,
    options: EvaluationOptions,
    batch_size: int,
    progress: Progress,
    *,
    start: int = 0,
    stop: int | None = None,
) -> Measured:
    """Measure a cell, or its images start..stop.

    The batch size is halved as often as the device's memory runs out.

    Raises:
        UnreadableCellError: the images cannot be read.
        RobenchError: the model does not fit the suite, its logits are not finite, or one image is too much.
    """
    began = time.monotonic()
    noise: BatchNoise | None = None
    while True:
        shown, unreadable = 0, tuple[str, ...]()
        try:
            builder = _builder(suite, cell, options)
            batches = _readable(suite, cell, batch_size, forward.device, start, stop)
            for batch in prefetch(batches, forward.device):
                unreadable += batch.unreadable
                if len(batch.index) == 0:
                    continue
                logits = forward(batch.images)
                builder.add(logits, batch)
                if not forward.noise_tried and len(batch.images) >= LEAST:
                    noise, forward.noise_tried = batch_noise(forward, batch.images, logits), True
                shown += (clips := _clips(batch))
                progress.advance(clips, cell.name)
            return Measured(builder.finish(), batch_size, forward.device, time.monotonic() - began, unreadable, noise)
        except torch.OutOfMemoryError as error:
            progress.advance(-shown, cell.name)
            batch_size = _back_off(forward.device, batch_size, cell, error)
            progress.say(f"Out of memory on {forward.device}: going on with batches of {batch_size}.")


def _back_off(device: str, batch_size: int, cell: Cell, error: Exception) -> int:
    if batch_size == 1:
        raise RobenchError(
            f"Not enough memory on {device} for a single image in cell '{cell.name}'.",
            hint="Use another --device, or --precision bf16.",
        ) from error
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
    return max(1, batch_size // 2)


def _builder(suite: OpenSuite, cell: Cell, options: EvaluationOptions) -> ColumnBuilder:
    from robench.suites import subset_indices

    definition = suite.suite
    subset = subset_indices(definition.subset) if definition.subset else None
    kept = len(subset) if subset is not None else definition.num_classes
    return ColumnBuilder(
        cell.name,
        definition.num_classes,
        subset=None if subset is None else torch.as_tensor(np.asarray(subset)),
        keep_logits=options.keeps_logits(kept),
        multilabel=definition.task == "multilabel",
    )


def _readable(
    suite: OpenSuite, cell: Cell, batch_size: int, device: str, start: int, stop: int | None
) -> Iterator[Batch]:
    """Yield a cell's batches; an error while reading is told apart from an error of the model."""
    batches = suite.batches(cell, batch_size, start=start, stop=stop, device=device)
    while True:
        try:
            batch = next(batches)
        except StopIteration:
            return
        except RobenchError as error:
            raise UnreadableCellError(str(error)) from error
        yield batch


def _clips(batch: Batch) -> int:
    return len(batch.index) if batch.frame is None else int((batch.frame == 0).sum())
