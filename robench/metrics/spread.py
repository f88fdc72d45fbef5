"""How much a metric of sampled cells can be off: covariances of its per-image values, within and between cells.

The cells of a suite draw their images from the same N, some of them the same, and every sample is a stretch of one
shuffled list (:mod:`robench.suites.drawing`). With ``S_cd`` the covariance over images of the values of two cells,
``n_c`` the images drawn and ``o_cd`` those drawn by both, the covariance of the two cells' means over shuffles is

    S_cd (o_cd / (n_c n_d) - 1 / N),

exactly, whatever the overlap (Cochran 1977, sections 2.8 and 2.9, for samples that overlap in part). A cell with all of
its images adds nothing. Because hard images are hard in many cells, the second term matters long before a cell
comes near its N images: it is large as soon as all cells together have drawn N.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from robench.metrics.class_effects import covariances_of_classes, rounding
from robench.metrics.sample_rows import SampleRows

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_PRIOR_IMAGES = 50.0  # images that the correlation of all pairs counts for beside a pair's own
_GROUP_PRIOR_IMAGES = 50.0  # images that the correlation of all pairs counts for beside that of the pairs of a group
_SCALE_PRIOR_IMAGES = 100.0  # images that the mean of the cells' variances counts for beside a cell's own
_ROUNDED = 1e-20  # a variance that only rounding leaves: the images' values come from derivatives
_LEAST_WRONG = 20  # of 0/1 values, below which their spread is not taken from the sample alone


@dataclass(frozen=True, eq=False)
class Covariances:
    """Covariances of a metric's values between cells, over images.

    A pair's own images are mixed with what all pairs of the cells that count say of how alike two cells are, and these
    with what all pairs of the sample say, by number: pairs with few images in common follow the others. A whole cell
    shares all images with every other and is left out of what all pairs say, unless all are whole: it would be most of
    it, and adds nothing to a variance.

    Attributes:
        products: float64 (cells, cells), sums over images of the products of two cells' values.
        common: float64 (cells, cells), images that both have drawn.
        sizes: int64 (cells,), images drawn.
        pairs: (cells, cells), whether two cells are of the same images, and not the same cell.
        telling: (cells, cells), the pairs whose images count for others.
    """

    products: Floats
    common: Floats
    sizes: Integers
    pairs: npt.NDArray[np.bool_]
    telling: npt.NDArray[np.bool_]

    @cached_property
    def variances(self) -> Floats:
        """Of each cell, (cells,)."""
        return np.asarray(np.diag(self.products) / self.sizes)

    @cached_property
    def _alike(self) -> float:
        """The correlation of all pairs, over images that both have drawn."""
        shared = self.common[self.telling]
        known = float((shared * self._scale(np.arange(len(self.sizes)))[self.telling]).sum())
        return float(self.products[self.telling].sum()) / known if known > 0 else 0.0

    def _scale(self, used: Integers) -> Floats:
        """Return what a correlation of 1 would make the covariances of some cells, (used, used).

        The variances of cells of few images are drawn towards the mean. Cells that share images share their few wrong
        ones, so that the root of the product of two sample variances is larger on average where images are in common,
        and what these say of how alike cells are would be too little elsewhere.
        """
        sizes, own = self.sizes[used], self.variances[used]
        variances = (sizes * own + _SCALE_PRIOR_IMAGES * own.mean()) / (sizes + _SCALE_PRIOR_IMAGES)
        return np.sqrt(np.outer(variances, variances))

    def of(self, used: Integers) -> Floats:
        """Return the covariances of some cells, by their places, (used, used)."""
        if len(used) == 1:
            return self.variances[used][:, None]
        block, scale = np.ix_(used, used), self._scale(used)
        products, common, telling = self.products[block], self.common[block], self.telling[block]
        prior = _GROUP_PRIOR_IMAGES * float(scale.mean())
        known = float((common * scale)[telling].sum()) + prior
        alike = (float(products[telling].sum()) + prior * self._alike) / known if known > 0 else 0.0
        found = (products + _PRIOR_IMAGES * alike * scale) / (common + _PRIOR_IMAGES)
        found = np.where(self.pairs[block], found, 0.0)
        np.fill_diagonal(found, self.variances[used])
        return np.asarray(found)


@dataclass(frozen=True)
class Spread:
    """Covariances of a metric's values between the cells of a sample, and what they mean for the cells' means.

    Attributes:
        rows: the drawn images.
        within: what the draws leave to chance: of the values less what their classes and the controls explain.
        plain: of the values less what their classes explain.
        classes: float64 (cells, cells), of the classes' means, weighted by their shares.
        rounding: float64 (cells,), how far the cells' means are off because their images hold the classes nearly, not
            exactly, in the proportions of all images.
        shift: float64 (cells,), what the controls add to each cell's mean.
        ones: float64 (cells,), how many values are 1 (meaningful where values are 0 or 1).
        share: whether values are 0 or 1.
    """

    rows: SampleRows
    within: Covariances
    plain: Covariances
    classes: Floats
    rounding: Floats
    shift: Floats
    ones: Floats
    share: bool

    @property
    def sizes(self) -> Integers:
        """Images drawn, int64 (cells,)."""
        return self.rows.sizes

    @property
    def totals(self) -> Integers:
        """Images of the whole cells, int64 (cells,)."""
        return self.rows.totals

    def variances(self, gradient: Floats) -> tuple[float, float, float]:
        """Return the variances of a value that changes with the cells' means by ``gradient``, (cells,).

        Returns:
            The variance against the full run, that of the full run against new images, and what the first would be
            were N endless, less it.
        """
        used = np.flatnonzero(gradient)
        gradient, sizes, totals = gradient[used], self.sizes[used], self.totals[used]
        block = np.ix_(used, used)
        weights = np.outer(gradient, gradient)
        within = self.within.of(used)
        overlap = self.rows.common[block] / np.outer(sizes, sizes)
        pooled = np.where(self.rows.same[block], 1.0 / np.maximum.outer(totals, totals), 0.0)
        scale, least = self._scale(used)
        rounded = float(gradient @ self.rounding[used]) ** 2
        drawn = float((weights * within * overlap).sum()) * scale + rounded
        saved = float((weights * within * pooled).sum()) * scale
        plain = saved if self.plain is self.within else float((weights * self.plain.of(used) * pooled).sum()) * scale
        classes = max(float((weights * self.classes[block] * pooled).sum()), 0.0)
        left = 1.0 / sizes - np.diag(pooled) * (sizes <= totals)
        pool = max(plain + classes, 0.0)
        if least > 0.0 and drawn < _ROUNDED:  # all values are equal: an exception may be one in all cells that have it
            least = _of_rare(0.0, float(self.rows.distinct(used)))
            drawn = float((np.abs(weights) * overlap).sum()) * least
            pool = float((np.abs(weights) * np.minimum(overlap, pooled)).sum()) * least
            return max(drawn - pool, 0.0), pool, pool
        own = np.diag(within) * gradient**2 * np.maximum(left, 0.0)
        return max(drawn - saved, 0.02 * float(own.sum()) * scale), pool, saved

    def _scale(self, used: Integers) -> tuple[float, float]:
        """Return by how much to scale the spread of rare events up, and what it is at least (Agresti and Coull 1998).

        Where next to no values, or next to all, are 1, the sample's own spread is too small as often as not.
        """
        if not self.share:
            return 1.0, 0.0
        images, ones = float(self.sizes[used].sum()), float(self.ones[used].sum())
        rare = min(ones, images - ones)
        if rare >= _LEAST_WRONG or images == 0:
            return 1.0, 0.0
        least = _of_rare(rare, images)
        seen = float((self.within.variances * self.sizes)[used].sum()) / images
        return (max(1.0, least / seen), 0.0) if seen > 1e-12 else (1.0, least)


def _of_rare(rare: float, images: float) -> float:
    """Return the variance of two more rare values among four more images (Agresti and Coull 1998)."""
    expected = (rare + 2.0) / (images + 4.0)
    return expected * (1.0 - expected)


@dataclass(frozen=True)
class Controls:
    """What is known of every image beforehand, whose mean over all of a cell's images is known, too.

    Attributes:
        values: for each cell float64 (n, k), of its drawn images.
        means: float64 (cells, k), over all of its images.
    """

    values: Sequence[Floats]
    means: Floats


def spread_of(
    values: Sequence[Floats], rows: SampleRows, *, share: bool = False, controls: Controls | None = None
) -> Spread:
    """Return how the values of a sample's cells vary together.

    Args:
        values: for each cell float64 (n,), one value per drawn image, n at least 1.
        rows: the drawn images.
        share: whether values are 0 or 1.
        controls: known of every image; the part of the values that they explain is no longer left to chance.
    """
    value = np.concatenate([np.asarray(v, np.float64) for v in values])
    centred = rows.less_means(value)
    part = rows.class_parts(centred)
    left = rows.left_to_chance(centred, part)
    plain = within = _covariances(left, rows)
    shift = np.zeros(len(rows.sizes))
    if controls is not None:
        left, shift = _controlled(left, rows, controls)
        within = _covariances(left, rows)
    classes = covariances_of_classes(rows, part, plain.of(np.arange(len(rows.sizes))))
    return Spread(rows, within, plain, classes, rounding(rows, centred, part), shift, rows.sums(value), share)


def _controlled(left: Floats, rows: SampleRows, controls: Controls) -> tuple[Floats, Floats]:
    """Return the values less what the controls explain, (rows,), and what they add to each cell's mean, (cells,)."""
    known = np.concatenate([np.asarray(one, np.float64) for one in controls.values])
    sampled = ~rows.whole[rows.cell]
    plain = [rows.less_means(column) for column in known.T]
    kept = np.stack([rows.left_to_chance(column, rows.class_parts(column)) for column in plain], axis=1)
    slope = _slope(kept[sampled], left[sampled])
    drawn = np.stack([rows.sums(column) / rows.sizes for column in known.T], axis=1)
    shift = np.where(rows.whole, 0.0, (np.asarray(controls.means, np.float64) - drawn) @ slope)
    return left - np.where(sampled, kept @ slope, 0.0), np.asarray(shift)


