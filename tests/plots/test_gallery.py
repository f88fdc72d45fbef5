"""The gallery: a row a corruption, a column a severity, every pixel as given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from robench.cli.main import main
from robench.errors import RobenchError
from robench.plots.gallery import gallery


def make_grid() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "clean": rng.integers(0, 256, (1, 8, 8, 3), dtype=np.uint8),
        "fog": rng.integers(0, 256, (5, 8, 8, 3), dtype=np.uint8),
        "glass_blur": rng.integers(0, 256, (5, 8, 8, 3), dtype=np.uint8),
    }


def test_every_image_stands_in_its_place() -> None:
    grid = make_grid()
    shown = [np.asarray(axes.images[0].get_array()) for axes in gallery(grid).axes]
    np.testing.assert_array_equal(np.stack(shown), np.concatenate(list(grid.values())))


def test_rows_and_columns_are_named() -> None:
    figure = gallery(make_grid())
    assert [axes.texts[0].get_text() for axes in figure.axes if axes.texts] == ["Clean", "Fog", "Glass blur"]
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == [f"severity {s}" for s in range(1, 6)]


def test_what_is_no_grid_is_refused() -> None:
    with pytest.raises(RobenchError, match="no image"):
        gallery({})
    with pytest.raises(RobenchError, match="'fog' must be uint8"):
        gallery({"fog": np.zeros((5, 8, 8))})


def test_operations_are_pillows_at_augmixs_levels() -> None:
    from PIL import Image, ImageEnhance, ImageOps

    from robench import api
    from robench.api.operations import LEVELS, operation_images

    grid = operation_images(index=4)
    image = Image.fromarray(grid["clean"][0])
    assert len(grid) == 14  # the image and thirteen operations
    for column, level in enumerate(LEVELS):
        expected = {
            "equalize": ImageOps.equalize(image),
            "posterize": ImageOps.posterize(image, 4 - int(level * 4 / 10)),
            "solarize": ImageOps.solarize(image, 256 - int(level * 256 / 10)),
            "rotate": image.rotate(int(level * 30 / 10), resample=Image.Resampling.BILINEAR),
            "contrast": ImageEnhance.Contrast(image).enhance(level * 1.8 / 10 + 0.1),
        }
        for name, wanted in expected.items():
            assert np.abs(grid[name][column].astype(int) - np.asarray(wanted).astype(int)).max() <= 1, (name, level)
    titles = [axes.get_title() for axes in api.operations(index=4).axes if axes.get_title()]
    assert titles == [f"level {level}" for level in LEVELS]


def test_a_longer_chain_begins_as_the_shorter_one() -> None:
    """AugMix's Figure 3 is one chain after one, three and six operations: a column of three plots."""
    import torch

    from robench.corruptions.random import Stream
    from robench.training.ops.chains import ChainDistribution

    stream = Stream(1, "any", index=torch.arange(5))
    ops, values = ChainDistribution(1, 6).draw(stream, 224)
    for depth in (1, 3):
        shorter = ChainDistribution(1, depth).draw(stream, 224)
        assert torch.equal(shorter[0], ops[:, :, :depth])
        assert torch.equal(shorter[1], values[:, :, :depth])


def test_the_command_draws_a_digit_under_all_nineteen(tmp_path: Path) -> None:
    assert main(["plot", "corruptions-gallery", "--out", str(tmp_path / "gallery.png")]) == 0
    assert (tmp_path / "gallery.png").stat().st_size > 10_000
