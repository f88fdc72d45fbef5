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


def test_every_picture_stands_in_its_place() -> None:
    grid = make_grid()
    shown = [np.asarray(axes.images[0].get_array()) for axes in gallery(grid).axes]
    np.testing.assert_array_equal(np.stack(shown), np.concatenate(list(grid.values())))


def test_rows_and_columns_are_named() -> None:
    figure = gallery(make_grid())
    assert [axes.texts[0].get_text() for axes in figure.axes if axes.texts] == ["clean", "fog", "glass blur"]
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == [f"severity {s}" for s in range(1, 6)]


def test_what_is_no_grid_is_refused() -> None:
    with pytest.raises(RobenchError, match="no image"):
        gallery({})
    with pytest.raises(RobenchError, match="'fog' must be uint8"):
        gallery({"fog": np.zeros((5, 8, 8))})


def test_the_verb_draws_a_digit_under_all_nineteen(tmp_path: Path) -> None:
    assert main(["plot", "corruptions-gallery", "--out", str(tmp_path / "gallery.png")]) == 0
    assert (tmp_path / "gallery.png").stat().st_size > 10_000
