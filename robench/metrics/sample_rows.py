"""The drawn images of a sample's cells: which each is, of which class, and what cells have in common.

All metrics of a sample are of the same images, so what depends on these alone is computed once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_ROWS_PER_CLASS = 5  # of all cells; fewer say too little about the classes' means
_LEAST_CELLS = 5  # of one set of images, which tell in what proportions these hold the classes
_OWN_ROWS_PER_CLASS = 2  # of one cell, to take off its own classes' means
_SPARSE = 0.15  # of all images by all cells, below which most of the table would be zeros


@dataclass(frozen=True, eq=False)
class SampleRows:
    """The rows of all cells, one for each drawn image, cell by cell.

    Attributes:
        cell: int64 (rows,), which cell each row is of.
        image: int64 (rows,), which image each is; in cells of one set, equal numbers are the same image.
        sizes, totals: int64 (cells,), images drawn, and images of the whole cell.
        sets: int64 (cells,), equal for cells that draw from the same images.
        classes: int64 (rows,), the images' classes, where the design spread them evenly.
    """

    cell: Integers
    image: Integers
    sizes: Integers
    totals: Integers
    sets: Integers
    classes: Integers | None

    @classmethod
    def of(
        cls,
        index: Sequence[Integers],
        totals: npt.ArrayLike,
        sets: npt.ArrayLike | None = None,
        classes: Sequence[Integers] | None = None,
    ) -> SampleRows:
        """Return the rows of cells, whose images and their classes are int64 (n,) each."""
        sizes = np.array([len(one) for one in index], np.int64)
        return cls(
            np.repeat(np.arange(len(sizes)), sizes),
            np.concatenate([np.asarray(one, np.int64) for one in index]),
            sizes,
            np.asarray(totals, np.int64),
            np.zeros(len(sizes), np.int64) if sets is None else np.asarray(sets, np.int64),
            None if classes is None else np.concatenate([np.asarray(one, np.int64) for one in classes]),
        )

    @property
    def whole(self) -> npt.NDArray[np.bool_]:
        """Whether each cell has all of its images, (cells,)."""
        return np.asarray(self.sizes >= self.totals)

    @property
    def same(self) -> npt.NDArray[np.bool_]:
        """Whether two cells draw from the same images, (cells, cells)."""
        return np.asarray(self.sets[:, None] == self.sets[None, :])

    @cached_property
    def _member(self) -> tuple[Integers, int]:
        """Every row's image as a number from 0 on, and how many images there are."""
        found = _numbered(self.sets[self.cell] * (int(self.image.max()) + 1) + self.image)
        return found, int(found.max()) + 1

    @cached_property
    def _sparse(self) -> tuple[Any, ...] | None:
        """How a sparse table of images by cells is laid out; None where a dense one is better."""
        member, images = self._member
        if len(member) >= _SPARSE * images * len(self.sizes):
            return None
        starts = np.concatenate([[0], np.cumsum(self.sizes)])
        of_images = np.concatenate([[0], np.cumsum(np.bincount(member, minlength=images))])
        return starts, of_images, np.argsort(member, kind="stable")

    def products(self, value: Floats) -> Floats:
        """Return the sums over images of the products of two cells' values, (rows,), as (cells, cells)."""
        member, images = self._member
        cells = len(self.sizes)
        if self._sparse is None:
            dense = np.zeros((images, cells))
            dense[member, self.cell] = value
            return dense.T @ dense
        from scipy.sparse import csr_array

        starts, of_images, order = self._sparse
        by_cell = csr_array((value, member, starts), shape=(cells, images))
        by_image = csr_array((value[order], self.cell[order], of_images), shape=(images, cells))
        return np.asarray((by_cell @ by_image).todense(), np.float64)

    @cached_property
    def common(self) -> Floats:
        """How many images two cells have both drawn, (cells, cells)."""
        return self.products(np.ones(len(self.cell)))

    def distinct(self, cells: Integers) -> int:
        """Return how many different images some cells, by their places, have drawn."""
        return len(np.unique(self._member[0][np.isin(self.cell, cells)]))

    def sums(self, value: Floats) -> Floats:
        """Return the sums over the cells' rows, (cells,)."""
        return np.asarray(np.bincount(self.cell, value), np.float64)

    def less_means(self, value: Floats) -> Floats:
        """Return each value less its cell's mean, (rows,)."""
        return np.asarray(value - (self.sums(value) / self.sizes)[self.cell])

    @cached_property
    def kinds(self) -> tuple[Integers, int]:
        """Every row's class from 0 on, and how many classes there are."""
        assert self.classes is not None
        group = _numbered(self.classes)
        return group, int(group.max()) + 1

    @cached_property
    def place(self) -> tuple[Integers, Floats]:
        """Every row's cell and class as one number, and how many rows each has, (cells, classes)."""
        group, kinds = self.kinds
        place = self.cell * kinds + group
        count = np.bincount(place, minlength=kinds * len(self.sizes)).reshape(-1, kinds)
        return place, np.asarray(count, np.float64)

    @cached_property
    def own(self) -> npt.NDArray[np.bool_]:
        """Whether a cell has images enough to take off its own classes' means, (cells,)."""
        if self.classes is None:
            return np.zeros(len(self.sizes), bool)
        return np.asarray(self.sizes >= _OWN_ROWS_PER_CLASS * self.kinds[1])

    @cached_property
    def fitted(self) -> Floats:
        """The number of means that are taken off a cell's values, over its images, (cells,)."""
        means = np.ones(len(self.sizes))
        if self.classes is not None:
            kinds = self.kinds[1]
            if self.pooled:
                means += (kinds - 1) * self.sizes / len(self.cell)
            if self.own.any():
                means = np.where(self.own, (self.place[1] > 0).sum(axis=1), means)
        return np.asarray(np.minimum(means / self.sizes, 1.0 - 1.0 / self.sizes.clip(2)))

    @cached_property
    def alone(self) -> npt.NDArray[np.bool_]:
        """Whether too few cells are of a cell's images to tell from their draws how many each class has, (cells,)."""
        _, place, cells = np.unique(self.sets, return_inverse=True, return_counts=True)
        return np.asarray(cells[place] < _LEAST_CELLS)

    def class_parts(self, left: Floats) -> Floats:
        """Return how much a class's mean lies above its cell's, (rows,), from values less their cell's mean.

        It is 0 where too few rows tell.
        """
        if self.classes is None:
            return np.zeros(len(left))
        part = self.pooled_parts(left)[self.kinds[0]]
        if self.own.any():
            part = np.where(self.own[self.cell], self.class_means(left)[self.cell, self.kinds[0]], part)
        return np.asarray(part)

    @property
    def pooled(self) -> bool:
        """Whether all cells' rows are enough to tell the classes' means."""
        return self.classes is not None and len(self.cell) >= _ROWS_PER_CLASS * self.kinds[1]

    def pooled_parts(self, left: Floats) -> Floats:
        """Return how much a class's mean in all cells lies above theirs, (classes,); 0 where too few rows tell."""
        group, kinds = self.kinds
        if not self.pooled:
            return np.zeros(kinds)
        return np.asarray(np.bincount(group, left, kinds) / np.bincount(group, minlength=kinds))

    def left_to_chance(self, left: Floats, part: Floats) -> Floats:
        """Return values less their cell's mean, ``left``, also less their class's, ``part``.

        A stretch of the list holds a class in its proportion up to rounding at both ends. How far that takes the
        mean of a cell off is known (:mod:`robench.metrics.class_effects`), but for sets of few cells: there the number
        of a class's images has a variance of 1/3, and the share ``rounded`` of the classes' part is left to chance.
        """
        if self.classes is not None:
            left = left - part
            if self.alone.any():
                rest = self.sizes * np.maximum(1.0 - self.sizes / self.totals, 1e-9)
                rounded = np.sqrt(np.minimum(1.0, self.kinds[1] / (3.0 * rest)))
                left = left + np.where(self.alone, rounded, 0.0)[self.cell] * part
        return np.asarray(left)

    def class_means(self, part: Floats) -> Floats:
        """Return the classes' parts, (rows,), as (cells, classes); 0 where a cell has drawn none of a class."""
        place, count = self.place
        sums = np.bincount(place, part, count.size).reshape(count.shape)
        return np.asarray(sums / np.maximum(count, 1.0))

    @cached_property
    def shares(self) -> Floats:
        """In what proportions the images of each cell's set hold the classes, (cells, classes)."""
        _, count = self.place
        of_set = _numbered(self.sets)
        share = np.stack([count[of_set == number].sum(axis=0) for number in range(int(of_set.max()) + 1)])
        return np.asarray((share / share.sum(axis=1, keepdims=True))[of_set])


def _numbered(keys: Integers) -> Integers:
    """Return each key's place among the different keys, rising.

    >>> _numbered(np.array([7, 3, 7, 5])).tolist()
    [2, 0, 2, 1]
    """
    least = int(keys.min())
    if int(keys.max()) - least > 20 * len(keys) + 1000:
        return np.asarray(np.unique(keys, return_inverse=True)[1].reshape(-1), np.int64)
    seen = np.bincount(keys - least) > 0
    return np.asarray((np.cumsum(seen) - 1)[keys - least], np.int64)
