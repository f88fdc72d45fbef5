"""What the metrics of a cell are made of, computed once for their values and for all resamples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from robench.metrics.arrays import distinct
from robench.metrics.draws import Draws
from robench.metrics.weighted import (
    AnyKernel,
    Array,
    Binned,
    Columns,
    Feature,
    Linear,
    Loop,
    Ordered,
    Rows,
    Sums,
)


@dataclass(frozen=True)
class Prepared:
    """A cell that is ready to be resampled.

    Attributes:
        columns: float64 (k, images), what images add to sums.
        places: which of the columns is a feature's sum, or that of a linear metric's changes.
        counts: features that count rows, and which image each of these is of, int64 (n,).
        binned: features within bins that are summed as such.
        totals: each feature's sums with weights of one.
        passes: what each loop prepares.
        rows: int64 (n,), which image each row is of.
        cell: the cell's own columns.
    """

    columns: Array
    places: Mapping[Feature | Linear, int]
    counts: Mapping[Feature, Rows]
    binned: Mapping[Feature, Binned]
    totals: Mapping[Feature, Array]
    passes: Mapping[Loop, tuple[Rows, tuple[Any, ...]]]
    rows: Rows
    cell: Columns

    def value(self, kernel: AnyKernel) -> float:
        """Return a metric with weights of one."""
        if isinstance(kernel, Sums):
            return kernel.of_sums([self.totals[feature] for feature in kernel.features])
        if isinstance(kernel, Ordered):
            return float(kernel.of_outputs(kernel.loop.once(*self.passes[kernel.loop])))
        return float(kernel(self.cell) if callable(kernel) else kernel.value(self.cell))


def loops_of(kernels: Mapping[str, AnyKernel]) -> list[Loop]:
    """Return the passes over sorted rows that metrics take."""
    return list(dict.fromkeys(kernel.loop for kernel in kernels.values() if isinstance(kernel, Ordered)))


def prepare(cell: Columns, kernels: Mapping[str, AnyKernel], draws: Draws) -> Prepared:
    """Compute what these metrics are made of.

    Args:
        cell: the columns, (n, ...) each; ``index`` says which image a row is of.
        kernels: name -> kernel.
        draws: of the images, of which the cell has some or all.
    """
    rows, loops = draws.places(cell["index"]), loops_of(kernels)
    formulas = [kernel for kernel in kernels.values() if isinstance(kernel, Sums)]
    parts = {feature: feature(cell) for kernel in formulas for feature in kernel.features}
    totals = {feature: part.total() for feature, part in parts.items()}
    columns: dict[Feature | Linear, Array] = {}
    counts: dict[Feature, Rows] = {}
    binned: dict[Feature, Binned] = {}
    for kernel in formulas:
        if kernel.linear is not None:
            with np.errstate(invalid="ignore", divide="ignore"):
                slopes = kernel.linear.slopes([totals[feature] for feature in kernel.features])
            changes = [parts[feature].times(slope) for feature, slope in zip(kernel.features, slopes, strict=True)]
            columns[kernel.linear] = draws.per_image(rows, np.sum(changes, axis=0))
        elif kernel.along is None or kernel.along.loop not in loops:
            for feature in kernel.features:
                part = parts[feature]
                if isinstance(part, Binned):
                    binned[feature] = part
                    continue
                where = draws.places(distinct(cell["index"])) if part.clips else rows
                if (part.values == 1.0).all():
                    counts[feature] = where
                else:
                    columns[feature] = draws.per_image(where, part.values)
    stacked = np.stack(list(columns.values())) if columns else np.empty((0, len(draws.images)))
    places = {key: i for i, key in enumerate(columns)}
    return Prepared(stacked, places, counts, binned, totals, {loop: loop.prepare(cell) for loop in loops}, rows, cell)
