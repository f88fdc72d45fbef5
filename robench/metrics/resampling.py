"""Cells' metrics on many resamples of their images at once, from how often each image is drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from robench.metrics.arrays import distinct
from robench.metrics.draws import Draws
from robench.metrics.segments import Segments, of_parts
from robench.metrics.weighted import AnyKernel, Array, Column, Columns, Feature, Loop, Ordered, Rows, Sums

Summed = dict[Feature, tuple[Array, Array]]


def replicates(cell: Columns, kernels: Mapping[str, AnyKernel], draws: Draws) -> dict[str, Array]:
    """Return metrics of one cell on every resample, (resamples,) each; see :func:`replicates_of`."""
    return replicates_of([cell], kernels, draws)[0]


def replicates_of(cells: Sequence[Columns], kernels: Mapping[str, AnyKernel], draws: Draws) -> list[dict[str, Array]]:
    """Return metrics of cells on every resample, (resamples,) each, for each cell.

    An image's rows (its frames, its variants) are drawn together. Several cells at once take less time than one by
    one: the weights of a block of resamples stay in the cache while the rows of all of them go by.

    Args:
        cells: their columns; ``index`` says which image a row is of.
        kernels: name -> kernel; a plain function is computed on repeated rows, resample by resample.
        draws: of the images.
    """
    rows = [draws.places(cell["index"]) for cell in cells]
    sums = [kernel for kernel in kernels.values() if isinstance(kernel, Sums)]
    summed = _summed(list(dict.fromkeys(feature for kernel in sums for feature in kernel.features)), cells, rows, draws)
    passes: dict[Loop, list[Array]] = {}
    for loop in {kernel.loop for kernel in kernels.values() if isinstance(kernel, Ordered)}:
        passes[loop] = draws.loop(loop, [loop.prepare(cell) for cell in cells], rows)
    found: list[dict[str, Array]] = []
    for i, cell in enumerate(cells):
        found.append({})
        for name, kernel in kernels.items():
            if isinstance(kernel, Sums):
                pairs = [summed[i][feature] for feature in kernel.features]
                found[i][name] = kernel.of_resamples([drawn for drawn, _ in pairs], [ones for _, ones in pairs])
            elif isinstance(kernel, Ordered):
                found[i][name] = kernel.of_outputs(passes[kernel.loop][i])
            else:
                function = kernel if callable(kernel) else kernel.value
                found[i][name] = _repeated(function, cell, rows[i], draws)
    return found


def _summed(features: Sequence[Feature], cells: Sequence[Columns], rows: Sequence[Rows], draws: Draws) -> list[Summed]:
    """Return each feature's sums over resamples, and with weights of one, of every cell."""
    found: list[Summed] = [{} for _ in cells]
    groups: dict[int, list[tuple[int, list[Feature], Segments]]] = {}  # by how many values they have
    for i, cell in enumerate(cells):
        computed = {feature: feature(cell) for feature in features}
        for by_clip in (True, False):
            some = {f: part for f, part in computed.items() if (isinstance(part, Column) and part.clips) is by_clip}
            where = draws.places(distinct(cell["index"])) if by_clip and some else rows[i]
            keys = list(some)
            for members, segments in of_parts(list(some.values()), where, len(draws.images)):
                chosen = [keys[member] for member in members]
                groups.setdefault(segments.values.shape[1], []).append((i, chosen, segments))
        for feature, part in computed.items():
            found[i][feature] = (np.empty(0), part.total())
    for group in groups.values():
        for (i, chosen, _), drawn in zip(group, draws.sums([segments for *_, segments in group]), strict=True):
            for feature, sums in zip(chosen, drawn, strict=True):
                found[i][feature] = (sums, found[i][feature][1])
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
