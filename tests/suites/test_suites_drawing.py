"""Which images cells draw: each every image once, all about equally often, the same for every model."""

from __future__ import annotations

import numpy as np
import pytest

from robench.suites.drawing import Design


@pytest.mark.parametrize(("images", "cells"), [(1000, 75), (599, 76), (40, 3), (7, 10), (50, 1), (1, 1)])
def test_every_cell_draws_every_image_once(images: int, cells: int) -> None:
    design = Design(images, cells, "data")
    for place in range(cells):
        assert sorted(design.order(place)) == list(range(images))


def test_images_are_used_about_equally_often_at_every_size() -> None:
    design = Design(3000, 75, "data")
    orders = [design.order(place) for place in range(75)]
    for size in (10, 40, 200, 1000):
        uses = np.bincount(np.concatenate([order[:size] for order in orders]), minlength=3000)
        assert uses.max() - uses.min() <= 5, size
        assert uses.std() < 0.5 + 0.15 * np.sqrt(uses.mean()), size


def test_stretches_hold_classes_in_their_proportions() -> None:
    classes = np.repeat(np.arange(3), [600, 300, 100])
    design = Design(1000, 10, "data", classes)
    for place in range(10):
        held = np.bincount(classes[design.order(place)[:100]], minlength=3)
        assert np.abs(held - [60, 30, 10]).max() <= 4


def test_the_order_depends_on_the_key_alone() -> None:
    assert np.array_equal(Design(100, 5, "a").order(2), Design(100, 5, "a").order(2))
    assert not np.array_equal(Design(100, 5, "a").order(2), Design(100, 5, "b").order(2))
    # a change of the stream would draw other images for runs that are to be extended
    assert Design(20, 2, "digits").order(1)[:6].tolist() == GOLDEN


GOLDEN = [11, 3, 18, 0, 19, 9]
