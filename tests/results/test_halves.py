"""The half of a run's images that a calibration is fitted on has the classes and the difficulty of the other half."""

from __future__ import annotations

import numpy as np
import pytest

import robench
from robench.results.halves import fit_half

N = np.arange(1000)


@pytest.mark.parametrize(
    "labels",
    [N % 10, N // 100, N % 2, 0 * N, N % 4 // 2],
    ids=["classes take turns", "sorted by class", "two in turn", "one class", "pairs in turn"],
)
def test_both_halves_have_the_classes_in_equal_shares(labels: np.ndarray) -> None:
    half = fit_half(np.arange(1000), labels)
    assert len(half) == 500
    counts = np.bincount(labels[half], minlength=10)
    assert (np.abs(counts - np.bincount(labels, minlength=10) / 2) <= 0.5).all()


@pytest.mark.parametrize("period", [2, 3, 10, 100])
def test_an_order_within_the_data_does_not_divide_them(period: int) -> None:
    """Whatever recurs every so many images (a class, a camera, a difficulty) is in both halves."""
    labels = np.random.default_rng(0).integers(0, 10, 2000)
    half = fit_half(np.arange(2000), labels)
    found = np.bincount(half % period, minlength=period) / (2000 / period)
    assert (np.abs(found - 0.5) < 4 * 0.5 / np.sqrt(2000 / period)).all()


def test_an_image_of_several_cells_is_in_one_half_and_the_rows_order_does_not_matter() -> None:
    rng = np.random.default_rng(1)
    index = np.concatenate([np.arange(0, 60), np.arange(30, 90)])
    labels = index % 7
    half = fit_half(index, labels)
    assert len(half) == 45
    order = rng.permutation(len(index))
    np.testing.assert_array_equal(fit_half(index[order], labels[order]), half)


@pytest.mark.parametrize("labels", [[], [3], [1, 1], [0, 1, 2]])
def test_few_images_are_divided_as_evenly_as_they_can_be(labels: list[int]) -> None:
    assert len(fit_half(np.arange(len(labels)), np.array(labels, int))) == (len(labels) + 1) // 2


def test_a_calibration_is_measured_on_every_class_where_classes_take_turns() -> None:
    """A model that knows the even classes only is wrong for half of the images, whichever are held out."""
    labels = np.arange(400) % 10
    logits = np.random.default_rng(2).normal(size=(400, 10))
    logits[np.arange(400), np.where(labels % 2 == 0, labels, labels - 1)] += 20.0
    found = robench.calibrate(logits=logits, labels=labels, resamples=0, quiet=True)
    assert found.before["logits"]["error"].value == pytest.approx(0.5)
