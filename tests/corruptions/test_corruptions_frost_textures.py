"""The built-in frost textures: like the originals in their statistics, and the digits' own where they always were."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from robench.corruptions import corrupt, frost_first, frost_textures
from robench.corruptions.frost import FIRST, describe, load
from robench.corruptions.frost_matching import known, match, measure
from robench.suites import OpenOptions, get
from robench.suites.frosted import frost_record, frost_remarks, with_frost

# Red values of the first texture on a grid, as version 1 drew it.
FIRST_VALUES = [[138, 90, 43, 36, 25], [95, 52, 48, 98, 71], [64, 44, 115, 35, 90], [46, 98, 88, 115, 53]]
ORIGINALS = Path(os.environ.get("ROBENCH_FROST", "no-frost-images"))


def test_matching_gives_a_drawing_the_statistics_of_another_image() -> None:
    """Checked with plain numpy: mean, standard deviation and the power below a tenth of a cycle per pixel."""
    wanted = known()[1]
    rng = np.random.default_rng(0)
    found = match([rng.standard_normal(wanted.size).astype(np.float32) for _ in range(3)], wanted)
    assert found.shape == (*wanted.size, 3)
    again = measure(found)
    assert np.abs(again.mean - wanted.mean).max() < 1.0
    assert np.abs(again.histogram[:, 3:-3] - wanted.histogram[:, 3:-3]).max() < 1.0
    assert np.abs(again.power[0] - wanted.power[0]).max() < 4.5


@pytest.mark.parametrize("number", [0, 3])
def test_a_texture_is_near_the_statistics_it_was_matched_to(number: int) -> None:
    wanted, found = known()[(0, 1, 1, 2, 3)[number]], frost_textures.texture(number)
    assert found.shape == (*wanted.size, 3)
    assert found.dtype == np.uint8
    assert np.abs(found.mean(axis=(0, 1)) - wanted.mean).max() < 12.0
    again = measure(found)
    assert np.sqrt((again.power[0] ** 2).sum()) == pytest.approx(np.sqrt((wanted.power[0] ** 2).sum()), rel=0.12)


@pytest.mark.skipif(not ORIGINALS.is_dir(), reason="ROBENCH_FROST names no folder of the original frost images")
def test_the_stored_statistics_are_those_of_the_originals() -> None:
    flat, shapes, starts = load(str(ORIGINALS), 1.0)
    for row, number in enumerate((0, 1, 3, 4)):
        height, width = shapes[number]
        image = flat[starts[number] :][: 3 * height * width].reshape(3, height, width).transpose(1, 2, 0)
        found = measure(image)
        assert np.allclose(found.power, known()[row].power, atol=0.05)
        assert np.allclose(found.histogram, known()[row].histogram, atol=0.51)


def test_the_digits_keep_the_first_textures() -> None:
    """They are those of version 1, under which the shipped results were measured."""
    drawn = frost_first.texture(0)[::90, ::112, 0].astype(int)
    assert np.abs(drawn - np.array(FIRST_VALUES)).max() <= 1  # up to the last bit of a float
    for name, version in (("digits-c", 1), ("cifar10-c", 2)):
        suite = get(name)
        frost = {"pictures": "robench", "version": version}
        assert frost_record(suite, with_frost(suite, OpenOptions())) == {"frost": frost}
    assert describe(FIRST) != describe(None)
    images = torch.full((4, 3, 32, 32), 100, dtype=torch.uint8)
    one, two = (corrupt(images, "frost", 3, index=torch.arange(4), frost=frost) for frost in (FIRST, None))
    assert not torch.equal(one, two)


def test_a_result_says_which_frost_was_used() -> None:
    suite = get("cifar10-c")
    (note,) = frost_remarks(suite.cells, OpenOptions())
    assert "built-in textures" in note
    assert frost_remarks(suite.cells, OpenOptions(frost_dir="originals")) == ()
    assert frost_remarks([cell for cell in suite.cells if cell.condition != "frost"], OpenOptions()) == ()
    assert frost_remarks(suite.cells, with_frost(get("digits-c"), OpenOptions())) == ()
