"""How often the images of a bootstrap are drawn, packed for the compiled kernels of many resamples."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from robench.metrics.segments import Segments
from robench.metrics.weighted import Array, Loop, Rows

Prepared = tuple[Rows, tuple[Any, ...]]  # of a loop: the order of rows, and its arguments


class Draws:
    """How often images are drawn.

    Args:
        weights: uint16 (resamples, images).
        images: the images' indices, rising.
    """

    def __init__(self, weights: npt.NDArray[np.uint16], images: npt.NDArray[np.int64]) -> None:
        self.weights, self.images = weights, images

    @cached_property
    def blocks(self) -> npt.NDArray[np.uint64] | None:
        """The weights as the kernels of many resamples read them; None where an image is drawn more than 15 times."""
        from robench.metrics._wide_loops import MOST, PACKED, WIDE, pack

        resamples, images = self.weights.shape
        if self.weights.size and self.weights.max() > MOST:
            return None
        found = np.zeros((-(-resamples // WIDE), images, PACKED), np.uint64)
        part = np.zeros((WIDE, images), np.uint8)
        for block, start in zip(found, range(0, resamples, WIDE), strict=True):
            few = self.weights[start : start + WIDE]
            part[: len(few)], part[len(few) :] = few, 0
            pack(part, block.view(np.uint8))
        return found

    @cached_property
    def totals(self) -> npt.NDArray[np.int64]:
        """How many images are drawn, (resamples,)."""
        return np.asarray(self.weights.sum(axis=1, dtype=np.int64))

    def places(self, index: npt.ArrayLike) -> Rows:
        """Return where these images stand among all, (n,)."""
        found = np.asarray(index)
        if np.array_equal(found, self.images):
            return np.arange(len(found))
        return np.searchsorted(self.images, found)

    def rows(self, rows: Rows) -> npt.NDArray[np.int64]:
        """Return how many rows are drawn, (resamples,), where ``rows`` says which image each row is of."""
        times = np.bincount(rows, minlength=len(self.images)).astype(np.int64)
        if len(times) and (times == times[0]).all():
            return np.asarray(self.totals * times[0])
        if self.blocks is None:
            return np.asarray(self.weights @ times)
        from robench.metrics._wide_loops import drawn_each

        found: npt.NDArray[np.int64] = drawn_each(self.blocks, times)
        return found[: len(self.weights)]

    def sums(self, parts: Sequence[Segments]) -> list[list[Array]]:
        """Return the sums over the drawn rows of all parts of several cells, (resamples, ...) each.

        Args:
            parts: of each cell, all of equally many values.
        """
        if not parts:
            return []
        rows = np.concatenate([part.rows for part in parts])
        values = np.concatenate([part.values for part in parts])
        ends = np.cumsum([0, *(part.starts[-1] for part in parts)])
        starts = np.concatenate([[0], *(part.starts[1:] + end for part, end in zip(parts, ends, strict=False))])
        if self.blocks is None:
            found = self._sums_one_by_one(rows, starts, values)
        else:
            from robench.metrics._wide_loops import sums_each

            found = sums_each(self.blocks, rows, starts, values)[: len(self.weights)]
        bins = np.cumsum([0, *(len(part.starts) - 1 for part in parts)])
        return [part.apart(found[:, bins[i] : bins[i + 1]]) for i, part in enumerate(parts)]

    def _sums_one_by_one(self, rows: npt.NDArray[np.uint32], starts: Rows, values: Array) -> Array:
        """The same where weights do not fit, which a bootstrap of more than a few images does not draw."""
        found = np.zeros((len(self.weights), len(starts) - 1, values.shape[1]))
        within = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
        for b, weights in enumerate(self.weights):
            np.add.at(found[b], within, np.einsum("tr,tkr->tk", weights[rows].astype(np.float64), values))
        return found

    def loop(self, loop: Loop, cells: Sequence[Prepared], rows: Sequence[Rows]) -> list[Array]:
        """Return a loop's numbers of every resample of several cells, (resamples, outputs) each.

        Args:
            loop: the loop.
            cells: of each cell, what the loop prepares.
            rows: of each cell, which image each row is of.
        """
        from robench.metrics import _loops

        if loop.name == "rms" and self.blocks is not None:
            return self._rms(cells, rows)
        each = getattr(_loops, f"{loop.name}_each")
        return [each(self.weights, of[order], *rest) for (order, rest), of in zip(cells, rows, strict=True)]

    def _rms(self, cells: Sequence[Prepared], rows: Sequence[Rows]) -> list[Array]:
        from robench.metrics._wide_loops import WIDE
        from robench.metrics._wide_rms import rms_each

        assert self.blocks is not None
        total = np.zeros((len(self.blocks) * WIDE, len(cells)), np.int64)
        for i, of in enumerate(rows):
            total[: len(self.weights), i] = self.rows(of)
        begins = np.cumsum([0, *map(len, rows)])
        ordered = [of[order].astype(np.uint32) for (order, _), of in zip(cells, rows, strict=True)]
        gap, last = (np.concatenate([rest[k] for _, rest in cells]) for k in (0, 1))
        found = rms_each(self.blocks, total, begins, np.concatenate(ordered), gap, last, cells[0][1][2])
        return [found[: len(self.weights), i] for i in range(len(cells))]


def draw_weights(rng: np.random.Generator, resamples: int, images: int) -> npt.NDArray[np.uint16]:
    """Return how often each image is drawn: (resamples, images), every row sums to ``images``.

    >>> draw_weights(np.random.Generator(np.random.PCG64(0)), 2, 5).sum(axis=1).tolist()
    [5, 5]
    """
    weights = np.empty((resamples, images), np.uint16)
    for row in weights:
        row[:] = np.bincount(rng.integers(0, images, images), minlength=images)
    return weights
