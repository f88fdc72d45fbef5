"""The least standard error of a difference: two images are added that differ as far as those seen, or as can be."""

from __future__ import annotations

import numpy as np
import pytest

from robench.errors import RobenchError
from robench.metrics.least_error import least_error


def test_the_least_error_is_that_of_two_more_images_that_differ() -> None:
    differences = np.concatenate([np.zeros(500), [1.0, -1.0]])
    expected = differences.std() / np.sqrt(500)
    assert least_error([1.0], [500]) == pytest.approx(expected, rel=1e-12)
    assert least_error([0.25] * 4, [125] * 4) == pytest.approx(expected, rel=1e-12)
    assert least_error([0.25] * 4, [500] * 4, index=[np.arange(500)] * 4) == pytest.approx(expected, rel=1e-12)
    assert least_error([0.0, 0.0], [10, 10]) == 0.0
    with pytest.raises(RobenchError, match="same cells"):
        least_error([1.0], [10, 10])
    with pytest.raises(RobenchError, match="same cells"):
        least_error([1.0], [10], index=[])


def test_the_least_error_of_cells_that_share_some_images_counts_an_image_in_all_of_its_cells() -> None:
    rng = np.random.default_rng(3)
    index = [np.sort(rng.choice(300, n, replace=False)) for n in (50, 80, 120)]
    slopes = np.array([0.2, -0.5, 0.3])
    weight = np.zeros(300)
    for slope, images in zip(slopes, index, strict=True):
        weight[images] += abs(slope) / len(images)
    seen = len(np.unique(np.concatenate(index)))
    expected = np.sqrt(2 / (seen + 2) * (weight**2).sum())
    assert least_error(slopes, [50, 80, 120], index=index) == pytest.approx(expected, rel=1e-12)
    assert expected > least_error(slopes, [50, 80, 120])


def _images(n: int, apart: int, size: float, cells: int = 4) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return n images' numbers and parts of the difference, in every cell; the first ones differ, by turns."""
    of_cell = np.zeros(n)
    of_cell[:apart] = size * np.where(np.arange(apart) % 2, -1.0, 1.0) / cells
    return [np.arange(n)] * cells, [of_cell] * cells


def test_images_that_differ_little_say_how_far_others_may() -> None:
    worst = least_error([0.25] * 4, [300] * 4, index=[np.arange(300)] * 4)
    for apart, size in ((0, 0.1), (1, 0.1), (5, 0.3), (200, 0.05), (300, 0.01)):
        index, parts = _images(300, apart, size)
        found = least_error([0.25] * 4, [300] * 4, index=index, parts=parts)
        assert found == pytest.approx(worst * np.sqrt((1 + apart * size**2) / (1 + apart)), rel=1e-9)
    assert least_error([0.25] * 4, [300] * 4, index=index, parts=[np.zeros(300)] * 4) == worst  # none differs
    index, parts = _images(300, 7, 1.0)
    assert least_error([0.25] * 4, [300] * 4, index=index, parts=parts) == pytest.approx(worst)


def test_parts_of_cells_with_other_images_are_joined_by_image() -> None:
    rng = np.random.default_rng(5)
    index = [np.sort(rng.choice(90, n, replace=False)) for n in (30, 50, 60)]
    slopes = np.array([0.2, -0.5, 0.3])
    parts = [s * rng.choice([-1.0, 0.0, 1.0], len(i), p=[0.1, 0.8, 0.1]) for s, i in zip(slopes, index, strict=True)]
    most, sum_of, differs = np.zeros(90), np.zeros(90), np.zeros(90, bool)
    for slope, images, of_cell in zip(slopes, index, parts, strict=True):
        most[images] += abs(slope) / len(images)
        sum_of[images] += of_cell / len(images)
        differs[images] |= of_cell != 0
    share = (sum_of / np.where(most > 0, most, 1.0))[differs]
    expected = least_error(slopes, [30, 50, 60], index=index) * np.sqrt((1 + (share**2).sum()) / (1 + len(share)))
    assert least_error(slopes, [30, 50, 60], index=index, parts=parts) == pytest.approx(expected, rel=1e-9)


def test_derivatives_that_are_exact_to_a_few_digits_make_no_image_differ() -> None:
    index, parts = _images(300, 300, 1e-9)
    worst = least_error([0.25] * 4, [300] * 4, index=index)
    assert least_error([0.25] * 4, [300] * 4, index=index, parts=parts) == worst


def test_parts_of_other_images_are_refused() -> None:
    with pytest.raises(RobenchError, match="found 9 parts of 10 images"):
        least_error([1.0], [10], index=[np.arange(10)], parts=[np.zeros(9)])
    with pytest.raises(RobenchError, match="same cells"):
        least_error([1.0], [10], index=[np.arange(10)], parts=[])


@pytest.mark.parametrize("rare", [0.004, 0.02, 0.1, 0.9])
@pytest.mark.parametrize("images", [40, 300])
def test_intervals_hold_the_difference_of_models_that_rarely_differ(rare: float, images: int) -> None:
    """Of images under 15 corruptions: how far one differs varies, and most samples of few have none that does."""
    rng, cells, held = np.random.default_rng(11), 15, 0
    for _ in range(2000):
        size = rng.beta(1.0, 3.0, images) * (rng.random(images) < rare) * rng.choice([-1.0, 1.0], images, p=[0.3, 0.7])
        answers = (rng.random((cells, images)) < np.abs(size)) * np.sign(size)
        parts = list(answers / cells)
        seen = answers.mean(axis=0)
        least = least_error(np.full(cells, 1 / cells), [images] * cells, index=[np.arange(images)] * cells, parts=parts)
        error = max(seen.std(ddof=1) / np.sqrt(images), least)
        held += abs(seen.mean() - 0.4 * 0.25 * rare) <= 1.96 * error
    assert held / 2000 >= 0.93
