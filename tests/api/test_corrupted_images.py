"""The images behind ``robench plot corruptions-gallery``: robench's corruptions of one image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from robench.api.gallery import corrupted_images
from robench.corruptions import corrupt
from robench.corruptions.severities import BENCHMARK, EXTRA
from robench.data import digits
from robench.errors import RobenchError


def test_the_grid_is_what_corrupt_makes_of_the_digit() -> None:
    grid = corrupted_images(None, index=3, seed=7)
    assert list(grid) == ["clean", *BENCHMARK, *EXTRA]
    clean = digits.load("test").read(np.array([3]))
    assert np.array_equal(grid["clean"], clean)
    batch = torch.from_numpy(clean).permute(0, 3, 1, 2).contiguous()
    for name in ("gaussian_noise", "fog"):
        assert grid[name].shape == (5, 32, 32, 3)
        expected = corrupt(batch, name, 4, index=np.array([3]), seed=7).permute(0, 2, 3, 1).numpy()[0]
        assert np.array_equal(grid[name][3], expected)


def test_an_image_is_resized_and_its_centre_cropped(tmp_path: Path) -> None:
    pixels = np.zeros((40, 80, 3), np.uint8)
    pixels[:, 20:60] = 255  # the centre
    Image.fromarray(pixels).save(tmp_path / "a.png")
    grid = corrupted_images(tmp_path / "a.png", size=40)
    assert grid["clean"].shape == (1, 40, 40, 3)
    assert grid["clean"].min() == 255


def test_what_is_neither_an_image_nor_a_digit_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("not an image")
    with pytest.raises(RobenchError, match="cannot be decoded"):
        corrupted_images(tmp_path / "a.png")
    with pytest.raises(RobenchError, match="599 digits"):
        corrupted_images(None, index=599)
