"""What classes leave to chance, against the formula with the covariances of all images, on few unlike cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest

from robench.metrics.sample_rows import SampleRows
from robench.metrics.spread import spread_of
from robench.suites.drawing import LEAST_DRAWN, Design

Floats = npt.NDArray[np.float64]
IMAGES, CELLS, KINDS = 600, 76, 10


@dataclass(frozen=True)
class Variances:
    """Means over samples: of a mean over cells against the full run, against new images, and of rounding alone."""

    full_run: float
    new_images: float
    rounding: float


def scores(seed: int, effect: float) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Values, (images, cells), of which every tenth cell's vary 30 times as much; and the images' classes.

    Cells draw in their order, so that the few that matter have next to no images in common.
    """
    rng = np.random.default_rng(seed)
    classes = rng.permutation(np.arange(IMAGES) % KINDS)
    of_class = effect * rng.standard_normal((KINDS, 1)) + 0.5 * effect * rng.standard_normal((KINDS, CELLS))
    latent = 0.6 * rng.standard_normal((IMAGES, 1)) + 0.8 * rng.standard_normal((IMAGES, CELLS)) + of_class[classes]
    return latent * np.where(np.arange(CELLS) % 10 == 0, 3.0, 0.1), classes


def compared(seed: int, effect: float, drawn: int, repeats: int) -> tuple[Variances, Variances]:
    """Return what samples estimate on average, and what the covariances of all images say of the same samples."""
    values, classes = scores(seed, effect)
    means = np.stack([values[classes == kind].mean(axis=0) for kind in range(KINDS)])
    rest = values - means[classes]
    within, plain = rest.T @ rest / (IMAGES - KINDS), np.cov(values, rowvar=False)
    gradient = np.full(CELLS, 1 / CELLS)
    found, expected = [], []
    for repeat in range(repeats):
        design = Design(IMAGES, CELLS, f"repeat {repeat}", classes)
        index = [np.sort(design.order(place)[:drawn]) for place in range(CELLS)]
        uses = np.zeros((IMAGES, CELLS))
        for cell, rows in enumerate(index):
            uses[rows, cell] = 1.0 / drawn
        share = np.stack([uses[classes == kind].sum(axis=0) for kind in range(KINDS)])
        rounding = float(((share - 1 / KINDS) * means).sum() / CELLS) ** 2
        full = gradient @ (within * (uses.T @ uses - 1.0 / IMAGES)) @ gradient + rounding
        expected.append((full, full + gradient @ plain @ gradient / IMAGES, rounding))
        rows_of = SampleRows.of(index, np.full(CELLS, IMAGES), classes=[classes[rows] for rows in index])
        spread = spread_of([values[rows, cell] for cell, rows in enumerate(index)], rows_of)
        left, pool, _ = spread.variances(gradient)
        found.append((left, left + pool, float(gradient @ spread.rounding) ** 2))
    return Variances(*np.mean(found, axis=0)), Variances(*np.mean(expected, axis=0))


@pytest.mark.parametrize(("seed", "drawn"), [(3, 26), (5, 47)])
def test_new_images_have_their_variance_where_few_cells_vary_most(seed: int, drawn: int) -> None:
    """Estimated from cells that have images in common alone, it was up to a quarter too small."""
    found, expected = compared(seed, effect=1.5, drawn=drawn, repeats=10)
    assert found.new_images == pytest.approx(expected.new_images, rel=0.08)


def test_the_chance_in_a_class_of_two_images_is_not_taken_for_rounding() -> None:
    """Without effects of classes rounding adds nothing; what two or three images of a class say of it is chance."""
    found, _ = compared(seed=2, effect=0.0, drawn=26, repeats=10)
    assert found.rounding < 0.015 * found.full_run


def test_rounding_of_classes_that_differ_is_kept() -> None:
    found, expected = compared(seed=3, effect=1.5, drawn=26, repeats=10)
    assert found.rounding > 0.1 * found.full_run
    assert 0.4 * expected.rounding < found.rounding < 1.4 * expected.rounding


def test_of_all_images_the_variance_of_new_ones_is_that_of_the_images_means() -> None:
    values, classes = scores(seed=4, effect=1.0)
    rows = SampleRows.of([np.arange(IMAGES)] * CELLS, np.full(CELLS, IMAGES), classes=[classes] * CELLS)
    full, pool, _ = spread_of(list(values.T), rows).variances(np.full(CELLS, 1 / CELLS))
    assert full == pytest.approx(0.0, abs=1e-12)
    assert pool == pytest.approx(values.mean(axis=1).var(ddof=1) / IMAGES, rel=0.02)


def test_every_cell_of_a_first_round_has_an_image_in_common_with_another() -> None:
    design = Design(10_000, CELLS, "data")
    first = [design.order(place)[:LEAST_DRAWN] for place in range(CELLS)]
    seen = np.bincount(np.concatenate(first), minlength=10_000)
    assert all((seen[images] > 1).any() for images in first)
    assert np.bincount(np.concatenate([images[:-1] for images in first])).max() == 1
