"""Cells' metrics on many resamples of their images at once, from how often each image is drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from robench.metrics.draws import Draws
from robench.metrics.prepared import Prepared, loops_of, prepare
from robench.metrics.weighted import AnyKernel, Array, Columns, Feature, Linear, Loop, Ordered, Rows, Sums


def replicates(cell: Columns, kernels: Mapping[str, AnyKernel], draws: Draws) -> dict[str, Array]:
    """Return metrics of one cell on every resample, (resamples,) each; see :func:`replicates_of`."""
    return replicates_of([prepare(cell, kernels, draws)], kernels, draws)[0]


def replicates_of(cells: Sequence[Prepared], kernels: Mapping[str, AnyKernel], draws: Draws) -> list[dict[str, Array]]:
    """Return metrics of cells on every resample, (resamples,) each, for each cell.

    An image's rows (its frames, its variants) are drawn together. Several cells at once take less time than one by
    one: the weights of a block of resamples stay in the cache while the rows of all of them go by.

    Args:
        cells: prepared for these kernels and draws.
        kernels: name -> kernel; a plain function is computed on repeated rows, resample by resample.
        draws: of the images.
    """
    loops = loops_of(kernels)
    numbers = [draws.loop(loop, [cell.passes[loop] for cell in cells], [cell.rows for cell in cells]) for loop in loops]
    sums, found, start = draws.sums([cell.columns for cell in cells]), [], 0
    for i, cell in enumerate(cells):
        own = sums[start : start + len(cell.columns)]
        start += len(own)
        passes = {loop: of_cells[i] for loop, of_cells in zip(loops, numbers, strict=True)}
        drawn = _drawn(cell, own, draws)
        found.append({name: _replicates(kernel, cell, drawn, passes, draws) for name, kernel in kernels.items()})
    return found


def _drawn(cell: Prepared, sums: Array, draws: Draws) -> dict[Feature | Linear, Array]:
    """Return the sums of every resample, (resamples, ...), by what is summed."""
    found = {key: sums[place] for key, place in cell.places.items()}
    if cell.counts:
        rows = draws.rows(list(cell.counts.values())).astype(np.float64)
        found |= dict(zip(cell.counts, rows, strict=True))
    return found | {feature: draws.within_bins(part, cell.rows) for feature, part in cell.binned.items()}


def _replicates(
    kernel: AnyKernel,
    cell: Prepared,
    drawn: Mapping[Feature | Linear, Array],
    passes: Mapping[Loop, Array],
    draws: Draws,
) -> Array:
    if isinstance(kernel, Ordered):
        return kernel.of_outputs(passes[kernel.loop])
    if not isinstance(kernel, Sums):
        return _repeated(kernel if callable(kernel) else kernel.value, cell.cell, cell.rows, draws)
    if kernel.linear is not None:
        start = float(kernel.linear.start(*(cell.totals[feature] for feature in kernel.features)))
        change = drawn[kernel.linear] - cell.columns[cell.places[kernel.linear]].sum()
        return kernel.linear.link(start + change)
    if kernel.along is not None and kernel.along.loop in passes:
        return kernel.along.of_outputs(passes[kernel.along.loop])
    return kernel.of_resamples([drawn[feature] for feature in kernel.features])


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
