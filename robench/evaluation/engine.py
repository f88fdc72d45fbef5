"""Runs a model over a suite's cells and writes one file of predictions per cell; knows nothing of metrics."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from filelock import BaseFileLock, Timeout

from robench.cpu import keep_to_quota, kept_memory
from robench.errors import RobenchError
from robench.evaluation.collecting import UnreadableCellError
from robench.evaluation.forward import Forward
from robench.evaluation.measuring import Passed, pass_through
from robench.evaluation.options import EvaluationOptions
from robench.evaluation.pieces import Missing, grown, missing_of, whole_of
from robench.evaluation.pixels import loops_beside
from robench.evaluation.plan import logits_not_kept, make_record, prepare
from robench.evaluation.probe import check_model
from robench.evaluation.progress import Progress, QuietProgress
from robench.files import unwritable
from robench.models.base import Model
from robench.predictions import RunFolder, Timing
from robench.suites.base import Cell
from robench.suites.opened import OpenSuite

_ROUNDS = 3  # over cells that vanish while others are measured


@dataclass
class Outcome:
    """How an evaluation ended.

    Args:
        run: the run's folder.
        failures: cell name -> why its images could not be read.
        fresh: cells measured by this call (the others had been measured before).
        timings: how long the fresh cells took.
    """

    run: RunFolder
    failures: dict[str, str] = field(default_factory=dict)
    fresh: list[str] = field(default_factory=list)
    timings: dict[str, Timing] = field(default_factory=dict)

    @property
    def remark(self) -> str | None:
        """A sentence where nothing was run, as the result is then that of an earlier call; else None."""
        if self.fresh or self.failures:
            return None
        return f"Nothing was run: every cell had already been measured ({self.run.path})."


def evaluate_suite(
    model: Model,
    suite: OpenSuite,
    out: str | Path,
    options: EvaluationOptions | None = None,
    *,
    progress: Progress | None = None,
    cells: list[Cell] | None = None,
) -> Outcome:
    """Measure the missing cells of a run.

    Args:
        model: the model.
        suite: the suite, opened.
        out: the run's folder; finished cells in it are kept.
        options: device, precision, batch size.
        progress: shows the progress.
        cells: only these cells (the run still lists them all).

    Returns:
        The run and the cells that failed.

    Raises:
        OtherModelError: the folder holds predictions of a model that gives other logits.
        RobenchError: the model does not fit the suite, its logits are not finite, the folder belongs to another
            run, cannot be written to, or loses cells while others are measured. Finished cells are kept.
    """
    options = options or EvaluationOptions()
    progress = progress or QuietProgress()
    model = prepare(model, options, progress.say)
    run = RunFolder.create(out, make_record(model, suite, options))
    outcome = Outcome(run)
    wanted = list(cells if cells is not None else suite.suite.cells)
    pending = pending_cells(run, suite, wanted, progress)
    total = sum(whole_of(suite, cell).passes for cell in wanted)
    left = sum(missing.passes for missing in pending)
    if pending and not getattr(progress, "quiet", False) and (sentence := logits_not_kept(suite, options)):
        progress.say(sentence)
    keep_to_quota()
    with progress, kept_memory(options.resolved_device()), loops_beside(left, options.resolved_device()):
        progress.start(total, total - left)
        forward = Forward(model, options)
        check_model(run, forward, suite)
        try:
            for _ in range(_ROUNDS):
                if not pending:
                    break
                _Measuring(forward, suite, options, progress, outcome).measure_all(pending)
                pending = _vanished(run, suite, wanted, outcome, progress)
        except BaseException:
            with suppress(RobenchError):  # the error that ended the run matters more
                run.note_timings(outcome.timings)
            raise
        run.note_timings(outcome.timings)
    if pending:
        raise RobenchError(
            f"{run.cell_path(pending[0].cell.name)} was removed again and again while other cells were measured.",
            hint="Find out what removes files there, then run the same command again.",
        )
    return outcome


def _vanished(
    run: RunFolder, suite: OpenSuite, wanted: list[Cell], outcome: Outcome, progress: Progress
) -> list[Missing]:
    """Return cells that were finished and whose files are gone."""
    gone = [cell for cell in wanted if cell.name not in outcome.failures and not run.has(cell.name)]
    for cell in gone:
        progress.say(f"{run.cell_path(cell.name)} was removed: measured again.")
    return [whole_of(suite, cell) for cell in gone]


def pending_cells(run: RunFolder, suite: OpenSuite, cells: list[Cell], progress: Progress) -> list[Missing]:
    """Return what the run lacks of cells, and report which of them are damaged.

    Args:
        run: the run.
        suite: the suite, opened.
        cells: the cells asked for.
        progress: prints the report.
    """
    pending = []
    for cell in cells:
        missing = missing_of(run, suite, cell)
        if missing is None:
            continue
        if run.is_damaged(cell.name):
            progress.say(f"{run.cell_path(cell.name)} is damaged (wrong checksum): measured again.")
        pending.append(missing)
    return pending


class _Measuring:
    """Measures cells one after another, while a thread takes what is left to do with the one before and writes it.

    At most one cell waits for that thread. A cell is measured under its lock, so that several processes can share a run
    without measuring a cell twice.
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
        self.batch_size = options.resolved_batch_size(forward.device, forward.model)
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="robench-writer")
        self._written: list[Future[None]] = []
        self._ended = 0.0  # when the last cell's predictions were there

    def measure_all(self, pending: list[Missing]) -> None:
        """Measure ``pending`` in order; cells that another process is measuring come last and are waited for."""
        try:
            busy = [missing for missing in pending if not self._try(missing, timeout=0)]
            for missing in busy:
                self._try(missing, timeout=-1)
        finally:
            # Also after Ctrl-C: what is measured gets written.
            self._writer.shutdown(wait=True)
        self._raise_failed_write()

    def _try(self, pending: Missing, timeout: float) -> bool:
        """Measure what is missing of one cell; False if another process holds its lock."""
        cell = pending.cell
        lock = self.run.lock(cell.name)
        try:
            lock.acquire(timeout=timeout)
        except Timeout:
            return False
        except OSError as error:
            raise unwritable(Path(lock.lock_file), error) from error
        handed_over = False
        try:
            missing = missing_of(self.run, self.suite, cell)  # another process may have measured some of it
            self.progress.advance(pending.passes - (missing.passes if missing is not None else 0), cell.name)
            if missing is not None and (passed := self._pass_or_note(missing)) is not None:
                self._written.append(self._writer.submit(self._finish, missing, passed, lock))
                handed_over = True
        finally:
            if not handed_over:
                lock.release()
        for future in self._written[-2:-1]:
            future.result()
        return True

    def _pass_or_note(self, missing: Missing) -> Passed | None:
        cell = missing.cell
        try:
            passed = pass_through(
                self.forward,
                self.suite,
                cell,
                self.options,
                self.batch_size,
                self.progress,
                after=missing.after,
                between=self._raise_failed_write,
            )
        except UnreadableCellError as error:
            self.outcome.failures[cell.name] = str(error)
            self.progress.say(f"Cell '{cell.name}' failed: {error}")
            return None
        self.batch_size = passed.batch_size
        return passed

    def _finish(self, missing: Missing, passed: Passed, lock: BaseFileLock) -> None:
        """Make a cell's predictions and write them."""
        cell, after = missing.cell, missing.after
        try:
            measured = passed.measured(self._ended)
            self._ended = time.monotonic()
            before = self.run.record.timings.get(cell.name) if after else None
            self.outcome.timings[cell.name] = measured.timing + before if before else measured.timing
            self.run.write(cell.name, grown(self.run, self.suite, cell, after, measured.predictions))
            self.run.log(measured.line(cell.name, after=after))
            if cell.name not in self.outcome.fresh:
                self.outcome.fresh.append(cell.name)
        finally:
            lock.release()

    def _raise_failed_write(self) -> None:
        for future in self._written[-1:]:
            if future.done():
                future.result()
