"""Which images a sample of a suite holds.

Cells that share their images go right or wrong together, so a sample of the same images in every cell counts as
little more than one cell. Here each cell draws a stretch of its own of one shuffled list of the images, and the
errors of the cells' means average out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]

_SHARED_EVERY = 50  # one draw in 50 is of an image that another cell has drawn too
_MOST_SHARED = 200  # such draws per cell
_FIRST_PASSES, _MOST_FIRST = 1500, 500  # of a first sample: passes over all cells; images per cell
LEAST_DRAWN = _SHARED_EVERY // 2 + 1  # images per cell with which every cell has made such a draw


@dataclass(frozen=True, eq=False)
class Design:
    """In which order the cells of a suite draw their images; the same for every model.

    The images are shuffled once. A cell begins at its own place in the shuffled list and goes round it, so that a
    larger sample contains the smaller one, and every image is drawn about equally often. Where classes are known, every
    stretch of the list holds them in their proportions. One draw in 50 is of an image that another cell draws as well:
    how alike cells are on the same image is estimated from these.

    Args:
        images: number of images, N.
        cells: number of cells that measure these images.
        key: what the shuffle depends on: a text that names the data and the seed.
        classes: int64 (N,), the class of each image; None: unknown.

    >>> design = Design(images=1000, cells=4, key="digits, seed 0")
    >>> first, second = design.order(0), design.order(1)
    >>> sorted(first.tolist()) == list(range(1000)), len(set(first[:250].tolist()) & set(second[:250].tolist())) <= 10
    (True, True)
    """

    images: int
    cells: int
    key: str
    classes: Integers | None = None

    @cached_property
    def shuffled(self) -> Integers:
        """The images in the order that all cells go round, int64 (N,)."""
        # RandomState's streams are frozen: another version of NumPy draws the same images.
        words = np.frombuffer(hashlib.sha256(self.key.encode()).digest(), np.uint32)
        random = np.random.RandomState(words)
        order = random.permutation(self.images)
        if self.classes is None:
            return order.astype(np.int64)
        # The r-th of the n images of a class goes to (r + a random part) / n of the way through the list.
        classes = np.asarray(self.classes)[order]
        by_class = np.argsort(classes, kind="stable")
        sizes = np.unique(classes, return_counts=True)[1]
        rank = np.empty(self.images)
        rank[by_class] = np.concatenate([np.arange(size) for size in sizes]) if len(sizes) else []
        size = np.empty(self.images)
        size[by_class] = np.repeat(sizes, sizes)
        return order[np.argsort((rank + random.random_sample(self.images)) / size, kind="stable")].astype(np.int64)

    def order(self, place: int) -> Integers:
        """Return all images in the order in which the cell at ``place`` (0 to cells - 1) draws them, int64 (N,)."""
        order = np.roll(self.shuffled, -self._start(place))
        if self.cells < 2:
            return order
        turn = np.arange(min(_MOST_SHARED, self.images // _SHARED_EVERY))
        draw = turn * _SHARED_EVERY + _SHARED_EVERY // 2
        other = (place + 1 + turn % (self.cells - 1)) % self.cells
        there = (other * self.images // self.cells + turn - self._start(place)) % self.images
        for at, to in zip(draw[there > draw].tolist(), there[there > draw].tolist(), strict=True):
            held = int(order[at])
            order[at] = order[to]
            order[to] = held
        return order

    def _start(self, place: int) -> int:
        return place * self.images // self.cells


def first_size(passes: int) -> int:
    """Return how many images per cell a sample begins with, whatever is to be decided from it.

    Args:
        passes: forward passes that one image of every cell takes.

    >>> first_size(76), first_size(10), first_size(1)
    (26, 150, 500)
    """
    return min(_MOST_FIRST, max(LEAST_DRAWN, -(-_FIRST_PASSES // passes)))


def shuffled_names(names: Iterable[str]) -> list[str]:
    """Return the cells of a suite in the order in which they stand around the list of images.

    Cells whose draws meet first are how the correlation of all pairs is estimated. In the order of a suite these are
    the most alike, such as two kinds of noise; in this one, by a digest of the names, they are any.

    >>> shuffled_names(["clean", "fog/1", "fog/2", "snow/1"])
    ['clean', 'fog/2', 'fog/1', 'snow/1']
    """
    return sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())


def key_of(target: Integers, seed: int) -> str:
    """Return the key of a cell's images: it depends on their number, their labels and the seed, not on the model."""
    labels = np.ascontiguousarray(target, np.int64)
    return hashlib.sha256(f"{labels.shape} {seed} ".encode() + labels.tobytes()).hexdigest()[:16]


def classes_of(target: Integers) -> Integers | None:
    """Return the class of each image, int64 (n,), or None where images have none, or several."""
    return target if target.ndim == 1 and len(target) > 0 and bool((target >= 0).all()) else None
