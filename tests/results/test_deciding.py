"""Losses of one run against another: against plain means, the bootstrap, and what cannot be decided."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import robench
from robench.errors import RobenchError
from robench.predictions import RunFolder
from robench.results.comparing import compare_runs
from robench.results.deciding import least_images, paired_losses, unpaired_losses, value_names
from robench.suites import get

FEW: dict[str, Any] = {"corruption": "fog,contrast,pixelate", "severity": "1,3,5", "device": "cpu", "quiet": True,
                       "resamples": 400}  # fmt: skip
NAMES = ("mean_error", "mean_brier", "mean_rms_calibration_error_debiased", "clean_error", "robust_accuracy")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunFolder, RunFolder]:
    folder = tmp_path_factory.mktemp("runs")
    for name in ("standard", "weak-augment"):
        robench.evaluate(f"reference:digits/{name}", "digits-c", out=folder / name, **FEW)
    return RunFolder.open(folder / "standard"), RunFolder.open(folder / "weak-augment")


def test_losses_and_their_errors_are_those_of_the_bootstrap(runs: tuple[RunFolder, RunFolder]) -> None:
    found = paired_losses(*runs, NAMES)
    drawn = compare_runs(*runs, resamples=1000)
    for name in NAMES:
        difference = drawn.differences[name]
        assert difference.value is not None
        assert difference.error is not None
        sign = -1.0 if name == "robust_accuracy" else 1.0  # a loss is above 0 where the first is worse
        assert found[name].loss == pytest.approx(sign * difference.value, abs=1e-9)
        assert found[name].error == pytest.approx(difference.error, rel=0.12), name


def test_cells_of_their_own_images_count_as_such(runs: tuple[RunFolder, RunFolder], tmp_path: Path) -> None:
    """As in a gate: were all cells taken to be of the same images, the error would be twice as large."""
    for name in ("standard", "weak-augment"):
        robench.evaluate(f"reference:digits/{name}", "digits-c", out=tmp_path / name, limit=60, **FEW)
    few = RunFolder.open(tmp_path / "standard"), RunFolder.open(tmp_path / "weak-augment")
    chosen = {cell: few[0].read(cell).index for cell in few[0].done()}
    drawn = compare_runs(*few, resamples=1000)
    for name in ("mean_error", "mean_brier"):
        found, of_whole = paired_losses(*few, [name])[name], paired_losses(*runs, [name], chosen)[name]
        assert found.error == pytest.approx(drawn.differences[name].error, rel=0.1), name
        assert (of_whole.loss, of_whole.error) == pytest.approx((found.loss, found.error)), name
    stored = robench.load(few[1].path).summary["mean_error"]
    correct = [few[0].read(cell).correct for cell in few[0].done() if cell != "clean"]
    own = np.sqrt(sum(one.var() / len(one) for one in correct)) / len(correct)  # next to no image in two cells
    unpaired = unpaired_losses(few[0], robench.load(few[1].path), ["mean_error"])["mean_error"]
    assert unpaired.error == pytest.approx(np.hypot(own, ((stored.high or 0) - (stored.low or 0)) / 3.92), rel=0.1)


def test_only_the_chosen_images_count(runs: tuple[RunFolder, RunFolder]) -> None:
    chosen = {cell: np.arange(0, 599, 3) for cell in runs[0].done()}
    found = paired_losses(*runs, ["mean_error"], chosen)["mean_error"]
    errors = []
    for cell in runs[0].done():
        if cell != "clean":
            a, b = (run.read(cell).correct[chosen[cell]] for run in runs)
            errors.append(b.mean() - a.mean())
    assert found.loss == pytest.approx(np.mean(errors))
    assert found.error > paired_losses(*runs, ["mean_error"])["mean_error"].error


def test_unpaired_errors_are_larger_and_add_up(runs: tuple[RunFolder, RunFolder]) -> None:
    result = robench.load(runs[1].path)
    found = unpaired_losses(runs[0], result, ["mean_error"])["mean_error"]
    assert found.loss == pytest.approx(paired_losses(*runs, ["mean_error"])["mean_error"].loss)
    own = robench.load(runs[0].path).summary["mean_error"]
    stored = result.summary["mean_error"]
    halves = [((v.high or 0.0) - (v.low or 0.0)) / 2 / 1.96 for v in (own, stored)]
    assert found.error == pytest.approx(float(np.hypot(*halves)), rel=0.12)
    with pytest.raises(RobenchError, match="no interval of 'mce'"):
        unpaired_losses(runs[0], result, ["mce"])


def test_values_undefined_for_few_images_are_left_out(tmp_path: Path) -> None:
    few = FEW | {"corruption": "fog", "severity": "5", "limit": 50, "resamples": 0}
    for name in ("a", "b"):
        robench.evaluate("reference:digits/standard", "digits-c", out=tmp_path / name, **few)
    runs = [RunFolder.open(tmp_path / name) for name in ("a", "b")]
    found = paired_losses(*runs, ["mean_error", "mean_rms_calibration_error_debiased"])
    assert list(found) == ["mean_error"]
    assert found["mean_error"].error > 0.0  # equal answers prove nothing beyond the images seen
    assert least_images(list(NAMES)) == 200


def test_names_of_metrics_stand_for_means_and_biased_ones_for_debiased() -> None:
    cells = ["clean", "fog/1", "fog/5"]
    found = value_names(["error", "brier", "rms_calibration_error", "mean_ece", "clean_error"], get("digits-c"), cells)
    assert list(found.values()) == [
        "mean_error",
        "mean_brier",
        "mean_rms_calibration_error_debiased",
        "mean_ece_debiased",
        "clean_error",
    ]
    assert value_names([], get("digits-c"), cells) == {"mean_error": "mean_error"}
    for name, message in (
        ("mean_erorr", "Did you mean"),
        ("mean_overconfidence_gap", "neither a low nor a high"),
        ("mean_aurc", "cannot be decided from a sample"),
    ):
        with pytest.raises(RobenchError, match=message):
            value_names([name], get("digits-c"), cells)
