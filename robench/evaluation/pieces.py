"""What a run lacks, split into pieces and distributed by size, so that all processes finish at about the same time."""

from __future__ import annotations

from typing import NamedTuple

from robench.predictions import Predictions, RunFolder, Sample
from robench.suites.base import Cell
from robench.suites.opened import OpenSuite

PIECE_IMAGES = 5000


class Missing(NamedTuple):
    """The images (of sequences, clips) of a cell that a run lacks: its sample without the first ``after`` draws."""

    cell: Cell
    after: int
    images: int
    frames: int = 1

    @property
    def passes(self) -> int:
        """Number of images that go through the model: every frame of a clip, every attempt at an image."""
        return self.images * self.frames


class Piece(NamedTuple):
    """The images (of sequences, clips) start..stop of those that a run lacks of a cell, in the order of the files."""

    cell: Cell
    start: int
    stop: int
    after: int = 0
    frames: int = 1

    @property
    def passes(self) -> int:
        """Number of images that go through the model."""
        return (self.stop - self.start) * self.frames


def whole_of(suite: OpenSuite, cell: Cell) -> Missing:
    """Return all of a cell that is asked for, of which a new run lacks everything."""
    return Missing(cell, 0, suite.length(cell), suite.suite.frame_count(cell.condition))


def missing_of(run: RunFolder, suite: OpenSuite, cell: Cell) -> Missing | None:
    """Return what a run lacks of a cell; None where it holds all that is asked for, or more."""
    whole = whole_of(suite, cell)
    if not run.is_done(cell.name):
        return whole
    there = run.sample(cell.name)
    if there is None:
        return None
    if there.key != suite.sample_key(cell):
        return whole
    if there.drawn < whole.images and "adapted" in run.record.model.card:
        return whole  # its answers depend on which images share a batch
    return whole._replace(after=there.drawn, images=whole.images - there.drawn) if there.drawn < whole.images else None


def sample_of(suite: OpenSuite, cell: Cell) -> Sample | None:
    """Return which sample of a cell is measured; None: all its images."""
    drawn, of = suite.length(cell), suite.total(cell)
    return Sample(drawn=drawn, of=of, key=suite.sample_key(cell)) if drawn < of else None


def grown(run: RunFolder, suite: OpenSuite, cell: Cell, after: int, found: Predictions) -> Predictions:
    """Return a cell's predictions with those that were measured beyond its first ``after`` draws, in index order."""
    parts = [found] if after == 0 else [run.read(cell.name), found]
    return Predictions.concatenate(parts).in_order().of_sample(sample_of(suite, cell))


def join_pieces(run: RunFolder, suite: OpenSuite, cell: Cell, after: int, bounds: list[tuple[int, int]]) -> None:
    """Write a cell from the pieces that were measured beyond its first ``after`` draws, and remove these.

    Raises:
        RobenchError: a piece is missing or damaged.
    """
    run.join_parts(
        cell.name,
        bounds,
        after=after,
        grown=lambda rows: grown(run, suite, cell, after, rows),
        joined=lambda: missing_of(run, suite, cell) is None,
    )


def split_cells(cells: list[Missing], batch_size: int) -> list[Piece]:
    """Split what is missing of cells into pieces of about 5,000 images.

    The bounds depend only on the batch size and fall between batches: pieces of an earlier, stopped run with another
    number of processes still fit, and every batch is the same as in a single process.

    Args:
        cells: what is missing of each cell.
        batch_size: images per batch.
    """
    pieces = []
    for cell, after, images, frames in cells:
        batch = max(1, batch_size // frames)  # clips are not cut
        size = max(1, round(PIECE_IMAGES / (batch * frames))) * batch
        pieces += [Piece(cell, start, min(start + size, images), after, frames) for start in range(0, images, size)]
    return pieces


def share_out(pieces: list[Piece], processes: int) -> list[list[Piece]]:
    """Return each process's pieces: the largest first, each to the process with the least work so far.

    >>> fog = Cell("fog")
    >>> shares = share_out([Piece(fog, 0, 50), Piece(fog, 50, 80), Piece(fog, 80, 110)], 2)
    >>> [[piece.passes for piece in share] for share in shares]
    [[50], [30, 30]]
    """
    shares: list[list[Piece]] = [[] for _ in range(processes)]
    work = [0] * processes
    for piece in sorted(pieces, key=lambda piece: -piece.passes):
        least = work.index(min(work))
        shares[least].append(piece)
        work[least] += piece.passes
    return shares
