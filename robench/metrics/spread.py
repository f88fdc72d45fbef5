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

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_ROWS_PER_CLASS = 5  # of all cells; fewer say too little about the classes' means
_LEAST_CELLS = 5  # of one set of images, which tell in what proportions these hold the classes
_OWN_ROWS_PER_CLASS = 2  # of one cell, to take off its own classes' means
_PRIOR_IMAGES = 50.0  # images that the correlation of all pairs counts for beside a pair's own
_SPARSE = 0.15  # of all images by all cells, below which most of the table would be zeros
_LEAST_WRONG = 20  # of 0/1 values, below which their spread is not taken from the sample alone


@dataclass(frozen=True)
class Spread:
    """Covariances of a metric's values between the cells of a sample, and what they mean for the cells' means.

    Attributes:
        sizes, totals: int64 (cells,), images drawn, and images of the whole cell.
        within: float64 (cells, cells), covariances over images of what the draws leave to chance: the values less
            what their classes and the controls explain.
        between: float64 (cells, cells), covariances of the values themselves.
        overlap: float64 (cells, cells), ``o_cd / (n_c n_d)``.
        pool: float64 (cells, cells), ``1 / N`` for cells of the same images, else 0.
        rounding: float64 (cells,), how far the cells' means are off because their images hold the classes nearly, not
            exactly, in the proportions of all images.
        shift: float64 (cells,), what the controls add to each cell's mean.
        ones: float64 (cells,), how many values are 1 (meaningful where values are 0 or 1).
        share: whether values are 0 or 1.
    """

    sizes: Integers
    totals: Integers
    within: Floats
    between: Floats
    overlap: Floats
    pool: Floats
    rounding: Floats
    shift: Floats
    ones: Floats
    share: bool

    def variances(self, gradient: Floats) -> tuple[float, float, float]:
        """Return the variances of a value that changes with the cells' means by ``gradient``, (cells,).

        Returns:
            The variance against the full run, that of the full run against new images, and what the first would be
            were N endless, less it.
        """
        weights = np.outer(gradient, gradient)
        scale, least = self._scale(gradient)
        rounded = float(gradient @ self.rounding) ** 2
        drawn = float((weights * self.within * self.overlap).sum()) * scale + rounded
        saved = float((weights * self.within * self.pool).sum()) * scale
        used, left = gradient != 0, 1.0 / self.sizes - np.diag(self.pool) * (self.sizes <= self.totals)
        alone = float(np.sum((gradient**2 * left)[used])) * least
        pool = max(float((weights * self.between * self.pool).sum()) * scale, 0.0)
        if least > 0.0 and drawn == 0.0:  # all values are equal
            drawn, saved = float((gradient**2 / self.sizes)[used].sum()) * least, 0.0
            pool = float((gradient**2 * np.diag(self.pool))[used].sum()) * least
            return max(alone, 0.0), pool, drawn - alone
        own = np.diag(self.within) * gradient**2 * np.maximum(left, 0.0)
        return max(drawn - saved, 0.02 * float(own.sum()) * scale), pool, saved

    def _scale(self, gradient: Floats) -> tuple[float, float]:
        """Return by how much to scale the spread of rare events up, and what it is at least (Agresti and Coull 1998).

        Where next to no values, or next to all, are 1, the sample's own spread is too small as often as not.
        """
        if not self.share:
            return 1.0, 0.0
        used = gradient != 0
        images, ones = float(self.sizes[used].sum()), float(self.ones[used].sum())
        rare = min(ones, images - ones)
        if rare >= _LEAST_WRONG or images == 0:
            return 1.0, 0.0
        expected = (rare + 2.0) / (images + 4.0)
        least = expected * (1.0 - expected)
        seen = float((np.diag(self.within) * self.sizes)[used].sum()) / images
        return (max(1.0, least / seen), 0.0) if seen > 1e-12 else (1.0, least)


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
    values: Sequence[Floats],
    index: Sequence[Integers],
    totals: Integers,
    *,
    sets: Integers | None = None,
    classes: Sequence[Integers] | None = None,
    share: bool = False,
    controls: Controls | None = None,
) -> Spread:
    """Return how the values of a sample's cells vary together.

    Args:
        values: for each cell float64 (n,), one value per drawn image, n at least 1.
        index: for each cell int64 (n,), which image each is; in cells of one set, equal numbers are the same image.
        totals: int64 (cells,), the images that the whole cell has.
        sets: int64 (cells,), equal for cells that draw from the same images; None: all do.
        classes: for each cell int64 (n,), the images' classes, where the design spread them evenly.
        share: whether values are 0 or 1.
        controls: known of every image; the part of the values that they explain is no longer left to chance.
    """
    sizes, totals = np.array([len(one) for one in values], np.int64), np.asarray(totals, np.int64)
    sets = np.zeros(len(sizes), np.int64) if sets is None else np.asarray(sets, np.int64)
    rows = _Rows(
        np.repeat(np.arange(len(sizes)), sizes),
        sizes,
        totals,
        sets,
        None if classes is None else np.concatenate([np.asarray(c, np.int64) for c in classes]),
    )
    value = np.concatenate([np.asarray(v, np.float64) for v in values])
    whole = sizes >= totals
    plain = value - rows.means(value)
    left = rows.left_to_chance(value)
    shift = np.zeros(len(sizes))
    if controls is not None:
        known = np.concatenate([np.asarray(one, np.float64) for one in controls.values])
        sampled = ~whole[rows.cell]
        kept = np.stack([rows.left_to_chance(column) for column in known.T], axis=1)
        slope = _slope(kept[sampled], left[sampled])
        left = left - np.where(sampled, kept @ slope, 0.0)
        drawn = np.stack([np.bincount(rows.cell, column) / sizes for column in known.T], axis=1)
        shift = np.where(whole, 0.0, (np.asarray(controls.means, np.float64) - drawn) @ slope)
    image = np.concatenate([np.asarray(i, np.int64) for i in index])
    member = np.unique(sets[rows.cell] * (int(image.max()) + 1) + image, return_inverse=True)[1].reshape(-1)
    same = sets[:, None] == sets[None, :]
    common = _products(np.ones(len(member)), rows.cell, member, len(sizes))
    one = 1.0 / sizes  # a mean was fitted to each cell
    left, plain = left / np.sqrt(1.0 - rows.fitted)[rows.cell], plain / np.sqrt(np.maximum(1.0 - one, one))[rows.cell]
    products = _unshrunk(_products(left, rows.cell, member, len(sizes)), rows.fitted, common)
    within = _covariances(products, common, sizes, same, whole)
    products = _unshrunk(_products(plain, rows.cell, member, len(sizes)), one, common)
    between = _covariances(products, common, sizes, same, whole)
    return Spread(
        sizes, totals, within, between, common / np.outer(sizes, sizes),
        np.where(same, 1.0 / np.maximum.outer(totals, totals), 0.0), rows.rounding(value), shift, rows.sums(value),
        share,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Rows:
    """The rows of all cells: which cell and class each is of."""

    cell: Integers
    sizes: Integers
    totals: Integers
    sets: Integers
    classes: Integers | None

    def sums(self, value: Floats) -> Floats:
        return np.asarray(np.bincount(self.cell, value), np.float64)

    def means(self, value: Floats) -> Floats:
        return np.asarray((self.sums(value) / self.sizes)[self.cell])

    @cached_property
    def _kinds(self) -> tuple[Integers, int]:
        """Every row's class from 0 on, and how many classes there are."""
        assert self.classes is not None
        _, group = np.unique(self.classes, return_inverse=True)
        return group.reshape(-1), int(group.max()) + 1

    @cached_property
    def own(self) -> npt.NDArray[np.bool_]:
        """Whether a cell has images enough to take off its own classes' means, (cells,)."""
        if self.classes is None:
            return np.zeros(len(self.sizes), bool)
        return np.asarray(self.sizes >= _OWN_ROWS_PER_CLASS * self._kinds[1])

    @cached_property
    def fitted(self) -> Floats:
        """The number of means that are taken off a cell's values, over its images, (cells,)."""
        means = np.ones(len(self.sizes))
        if self.classes is not None:
            group, kinds = self._kinds
            if len(self.cell) >= _ROWS_PER_CLASS * kinds:
                means += (kinds - 1) * self.sizes / len(self.cell)
            if self.own.any():
                count = np.bincount(self.cell * kinds + group, minlength=kinds * len(self.sizes))
                means = np.where(self.own, (count.reshape(-1, kinds) > 0).sum(axis=1), means)
        return np.asarray(np.minimum(means / self.sizes, 1.0 - 1.0 / self.sizes.clip(2)))

    @cached_property
    def _alone(self) -> npt.NDArray[np.bool_]:
        """Whether too few cells are of a cell's images to tell from their draws how many each class has, (cells,)."""
        _, place, cells = np.unique(self.sets, return_inverse=True, return_counts=True)
        return np.asarray(cells[place] < _LEAST_CELLS)

    def _parts(self, value: Floats) -> Floats:
        """Return how much a class's mean lies above the cell's, (rows,); 0 where too few rows tell."""
        left = value - self.means(value)
        if self.classes is None:
            return np.zeros(len(value))
        group, kinds = self._kinds
        part = np.zeros(len(value))
        if len(value) >= _ROWS_PER_CLASS * kinds:
            part = (np.bincount(group, left) / np.bincount(group))[group]
        if self.own.any():
            place = self.cell * kinds + group
            count = np.bincount(place, minlength=kinds * len(self.sizes))
            means = np.bincount(place, left, len(count)) / np.maximum(count, 1)
            part = np.where(self.own[self.cell], means[place], part)
        return np.asarray(part)

    def left_to_chance(self, value: Floats) -> Floats:
        """Return each value less its cell's mean and its class's.

        A stretch of the list holds a class in its proportion up to rounding at both ends. How far that takes the
        mean of a cell off is known (:meth:`rounding`), but for sets of few cells: there the number of a class's images
        has a variance of 1/3, and the share ``rounded`` of the classes' part is left to chance.
        """
        left, part = value - self.means(value), self._parts(value)
        if self.classes is not None:
            rest = self.sizes * np.maximum(1.0 - self.sizes / self.totals, 1e-9)
            rounded = np.sqrt(np.minimum(1.0, self._kinds[1] / (3.0 * rest)))
            left = left - part + np.where(self._alone, rounded, 0.0)[self.cell] * part
        return np.asarray(left)

    def rounding(self, value: Floats) -> Floats:
        """Return how far the cells' means are off as they hold the classes not exactly in proportion, (cells,)."""
        if self.classes is None:
            return np.zeros(len(self.sizes))
        group, kinds = self._kinds
        cells, place = len(self.sizes), self.cell * kinds + group
        count = np.bincount(place, minlength=kinds * cells).reshape(cells, kinds)
        sums = np.bincount(place, self._parts(value), kinds * cells).reshape(cells, kinds)
        _, of_set = np.unique(self.sets, return_inverse=True)
        share = np.stack([count[of_set == number].sum(axis=0) for number in range(int(of_set.max()) + 1)])
        share = share / share.sum(axis=1, keepdims=True)
        off = (sums * (1.0 - share[of_set] * self.sizes[:, None] / np.maximum(count, 1))).sum(axis=1) / self.sizes
        return np.asarray(np.where(self._alone | (self.sizes >= self.totals), 0.0, off))


def _slope(known: Floats, value: Floats) -> Floats:
    """Return the coefficients of a least-squares fit, 0 for columns that are constant."""
    if len(known) <= 10 * known.shape[1]:
        return np.zeros(known.shape[1])
    return np.asarray(np.linalg.lstsq(known, value, rcond=1e-8)[0], np.float64)


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


def _products(value: Floats, cell: Integers, image: Integers, cells: int) -> Floats:
    """Return the sums over images of the products of two cells' values, (cells, cells)."""
    images = int(image.max()) + 1
    if len(value) < _SPARSE * images * cells:
        from scipy.sparse import csr_array

        table = csr_array((value, (image, cell)), shape=(images, cells))
        return np.asarray((table.T @ table).todense(), np.float64)
    dense = np.zeros((images, cells))
    dense[image, cell] = value
    return dense.T @ dense


def _covariances(
    products: Floats, common: Floats, sizes: Integers, same: npt.NDArray[np.bool_], whole: npt.NDArray[np.bool_]
) -> Floats:
    """Return covariances of cells over images, (cells, cells), from sums of products and the images in common.

    A pair's own images are mixed with what all pairs say of how alike two cells are, by number: pairs with few images
    in common follow the others. A whole cell shares all images with every other and is left out of what all pairs say,
    unless all are whole: it would be most of it, and adds nothing to a variance.
    """
    variance = np.diag(products) / sizes
    scale = np.sqrt(np.outer(variance, variance))
    pairs = same & ~np.eye(len(sizes), dtype=bool)
    telling = pairs & ~(whole[:, None] | whole[None, :]) if not whole.all() else pairs
    known = float((common * scale)[telling].sum())
    alike = float(products[telling].sum()) / known if known > 0 else 0.0
    found = (products + _PRIOR_IMAGES * alike * scale) / (common + _PRIOR_IMAGES)
    found = np.where(pairs, found, 0.0)
    np.fill_diagonal(found, variance)
    return found
