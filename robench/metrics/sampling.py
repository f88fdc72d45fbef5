"""Measuring a suite from a sample: how far the means of the sampled images are off, and how many images are enough.

Which images a cell draws is the matter of :mod:`robench.suites.drawing`. Two standard errors answer two questions. That
for *new images* says how far the sample's mean lies from the mean of the population that the images were drawn from.
That for the *full run* says how far it lies from what measuring every image would give; it is smaller, and zero once
everything is measured.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_ROWS_PER_CLASS = 5  # fewer rows per class say too little about the classes' means
_Z = 1.959963984540054


@dataclass(frozen=True)
class StandardErrors:
    """How far a sample's value is off.

    Attributes:
        new_images: standard error for the population that the images were drawn from.
        full_run: standard error for the value that measuring all images would give.
        per_image: variance of one draw, times the gradient: what ``new_images`` squared is times the images per cell.
        pool: the variance that the full run itself has as an estimate for new images.
    """

    new_images: float
    full_run: float
    per_image: float
    pool: float

    def images_for(self, half_width: float) -> int:
        """Return the images per cell with which a 95 % interval for the full run has this half-width (at least 1).

        >>> StandardErrors(new_images=0.01, full_run=0.01, per_image=0.01, pool=0.0).images_for(0.0098)
        400
        """
        return max(1, math.ceil(self.per_image / ((half_width / _Z) ** 2 + self.pool) - 1e-6))


def standard_errors(
    values: Sequence[Floats],
    index: Sequence[Integers],
    gradient: Floats,
    totals: Integers,
    *,
    classes: Sequence[Integers] | None = None,
    share: bool = False,
) -> StandardErrors:
    """Return the standard errors of a value that depends on the means of sampled cells.

    Args:
        values: for each cell float64 (n,), one value per drawn image.
        index: for each cell int64 (n,), which image each is; equal numbers in two cells are the same image.
        gradient: float64 (cells,), the derivative of the value by each cell's mean (1 / cells for their mean).
        totals: int64 (cells,), the images that the whole cell has.
        classes: for each cell int64 (n,), the images' classes, where the design spread them evenly.
        share: whether values are 0 or 1; where nearly all are equal, their spread is taken as a little larger.

    With ``m_c`` the mean of cell ``c``, ``S_cd`` the covariance of two cells over images, ``o_cd`` the images that both
    have drawn and N the images of the whole, the variance for new images is the sum over pairs of cells of
    ``g_c g_d S_cd o_cd / (n_c n_d)``; for the full run, drawn without replacement, ``S_cd / N`` is taken off each pair
    (Cochran 1977, sections 2.8 and 2.9, for samples that overlap in part). ``S_cd`` of pairs without a common image
    is the mean over the pairs that have some.

    >>> rng = np.random.default_rng(0)
    >>> cells = [rng.integers(0, 2, 100).astype(float) for _ in range(4)]
    >>> found = standard_errors(cells, [np.arange(i, 400, 4) for i in range(4)], np.full(4, 0.25), np.full(4, 400))
    >>> round(found.new_images, 3), found.full_run < found.new_images
    (0.025, True)
    """
    gradient, totals = np.asarray(gradient, np.float64), np.asarray(totals, np.int64)
    used = [c for c in range(len(values)) if gradient[c] != 0 and len(values[c])]
    if not used:
        return StandardErrors(0.0, 0.0, 0.0, 0.0)
    sizes = np.array([len(values[c]) for c in used], np.int64)
    cell = np.repeat(np.arange(len(used)), sizes)
    image = np.concatenate([np.asarray(index[c], np.int64) for c in used])
    value = np.concatenate([np.asarray(values[c], np.float64) for c in used])
    groups = None if classes is None else np.concatenate([np.asarray(classes[c], np.int64) for c in used])
    residual = _residuals(value, cell, groups)
    if share:
        residual = _at_least_binomial(residual, value)
    scaled = residual * gradient[used][cell]
    new_images = _sum_by_image(scaled / sizes[cell], image)
    pool = _pooled_variance(scaled, cell, image, sizes) / float(totals[used].max())
    whole = bool((sizes >= totals[used]).all())
    full = 0.0 if whole else max(new_images - pool, 0.05 * new_images)
    return StandardErrors(math.sqrt(new_images), math.sqrt(full), float(new_images * sizes.mean()), pool)


def _residuals(value: Floats, cell: Integers, groups: Integers | None) -> Floats:
    """Return what is left of each value after its cell's and (where rows suffice) its class's mean."""
    counts = np.bincount(cell)
    residual = value - (np.bincount(cell, value) / counts)[cell]
    fitted = len(counts)
    if groups is not None:
        _, group = np.unique(groups, return_inverse=True)
        size = np.bincount(group)
        if len(value) >= _ROWS_PER_CLASS * len(size):
            residual = residual - (np.bincount(group, residual) / size)[group]
            fitted += len(size) - 1
    return residual * math.sqrt(len(value) / max(len(value) - fitted, 1))


def _at_least_binomial(residual: Floats, value: Floats) -> Floats:
    """Scale residuals of 0/1 values up where fewer than a handful are wrong, or right (Agresti and Coull 1998)."""
    rare = min(float(value.sum()), float(len(value) - value.sum()))
    expected = (rare + 2.0) / (len(value) + 4.0)
    floor, spread = expected * (1.0 - expected), float(np.mean(residual**2))
    if rare >= 20 or spread >= floor:
        return residual
    if spread > 0:
        return residual * math.sqrt(floor / spread)
    return np.where(np.arange(len(value)) % 2 == 0, 1.0, -1.0) * math.sqrt(floor)


def _sum_by_image(scaled: Floats, image: Integers) -> float:
    _, member = np.unique(image, return_inverse=True)
    return float((np.bincount(member, scaled) ** 2).sum())


def _pooled_variance(scaled: Floats, cell: Integers, image: Integers, sizes: Integers) -> float:
    """Return the variance over images of an image's sum over cells, less one standard error of its estimate.

    Less one: a sample is enough as soon as the estimated width is, so estimates that happen to be small end it, and
    the variance taken off for the full run must not be too large in these cases.
    """
    own = float((np.bincount(cell, scaled**2) / sizes).sum())
    _, member = np.unique(image, return_inverse=True)
    count = np.bincount(member)
    together = (np.bincount(member, scaled) ** 2 - np.bincount(member, scaled**2))[count > 1]
    pairs = float((count * (count - 1)).sum())
    if pairs == 0:
        return own
    all_pairs = len(sizes) * (len(sizes) - 1)
    between = float(together.sum()) / pairs * all_pairs
    error = math.sqrt(float((together**2).sum())) / pairs * all_pairs
    return max(own + between - error, 0.0)


def next_size(errors: StandardErrors, drawn: int, total: int, half_width: float) -> int:
    """Return how many images per cell to draw in all after the next round; ``drawn`` where the sample is enough.

    The next round goes to what the spread seen so far asks for and 3 % beyond, at most to four times the sample: an
    estimate from few images may be far off.

    Args:
        errors: of the sample so far.
        drawn: images per cell so far.
        total: images per cell of the whole.
        half_width: wanted, of the 95 % interval for the full run, in units of the value.

    >>> errors = StandardErrors(new_images=0.01, full_run=0.01, per_image=0.01, pool=0.0)
    >>> next_size(errors, 100, 50000, 0.0098), next_size(errors, 100, 50000, 0.02)
    (400, 100)
    """
    if drawn >= total or _Z * errors.full_run <= half_width:
        return drawn
    wanted = math.ceil(1.03 * errors.images_for(half_width))
    return min(total, max(drawn + 1, math.ceil(1.1 * drawn), min(wanted, 4 * drawn)))
