"""Intervals by a paired bootstrap over images: an image's cells are resampled together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial

import numpy as np
import numpy.typing as npt

from robench.cpu import in_threads
from robench.errors import RobenchError
from robench.metrics.arrays import distinct, floats, inner_share
from robench.metrics.cells import compute, defined, kernel, whole_columns
from robench.metrics.draws import Draws, draw_weights
from robench.metrics.prepared import prepare
from robench.metrics.resampling import replicates_of
from robench.metrics.weighted import Array, Columns

__all__ = [
    "Bootstrap",
    "bootstrap_cells",
    "centred_interval",
    "draw_weights",
    "exact_interval",
    "images_of",
    "interval",
]

_CHUNK_BYTES = 1 << 27  # of weights: the resamples of 50,000 images at once
_BATCH_ROWS = 1 << 20  # of the cells that are resampled together


def bootstrap_cells(
    cells: Sequence[Columns], metrics: Sequence[str], *, resamples: int = 1000, seed: int = 0
) -> dict[str, Array]:
    """Return bootstrap replicates of metrics, with images drawn once for all cells.

    Args:
        cells: columns of every cell; ``index`` says which image a row is.
        metrics: names from :data:`robench.catalogue.METRICS`.
        resamples: number of resamples.
        seed: of the draws; the same seed and images give the same draws, so runs can be compared pairwise.

    Returns:
        Metric -> float64 (resamples, cells); NaN for cells of fewer than two images, or than the metric needs.

    Raises:
        RobenchError: as :func:`robench.metrics.cells.whole_columns`, no ``index``, or a number of resamples below 0.

    >>> cell = {"index": np.arange(4), "predicted": np.array([0, 1, 1, 1]), "target": np.ones(4, int)}
    >>> bootstrap_cells([cell], ["error"], resamples=3)["error"].shape
    (3, 1)
    """
    if isinstance(resamples, bool) or not isinstance(resamples, (int, np.integer)) or resamples < 0:
        raise RobenchError(f"`resamples` must be a whole number, at least 0; found {resamples!r}.", hint="Give 1000.")
    for cell in cells:
        if "index" not in cell:
            raise RobenchError("A cell has no `index`.", hint="Give the column that says which image a row is.")
    images = images_of([cell["index"] for cell in cells])
    with ExitStack() as checks:
        for cell in cells:
            checks.enter_context(whole_columns(metrics, cell))
        return Bootstrap(images, resamples=resamples, seed=seed).replicates(cells, metrics)


class Bootstrap:
    """Draws of images for cells that come one after another: an image is drawn equally often in all of them.

    Args:
        images: the indices of all cells' images, as from :func:`images_of`.
        resamples, seed: as for :func:`bootstrap_cells`.

    >>> cell = {"index": np.arange(4), "predicted": np.array([0, 1, 1, 1]), "target": np.ones(4, int)}
    >>> apart, both = Bootstrap(np.arange(4), resamples=3), bootstrap_cells([cell, cell], ["error"], resamples=3)
    >>> [(apart.replicates([cell], ["error"])["error"][:, 0] == both["error"][:, i]).all() for i in (0, 1)]
    [np.True_, np.True_]
    """

    def __init__(self, images: npt.NDArray[np.int64], *, resamples: int = 1000, seed: int = 0) -> None:
        self._images, self._resamples, self._seed = images, resamples, seed
        self._kept: Draws | None = None  # where all resamples are drawn at once

    def replicates(self, cells: Sequence[Columns], metrics: Sequence[str]) -> dict[str, Array]:
        """Return the replicates of some cells, as :func:`bootstrap_cells` does."""
        return self.measure(cells, metrics)[1]

    def measure(self, cells: Sequence[Columns], metrics: Sequence[str]) -> tuple[dict[str, Array], dict[str, Array]]:
        """Return metrics of some cells, float64 (cells,) each, and their replicates."""
        kernels = {name: kernel(name) for name in metrics}
        values = {name: np.full(len(cells), np.nan) for name in metrics}
        found = {name: np.full((self._resamples, len(cells)), np.nan) for name in metrics}
        several = [i for i, cell in enumerate(cells) if len(distinct(cell["index"])) >= 2]
        for i in set(range(len(cells))) - set(several):
            for name in metrics:
                values[name][i] = compute(name, cells[i])
        for start, draws in self._draws():
            for batch in _batches(cells, several):
                prepared = in_threads(partial(prepare, kernels=kernels, draws=draws), [cells[i] for i in batch])
                drawn = replicates_of(prepared, kernels, draws) if self._resamples else []
                for name in metrics:
                    of_cells = [(place, i) for place, i in enumerate(batch) if defined(name, cells[i])]
                    for place, i in of_cells if start == 0 else ():
                        values[name][i] = prepared[place].value(kernels[name])
                    for place, i in of_cells if self._resamples else ():
                        found[name][start : start + len(draws.weights), i] = drawn[place][name]
        return values, found

    def _draws(self) -> Iterator[tuple[int, Draws]]:
        """Yield the first resample and the draws of every part that fits into the memory set aside for weights."""
        if self._kept is not None:
            yield 0, self._kept
            return
        rng = np.random.Generator(np.random.PCG64(self._seed))
        chunk = max(1, _CHUNK_BYTES // max(1, 2 * len(self._images)))
        for start in range(0, max(self._resamples, 1), chunk):  # without resamples, for the values alone
            few = min(chunk, self._resamples - start)
            draws = Draws(draw_weights(rng, few, len(self._images)), self._images)
            if few == self._resamples:
                self._kept = draws
            yield start, draws


def images_of(indices: Sequence[npt.ArrayLike]) -> npt.NDArray[np.int64]:
    """Return the images of all cells, rising; ``indices`` of each cell's rows."""
    return _union([distinct(index) for index in indices])


