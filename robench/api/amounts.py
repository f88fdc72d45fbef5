"""How much to measure, before anything is: images, passes, time, and how precise the answer would be."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from robench.api.within import HEADLINE, Target, least_images_of, passes

if TYPE_CHECKING:
    from robench.metrics.sampling import StandardErrors
    from robench.predictions import RunFolder
    from robench.suites import OpenSuite

_TYPICAL = {"error": 0.3, "flip_probability": 0.1, "worst_case_error": 0.3}  # of a network, in every cell
_ALIKE = 0.3  # correlation of two cells' answers on the same image: a latent one of 0.5
_WIDTHS = (1.0, 0.5, 0.25)
_SIZES = 40  # of a search between 1 and all images, each 1.3 times the last or closer


@dataclass(frozen=True)
class Amount:
    """What one choice of how much to measure costs and gives.

    Args:
        choice: ``within=0.5``, ``limit=500`` or ``all images``.
        images: per cell, of the largest cell.
        passes: images that go through the model in all.
        seconds: estimated time for those that are left; None: not known.
        name: of the summary value whose widths follow.
        full_run: half-width of its 95 % interval for the full run, in the shown unit.
        new_images: half-width of that for new images.
    """

    choice: str
    images: int
    passes: int
    seconds: float | None
    name: str
    full_run: float
    new_images: float


@dataclass(frozen=True)
class Expectation:
    """What a suite's main value can be expected to be known to.

    Args:
        name: of the value.
        errors: from images per cell to standard errors.
        seen: whether it follows from what the run has measured; else from a typical network's errors.
    """

    name: str
    errors: Callable[[int], StandardErrors]
    seen: bool


def amounts(
    suite: OpenSuite,
    targets: Sequence[Target],
    run: RunFolder | None,
    seconds: Callable[[int], float | None],
) -> tuple[tuple[Amount, ...], bool]:
    """Return what was asked for, and what other choices would take: a small table.

    Args:
        suite: the suite, opened.
        targets: of ``within``; none: all images, or the suite's ``limit``.
        run: the run, where it was begun.
        seconds: from images per cell to the time for those that are left.

    Returns:
        The amounts, the asked one first, and whether widths follow from the run's own images; no amounts where
        nothing is known of the suite's main value.
    """
    expected = expectation(suite, targets, run)
    if expected is None:
        return (), False
    total, limit = max(suite.total(cell) for cell in suite.suite.cells), suite.options.limit
    asked = [target for target in targets if target.name in (HEADLINE, expected.name)]
    least = min(total, least_images_of(asked))
    choices = [
        (f"within={one.half_width:g}", max(least, _enough(expected, one.half_width, total))) for one in asked[:1]
    ]
    if not targets and limit is not None and limit < total:
        choices.append((f"limit={limit}", limit))
    choices += [(f"within={width:g}", _enough(expected, width, total)) for width in _WIDTHS]
    choices.append(("all images", total))
    if not targets and (limit is None or limit >= total):
        choices = [choices[-1], *choices[:-1]]
    rows = [_amount(suite, choice, size, expected, seconds(size)) for choice, size in dict(choices).items()]
    return tuple(rows), expected.seen


def expectation(suite: OpenSuite, targets: Sequence[Target], run: RunFolder | None) -> Expectation | None:
    """Return what is known of a value's precision: of the run's own images, else of a typical network."""
    from robench.catalogue import metric_of
    from robench.results.precision import estimates

    name = next((target.name for target in targets if target.name != HEADLINE), suite.suite.headline)
    if run is not None and any(run.sample(cell) is not None for cell in run.done()):
        found = estimates(run).get(name)
        if found is not None and math.isfinite(found.errors.full_run):
            return Expectation(name, _scaled(found.errors), seen=True)
    of = metric_of(name)
    if of is None or of.name not in _TYPICAL:
        return None
    errors = _typical(suite, name, of.name)
    return None if errors is None else Expectation(name, errors, seen=False)


def _scaled(errors: StandardErrors) -> Callable[[int], StandardErrors]:
    """Return the standard errors of another number of images per cell, as the sample's spread has them."""
    from robench.metrics.sampling import StandardErrors

    population = errors.new_images**2 - errors.full_run**2

    def scaled(images: int) -> StandardErrors:
        full = max(errors.per_image / images - errors.pool, 0.0)
        return StandardErrors(math.sqrt(full + population), math.sqrt(full), errors.per_image, errors.pool)

    return scaled


