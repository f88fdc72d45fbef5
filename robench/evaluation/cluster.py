"""A run on a Ray cluster: pieces of cells are tasks, lost workers are replaced, and the driver collects the results.

Workers load the model and open the suite themselves (paths must exist there), measure pieces and send predictions
back; only the driver writes. Nothing but the data needs to be shared, and a run started on a cluster can be finished
on a laptop.
"""

from __future__ import annotations

import platform
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from robench.cpu import kept_memory
from robench.errors import RobenchError
from robench.evaluation.collecting import UnreadableCellError
from robench.evaluation.engine import Outcome, pending_cells
from robench.evaluation.forward import Forward
from robench.evaluation.measuring import Measured, measure
from robench.evaluation.options import EvaluationOptions
from robench.evaluation.pieces import Piece, join_pieces, split_cells, whole_of
from robench.evaluation.plan import make_record, prepare
from robench.evaluation.probe import check_model
from robench.evaluation.progress import Progress, QuietProgress
from robench.models.base import Model
from robench.predictions import RunFolder, RunIdentity, Timing, parquet
from robench.suites.opened import OpenSuite

RETRIES = 5


@dataclass(frozen=True)
class Job:
    """What a worker needs to create the model and the suite; both functions are pickled.

    Args:
        make_model: returns the model.
        make_suite: returns the opened suite.
        options: device, precision, batch size.
        limit: images per cell, where a sample is measured in rounds; None: what the suite was opened with.
        identity: of the run, which a worker's model and suite must have, too; None: not compared.
    """

    make_model: Callable[[], Model]
    make_suite: Callable[[], OpenSuite]
    options: EvaluationOptions
    limit: int | None = None
    identity: RunIdentity | None = None

    def sized(self, suite: OpenSuite) -> OpenSuite:
        """Return the suite with as many images per cell as this job measures."""
        return suite if self.limit is None else suite.with_limit(self.limit)


def evaluate_on_cluster(
    job: Job, out: str | Path, *, address: str = "auto", progress: Progress | None = None
) -> Outcome:
    """Measure the missing cells of ``out`` on a Ray cluster.

    Args:
        job: how workers create the model and the suite.
        out: the run's folder, on the driver.
        address: of the cluster; ``auto`` joins this machine's cluster, or starts one on it.
        progress: shows the progress.

    Raises:
        RobenchError: Ray is not installed, the cluster does not answer, or as
            :func:`robench.evaluation.evaluate_suite`.
    """
    ray = _connect(address)
    progress = progress or QuietProgress()
    suite = job.sized(job.make_suite())
    model = prepare(job.make_model(), job.options, progress.say)
    record = make_record(model, suite, job.options)
    run, job = RunFolder.create(out, record), replace(job, identity=record.identity)
    check_model(run, Forward(model, job.options), suite)
    cells = pending_cells(run, suite, list(suite.suite.cells), progress)
    pieces = split_cells(cells, job.options.resolved_batch_size(job.options.resolved_device(), model))
    outcome = Outcome(run)
    with progress:
        total = sum(whole_of(suite, cell).passes for cell in suite.suite.cells)
        progress.start(total, total - sum(piece.passes for piece in pieces))
        _Collector(ray, job, suite, pieces, outcome, progress).collect()
        run.note_timings(outcome.timings)
    return outcome


