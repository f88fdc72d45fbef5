"""A cell's metrics on many resamples of its images at once, from how often each image is drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from robench.metrics.segments import Segments, of_parts
from robench.metrics.weighted import AnyKernel, Array, Column, Columns, Feature, Loop, Ordered, Rows, Sums

Summed = dict[Feature, tuple[Array, Array]]


class Draws:
    """How often images are drawn.

    Args:
        weights: uint16 (resamples, images).
        images: the images' indices, rising.
    """

    def __init__(self, weights: npt.NDArray[np.uint16], images: npt.NDArray[np.int64]) -> None:
        self.weights, self.images = weights, images

    @cached_property
    def blocks(self) -> npt.NDArray[Any]:
        """The weights as (blocks, images, resamples of a block), in bytes where they fit; filled up with zeros."""
        from robench.metrics._wide_loops import WIDE

        resamples, images = self.weights.shape
        small = not self.weights.size or self.weights.max() < 256
        found = np.zeros((-(-resamples // WIDE), images, WIDE), np.uint8 if small else np.uint16)
        for start in range(0, resamples, WIDE):
            part = self.weights[start : start + WIDE]
            found[start // WIDE, :, : len(part)] = part.T
        return found

    def sums(self, parts: Segments) -> list[Array]:
        """Return the sums over the drawn rows of all parts, (resamples, ...) each."""
        from robench.metrics import _wide_loops

        found = _wide_loops.sums_each(self.blocks, parts.rows, parts.starts, parts.values)
        return parts.apart(found[: len(self.weights)])

    def loop(self, loop: Loop, columns: Columns, rows: Rows) -> Array:
        """Return a loop's numbers of every resample, (resamples, outputs)."""
        from robench.metrics import _loops, _wide_loops

        order, arguments = loop.prepare(columns)
        wide = getattr(_wide_loops, f"{loop.name}_each", None)
        if wide is None:
            each: Array = getattr(_loops, f"{loop.name}_each")(self.weights, rows[order], *arguments)
            return each
        times = np.bincount(rows, minlength=len(self.images)).astype(np.int32)
        found: Array = wide(self.blocks, times, rows[order].astype(np.uint32), *arguments)
        return found[: len(self.weights)]


def replicates(cell: Columns, kernels: Mapping[str, AnyKernel], draws: Draws) -> dict[str, Array]:
    """Return metrics of one cell on every resample, (resamples,) each.

    An image's rows (its frames, its variants) are drawn together.

    Args:
        cell: columns of the cell; ``index`` says which image a row is of.
        kernels: name -> kernel; a plain function is computed on repeated rows, resample by resample.
        draws: of the images.
    """
    rows = np.searchsorted(draws.images, np.asarray(cell["index"]))
    sums = {name: kernel for name, kernel in kernels.items() if isinstance(kernel, Sums)}
    summed = _summed({feature for kernel in sums.values() for feature in kernel.features}, cell, rows, draws)
    passes: dict[Loop, Array] = {}
    found: dict[str, Array] = {}
    for name, kernel in kernels.items():
        if isinstance(kernel, Sums):
            pairs = [summed[feature] for feature in kernel.features]
            found[name] = kernel.of_resamples([drawn for drawn, _ in pairs], [ones for _, ones in pairs])
        elif isinstance(kernel, Ordered):
            if kernel.loop not in passes:
                passes[kernel.loop] = draws.loop(kernel.loop, cell, rows)
            found[name] = kernel.of_outputs(passes[kernel.loop])
        else:
            function = kernel if callable(kernel) else kernel.value
            found[name] = _repeated(function, cell, rows, draws)
    return found


def _summed(features: set[Feature], cell: Columns, rows: Rows, draws: Draws) -> Summed:
    """Return each feature's sums over resamples, and with weights of one."""
    computed = {feature: feature(cell) for feature in features}
    found: Summed = {}
    for by_clip in (True, False):
        some = {f: part for f, part in computed.items() if (isinstance(part, Column) and part.clips) is by_clip}
        where = np.searchsorted(draws.images, np.unique(cell["index"])) if by_clip and some else rows
        keys = list(some)
        for members, segments in of_parts(list(some.values()), where, len(draws.images)):
            for i, sums in zip(members, draws.sums(segments), strict=True):
                found[keys[i]] = (sums, some[keys[i]].total())
    return found


def _repeated(compute: Callable[[Columns], float], cell: Columns, rows: Rows, draws: Draws) -> Array:
    """Compute a metric on every resample by repeating rows: slow, and right for whatever it is.

    A repeated clip gets an index of its own, so that a metric over clips counts it as one more.
    """
    out = np.empty(len(draws.weights))
    per_row: dict[str, npt.NDArray[Any]] = {n: np.asarray(c) for n, c in cell.items() if np.ndim(c) > 0}
    rest = {name: column for name, column in cell.items() if np.ndim(column) == 0}
    for b, weights in enumerate(draws.weights):
        times = weights[rows].astype(np.int64)
        drawn = np.repeat(np.arange(len(rows)), times)
        which = np.arange(len(drawn)) - np.repeat(np.cumsum(times) - times, times)  # 0, 1, ... of each row's repeats
        columns = {name: column[drawn] for name, column in per_row.items()} | rest
        columns["index"] = np.unique(np.stack([rows[drawn], which]), axis=1, return_inverse=True)[1].reshape(-1)
        out[b] = compute(columns)
    return out
