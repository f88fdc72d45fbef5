"""The images of a fit are known again whatever their resize and crop; where they cannot be, it is said."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

import robench
from robench.data import digits
from robench.results.same_images import unchecked

MODEL = "reference:digits/standard"
FEW = {"quiet": True, "resamples": 0, "device": "cpu", "keep_logits": True}


def photographs(folder: Path, first: int, last: int) -> Path:
    """Write digits of the test set as photographs of 48 pixels, in class folders."""
    test = digits.load("test")
    for index in range(first, last):
        name = digits.CLASSES[int(np.asarray(test.labels)[index])]
        (folder / "test" / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(test.array[index]).resize((48, 48)).save(folder / "test" / name / f"{index:04d}.png")
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("photographs")
    all_of, part = photographs(place / "data", 0, 80), photographs(place / "fewer", 0, 60)
    asked = {"plain": (all_of, 32), "crop": (all_of, 36), "part": (part, 32), "part, crop": (part, 36)}
    for name, (data, resize) in asked.items():
        robench.evaluate(MODEL, "clean", data=data, out=place / name, resize=resize, crop=32, **FEW)
    robench.evaluate(MODEL, "clean", out=place / "digits", limit=20, **FEW)
    return {name: place / name for name in (*asked, "digits")}


def test_the_same_photographs_at_another_crop_are_no_others(runs: dict[str, Path]) -> None:
    for other in ("crop", "plain"):
        run = runs["plain" if other == "crop" else "crop"]
        with pytest.raises(robench.RobenchError, match="has every image of the run"):
            robench.calibrate(run, fit_run=runs[other], resamples=0)
        with pytest.raises(robench.RobenchError, match="has every image of the run"):
            robench.conformal(run, fit_run=runs[other], resamples=0)


def test_a_part_of_them_is_left_out_by_its_pixels(runs: dict[str, Path]) -> None:
    found = robench.calibrate(runs["plain"], fit_run=runs["part"], resamples=0)
    assert found.images == {"clean": 20}
    assert not any("could not be checked" in note for note in found.notes)


@pytest.mark.parametrize("own", [True, False])
def test_what_cannot_be_checked_is_said(own: bool, runs: dict[str, Path], tmp_path: Path) -> None:
    fit, out = None if own else runs["part, crop"], tmp_path / "c.json"
    calibrated = robench.calibrate(runs["plain"], fit_run=fit, resamples=0, out=out)
    conformal = robench.conformal(runs["plain"], fit_run=fit, alpha=0.3, resamples=0, out=out)
    for notes in (calibrated.notes, conformal.notes):
        told = [note for note in notes if "could not be checked" in note]
        assert own == (told == [])
        assert own or "were resized and cropped differently" in told[0]


def test_runs_without_a_common_cell_are_said() -> None:
    def run(cell: str, **protocol: Any) -> Any:
        identity = SimpleNamespace(protocol=protocol, scaled_to=None, preprocessing={})
        return SimpleNamespace(done=lambda: [cell], record=SimpleNamespace(identity=identity))

    assert "have no cell in common" in unchecked(run("fog/1", files={}), run("clean", checksum="a"))[0]
    assert unchecked(run("fog/1", clean="a"), run("clean", checksum="a")) == []
    assert unchecked(run("clean", checksum="a"), run("clean", checksum="b")) == []


def test_another_order_of_classes_is_told_as_such(runs: dict[str, Path]) -> None:
    with pytest.raises(robench.RobenchError, match=r"classes of .*plain are in another order than those of"):
        robench.calibrate(runs["digits"], fit_run=runs["plain"], resamples=0)
