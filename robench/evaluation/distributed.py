"""``torchrun ... robench evaluate ...``: one run measured by many processes, on one machine or several.

The processes need a folder that all of them see. Each measures its share of the pieces into separate files; when all
have finished, pieces are joined into cells. If one process dies, torchrun stops the others, and the same command
resumes with the pieces that are there.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import torch.distributed as dist

from robench.cpu import keep_to_quota, kept_memory
from robench.errors import RobenchError
from robench.evaluation.collecting import UnreadableCellError
from robench.evaluation.engine import Outcome, pending_cells
from robench.evaluation.forward import Forward
from robench.evaluation.measuring import measure
from robench.evaluation.options import EvaluationOptions
from robench.evaluation.pieces import Missing, Piece, join_pieces, missing_of, share_out, split_cells
from robench.evaluation.plan import make_record, prepare
from robench.evaluation.probe import check_model
from robench.evaluation.progress import Progress, QuietProgress
from robench.models.base import Model
from robench.predictions import RunFolder, Timing, parquet
from robench.processes import World, joined
from robench.suites.opened import OpenSuite

T = TypeVar("T")


def evaluate_over_ranks(
    model: Model,
    suite: OpenSuite,
    out: str | Path,
    options: EvaluationOptions | None = None,
    *,
    progress: Progress | None = None,
) -> tuple[Outcome, bool]:
    """Measure the missing cells of ``out`` together with the other processes.

    Args:
        model: the model, the same in every process.
        suite: the suite, opened.
        out: the run's folder, which all processes must see.
        options: device, precision, batch size.
        progress: shows this process's progress, where it reports for all.

    Returns:
        The outcome, the same in every process, and whether this is the process that reports for all.

    Raises:
        RobenchError: as :func:`robench.evaluation.evaluate_suite`, or the folder is not shared by all processes.
    """
    options = options or EvaluationOptions()
    keep_to_quota()
    with joined(options.device) as world:
        options = replace(options, device=world.device(options.device))
        shown = progress if world.first and progress is not None else QuietProgress()
        model = prepare(model, options, shown.say if world.first else lambda _: None)
        run = _together(lambda: RunFolder.create(out, make_record(model, suite, options)))
        _check_shared(run, world)
        forward = Forward(model, options)
        _together(lambda: check_model(run, forward, suite) if world.first else None)
        cells = pending_cells(run, suite, list(suite.suite.cells), shown)
        pieces = split_cells(cells, options.resolved_batch_size(forward.device, model))
        dist.barrier()
        share = share_out(pieces, world.size)[world.rank]
        parts = _gather(_together(lambda: _measure_share(forward, suite, run, share, options, shown)))
        outcome = Outcome(run)
        for part in parts:
            outcome.failures |= part.failures
            for name, timing in part.timings:
                outcome.timings[name] = timing + outcome.timings.get(name, Timing(seconds=0.0, images=0))
        before = run.record.timings
        for missing in cells:
            name = missing.cell.name
            if missing.after and name in before and name in outcome.timings:
                outcome.timings[name] = before[name] + outcome.timings[name]
        joined_cells = [missing for missing in cells if missing.cell.name not in outcome.failures]
        _together(lambda: _join(run, suite, pieces, joined_cells[world.rank :: world.size]))
        _together(lambda: run.note_timings(outcome.timings) if world.first else None)
        outcome.fresh = [missing.cell.name for missing in joined_cells]
        return outcome, world.first


@dataclass
class _Share:
    """The outcome of one process's pieces: cells that could not be read, with the reason, and timings of pieces."""

    failures: dict[str, str] = field(default_factory=dict)
    timings: list[tuple[str, Timing]] = field(default_factory=list)


def _measure_share(
    forward: Forward,
    suite: OpenSuite,
    run: RunFolder,
    share: list[Piece],
    options: EvaluationOptions,
    progress: Progress,
) -> _Share:
    """Measure this process's pieces into files and return how that ended."""
    done = _Share()
    left = [piece for piece in share if not parquet.is_whole(_path(run, piece))]
    total, fresh = sum(piece.passes for piece in share), sum(piece.passes for piece in left)
    with progress, kept_memory(forward.device):
        progress.start(total, total - fresh)
        batch_size = options.resolved_batch_size(forward.device, forward.model)
        for piece in left:
            cell, start, stop, after, _ = piece
            if missing_of(run, suite, cell) is None:  # measured by another run in the same folder
                progress.advance(piece.passes, cell.name)
                continue
            try:
                measured = measure(
                    forward, suite, cell, options, batch_size, progress, after=after, start=start, stop=stop
                )
            except UnreadableCellError as error:
                done.failures[cell.name] = str(error)
                continue
            run.log(measured.line(cell.name, start, stop, after))
            done.timings.append((cell.name, measured.timing))
            parquet.write(_path(run, piece), measured.predictions)
    return done


def _join(run: RunFolder, suite: OpenSuite, pieces: list[Piece], cells: list[Missing]) -> None:
    for missing in cells:
        bounds = [(piece.start, piece.stop) for piece in pieces if piece.cell == missing.cell]
        join_pieces(run, suite, missing.cell, missing.after, bounds)


def _together(work: Callable[[], T]) -> T:
    """Run something in every process and wait for the others; if one fails, all fail, and none waits for ever."""
    error: Exception | None = None
    found: list[T] = []
    try:
        found.append(work())
    except Exception as caught:  # raised below, once all processes know
        error = caught
    said: list[str | None] = [None] * dist.get_world_size()
    dist.all_gather_object(said, None if error is None else f"{error}")
    if error is not None:
        raise error
    if failed := {rank: why for rank, why in enumerate(said) if why is not None}:
        raise RobenchError("\n".join(f"Rank {rank}: {why}" for rank, why in failed.items()))
    return found[0]


def share_problems(problems: list[str | None]) -> list[str | None]:
    """Return, for each of several jobs, the problem that any process has with it; the same in all processes."""
    gathered: list[list[str | None]] = [[] for _ in range(dist.get_world_size())]
    dist.all_gather_object(gathered, problems)
    return [next((why for why in job if why is not None), None) for job in zip(*gathered, strict=True)]


def _path(run: RunFolder, piece: Piece) -> Path:
    return run.part_path(piece.cell.name, piece.start, piece.stop, piece.after)


def _gather(share: _Share) -> list[_Share]:
    """Return the outcomes of all processes, once every process has finished."""
    gathered: list[_Share] = [_Share()] * dist.get_world_size()
    dist.all_gather_object(gathered, share)
    return gathered


def _check_shared(run: RunFolder, world: World) -> None:
    """Refuse a folder that is not the same on every machine."""
    token = [uuid.uuid4().hex if world.first else ""]
    dist.broadcast_object_list(token, src=0)
    mark = run.path / f".shared-{token[0]}"
    if world.first:
        mark.touch()
    dist.barrier()
    seen: list[bool | None] = [None] * world.size
    dist.all_gather_object(seen, mark.exists())
    if world.first:
        mark.unlink(missing_ok=True)
    if not all(seen):
        blind = [rank for rank, there in enumerate(seen) if not there]
        raise RobenchError(
            f"{run.path} is not the same folder for all processes: ranks {blind} do not see it.",
            hint="Give `out` a folder on a file system that all machines share.",
        )
