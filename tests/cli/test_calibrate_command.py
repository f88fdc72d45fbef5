"""``robench calibrate`` as a user types it, on a run of a reference model on corrupted digits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.metrics import log_loss

from robench.api.refitting import shifted_cells, shown_metrics
from robench.catalogue import METRICS
from robench.cli.main import main
from robench.metrics import softmax
from robench.metrics.cells import compute
from robench.metrics.statistics import bootstrap_cells, centred_interval
from robench.predictions import RunFolder
from robench.results.halves import fit_half_of
from robench.suites import get

MODEL = "reference:digits/standard"
PART = ["--corruption", "contrast", "--severity", "1,5", "--device", "cpu", "--workers", "1", "--resamples", "0", "-q"]


def evaluate(out: Path, *more: str, model: str = MODEL, suite: str = "digits-c") -> str:
    assert main(["evaluate", "-m", model, "-s", suite, *PART, "-o", str(out), *more]) == 0
    return str(out)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> str:
    return evaluate(tmp_path_factory.mktemp("run") / "run", "--keep-logits", "yes")


@pytest.fixture(scope="module")
def runs(run: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("runs")
    return {
        "run": run,
        "other": evaluate(folder / "other", "--limit", "40", model="reference:digits/mixup"),
        "nologits": evaluate(folder / "nologits", "--keep-logits", "no", "--limit", "40"),
        "part": evaluate(folder / "part", "--limit", "60"),
        "empty": str(folder),
    }


def document(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main(["calibrate", *arguments, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def fitted_on(run: str) -> npt.NDArray[np.int64]:
    folder = RunFolder.open(run)
    return fit_half_of(folder, folder.done())


def test_temperature_lowers_the_loss_on_images_it_was_not_fitted_on(
    run: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = document(capsys, run, "-o", str(tmp_path / "t.json"), "--resamples", "60")
    assert found == json.loads((tmp_path / "t.json").read_text())
    columns = RunFolder.open(run).read("clean").columns()
    fitted = np.isin(columns["index"], fitted_on(run))
    others = ~fitted
    assert found["fit"]["images"] == fitted.sum()
    before, after = found["before"], found["after"]
    for side, temperature in ((before, 1.0), (after, found["temperature"])):
        p = softmax(columns["logits"][others] / temperature)
        assert side["clean"]["nll"]["value"] == pytest.approx(log_loss(columns["target"][others], p), rel=1e-4)
    assert after["clean"]["error"] == before["clean"]["error"]
    assert list(before) == ["clean", "contrast/1", "contrast/5", "mean under shift"]
    own = log_loss(columns["target"][fitted], softmax(columns["logits"][fitted]))
    assert log_loss(columns["target"][fitted], softmax(columns["logits"][fitted] / found["temperature"])) < own


def test_every_value_has_the_interval_that_results_have(
    run: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = document(capsys, run, "-o", str(tmp_path / "t.json"), "--resamples", "60", "--seed", "4")
    for side in ("before", "after"):
        for group, values in found[side].items():
            assert list(values) == list(shown_metrics())
            for name, value in values.items():
                assert value["low"] <= value["value"] <= value["high"], (side, group, name)
    cells = {}
    for name in ("clean", "contrast/1", "contrast/5"):
        columns = RunFolder.open(run).read(name).columns()
        others = ~np.isin(columns["index"], fitted_on(run))
        cells[name] = {key: column[others] for key, column in columns.items()}
    replicates = bootstrap_cells(list(cells.values()), shown_metrics(), resamples=60, seed=4)
    for name in ("max_calibration_error", "adaptive_ece", "ece", "error", "classwise_ece"):
        value = compute(name, cells["contrast/5"])
        stated = found["before"]["contrast/5"][name]
        expected = (value, *centred_interval(value, replicates[name][:, 2]))
        assert (stated["value"], stated["low"], stated["high"]) == pytest.approx(expected)
        both = float(np.mean([compute(name, cells[cell]) for cell in ("contrast/1", "contrast/5")]))
        stated = found["before"]["mean under shift"][name]
        ends = centred_interval(both, replicates[name][:, 1:].mean(axis=1))
        assert (stated["low"], stated["high"]) == pytest.approx(ends)


def test_every_calibration_value_of_the_list_is_shown() -> None:
    of_confidence = {name for name in METRICS if "calibration" in name or name.endswith("ece")}
    assert of_confidence <= set(shown_metrics())


def test_vector_scaling_and_a_run_to_fit_on(
    runs: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [runs["run"], "--method", "vector", "--resamples", "0", "-o", str(tmp_path / "v.json")]
    found = document(capsys, *command, "--fit-run", runs["part"])
    assert found["fit"]["images"] == 60
    assert found["temperature"] is None
    assert (len(found["scale"]), len(found["bias"])) == (10, 10)
    assert "low" not in found["before"]["clean"]["error"]
    columns, fitted = (RunFolder.open(runs[name]).read("clean").columns() for name in ("run", "part"))
    rest = ~np.isin(columns["index"], fitted["index"])
    assert rest.sum() == len(rest) - 60 == found["images"]["clean"]
    wrong = columns["predicted"] != columns["target"]
    assert found["before"]["clean"]["error"]["value"] == pytest.approx(wrong[rest].mean())
    assert main(["calibrate", *command]) == 0
    said = capsys.readouterr().out
    assert "Fitted on 300 images of 'clean'; evaluated on 299 others per cell." in said
    assert "vector scaling" in said
    assert "maximum calibration error" in said
    assert "v.json" in said


def test_images_are_the_same_by_their_pixels_whatever_the_protocols_say(
    runs: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Other noise, another suite: the clean images of the fit are left out of every cell all the same."""
    seeded = evaluate(tmp_path / "seeded", "--limit", "60", "--seed", "3", "--keep-logits", "yes")
    assert main(["evaluate", "-m", MODEL, "-s", "clean", "--limit", "60", "--device", "cpu", "--resamples", "0", "-q",
                 "-o", str(tmp_path / "clean"), "--keep-logits", "yes"]) == 0  # fmt: skip
    total = len(RunFolder.open(runs["run"]).read("clean"))
    for fitted in (seeded, str(tmp_path / "clean")):
        found = document(capsys, runs["run"], "--fit-run", fitted, "--resamples", "0", "-o", str(tmp_path / "c.json"))
        assert set(found["images"].values()) == {total - 60}
    assert main(["calibrate", seeded, "--fit-run", runs["run"], "--resamples", "0"]) == 2
    assert "has every image of the run" in capsys.readouterr().err