class _Collector:
    """Hands out pieces, a bounded number at a time, writes what comes back and joins finished cells."""

    def __init__(
        self, ray: Any, job: Job, suite: OpenSuite, pieces: list[Piece], outcome: Outcome, progress: Progress
    ) -> None:
        self.ray, self.job, self.suite, self.outcome, self.progress = ray, job, suite, outcome, progress
        self.run = outcome.run
        self.bounds: dict[str, list[tuple[int, int]]] = defaultdict(list)
        self.missing: dict[str, int] = defaultdict(int)
        for piece in pieces:
            self.bounds[piece.cell.name].append((piece.start, piece.stop))
            self.missing[piece.cell.name] += 1
        self.waiting = list(reversed(pieces))
        needs = {"num_gpus": 1} if job.options.device.startswith("cuda") else {"num_cpus": 1}
        self.task = ray.remote(max_retries=RETRIES, **needs)(_measure_remotely)
        self.job_reference = ray.put(job)
        slots = ray.cluster_resources().get("GPU" if "num_gpus" in needs else "CPU", 1)
        self.at_once = 2 * max(1, int(slots))

    def collect(self) -> None:
        """Work through all pieces."""
        under_way: dict[Any, Piece] = {}
        while self.waiting or under_way:
            while self.waiting and len(under_way) < self.at_once:
                piece = self.waiting.pop()
                if parquet.is_whole(self._path(piece)):
                    self._finish(piece)
                else:
                    under_way[self.task.remote(self.job_reference, piece)] = piece
            if not under_way:
                break
            ready, _ = self.ray.wait(list(under_way), num_returns=1)
            self._take(ready[0], under_way.pop(ready[0]))

    def _take(self, reference: Any, piece: Piece) -> None:
        answer = self._get(reference, piece)
        if isinstance(answer, str):
            if piece.cell.name not in self.outcome.failures:
                self.progress.say(f"Cell '{piece.cell.name}' failed: {answer}")
            self.outcome.failures[piece.cell.name] = answer
            return
        self.run.log(answer.line(piece.cell.name, piece.start, piece.stop, piece.after))
        parquet.write(self._path(piece), answer.predictions)
        name, none = piece.cell.name, Timing(seconds=0.0, images=0)
        before = self.run.record.timings.get(name, none) if piece.after else none
        self.outcome.timings[name] = self.outcome.timings.get(name, before) + answer.timing
        self.progress.advance(piece.passes, name)
        self._finish(piece)

    def _get(self, reference: Any, piece: Piece) -> Measured | str:
        try:
            answer: Measured | str = self.ray.get(reference)
        except self.ray.exceptions.RayTaskError as error:
            cause = error.cause if isinstance(error.cause, RobenchError) else None
            raise cause or RobenchError(f"A worker failed on cell '{piece.cell.name}': {error}") from error
        except self.ray.exceptions.RayError as error:
            raise RobenchError(
                f"Cell '{piece.cell.name}' was lost {RETRIES + 1} times with its worker: {error}",
                hint="Check the workers' memory. Finished cells are kept; the same command resumes the run.",
            ) from error
        return answer

    def _finish(self, piece: Piece) -> None:
        name = piece.cell.name
        self.missing[name] -= 1
        if self.missing[name] == 0 and name not in self.outcome.failures:
            join_pieces(self.run, self.suite, piece.cell, piece.after, self.bounds[name])
            self.outcome.fresh.append(name)

    def _path(self, piece: Piece) -> Path:
        return self.run.part_path(piece.cell.name, piece.start, piece.stop, piece.after)


_loaded: dict[Any, tuple[Any, OpenSuite]] = {}


def _measure_remotely(job: Job, piece: Piece) -> Measured | str:
    """Measure one piece (in a worker); return the reason instead where its images cannot be read."""
    key = (job.make_model, job.make_suite, job.options, job.identity)
    known = str(key)
    if known not in _loaded:
        _loaded.clear()
        options = replace(job.options, device="cuda") if job.options.device.startswith("cuda") else job.options
        model, suite = prepare(job.make_model(), options, lambda _: None), job.make_suite()
        _refuse_another(job, model, suite)
        _loaded[known] = (Forward(model, options), suite)
    forward, suite = _loaded[known][0], job.sized(_loaded[known][1])
    size = job.options.resolved_batch_size(forward.device, forward.model)
    try:
        with kept_memory(forward.device):
            return measure(
                forward,
                suite,
                piece.cell,
                job.options,
                size,
                QuietProgress(),
                after=piece.after,
                start=piece.start,
                stop=piece.stop,
            )
    except UnreadableCellError as error:
        return str(error)


def _refuse_another(job: Job, model: Model, suite: OpenSuite) -> None:
    """Refuse what a worker loaded where it is not the run's: a path may hold another file on another machine.

    Raises:
        RobenchError: the model, the images or the options differ.
    """
    if job.identity is None:
        return
    wanted, found = (
        one.model_dump(mode="json")
        for one in (job.identity, make_record(model, job.sized(suite), job.options).identity)
    )
    if differing := sorted(name for name in wanted if wanted[name] != found.get(name)):
        raise RobenchError(
            f"A worker on {platform.node()} has another {' and '.join(differing)} than this run.",
            hint="The same paths must hold the same files on every machine, and Python the same packages.",
        )


def _connect(address: str) -> Any:
    try:
        import ray
    except ImportError as error:
        raise RobenchError(
            "`cluster` needs Ray, which is not installed.", hint="pip install 'robench[cluster]'"
        ) from error
    if ray.is_initialized():
        return ray
    try:
        ray.init(address=address, log_to_driver=False)
    except ConnectionError as error:
        if address != "auto":
            raise RobenchError(
                f"No Ray cluster answers at {address}.",
                hint="Start a cluster first, or use `cluster='auto'`.",
            ) from error
        ray.init(log_to_driver=False)
    return ray
