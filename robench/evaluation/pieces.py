"""Cells split into pieces and distributed by size, so that all processes finish at about the same time."""

from __future__ import annotations

from typing import NamedTuple

from robench.suites.base import Cell
from robench.suites.opened import OpenSuite

PIECE_IMAGES = 5000


class Piece(NamedTuple):
    """The images start..stop of a cell."""

    cell: Cell
    start: int
    stop: int

    @property
    def images(self) -> int:
        """Number of images."""
        return self.stop - self.start


def split_cells(suite: OpenSuite, cells: list[Cell], batch_size: int) -> list[Piece]:
    """Split cells into pieces of about 5,000 images.

    The bounds depend only on the batch size and fall between batches: pieces of an earlier, stopped run with another
    number of processes still fit, and every batch is the same as in a single process.

    Args:
        suite: gives the number of images of a cell.
        cells: the cells to split.
        batch_size: images per batch.
    """
    size = max(1, round(PIECE_IMAGES / batch_size)) * batch_size
    pieces = []
    for cell in cells:
        length = suite.length(cell)
        pieces += [Piece(cell, start, min(start + size, length)) for start in range(0, length, size)]
    return pieces


def share_out(pieces: list[Piece], processes: int) -> list[list[Piece]]:
    """Return each process's pieces: the largest first, each to the process with the least work so far.

    >>> fog = Cell("fog")
    >>> shares = share_out([Piece(fog, 0, 50), Piece(fog, 50, 80), Piece(fog, 80, 110)], 2)
    >>> [[piece.images for piece in share] for share in shares]
    [[50], [30, 30]]
    """
    shares: list[list[Piece]] = [[] for _ in range(processes)]
    work = [0] * processes
    for piece in sorted(pieces, key=lambda piece: -piece.images):
        least = work.index(min(work))
        shares[least].append(piece)
        work[least] += piece.images
    return shares
