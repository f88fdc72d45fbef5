"""Fourier maps from a sample: each frequency is measured on images of its own until its error is known well enough.

Every frequency takes a stretch of one permutation of the images, a larger sample of it contains the smaller, and the
stretches begin far apart: neighbours in the map share few images, so that the map's mean is known far better than a
single frequency. The model's answers on the clean images are known for all of them and tell two strata apart, images
that it gets right and images that it does not; shares are put together by the strata's true sizes.

Source: Cochran 1977, Sampling Techniques, section 5A.9 (post-stratification) and 2.8 (finite populations); Agresti and
Coull 1998 for the two answers of each kind that are added where a share's spread is estimated.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Booleans = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]

FIRST = 128  # images before a share's spread is believed
_Z = 1.959963984540054
_GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class Tally:
    """What is known of one frequency.

    Args:
        images: measured so far, of clean images that the model gets right and of those that it does not.
        wrong: how many of each were answered wrongly under the perturbation.
    """

    images: tuple[int, int] = (0, 0)
    wrong: tuple[int, int] = (0, 0)

    @property
    def measured(self) -> int:
        """Images in all."""
        return sum(self.images)

    def plus(self, right_before: Booleans, wrong: Booleans) -> Tally:
        """Return the tally with more images: whether each was right when clean, and is wrong now; (n,) both."""
        strata = (right_before, ~right_before)
        return Tally(
            (self.images[0] + int(strata[0].sum()), self.images[1] + int(strata[1].sum())),
            (self.wrong[0] + int(wrong[strata[0]].sum()), self.wrong[1] + int(wrong[strata[1]].sum())),
        )

    def error(self, of: tuple[int, int]) -> float:
        """Return the estimated error over all images, a fraction; exact once all are measured.

        Args:
            of: how many images of each kind there are.

        >>> Tally(images=(50, 10), wrong=(5, 9)).error((900, 100))
        0.18
        """
        shares = [wrong / images if images else None for wrong, images in zip(self.wrong, self.images, strict=True)]
        whole = sum(self.wrong) / max(self.measured, 1)
        parts = zip(shares, of, strict=True)
        return sum((whole if share is None else share) * count for share, count in parts) / sum(of)

    def half_width(self, of: tuple[int, int]) -> float:
        """Return half the width of the 95 % interval for the error over all images, a fraction; 0 with all measured.

        >>> found = Tally(images=(90, 10), wrong=(18, 8))
        >>> round(found.half_width((9000, 1000)), 3), found.half_width((90, 10))
        (0.081, 0.0)
        """
        variance = 0.0
        for wrong, images, count in zip(self.wrong, self.images, of, strict=True):
            if count > images:
                spread = _spread(wrong, images) / images * (1 - images / count) if images else 0.25
                variance += (count / sum(of)) ** 2 * spread
        return _Z * math.sqrt(variance)

    def needed(self, of: tuple[int, int], within: float) -> int:
        """Return about how many images give the interval this half-width."""
        total = sum(of)
        per_image = sum(
            count / total * _spread(wrong, images)
            for wrong, images, count in zip(self.wrong, self.images, of, strict=True)
        )
        return min(total, math.ceil(per_image / ((within / _Z) ** 2 + per_image / total)))


def _spread(wrong: int, images: int) -> float:
    share = (wrong + 2) / (images + 4)
    return share * (1 - share)


@dataclass(frozen=True)
class Drawing:
    """Which images each frequency takes, in order.

    Args:
        images: how many there are.
        seed: of the permutation.
    """

    images: int
    seed: int

    def stretch(self, frequency: int, start: int, stop: int) -> Integers:
        """Return the numbers of the images that come ``start``-th to before ``stop``-th; int64 (stop - start,).

        Args:
            frequency: the frequency's number in the whole map, in reading order.
            start, stop: from 0 to the number of images.

        >>> drawn = Drawing(images=6, seed=0).stretch(3, 0, 6)
        >>> sorted(drawn.tolist())
        [0, 1, 2, 3, 4, 5]
        """
        order = np.random.Generator(np.random.Philox(key=[self.seed, 1])).permutation(self.images)
        begin = int(self.images * (frequency * _GOLDEN % 1.0))
        return order[(begin + np.arange(start, stop)) % self.images].astype(np.int64)


@dataclass(frozen=True)
class Goal:
    """When a frequency has been measured enough.

    Args:
        right_before: bool (images,), whether the model is right on each clean image.
        within: half-width of the 95 % interval that is to be reached, a fraction; None: measure all images.
        drawing: which images a frequency takes.
    """

    right_before: Booleans
    within: float | None
    drawing: Drawing

    @property
    def of(self) -> tuple[int, int]:
        """How many images the model gets right when clean, and how many not."""
        right = int(self.right_before.sum())
        return right, len(self.right_before) - right

    def met(self, tally: Tally) -> bool:
        """Whether that is enough."""
        total = len(self.right_before)
        if self.within is None or tally.measured >= total:
            return tally.measured >= total
        return tally.measured >= FIRST and tally.half_width(self.of) <= self.within

    def measure(self, tally: Tally, frequency: int, wrong_on: Callable[[Integers], Booleans]) -> Tally:
        """Measure one frequency until that is enough.

        Args:
            tally: what is known of it already.
            frequency: its number in the whole map, in reading order.
            wrong_on: measures images by their numbers and says which were answered wrongly, bool.
        """
        total = len(self.right_before)
        while not self.met(tally):
            chosen = np.arange(total)
            if self.within is not None or tally.measured:
                stop = min(total, max(tally.measured + FIRST // (4 if tally.measured else 1), self._needed(tally)))
                chosen = self.drawing.stretch(frequency, tally.measured, stop)
            tally = tally.plus(self.right_before[chosen], wrong_on(chosen))
        return tally

    def _needed(self, tally: Tally) -> int:
        if self.within is None:
            return len(self.right_before)
        return tally.needed(self.of, self.within) if tally.measured else 0