def _slope(known: Floats, value: Floats) -> Floats:
    """Return the coefficients of a least-squares fit, 0 for columns that are constant."""
    if len(known) <= 10 * known.shape[1]:
        return np.zeros(known.shape[1])
    return np.asarray(np.linalg.lstsq(known, value, rcond=1e-8)[0], np.float64)


def _covariances(value: Floats, rows: SampleRows) -> Covariances:
    """Return the covariances of values from which the means of cells and classes were taken off."""
    fitted = rows.fitted
    products = rows.products(value / np.sqrt(1.0 - fitted)[rows.cell])
    pairs = rows.same & ~np.eye(len(rows.sizes), dtype=bool)
    whole = rows.whole
    telling = pairs & ~(whole[:, None] | whole[None, :]) if not whole.all() else pairs
    return Covariances(_unshrunk(products, fitted, rows.common), rows.common, rows.sizes, pairs, telling)


def _unshrunk(products: Floats, fitted: Floats, common: Floats) -> Floats:
    """Return the products of two cells' values, (cells, cells), scaled for the means that were taken off both.

    With the share ``fitted`` of directions taken off, ``1 - fitted`` of a value's square is left, which the values'
    own scale undoes. Of the product of two cells' values of one image the share depends on how many other images they
    have in common, which were in both means: from ``1 - fitted`` for the same images to its square for others.
    """
    both = np.sqrt(np.outer(fitted, fitted)) * common * np.sqrt(np.outer(1.0 / np.diag(common), 1.0 / np.diag(common)))
    left = 1.0 - fitted[:, None] - fitted[None, :] + both
    scale = np.sqrt(np.outer(1.0 - fitted, 1.0 - fitted)) / np.maximum(left, 0.05)
    np.fill_diagonal(scale, 1.0)
    return products * scale