def _typical(suite: OpenSuite, name: str, metric: str) -> Callable[[int], StandardErrors] | None:
    """Return the standard errors of a network that is as often wrong in every cell as networks typically are."""
    from robench.metrics.sampling import of_variances
    from robench.results.own_images import own_set
    from robench.results.precision import Sampled
    from robench.suites.drawing import shuffled_names

    cells = suite.suite.cells
    totals = np.array([suite.total(cell) for cell in cells], np.int64)
    share = _TYPICAL[metric]
    typical = Sampled(cells, totals, None, {}, {metric: np.full(len(cells), share)}, suite.suite)
    gradient = typical.gradient(name, metric)
    if gradient is None:
        return None
    own = np.array([own_set(cell.name, suite.suite) or "" for cell in cells])
    same = (totals[:, None] == totals[None, :]) & (own[:, None] == own[None, :])
    covariance = share * (1.0 - share) * np.where(same, np.where(np.eye(len(cells)) > 0, 1.0, _ALIKE), 0.0)
    order = shuffled_names(cell.name for cell in cells)
    places = np.array([order.index(cell.name) for cell in cells])
    apart = np.abs(places[:, None] - places[None, :]) / len(cells)

    def typical_errors(images: int) -> StandardErrors:
        sizes = np.minimum(images, totals)
        smaller = np.minimum.outer(sizes, sizes)
        gaps = apart * np.minimum.outer(totals, totals)
        both = np.maximum(smaller - gaps, 0) + np.maximum(smaller - (np.minimum.outer(totals, totals) - gaps), 0)
        both = np.where(np.eye(len(cells)) > 0, sizes, np.where(same, np.minimum(both, smaller), 0))
        weights = np.outer(gradient, gradient) * covariance
        drawn, saved = weights * both / np.outer(sizes, sizes), weights / np.maximum.outer(totals, totals)
        pool = float(saved[same].sum())
        full = max(float(drawn.sum()) - pool, 0.0)
        return of_variances((full, pool, pool), sizes, totals, gradient)

    return typical_errors


def _enough(expected: Expectation, half_width: float, total: int) -> int:
    """Return the smallest number of images per cell with which an interval is narrow enough."""
    from robench.catalogue import row
    from robench.results.intervals import NORMAL_95

    wanted = half_width / row(expected.name).factor / NORMAL_95
    sizes = np.unique(np.geomspace(1, total, _SIZES).astype(int))
    for below, size in zip([0, *sizes], sizes, strict=False):
        if expected.errors(int(size)).full_run <= wanted:
            while size - below > 1:
                middle = (int(below) + int(size)) // 2
                below, size = (below, middle) if expected.errors(middle).full_run <= wanted else (middle, size)
            return int(size)
    return total


def _amount(suite: OpenSuite, choice: str, images: int, expected: Expectation, seconds: float | None) -> Amount:
    from robench.catalogue import row
    from robench.results.intervals import NORMAL_95

    errors, factor = expected.errors(images), row(expected.name).factor
    whole = images >= max(suite.total(cell) for cell in suite.suite.cells)
    return Amount(
        choice, images, passes(suite, images), seconds, expected.name,
        0.0 if whole else factor * NORMAL_95 * errors.full_run, factor * NORMAL_95 * errors.new_images,
    )  # fmt: skip
