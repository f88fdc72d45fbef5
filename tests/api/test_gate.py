"""Gates: two equal models pass, a worsened one fails, and everything that may go wrong on the way."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

import robench
from robench import api
from robench.api import GateOutcome
from robench.errors import RobenchError
from robench.models import load_model
from robench.predictions import RunFolder

FEW: dict[str, Any] = {"corruption": "fog,contrast,brightness,pixelate", "severity": "1,3,5"}
FEW |= {"device": "cpu", "quiet": True}
GOOD = "reference:digits/augmix"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gates")


@pytest.fixture(scope="module")
def baseline(folder: Path) -> Path:
    robench.evaluate(GOOD, "digits-c", out=folder / "baseline", resamples=200, **FEW)
    return folder / "baseline"


def gated(model: Any, folder: Path, **words: Any) -> GateOutcome:
    return robench.gate(model, "digits-c", **({"max_loss": 1.0, "out": folder / "runs"} | FEW | words))


def worsened(change: Callable[[torch.nn.Parameter], None]) -> torch.nn.Module:
    """Return the good model's network with changed weights; it takes images normalised as the good one does."""
    module = load_model(GOOD).module
    assert isinstance(module, torch.nn.Module)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.ndim == 4:
                change(parameter)
    return module


def noise(parameter: torch.nn.Parameter) -> None:
    generator = torch.Generator().manual_seed(0)
    parameter += 0.5 * parameter.std() * torch.randn(parameter.shape, generator=generator)


def prune(parameter: torch.nn.Parameter) -> None:
    parameter[parameter.abs() < parameter.abs().flatten().quantile(0.8)] = 0.0


def test_two_equal_models_pass(folder: Path, baseline: Path) -> None:
    found = gated(GOOD, folder, baseline=baseline)
    assert (found.verdict, found.exit_code, found.passed) == ("pass", 0, True)
    value = found.values[0]
    assert (value.name, value.loss) == ("mean_error", 0.0)
    assert value.low < 0.0 < value.high < value.max_loss == 0.01
    assert found.passes < 0.2 * found.of
    assert found.paired


@pytest.mark.parametrize("change", [noise, prune])
def test_a_model_with_worsened_weights_fails(
    folder: Path, baseline: Path, change: Callable[[torch.nn.Parameter], None]
) -> None:
    found = gated(worsened(change), folder, baseline=baseline, norm_preset="half")
    assert (found.verdict, found.exit_code) == ("loss", 1)
    assert found.values[0].low > 0.0


def test_the_worse_batch_norm_fails(folder: Path) -> None:
    """On corrupted digits the auxiliary norms of this network are the better ones by some 3 points under weather."""
    main, other = "reference:digits/augmax-dubn", "reference:digits/augmax-dubn?bn=auxiliary"
    weather = {"corruption": "snow,frost,fog", "figures": "mean_error,mean_brier",
               "max_loss": {"mean_error": 1.0, "mean_brier": 0.01}}  # fmt: skip
    worse, better = gated(main, folder, baseline=other, **weather), gated(other, folder, baseline=main, **weather)
    assert (worse.verdict, better.verdict) == ("loss", "pass")
    assert {one.name for one in worse.values} == {"mean_error", "mean_brier"}


def test_the_loss_is_that_of_the_predictions(folder: Path, baseline: Path) -> None:
    found = gated("reference:digits/weak-augment", folder, baseline=baseline)
    new, old = RunFolder.open(found.folders[0]), RunFolder.open(baseline)
    errors = []
    for cell in new.done():
        if cell != "clean":
            rows, there = new.read(cell), old.read(cell)
            assert len(rows) == found.images
            errors.append(there.correct[np.isin(there.index, rows.index)].mean() - rows.correct.mean())
    assert found.values[0].loss == pytest.approx(np.mean(errors), abs=1e-9)


def test_a_repeated_gate_measures_nothing_and_says_the_same(folder: Path, baseline: Path) -> None:
    first = gated("reference:digits/mixup", folder, baseline=baseline)
    again = gated("reference:digits/mixup", folder, baseline=baseline)
    assert again.measured == 0
    assert (again.verdict, again.values, again.passes) == (first.verdict, first.values, first.passes)
    robench.evaluate("reference:digits/mixup", "digits-c", out=first.folders[0], resamples=0, **FEW)
    whole = gated("reference:digits/mixup", folder, baseline=baseline)
    assert whole.values == first.values  # a run that holds more decides the same