def test_a_fit_that_means_nothing_is_said(runs: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    columns = RunFolder.open(runs["part"]).read("clean").columns()
    assert (columns["predicted"] == columns["target"])[np.isin(columns["index"], fitted_on(runs["part"]))].all()
    assert main(["calibrate", runs["part"], "--resamples", "0"]) == 0
    assert "note: Every image of the fit is classified correctly" in capsys.readouterr().out
    note, few = document(capsys, runs["run"], "--fit-on", "contrast/5", "--resamples", "0")["notes"]
    assert "no better than chance" in note
    assert few.startswith("Binned calibration errors of fewer than 5,000 images")
    assert document(capsys, runs["run"], "--resamples", "0")["notes"] == [few]


def test_without_a_path_the_document_lies_in_the_run(runs: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calibrate", runs["part"], "--resamples", "20"]) == 0
    assert json.loads((Path(runs["part"]) / "calibration-temperature.json").read_text())["method"] == "temperature"
    assert "T = " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["{run}", "--method", "platt"], "temperature, vector"),
        (["{run}", "--fit-on", "iid"], "It has: clean, contrast/1, contrast/5"),
        (["{run}", "--fit-run", "{run}"], "on other images than it was fitted on"),
        (["{run}", "--fit-run", "{other}"], "another model"),
        (["{part}", "--fit-run", "{run}"], "every image of the run"),
        (["{run}", "--fit-run", "{empty}"], "not a run"),
        (["{empty}"], "not a run"),
        (["{nologits}"], "--keep-logits yes"),
        (["{run}", "--resamples", "-1"], "resamples"),
    ],
)
def test_mistakes(
    arguments: list[str], expected: str, runs: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["calibrate", *(part.format(**runs) for part in arguments)]) == 2
    said = capsys.readouterr()
    assert expected in said.err
    assert "Traceback" not in said.err + said.out


def test_the_mean_under_shift_is_of_the_cells_that_a_result_averages() -> None:
    assert shifted_cells(get("cifar10-c"), ["clean", "fog/1", "spatter/1", "snow/5"], "clean") == [1, 3]
    assert shifted_cells(get("imagenet-r"), ["imagenet-200", "imagenet-r"], "imagenet-200") == [1]


def test_an_error_of_too_few_images_is_null_before_and_after(
    run: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Half of 399 images are measured on: fewer than the published RMS calibration error needs."""
    part = evaluate(tmp_path / "part", "--keep-logits", "yes", "--limit", "340")
    found = document(capsys, part, "-o", str(tmp_path / "t.json"), "--resamples", "20")
    for side in ("before", "after"):
        for values in found[side].values():
            assert values["rms_calibration_error"]["value"] is None
            assert "fewer than 200 images" in values["rms_calibration_error"]["note"]
            assert values["rms_calibration_error_all_bins"]["value"] > 0