def _union(indices: Sequence[npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
    """Return the images of all cells, rising; of rising images each."""
    others = [index for index in indices if not np.array_equal(index, indices[0])]
    return np.unique(np.concatenate([indices[0], *others])) if others else indices[0] if indices else np.empty(0, int)


def _batches(cells: Sequence[Columns], chosen: Sequence[int]) -> list[list[int]]:
    """Return the chosen cells in groups that are resampled together."""
    found: list[list[int]] = []
    held = 0
    for i in chosen:
        rows = len(cells[i]["index"])
        if not found or held + rows > _BATCH_ROWS:
            found.append([])
            held = 0
        found[-1].append(i)
        held += rows
    return found


def interval(replicates: Array, level: float = 0.95) -> tuple[Array, Array]:
    """Return the percentile interval along the first axis, omitting NaN replicates.

    Args:
        replicates: (resamples, ...).
        level: of the interval.

    Returns:
        (low, high), (...) each; NaN where no replicate is finite.

    Raises:
        RobenchError: a level outside (0, 1).

    >>> low, high = interval(np.arange(101.0), level=0.9)
    >>> round(float(low)), round(float(high))
    (5, 95)
    """
    replicates, tail = floats(replicates), (1.0 - inner_share(level, "level")) / 2.0
    if not np.isfinite(replicates).any():
        nan = np.full(np.shape(replicates)[1:], np.nan)
        return nan, nan
    low, high = np.nanquantile(replicates, [tail, 1.0 - tail], axis=0)
    return low, high


def exact_interval(value: float, images: int, level: float = 0.95) -> tuple[float, float]:
    """Return the exact binomial interval of a share of 0 or 1, which every resample has too.

    Args:
        value: 0.0 or 1.0, the mean of values in [0, 1] over independent images, all of them 0 or all 1.
        images: how many.
        level: of the interval.

    With no wrong answer among n images its upper end is 1 - ((1 - level) / 2)^(1 / n), about 3.7 / n. It is also that
    of the mean of several such shares of the same images: their mean is at most the share of images that any has.

    Source: Clopper and Pearson 1934.

    >>> low, high = exact_interval(0.0, 100)
    >>> low, round(high, 4)
    (0.0, 0.0362)
    """
    reach = 1.0 - ((1.0 - level) / 2.0) ** (1.0 / images)
    return (0.0, reach) if value == 0.0 else (1.0 - reach, 1.0)


def centred_interval(value: float, replicates: Array, highest: float = np.inf) -> tuple[float, float]:
    """Return the percentile interval of bootstrap replicates, (resamples,), moved by their bias.

    A resample repeats images, so binned calibration errors come out larger in resamples than on the images
    themselves, by more than the interval is wide. The difference between the replicates' mean and the value is the
    bootstrap's estimate of that bias (Efron and Tibshirani 1993, section 10.2) and is taken off. For means, such as
    the error, the bias is nil: a mean of replicates within three standard errors of the value is chance, and moves
    nothing (else an interval that ends at zero, as one of a single image does, would leave zero out half of the
    time). A value that no resample takes below zero stays at or above zero, and none goes beyond
    ``highest``, the largest value that it can have.

    Args:
        value: that the replicates are of.
        replicates: (resamples,) of it; NaN ones are omitted.
        highest: the largest that it can be.

    >>> low, high = centred_interval(1.0, np.linspace(1.5, 2.5, 101))
    >>> round(low, 3), round(high, 3)
    (0.525, 1.475)
    """
    bias = float(np.nanmean(replicates)) - value
    if abs(bias) <= 3.0 * float(np.nanstd(replicates)) / np.sqrt(np.isfinite(replicates).sum()):
        bias = 0.0
    low, high = (float(end) - bias for end in interval(replicates))
    if value >= 0 and np.nanmin(replicates) >= 0:
        low = max(0.0, low)
    return min(low, value), max(min(high, highest), value)
