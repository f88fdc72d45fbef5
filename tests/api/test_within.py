"""Measuring only as much as the answer needs: samples that grow, and what their results say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import robench
from robench.api.within import Target, targets_of
from robench.errors import RobenchError
from robench.predictions import RunFolder
from robench.results import Result

MODEL = "reference:digits/standard"
CELLS: dict[str, Any] = {"corruption": "fog,contrast,glass_blur", "quiet": True, "resamples": 50, "device": "cpu"}


def measured(out: Path, **words: Any) -> Result:
    result = robench.evaluate(MODEL, "digits-c", out=out, **(CELLS | words))
    assert result is not None
    return result


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    out = tmp_path_factory.mktemp("full") / "run"
    return out, measured(out)


def rows(folder: Path) -> dict[str, np.ndarray]:
    run = RunFolder.open(folder)
    return {cell: run.read(cell).index for cell in run.done()}


def test_the_sample_stops_at_the_width_and_holds_the_full_value(tmp_path: Path, full: tuple[Path, Result]) -> None:
    result = measured(tmp_path / "run", within=2.0)
    found, whole = result.summary["mean_error"], full[1].summary["mean_error"]
    assert result.suite.sampled is not None
    assert result.suite.sampled.passes < 0.7 * result.suite.sampled.of
    assert result.suite.sampled.of == sum(cell.images for cell in full[1].cells)
    assert found.full_run_low is not None
    assert found.full_run_high is not None
    assert found.value is not None
    assert found.full_run_high - found.full_run_low <= 0.04
    assert found.full_run_low <= (whole.value or 0.0) <= found.full_run_high


def test_a_larger_sample_holds_the_smaller_and_measures_nothing_twice(
    tmp_path: Path, full: tuple[Path, Result]
) -> None:
    out = tmp_path / "run"
    measured(out, limit=20)
    before = rows(out)
    measured(out, limit=60)
    after = rows(out)
    assert all(len(found) == 60 for found in after.values())
    assert all(set(before[cell]) <= set(after[cell]) for cell in before)
    log = (out / "log.jsonl").read_text().splitlines()
    assert sum('"after": 20' in line for line in log) == len(before)
    measured(out)
    assert result_of(out).suite.complete == full[1].suite.complete
    for cell, index in rows(full[0]).items():
        whole, grown = RunFolder.open(full[0]).read(cell), RunFolder.open(out).read(cell)
        assert np.array_equal(grown.index, index)
        assert np.array_equal(grown.predicted, whole.predicted)
        assert grown.notes is not None
        assert grown.notes.sample is None
        np.testing.assert_allclose(grown.nll, whole.nll, rtol=1e-3, atol=1e-4)


def result_of(folder: Path) -> Result:
    return robench.load(folder / "result.json")


def test_nothing_is_measured_where_the_run_has_more_already(tmp_path: Path) -> None:
    out = tmp_path / "run"
    first = measured(out, limit=40)
    again = measured(out, limit=10)
    assert again.cells == first.cells


def test_within_0_is_a_full_run_to_the_byte(tmp_path: Path, full: tuple[Path, Result]) -> None:
    measured(tmp_path / "run", within=0)
    one, other = RunFolder.open(tmp_path / "run"), RunFolder.open(full[0])
    for cell in other.done():
        assert one.cell_path(cell).read_bytes() == other.cell_path(cell).read_bytes()


def test_cells_draw_images_of_their_own(tmp_path: Path) -> None:
    measured(tmp_path / "run", limit=30)
    found = list(rows(tmp_path / "run").values())
    shared = [len(np.intersect1d(a, b)) for i, a in enumerate(found) for b in found[:i]]
    assert np.mean(shared) < 3  # 1.5 by chance; 30 where all cells hold the same images


def test_biased_values_of_a_sample_are_null_with_a_reason(tmp_path: Path) -> None:
    result = measured(tmp_path / "run", limit=30)
    assert result.summary["mean_ece"].value is None
    assert "5,000 images per cell" in (result.summary["mean_ece"].note or "")
    assert result.summary["mean_brier"].full_run_low is not None
    assert not result.suite.complete
    assert any("Sampled: 480 of 9,584 images" in note for note in result.notes)


def test_two_samples_are_compared_on_the_images_of_both(tmp_path: Path) -> None:
    measured(tmp_path / "a", limit=60)
    other = robench.evaluate("reference:digits/augmix", "digits-c", out=tmp_path / "b", **(CELLS | {"limit": 40}))
    assert other is not None
    found = robench.compare(tmp_path / "a", tmp_path / "b", resamples=100)
    assert found.images == 40
    said = "Sampled: 40 of 599 images per cell. The intervals are for new images."
    assert said in found.sentences
    many = robench.compare(tmp_path / "a", tmp_path / "b", tmp_path / "b", resamples=100)
    assert said in many.sentences


@pytest.mark.parametrize(
    ("within", "message"),
    [
        ("wide", "half-width in points"),
        (-1, "half-width in points"),
        ("mean_erorr=1", "not a value of digits-c"),
        ("mean_erorr=0", "not a value of digits-c"),
        ("mce=1", "not a value of digits-c"),
        ("mean_ece=1", "'mean_ece' with a bias"),
        (float("nan"), "half-width in points"),
    ],
)
def test_impossible_widths_are_refused_before_anything_is_measured(tmp_path: Path, within: Any, message: str) -> None:
    with pytest.raises(RobenchError, match=message):
        measured(tmp_path / "run", within=within)
    with pytest.raises(RobenchError, match=message):
        robench.plan(MODEL, "digits-c", corruption="fog", device="cpu", within=within)
    assert not (tmp_path / "run").exists()


def test_a_width_of_a_calibration_error_begins_where_it_is_defined(tmp_path: Path) -> None:
    few = {"corruption": "fog,contrast", "resamples": 0}
    result = measured(tmp_path / "run", within="mean_ece_debiased=8", **few)
    assert {cell.images for cell in result.cells} == {200}
    assert result.summary["mean_ece_debiased"].value is not None
    assert any("from 200 images per cell on (`limit=200`)" in note for note in result.notes)


def test_a_limit_and_a_width_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(RobenchError, match="within"):
        measured(tmp_path / "run", within=1, limit=10)


def test_widths_come_as_numbers_texts_and_mappings() -> None:
    assert targets_of("0.5") == (Target("headline", 0.5),)
    assert targets_of({"mce": 1}) == (Target("mce", 1.0),)
    assert targets_of("mce=0.5, mean_error=0.3") == (Target("mce", 0.5), Target("mean_error", 0.3))
