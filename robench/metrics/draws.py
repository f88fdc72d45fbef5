"""How often the images of a bootstrap are drawn, and sums over the drawn images for many resamples at once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from robench.cpu import in_threads, one_thread_of_blas
from robench.metrics.weighted import Array, Binned, Loop, Rows

Prepared = tuple[Rows, tuple[Any, ...]]  # of a loop: the order of rows, and its arguments
_RESAMPLES, _IMAGES = 256, 1024  # whose weights are numbers of a matrix at a time


class Draws:
    """How often images are drawn.

    Args:
        weights: uint16 (resamples, images).
        images: the images' indices, rising.
    """

    def __init__(self, weights: npt.NDArray[np.uint16], images: npt.NDArray[np.int64]) -> None:
        self.weights, self.images = weights, images
        self.every = np.arange(len(images))

    @cached_property
    def blocks(self) -> npt.NDArray[np.uint64] | None:
        """The weights as the kernels of many resamples read them; None where an image is drawn more than 15 times."""
        from robench.metrics._wide_loops import MOST, PACKED, WIDE, pack

        resamples, images = self.weights.shape
        if self.weights.size and self.weights.max() > MOST:
            return None
        found = np.zeros((-(-resamples // WIDE), images, PACKED), np.uint64)

        def fill(block: int) -> None:
            few = self.weights[block * WIDE : (block + 1) * WIDE]
            part = np.zeros((WIDE, images), np.uint8)
            part[: len(few)] = few
            pack(part, found[block].view(np.uint8))

        in_threads(fill, range(len(found)))
        return found

    @cached_property
    def totals(self) -> npt.NDArray[np.int64]:
        """How many images are drawn, (resamples,)."""
        return np.asarray(self.weights.sum(axis=1, dtype=np.int64))

    def places(self, index: npt.ArrayLike) -> Rows:
        """Return where these images stand among all, (n,); ``every`` itself where they are all of them."""
        found = np.asarray(index)
        return self.every if np.array_equal(found, self.images) else np.searchsorted(self.images, found)

    def per_image(self, rows: Rows, values: Array) -> Array:
        """Return the sums of values (n,) over each image's rows, float64 (images,)."""
        if rows is self.every:
            return values
        return np.bincount(rows, weights=values, minlength=len(self.images)).astype(np.float64)

    def sums(self, columns: Sequence[Array]) -> Array:
        """Return sums over the drawn images, (columns, resamples): one product of matrices for those of many cells.

        Args:
            columns: float64 (k, images) each.
        """
        found = np.zeros((sum(map(len, columns)), len(self.weights)))

        def fill(first: int) -> None:
            drawn, into = self.weights[first : first + _RESAMPLES], found[:, first : first + _RESAMPLES]
            for start in range(0, len(self.images), _IMAGES):
                some = slice(start, start + _IMAGES)
                into += np.concatenate([part[:, some] for part in columns]) @ drawn[:, some].astype(np.float64).T

        with one_thread_of_blas():
            in_threads(fill, range(0, len(self.weights), _RESAMPLES))
        return found

    def rows(self, cells: Sequence[Rows]) -> npt.NDArray[np.int64]:
        """Return how many rows of cells are drawn, (cells, resamples), from which image each row is of, (n,)."""
        found = np.zeros((len(cells), len(self.weights)), np.int64)
        times = [np.bincount(rows, minlength=len(self.images)) for rows in cells]
        uneven = [i for i, of in enumerate(times) if len(of) and (of != of[0]).any()]
        for i, of in enumerate(times):
            found[i] = self.totals * (of[0] if len(of) else 0)
        if uneven:
            found[uneven] = self.sums([times[i][None].astype(np.float64) for i in uneven]).astype(np.int64)
        return found

    def within_bins(self, part: Binned, rows: Rows) -> Array:
        """Return the sums over the drawn rows within bins, (resamples, bins, k)."""
        if self.blocks is None:
            return self._within_bins_one_by_one(part, rows)
        from robench.metrics._wide_loops import WIDE, sums, tiles_of

        blocks, shape = self.blocks, (WIDE, part.bins, len(part.values))
        order = np.argsort(part.index.astype(np.min_scalar_type(part.bins)), kind="stable")  # by radix where few
        starts = np.concatenate([[0], np.cumsum(np.bincount(part.index, minlength=part.bins))]).astype(np.int64)
        tiles, values, firsts = tiles_of(order, rows, starts, part.values)
        found = np.zeros((len(blocks), *shape))
        in_threads(lambda b: sums(blocks[b], tiles, firsts, values, found[b]), range(len(blocks)))
        return found.reshape(-1, *shape[1:])[: len(self.weights)]

    def _within_bins_one_by_one(self, part: Binned, rows: Rows) -> Array:
        """The same where weights do not fit, which a bootstrap of more than a few images does not draw."""
        drawn = (weights[rows].astype(np.float64) for weights in self.weights)
        return np.stack([Binned(part.values * times, part.index, part.bins).total() for times in drawn])

    def loop(self, loop: Loop, cells: Sequence[Prepared], rows: Sequence[Rows]) -> list[Array]:
        """Return a loop's numbers of every resample of several cells, (resamples, outputs) each.

        Args:
            loop: the loop.
            cells: of each cell, what the loop prepares.
            rows: of each cell, which image each row is of.
        """
        from robench.metrics import _loops

        if loop.name == "rms" and self.blocks is not None:
            return self._rms(self.blocks, cells, rows)
        each = getattr(_loops, f"{loop.name}_each")
        return [each(self.weights, of[order], *rest) for (order, rest), of in zip(cells, rows, strict=True)]

    def _rms(self, blocks: npt.NDArray[np.uint64], cells: Sequence[Prepared], rows: Sequence[Rows]) -> list[Array]:
        """All cells of a block of resamples one after another, whose weights stay in the cache meanwhile."""
        from robench.metrics._wide_loops import WIDE
        from robench.metrics._wide_rms import rms, tiles_of_groups

        total = np.zeros((len(cells), len(blocks), WIDE), np.int64)
        total.reshape(len(cells), -1)[:, : len(self.weights)] = self.rows(rows)
        found = np.full((len(cells), len(blocks), WIDE, 4), np.nan)
        ordered = [of[order].astype(np.uint32) for (order, _), of in zip(cells, rows, strict=True)]
        tiles = [tiles_of_groups(last, edge) for _, (_, last, edge, _) in cells]

        def fill(block: int) -> None:
            for i, (_, (*columns, size)) in enumerate(cells):
                rms(blocks[block], ordered[i], *columns, *tiles[i], total[i, block], size, found[i, block])

        in_threads(fill, range(len(blocks)))
        return list(found.reshape(len(cells), -1, 4)[:, : len(self.weights)])


def draw_weights(rng: np.random.Generator, resamples: int, images: int) -> npt.NDArray[np.uint16]:
    """Return how often each image is drawn: (resamples, images), every row sums to ``images``.

    >>> draw_weights(np.random.Generator(np.random.PCG64(0)), 2, 5).sum(axis=1).tolist()
    [5, 5]
    """
    weights = np.empty((resamples, images), np.uint16)
    for row in weights:
        row[:] = np.bincount(rng.integers(0, images, images), minlength=images)
    return weights
