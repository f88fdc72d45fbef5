"""What a metric is made of: a kernel of weighted images, written once for values, bootstrap replicates and streams.

A kernel takes the columns of a cell's predictions and weights of its images. Weights of one give the metric's value,
the numbers of draws of a bootstrap resample give its replicate, and sums carried from batch to batch give the value of
a stream. There are two built-in forms, and a plain function for everything else:

- :class:`Sums`: a formula of weighted sums over images, which for many resamples are one matrix product;
- :class:`Ordered`: one compiled pass over sorted rows;
- any function ``columns -> float``: resampled by computing it on repeated rows, slow and right for whatever it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
Columns = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Column:
    """A value per row, (n,) float64; with ``clips``, a value per clip, clips by rising index."""

    values: Array
    clips: bool = False

    def total(self) -> Array:
        """Return the sum over images of weight one, float64 ()."""
        return np.asarray(self.values.sum())

    def times(self, slope: Array) -> Array:
        """Return the values times a number, (n,)."""
        return np.asarray(self.values * slope)


@dataclass(frozen=True)
class Binned:
    """Values of the rows, (k, n) float64, summed within bins: ``index`` (n,) in 0..bins-1 says which."""

    values: Array
    index: npt.NDArray[np.integer[Any]]
    bins: int

    def total(self) -> Array:
        """Return the sums over images of weight one, float64 (bins, k)."""
        sums = [np.bincount(self.index, weights=row, minlength=self.bins) for row in self.values]
        return np.stack(sums, axis=1).astype(np.float64)

    def times(self, slopes: Array) -> Array:
        """Return the rows' values times the slopes of their bins, (bins, k), added up, (n,)."""
        found = np.zeros(len(self.index))
        for row, slope in zip(self.values, slopes.T, strict=True):
            if slope.any():
                found += row * slope[self.index]
        return found


Feature = Callable[[Columns], Column | Binned]


class Kernel(Protocol):
    """A metric of a cell's columns that also knows how to be resampled quickly."""

    def value(self, columns: Columns) -> float:
        """Return the metric with weights of one; NaN where it is undefined."""
        ...


AnyKernel = Kernel | Callable[[Columns], float]


@dataclass(frozen=True)
class Linear:
    """Replicates that change linearly with the sums of their resample; see :mod:`robench.metrics.debiased`.

    As every image then adds a number of its own, a resample takes one sum over images, whatever the number of bins.

    Args:
        start: from the sums of weights one to a number, of which the metric is ``link``.
        slopes: from these sums to how much that number changes with each, of their shape.
        link: from the resamples' numbers, (resamples,), to the replicates.
    """

    start: Callable[..., Array]
    slopes: Callable[[Sequence[Array]], Sequence[Array]]
    link: Callable[[Array], Array] = np.asarray


@dataclass(frozen=True)
class Sums:
    """A metric that is a formula of sums over images.

    Args:
        features: what is summed; features shared by metrics are computed and summed once.
        final: from the sums, each (...) or (..., bins, k), to the metric, (...).
        linear: how replicates are made, where they are not the formula of the resamples' sums.
        slopes: from the sums of weights one to how much the metric changes with each, of their shape, where this is
            not the formula's derivative.
        along: the same metric as a number of a pass over sorted rows, which has the replicates where other metrics
            take that pass anyway.
    """

    features: tuple[Feature, ...]
    final: Callable[..., Array]
    linear: Linear | None = None
    slopes: Callable[[Sequence[Array]], Sequence[Array]] | None = None
    along: Ordered | None = None

    def value(self, columns: Columns) -> float:
        """Return the metric with weights of one."""
        return self.of_sums([feature(columns).total() for feature in self.features])

    def of_sums(self, sums: Sequence[npt.ArrayLike]) -> float:
        """Return the metric of sums over images: of whole arrays, or kept over batches."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return float(self.final(*(np.asarray(part, np.float64) for part in sums)))

    def of_resamples(self, sums: Sequence[Array]) -> Array:
        """Return the replicates, (resamples,), of sums (resamples, ...), where they are the formula of these."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(self.final(*sums))


@dataclass(frozen=True)
class Loop:
    """A compiled kernel of :mod:`robench.metrics._loops` and what it runs over.

    Args:
        name: the kernel's; ``name_each`` is the same over resamples (of ``rms``, ``_wide_rms``).
        prepare: from columns to the order of rows, (n,), and the kernel's other arguments, rows in that order.
        outputs: how many numbers the kernel fills.
    """

    name: str
    prepare: Callable[[Columns], tuple[Rows, tuple[Any, ...]]]
    outputs: int = 1

    def once(self, order: Rows, arguments: tuple[Any, ...]) -> Array:
        """Return the kernel's numbers with weights of one, (outputs,)."""
        from robench.metrics import _loops

        out = np.full(self.outputs, np.nan)
        getattr(_loops, self.name)(np.ones(len(order), np.uint16), order, *arguments, out)
        return out


@dataclass(frozen=True)
class Ordered:
    """A metric that is one of the numbers of a :class:`Loop`, or a formula of it."""

    loop: Loop
    output: int = 0
    final: Callable[[Array], Array] | None = None

    def value(self, columns: Columns) -> float:
        """Return the metric with weights of one."""
        order, arguments = self.loop.prepare(columns)
        return float(self.of_outputs(self.loop.once(order, arguments)))

    def of_outputs(self, outputs: Array) -> Array:
        """Return the metric, (...), of the loop's numbers, (..., outputs)."""
        found = outputs[..., self.output]
        return found if self.final is None else self.final(found)


def correct(columns: Columns) -> npt.NDArray[np.bool_]:
    """Return whether each image's predicted class is its target, (n,)."""
    return np.asarray(np.asarray(columns["predicted"]) == np.asarray(columns["target"]), bool)
