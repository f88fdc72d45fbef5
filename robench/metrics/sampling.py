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

from robench.metrics.sample_rows import SampleRows
from robench.metrics.spread import Spread, spread_of

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_Z = 1.959963984540054
_ENDLESS = 1 << 62  # images
GROWTH = 4  # at most, from a round to the next: an estimate from few images may be far off


@dataclass(frozen=True)
class StandardErrors:
    """How far a sample's value is off.

    Attributes:
        new_images: standard error for the population that the images were drawn from.
        full_run: standard error for the value that measuring all images would give.
        per_image: the variance against the full run of one image per cell, were there endlessly many.
        pool: what is taken off that variance, over the images per cell, because the full run has only so many images.
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


def errors_of(spread: Spread, gradient: Floats) -> StandardErrors:
    """Return the standard errors of a value that changes with the means of the cells by ``gradient``, (cells,)."""
    gradient = np.asarray(gradient, np.float64)
    if not gradient.any():
        return StandardErrors(0.0, 0.0, 0.0, 0.0)
    return of_variances(spread.variances(gradient), spread.sizes, spread.totals, gradient)


def of_variances(
    variances: tuple[float, float, float], sizes: Integers, totals: Integers, gradient: Floats
) -> StandardErrors:
    """Return the standard errors of a value from what :meth:`robench.metrics.spread.Spread.variances` returns."""
    full, pool, saved = variances
    sampled = (gradient != 0) & (sizes < totals)
    images = float(sizes[sampled].mean()) if sampled.any() else float(sizes[gradient != 0].mean())
    if not sampled.any():
        full, saved = 0.0, pool
    return StandardErrors(math.sqrt(full + pool), math.sqrt(full), (full + saved) * images, saved)


def standard_errors(
    values: Sequence[Floats],
    index: Sequence[Integers],
    gradient: Floats,
    totals: Integers | None,
    *,
    classes: Sequence[Integers] | None = None,
    share: bool = False,
) -> StandardErrors:
    """Return the standard errors of a value that depends on the means of sampled cells.

    Args:
        values: for each cell float64 (n,), one value per drawn image.
        index: for each cell int64 (n,), which image each is; equal numbers in two cells are the same image.
        gradient: float64 (cells,), the derivative of the value by each cell's mean (1 / cells for their mean).
        totals: int64 (cells,), the images that the whole cell has; None: endlessly many, where only new images matter.
        classes: for each cell int64 (n,), the images' classes, where the design spread them evenly.
        share: whether values are 0 or 1; where nearly all are equal, their spread is taken as a little larger.

    See :mod:`robench.metrics.spread` for the formula.

    >>> rng = np.random.default_rng(0)
    >>> cells = [rng.integers(0, 2, 100).astype(float) for _ in range(4)]
    >>> found = standard_errors(cells, [np.arange(i, 400, 4) for i in range(4)], np.full(4, 0.25), np.full(4, 400))
    >>> round(found.new_images, 3), found.full_run < found.new_images
    (0.025, True)
    """
    gradient = np.asarray(gradient, np.float64)
    totals = np.full(len(values), _ENDLESS) if totals is None else np.asarray(totals, np.int64)
    used = [c for c in range(len(values)) if gradient[c] != 0 and len(values[c])]
    if not used:
        return StandardErrors(0.0, 0.0, 0.0, 0.0)
    of_used = None if classes is None else [classes[c] for c in used]
    rows = SampleRows.of([index[c] for c in used], totals[used], classes=of_used)
    found = spread_of([values[c] for c in used], rows, share=share)
    return errors_of(found, gradient[used])


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
    if math.isnan(errors.full_run):  # too few images are wrong to know
        return min(total, 2 * drawn)
    wanted = math.ceil(1.03 * errors.images_for(half_width))
    return min(total, max(drawn + 1, math.ceil(1.1 * drawn), min(wanted, GROWTH * drawn)))