def test_a_gate_that_was_stopped_goes_on(
    folder: Path, baseline: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from robench.evaluation import engine

    calm = gated("reference:digits/cutout", tmp_path / "calm", baseline=baseline)
    real, calls = engine.pass_through, []

    def stop(*args: Any, **words: Any) -> Any:
        calls.append(1)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return real(*args, **words)

    monkeypatch.setattr(engine, "pass_through", stop)
    with pytest.raises(KeyboardInterrupt):
        gated("reference:digits/cutout", tmp_path / "torn", baseline=baseline)
    found = gated("reference:digits/cutout", tmp_path / "torn", baseline=baseline)
    assert 0 < found.measured < found.passes
    assert (found.values, found.passes, found.looks) == (calm.values, calm.passes, calm.looks)


def test_a_result_without_predictions_is_compared_unpaired(folder: Path, baseline: Path, tmp_path: Path) -> None:
    alone = tmp_path / "old.json"
    alone.write_bytes((baseline / "result.json").read_bytes())
    found = gated("reference:digits/standard", folder, baseline=alone)
    assert not found.paired
    assert any("Unpaired" in note for note in found.notes)
    result = robench.load(alone)
    assert found.values[0].baseline == pytest.approx(result.summary["mean_error"].value)
    beside = gated(GOOD, folder, baseline=baseline / "result.json")
    assert beside.paired


def test_a_result_whose_mean_is_over_other_cells_is_refused(folder: Path, tmp_path: Path) -> None:
    few = FEW | {"corruption": "fog,contrast", "severity": "5", "limit": 20}
    robench.evaluate(GOOD, "digits-c", out=tmp_path / "run", resamples=20, **few)
    (tmp_path / "run" / "result.json").rename(tmp_path / "old.json")
    with pytest.raises(RobenchError, match="has 1 cells that are not measured here, such as contrast/5"):
        gated(GOOD, folder, baseline=tmp_path / "old.json", corruption="fog", severity="5")


def test_calibration_is_decided_on_its_debiased_form(folder: Path, baseline: Path) -> None:
    found = gated("reference:digits/standard", folder, baseline=baseline, figures="mean_error,rms_calibration_error")
    assert [one.name for one in found.values] == ["mean_error", "mean_rms_calibration_error_debiased"]
    assert found.images >= 200
    assert any("debiased form" in note for note in found.notes)
    assert "lower bounds 2 % each for 2 values, upper 5 %" in found.method


def test_a_small_budget_leaves_it_undecided(folder: Path, baseline: Path) -> None:
    """So few images do not even prove that a model is no worse than itself by a twentieth of a point."""
    found = gated(GOOD, folder, baseline=baseline, max_loss=0.05, budget=13 * 30)
    assert found.passes <= 13 * 30
    assert (found.verdict, found.exit_code) == ("undecided", 3)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"max_loss": 0}, "points above 0"),
        ({"max_loss": "mean_brier=0.1", "figures": "mean_error"}, "which `figures` does not"),
        ({"max_loss": 1, "figures": "mean_brier"}, "has no value for 'mean_brier'"),
        ({"figures": "mean_erorr"}, "Did you mean 'mean_error'"),
        ({"figures": "mean_overconfidence_gap"}, "neither a low nor a high"),
        ({"budget": 0}, "`budget` must be a whole number"),
        ({"budget": 50}, "26 images per cell, 338 forward passes"),
        ({"figures": "rms_calibration_error", "budget": 2000}, "200 images per cell, 2,600 forward passes"),
        ({"minutes": 0}, "`minutes` must be above 0"),
        ({"minutes": "soon"}, "`minutes` must be above 0"),
        ({"limit": 5}, "`limit` has no effect here"),
        ({"within": 1}, "`within` has no effect here"),
        ({"resamples": 5}, "`resamples` has no effect here"),
        ({"baseline_arch": "wrn-10-1"}, "`baseline_arch` has no effect on a run"),
        ({"corruption": "fog,snow"}, "lacks 3 of 7 cells, such as snow/1"),
        ({"seed": 3}, "not of the same protocol; it differs in seed"),
        ({"nonsense": 3}, "no keyword 'nonsense'"),
    ],
)
def test_impossible_gates_are_refused(folder: Path, baseline: Path, words: dict[str, Any], message: str) -> None:
    with pytest.raises(RobenchError, match=message):
        gated(GOOD, folder, baseline=baseline, **words)


def test_a_baseline_of_too_few_images_is_named_as_such(folder: Path) -> None:
    few = {"corruption": "fog", "severity": "1", "device": "cpu", "quiet": True}
    robench.evaluate(GOOD, "digits-c", out=folder / "few", limit=20, **few)
    with pytest.raises(RobenchError, match="26 images per cell; the baseline's run is of a sample of 20") as error:
        robench.gate(GOOD, "digits-c", baseline=folder / "few", max_loss=1, budget=2000, out=folder / "runs", **few)
    assert "`limit=26`" in str(error.value.hint)


def test_code_hosts_get_junit_and_markdown(
    folder: Path, baseline: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    for model, failures in ((GOOD, "0"), ("reference:digits/standard", "1")):
        found = gated(model, folder, baseline=baseline, name="new <&\x00> model")
        api.write_gate(found, junit=tmp_path / "gate.xml", markdown=summary)
        suite = ElementTree.parse(tmp_path / "gate.xml").getroot().find("testsuite")
        assert suite is not None
        assert (suite.get("tests"), suite.get("failures")) == ("1", failures)
        assert (suite.find("testcase/failure") is not None) is (failures == "1")
    text = summary.read_text()
    assert text.startswith("before\n")
    assert text.count("### robench gate") == 2
    assert "| mean error, % |" in text
    document = json.loads(json.dumps(found.document()))
    assert (document["kind"], document["exit_code"], document["verdict"]) == ("robench-gate", 1, "loss")
