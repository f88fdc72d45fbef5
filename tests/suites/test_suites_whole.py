"""A result is of the whole suite if its cells and their images are those that were published."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from published_layouts import write_classes

import robench
from robench import suites
from robench.data import digits
from robench.results.schema import Result
from robench.suites import Cell, OpenOptions
from robench.tables.submission import check_submission


def first_pixels(images: torch.Tensor) -> torch.Tensor:
    return images.flatten(1)[:, :1000]


def measured(suite: str, out: Path, data: Path | None = None, **options: object) -> Result:
    return robench.evaluate(
        first_pixels,
        suite,
        data=data,
        out=out,
        name="first-pixels",
        resamples=10,
        quiet=True,
        suite_options=OpenOptions(**options),  # type: ignore[arg-type]
    )


def test_a_folder_of_a_few_photographs_is_not_the_suite(tmp_path: Path, photos: list[np.ndarray]) -> None:
    write_classes(tmp_path / "blurry_images", photos)
    result = measured("real-blurry", tmp_path / "run", tmp_path / "blurry_images")
    assert (result.status, result.suite.complete) == ("complete", False)
    assert any("real-blurry: 8 images found, 1,000 are published" in note for note in result.notes)
    problems = check_submission(tmp_path / "run")
    assert "cell real-blurry is of 8 images; the suite's cell has 1,000" in problems
    assert any("part of the suite" in problem for problem in problems)


def test_clean_images_of_another_number_make_no_whole(tmp_path: Path, photos: list[np.ndarray]) -> None:
    """The gap to the clean images is a value of the suite, though published files come without them."""
    opened = suites.open_suite("real-blurry", write_classes(tmp_path / "blurry_images", photos))
    assert opened.whole == ("real-blurry",)
    write_classes(tmp_path / "val", photos)
    result = measured("real-blurry", tmp_path / "run", tmp_path / "blurry_images")
    assert {cell.name for cell in result.cells} == {"clean", "real-blurry"}
    assert check_submission(tmp_path / "run")[:3] == [
        "the intervals are of 10 resamples; a board needs 1,000 (`resamples`)",
        "the result is marked incomplete (status 'complete', of part of the suite)",
        "cell clean is of 8 images; the suite's cell has 50,000",
    ]


@pytest.mark.parametrize(("versions", "complete"), [(("v6", "v4"), True), (("v6",), False)])
def test_all_sets_of_a_suite_make_it_whole(versions: tuple[str, ...], complete: bool, tmp_path: Path) -> None:
    pixels = digits.load("test").array[:1]
    for version in versions:
        count = {"v6": 2000, "v4": 2021}[version]
        np.save(tmp_path / f"cifar10.1_{version}_data.npy", np.broadcast_to(pixels, (count, 32, 32, 3)))
        np.save(tmp_path / f"cifar10.1_{version}_labels.npy", np.arange(count) % 10)

    def ten(images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1)[:, :10]

    result = robench.evaluate(ten, "cifar10.1", data=tmp_path, out=tmp_path / "run", resamples=2, quiet=True)
    assert result.suite.complete is complete
    again = suites.open_suite("cifar10.1", tmp_path, OpenOptions(conditions=("v6",)))
    assert again.whole == ("v6", "v4")


def test_the_embedded_digits_are_a_whole_suite(tmp_path: Path) -> None:
    opened = suites.open_suite("digits-p", options=OpenOptions(limit=4))
    assert opened.published == {cell.name: 599 for cell in opened.suite.cells}
    assert opened.total(Cell("tilt")) == 599
    assert opened.length(Cell("tilt")) == 4
    assert opened.remarks == ()


def test_a_cell_of_clips_says_how_many_frames_go_through_the_model(cifar_clean: Path) -> None:
    clips = suites.open_suite("cifar10-p", cifar_clean, OpenOptions(limit=6))
    assert (clips.suite.unit, clips.length(Cell("translate")), clips.images(Cell("translate"))) == ("clip", 6, 96)
    attempts = suites.open_suite("cifar10-sta", cifar_clean)
    (cell,) = attempts.suite.cells
    assert (attempts.suite.unit, attempts.length(cell), attempts.images(cell)) == ("image", 20, 200)


def test_a_plan_counts_frames(tmp_path: Path) -> None:
    plan = robench.plan("reference:digits/standard", "digits-p", corruption="translate,rotate", limit=2,
                        out=tmp_path / "run")  # fmt: skip
    assert (plan.images, plan.images_left) == (2 * (16 + 31), 2 * (16 + 31))
