"""The engine: nothing twice, nothing lost, nothing wrong."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from small_suite import CELLS, SmallSuite, run_bytes, small_model

from robench.errors import RobenchError
from robench.evaluation import EvaluationOptions, default_folder, evaluate_suite
from robench.evaluation.progress import LineProgress
from robench.models.base import Model, Preprocessing
from robench.predictions import Predictions, RunFolder, RunRecord
from robench.results.remarks import other_environments

CPU = EvaluationOptions(device="cpu")


def test_predictions_equal_a_plain_loop(tmp_path: Path) -> None:
    suite, model = SmallSuite(), small_model()
    run = evaluate_suite(model, suite, tmp_path / "r", EvaluationOptions(device="cpu", batch_size=32)).run
    assert run.done() == [cell.name for cell in CELLS]
    for cell in CELLS:
        found = run.read(cell.name)
        images = torch.cat([batch.images for batch in suite.batches(cell, 50)])
        with torch.no_grad():
            logits = model.module(images.float() / 255)
        np.testing.assert_array_equal(found.predicted, logits.argmax(1).numpy())
        np.testing.assert_array_equal(found.target, suite.labels)
        np.testing.assert_array_equal(found.index, np.arange(len(suite.labels)))
        expected = torch.nn.functional.cross_entropy(logits, torch.from_numpy(suite.labels), reduction="none")
        np.testing.assert_allclose(found.nll, expected.numpy(), rtol=1e-4, atol=1e-5)


def test_normalisation_is_applied(tmp_path: Path) -> None:
    seen = []

    def module(x: torch.Tensor) -> torch.Tensor:
        seen.append(x.clone())
        return torch.zeros(len(x), 10)

    mean, std = (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)
    model = Model("probe", module, 10, Preprocessing(mean=mean, std=std), hash="probe")
    suite = SmallSuite(10)
    evaluate_suite(model, suite, tmp_path / "r", CPU, cells=[CELLS[0]])
    shape = (1, 3, 1, 1)
    expected = (suite.images.float() / 255 - torch.tensor(mean).view(shape)) / torch.tensor(std).view(shape)
    (whole,) = (x for x in seen if len(x) == 10)
    torch.testing.assert_close(whole, expected, rtol=1e-5, atol=1e-6)


def test_a_finished_cell_is_never_run_twice_and_a_damaged_one_is(tmp_path: Path) -> None:
    evaluate_suite(small_model(), SmallSuite(), tmp_path / "r", CPU)
    before = run_bytes(tmp_path / "r")
    again = SmallSuite()
    assert evaluate_suite(small_model(), again, tmp_path / "r", CPU).fresh == []
    assert again.read == []
    path = RunFolder.open(tmp_path / "r").cell_path("fog/3")
    data = bytearray(path.read_bytes())
    data[100] ^= 255
    path.write_bytes(data)
    assert evaluate_suite(small_model(), again, tmp_path / "r", CPU).fresh == ["fog/3"]
    assert run_bytes(tmp_path / "r") == before


def test_looking_at_a_finished_run_does_not_change_on_what_it_was_measured(tmp_path: Path) -> None:
    def record(batch_size: int, robench: str = "", cells: int = len(CELLS)) -> RunRecord:
        with pytest.MonkeyPatch.context() as patch:
            if robench:
                patch.setattr("robench.evaluation.plan.__version__", robench)
            options = EvaluationOptions("cpu", batch_size=batch_size)
            run = evaluate_suite(small_model(), SmallSuite(), tmp_path / "r", options, cells=CELLS[:cells]).run
        assert RunFolder.open(run.path).record == run.record
        return run.record

    first = record(50, robench="0.0.1", cells=3)
    assert record(40).earlier == (first.environment,)
    resumed = RunFolder.open(tmp_path / "r").record
    assert resumed.environment.batch_size == 40
    assert record(30, robench="9").environment == resumed.environment
    assert "robench 0.0.1" in "".join(other_environments(RunFolder.open(tmp_path / "r").record))


def test_the_same_run_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in "ab":
        evaluate_suite(small_model(), SmallSuite(), tmp_path / name, CPU)
    assert run_bytes(tmp_path / "a") == run_bytes(tmp_path / "b")


@pytest.mark.parametrize("batch_size", [1, 7, 120, 500])
def test_batch_size_changes_only_float_noise(tmp_path: Path, batch_size: int) -> None:
    a = evaluate_suite(small_model(), SmallSuite(), tmp_path / "a", CPU).run
    b = evaluate_suite(small_model(), SmallSuite(), tmp_path / "b", EvaluationOptions("cpu", batch_size=batch_size)).run
    for cell in ("clean", "fog/5"):
        np.testing.assert_array_equal(a.read(cell).predicted, b.read(cell).predicted)
        np.testing.assert_allclose(a.read(cell).confidence, b.read(cell).confidence, rtol=1e-5)


def test_an_unreadable_cell_fails_and_the_rest_goes_on(tmp_path: Path) -> None:
    outcome = evaluate_suite(small_model(), SmallSuite(broken=("fog/2",)), tmp_path / "r", CPU)
    assert list(outcome.failures) == ["fog/2"]
    assert "7.JPEG" in outcome.failures["fog/2"]
    assert len(outcome.run.done()) == len(CELLS) - 1
    healed = evaluate_suite(small_model(), SmallSuite(), tmp_path / "r", CPU)
    assert healed.fresh == ["fog/2"]


def test_logits_that_are_not_finite_end_the_run_and_keep_what_was_done(tmp_path: Path) -> None:
    calls = []

    def module(x: torch.Tensor) -> torch.Tensor:
        calls.append(len(x))
        return torch.full((len(x), 10), float("nan") if calls.count(120) > 2 else 0.0)

    model = Model("sick", module, 10, Preprocessing(), hash="sick")
    with pytest.raises(RobenchError, match=r"In cell 'gaussian_noise/2' .* 120 of 120"):
        evaluate_suite(model, SmallSuite(), tmp_path / "r", CPU)
    assert RunFolder.open(tmp_path / "r").done() == ["clean", "gaussian_noise/1"]


def test_what_is_wrong_with_a_cell_ends_the_next_ones_passes(tmp_path: Path) -> None:
    """A cell's columns are made beside the next one's passes, of which no more are run than it takes to find out."""
    passes = []

    def module(x: torch.Tensor) -> torch.Tensor:
        if len(x) == 1:
            passes.append(len(x))
            time.sleep(0.005)
        return torch.full((len(x), 10), float("nan") if 120 < len(passes) <= 240 else 0.0)

    model = Model("sick", module, 10, Preprocessing(), hash="sick")
    with pytest.raises(RobenchError, match=r"In cell 'gaussian_noise/1' .* 120 of 120"):
        evaluate_suite(model, SmallSuite(), tmp_path / "r", EvaluationOptions(device="cpu", batch_size=1))
    assert RunFolder.open(tmp_path / "r").done() == ["clean"]
    assert len(passes) < 360


def test_at_most_one_cell_waits_to_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    suite = SmallSuite()
    ahead = []
    write = RunFolder.write

    def slowly(run: RunFolder, cell: str, predictions: Predictions) -> str:
        time.sleep(0.02)
        ahead.append(len(suite.read) - len(run.done()))
        return write(run, cell, predictions)

    monkeypatch.setattr(RunFolder, "write", slowly)
    outcome = evaluate_suite(small_model(), suite, tmp_path / "r", CPU)
    assert outcome.fresh == [cell.name for cell in CELLS]
    assert max(ahead) <= 2  # the one being written, and the one that waits for it
    assert list(outcome.timings) == outcome.fresh


def test_a_model_of_other_classes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RobenchError, match="has 7 output classes; the suite needs 10"):
        evaluate_suite(small_model(classes=7), SmallSuite(), tmp_path / "r", CPU)


def test_an_image_size_the_model_cannot_take_is_refused(tmp_path: Path) -> None:
    model = replace(small_model(), preprocessing=Preprocessing(input_size=(32, 32)))
    with pytest.raises(RobenchError, match="needs images of 32 x 32 pixels; the suite gives 8 x 8"):
        evaluate_suite(model, SmallSuite(), tmp_path / "r", CPU)


def test_another_model_is_not_mixed_into_a_run(tmp_path: Path) -> None:
    evaluate_suite(small_model(), SmallSuite(), tmp_path / "r", CPU, cells=[CELLS[0]])
    with pytest.raises(RobenchError, match="model: there seed-0"):
        evaluate_suite(small_model(seed=1), SmallSuite(), tmp_path / "r", CPU)
    with pytest.raises(RobenchError, match=r"protocol\.images: there 120, now 60"):
        evaluate_suite(small_model(), SmallSuite(60), tmp_path / "r", CPU)
    with pytest.raises(RobenchError, match="precision: there fp32, now bf16"):
        evaluate_suite(small_model(), SmallSuite(), tmp_path / "r", EvaluationOptions("cpu", precision="bf16"))


def test_the_default_folder_tells_models_and_protocols_apart() -> None:
    folders = {
        default_folder(small_model(), SmallSuite(), CPU),
        default_folder(small_model(seed=1), SmallSuite(), CPU),
        default_folder(small_model(), SmallSuite(60), CPU),
    }
    assert len(folders) == 3
    assert default_folder(small_model(), SmallSuite(), CPU) == default_folder(
        small_model(), SmallSuite(), EvaluationOptions("cpu", batch_size=3)
    )


def test_running_out_of_memory_halves_the_batch(tmp_path: Path) -> None:
    inner = small_model()

    def module(x: torch.Tensor) -> torch.Tensor:
        if len(x) > 40:
            raise torch.OutOfMemoryError("too big")
        return inner.module(x)

    greedy = Model("greedy", module, 10, Preprocessing(), hash=inner.hash)
    run = evaluate_suite(greedy, SmallSuite(), tmp_path / "a", CPU).run
    expected = evaluate_suite(inner, SmallSuite(), tmp_path / "b", EvaluationOptions("cpu", batch_size=32)).run
    np.testing.assert_array_equal(run.read("fog/3").nll, expected.read("fog/3").nll)
    assert json.loads((run.path / "log.jsonl").read_text().splitlines()[-1])["batch_size"] == 32


def test_it_is_said_before_the_run_that_logits_are_not_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    suite = SmallSuite(12)
    suite.suite = replace(suite.suite, num_classes=100)
    wide = small_model(classes=100)
    progress = LineProgress("wide")
    evaluate_suite(wide, suite, tmp_path / "r", CPU, progress=progress, cells=[CELLS[0]])
    assert "Logits of 100 classes are not kept; `robench calibrate` needs them" in capsys.readouterr().err
    evaluate_suite(wide, suite, tmp_path / "r", CPU, progress=progress, cells=[CELLS[0]])
    chosen = replace(CPU, keep_logits=False)
    evaluate_suite(wide, suite, tmp_path / "no", chosen, progress=progress, cells=[CELLS[0]])
    evaluate_suite(small_model(), SmallSuite(12), tmp_path / "few", CPU, progress=progress, cells=[CELLS[0]])
    assert "Logits" not in capsys.readouterr().err


@pytest.mark.parametrize(("fewer", "kept"), [({"superclasses": "laion-c"}, 16), ({"subset": "imagenet-r"}, 200)])
def test_logits_that_are_kept_are_those_of_the_classes_answered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], fewer: dict[str, str], kept: int
) -> None:
    suite = SmallSuite(12)
    suite.suite = replace(suite.suite, num_classes=1000, **fewer)
    wide, progress = small_model(classes=1000), LineProgress("wide")
    run = evaluate_suite(wide, suite, tmp_path / "r", CPU, progress=progress, cells=[CELLS[0]]).run
    told = capsys.readouterr().err
    found = run.read("clean").logits
    assert run.record.identity.logits == (found is not None) == (kept == 16)
    assert ("Logits of 200 classes are not kept" in told) == (kept == 200)
    assert found is None or found.shape == (12, 16)


def test_a_single_image_that_does_not_fit_is_said(tmp_path: Path) -> None:
    def module(x: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("too big")

    with pytest.raises(RobenchError, match="Not enough memory on cpu"):
        evaluate_suite(Model("x", module, 10, Preprocessing(), hash="x"), SmallSuite(), tmp_path / "r", CPU)


def test_a_missing_device_is_said(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("a CUDA device is here")
    with pytest.raises(RobenchError, match="Found no CUDA device"):
        evaluate_suite(small_model(), SmallSuite(), tmp_path / "r", EvaluationOptions("cuda"))
