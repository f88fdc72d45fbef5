"""Measuring a suite from a sample: which images each cell takes, what the sample says, and when it says enough.

The design: one permutation of the images, keyed by the data and a seed and never by the model. Each cell takes a
stretch of it, from a start of its own, so that cells share as few images as can be, every image is used about as often
as any other, a larger sample contains the smaller one, and two models are compared on the same images. Where classes
are known, every stretch holds them in their proportions.

The estimates: a figure that is a weighted sum of cells' means (a mean error; an mCE, whose weights hold the baseline)
has two standard errors. That of the full run is the design's own: over all permutations, with what measuring every
image would have given held fixed; it is exactly 0 for the whole. That of the population is for new images of the same
kind, and does not vanish.

For stretches of n_c images that overlap in m_cd, and S_cd the covariance over images of cells c and d, the variances
are the sums over c and d of a_c a_d S_cd (m_cd / (n_c n_d) - 1 / N) and of a_c a_d S_cd m_cd / (n_c n_d); the first
is Hoeffding's (1951) for a random permutation.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from robench.errors import RobenchError

Array = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
LEAST_IMAGES = 50  # per cell, before a width is believed
LEAST_EVENTS = 10  # right and wrong answers over all cells, likewise: a sample without an error has no spread
_BORROWED = 30  # overlapping images that a pair of cells' own covariance is weighed against the pooled one with
_LEAST_OVERLAP = 200  # overlapping images over all pairs of cells, below which the pooled correlation is not believed


@dataclass(frozen=True)
class Design:
    """Which images each cell takes.

    Args:
        order: int64 (images,), the permutation.
        cells: number of cells.
    """

    order: Rows
    cells: int

    def rows(self, cell: int, stop: int, start: int = 0) -> Rows:
        """Return the images ``start`` to ``stop`` - 1 of a cell's stretch, int64; ``rows(c, n)`` is its sample of n.

        Args:
            cell: 0 to cells - 1.
            stop: at most the number of images.
            start: 0, or what was measured before.
        """
        images = len(self.order)
        if not (0 <= cell < self.cells and 0 <= start <= stop <= images):
            raise RobenchError(
                f"Cell {cell} of {self.cells} has no images {start} to {stop} of {images}.",
                hint="Ask for cells counted from 0 and for no more images than there are.",
            )
        return np.asarray(self.order[(self._begin(cell) + np.arange(start, stop)) % images])

    def _begin(self, cell: int) -> int:
        """Return where a cell's stretch begins.

        Starts are evenly spaced. Neighbouring cells (severities of one corruption) lie far apart, so that those that
        overlap first are as alike as any two cells.
        """
        step = next(step for step in range(max(1, round(0.382 * self.cells)), 2 * self.cells + 2)
                    if np.gcd(step, self.cells) == 1)  # fmt: skip
        return len(self.order) * (cell * step % self.cells) // self.cells


def design(images: int, cells: int, *, key: str, seed: int = 0, classes: npt.ArrayLike | None = None) -> Design:
    """Return the sampling design of a suite.

    Args:
        images: in every cell.
        cells: of the suite.
        key: of the data, such as its checksum: other data, another permutation.
        seed: another seed, another permutation.
        classes: int (images,), known classes; every stretch then holds each class within one image of its share,
            but for a class's first and last image.

    Raises:
        RobenchError: no images or no cells, or ``classes`` is not of shape (images,).

    >>> one = design(100, 5, key="digits")
    >>> sorted(np.concatenate([one.rows(cell, 20) for cell in range(5)]).tolist()) == list(range(100))
    True
    """
    if images < 1 or cells < 1:
        raise RobenchError(f"A sample needs images and cells; found {images} and {cells}.", hint="Check the suite.")
    digest = hashlib.sha256(f"robench sampling\n{key}\n{seed}".encode()).digest()
    # Raw output of the generator: numpy guarantees it across versions, unlike its shuffles.
    raw = np.random.PCG64(int.from_bytes(digest, "big")).random_raw(2 * images)
    shuffled = np.argsort(raw[:images], kind="stable")
    if classes is None:
        return Design(shuffled, cells)
    labels = np.asarray(classes)
    if labels.shape != (images,):
        raise RobenchError(
            f"Expected one class for each of {images} images; found shape {labels.shape}.",
            hint="Give integer classes (images,), or None where they are not known.",
        )
    _, codes, counts = np.unique(labels[shuffled], return_inverse=True, return_counts=True)
    by_class = np.argsort(codes, kind="stable")
    rank = np.empty(images)
    rank[by_class] = np.arange(images) - np.repeat(np.cumsum(counts) - counts, counts)
    offset = raw[images : images + len(counts)] / 2.0**64  # of each class, so that classes do not fall in step
    return Design(shuffled[np.argsort((rank + offset[codes]) / counts[codes], kind="stable")], cells)


@dataclass(frozen=True)
class Estimate:
    """What a sample says of a figure.

    Args:
        value: of the figure.
        full_error: standard error as an estimate of the full run's value.
        population_error: standard error as an estimate of the value for new images of the same kind.
        events: the smaller of the numbers of values above and at their minimum, over all cells; for right and wrong
            answers, how many there are of the rarer.
    """

    value: float
    full_error: float
    population_error: float
    events: int

    def half_width(self, *, full: bool = True, level: float = 0.95) -> float:
        """Return half the width of the interval of the full run, or of the population."""
        error = self.full_error if full else self.population_error
        return NormalDist().inv_cdf(0.5 + level / 2.0) * error

    def interval(self, *, full: bool = True, level: float = 0.95) -> tuple[float, float]:
        """Return (low, high) of the full run's value, or of the population's."""
        half = self.half_width(full=full, level=level)
        return self.value - half, self.value + half


def estimate(
    samples: Sequence[tuple[Rows, npt.ArrayLike]],
    weights: npt.ArrayLike,
    images: int,
    *,
    classes: npt.ArrayLike | None = None,
    correlation: float = 0.0,
) -> Estimate:
    """Return a figure and its standard errors from the cells' samples.

    Args:
        samples: per cell, the images (n,) and their values (n,), such as wrong (1) or right (0), or one model's minus
            another's; n is 2 at least.
        weights: (cells,) of the cells' means, as from :func:`mean_weights` or :func:`ratio_weights`.
        images: of a whole cell.
        classes: (images,), where the design was stratified by them: what classes differ by is then no error of the
            full run's value.
        correlation: of two cells' values on the same image, used where the sample has too few images in common to
            show it (fewer images per cell than images / cells). 0 is cautious: the full run's interval is then too
            wide, by a sixth in the worst simulated case. A finished run of another model gives a better one
            (:func:`mean_correlation`).

    Raises:
        RobenchError: a cell with fewer than two images.
    """
    a = np.asarray(weights, np.float64)
    sizes = np.array([len(rows) for rows, _ in samples])
    if sizes.min() < 2:
        raise RobenchError("A cell has fewer than two images.", hint="Measure more images before asking for a width.")
    values = [np.asarray(found, np.float64) for _, found in samples]
    residuals, taken = np.zeros((images, len(samples))), np.zeros((images, len(samples)), np.float32)
    for c, (rows, _) in enumerate(samples):
        residuals[rows, c], taken[rows, c] = values[c] - values[c].mean(), 1.0
    overlap = (taken.T @ taken).astype(np.float64)
    share = overlap / np.outer(sizes, sizes)
    spread = _covariances(residuals, overlap, sizes, 1.0, correlation)
    population = float(a @ (spread * share) @ a)
    if classes is not None:
        scale = _without_classes(residuals, taken, np.asarray(classes))
        spread = _covariances(residuals, overlap, sizes, scale, correlation)
    full = float(a @ (spread * (share - 1.0 / images)) @ a)
    everything = np.concatenate(values)
    lowest = int((everything == everything.min()).sum())
    return Estimate(
        float(a @ [found.mean() for found in values]),
        np.sqrt(max(full, 0.0)),
        np.sqrt(max(population, 0.0)),
        min(lowest, len(everything) - lowest),
    )


def mean_correlation(values: npt.ArrayLike) -> float:
    """Return the mean correlation of two cells' values on the same image, from values (cells, images) of a whole run.

    >>> mean_correlation([[0, 1, 0, 1], [0, 1, 0, 1]])
    1.0
    """
    centred = np.asarray(values, np.float64)
    centred = centred - centred.mean(axis=1, keepdims=True)
    products = centred @ centred.T
    expected = np.sqrt(np.outer(np.diag(products), np.diag(products)))
    others = ~np.eye(len(products), dtype=bool)
    total = expected[others].sum()
    return float(products[others].sum() / total) if total > 0 else 0.0


def mean_weights(cells: int) -> Array:
    """Return the weights of the plain mean over cells, (cells,)."""
    return np.full(cells, 1.0 / cells)


def ratio_weights(groups: Sequence[int], baseline: npt.ArrayLike) -> Array:
    """Return the weights of a mean over groups of the group's mean over the baseline's, such as an mCE.

    Args:
        groups: (cells,) the group (corruption) of each cell, 0 to groups - 1.
        baseline: (groups,) the baseline's mean over the group's cells, which counts as exact.

    >>> ratio_weights([0, 0, 1], [0.5, 0.25]).tolist()
    [0.5, 0.5, 2.0]
    """
    index, base = np.asarray(groups), np.asarray(baseline, np.float64)
    return np.asarray(1.0 / (np.bincount(index)[index] * base[index] * len(base)))


def enough(found: Estimate, within: float, sizes: Sequence[int], images: int, *, level: float = 0.95) -> bool:
    """Return whether a sample may stop: its interval for the full run is at most ``within`` to either side.

    Every cell has then 50 images at least, and 10 of the rarer answers are among all of them; or it is the whole.

    Args:
        found: the estimate.
        within: half the width wanted, in units of the figure.
        sizes: images of each cell.
        images: of a whole cell.
        level: of the interval.
    """
    if min(sizes) >= images:
        return True
    believed = min(sizes) >= min(LEAST_IMAGES, images) and found.events >= LEAST_EVENTS
    return believed and found.half_width(level=level) <= within


def next_size(found: Estimate, within: float, size: int, images: int, *, level: float = 0.95) -> int:
    """Return how many images per cell to measure next: those that should do, at most twice as many as before.

    The variance for the population falls as 1 / n, and that for the full run lies below it by the pool's own; so n
    follows from both errors of the present sample.

    Args:
        found: the estimate from ``size`` images per cell.
        within: half the width wanted.
        size: images per cell so far.
        images: of a whole cell.
        level: of the interval.

    >>> next_size(Estimate(0.3, 0.004, 0.005, 100), 0.005, 200, 10_000)
    329
    """
    wanted = (within / NormalDist().inv_cdf(0.5 + level / 2.0)) ** 2
    pool = max(found.population_error**2 - found.full_error**2, 0.0)
    needed = size * found.population_error**2 / (wanted + pool) if wanted + pool > 0 else images
    return int(min(images, 2 * size, max(np.ceil(1.02 * needed), size + 1, LEAST_IMAGES)))


def _covariances(residuals: Array, overlap: Array, sizes: Rows, scale: float, correlation: float) -> Array:
    """Return the covariances over images of the cells' values, (cells, cells), from centred values.

    Pairs of cells borrow from the correlation of all pairs, the more the fewer images they have in common.
    """
    products = residuals.T @ residuals * scale
    variance = np.diag(products) / (sizes - 1.0)
    deviations = np.sqrt(np.outer(variance, variance))
    others = ~np.eye(len(sizes), dtype=bool)
    shared = overlap[others].sum()
    expected = (overlap * deviations)[others].sum()
    pooled = products[others].sum() / expected if shared >= 2 * _LEAST_OVERLAP and expected > 0 else correlation
    whole = np.minimum.outer(sizes, sizes) == overlap  # all that could be in common is
    borrowed = np.where(whole, 0.0, _BORROWED)
    found = (products + borrowed * np.clip(pooled, 0.0, 1.0) * deviations) / np.maximum(overlap + borrowed - 1.0, 1.0)
    np.fill_diagonal(found, variance)
    return np.asarray(found)


def _without_classes(residuals: Array, taken: npt.NDArray[np.float32], classes: npt.NDArray[np.int64]) -> float:
    """Take every class's mean residual over all cells off, in place, and return the factor for what that costs.

    Left as they are where classes have fewer than four values each, which is too few to tell them apart.
    """
    _, codes = np.unique(classes, return_inverse=True)
    counts = np.bincount(codes, weights=taken.sum(axis=1))
    total, present = counts.sum(), int((counts > 0).sum())
    if total < 4 * present:
        return 1.0
    means = np.bincount(codes, weights=residuals.sum(axis=1)) / np.maximum(counts, 1.0)
    residuals -= means[codes][:, None] * taken
    return float(total / (total - present))
