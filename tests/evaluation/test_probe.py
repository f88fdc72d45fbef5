"""No run answers for another model: what cannot be told by a hash is told by logits for a few images."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_suite import CELLS, SmallSuite, run_bytes, small_model

from robench.errors import RobenchError
from robench.evaluation import EvaluationOptions, default_folder, evaluate_suite
from robench.evaluation.forward import Forward
from robench.evaluation.probe import FILE, OtherModelError, take
from robench.models import ensemble, wrap
from robench.models.base import Model, Preprocessing
from robench.models.posthoc import flipped

CPU = EvaluationOptions(device="cpu", batch_size=50)


def function(scale: float) -> Model:
    """Return a model whose hash does not tell what it computes, as of a function that closes over another."""
    inner = small_model().module
    return Model("f", lambda x: scale * inner(x), 10, Preprocessing(), hash="callable:f")


@pytest.mark.parametrize("finished", [True, False])
def test_another_function_of_the_same_hash_gets_neither_cells_nor_answers(tmp_path: Path, finished: bool) -> None:
    cells = None if finished else [CELLS[0]]
    evaluate_suite(function(1.0), SmallSuite(), tmp_path / "r", CPU, cells=cells)
    before = run_bytes(tmp_path / "r")
    with pytest.raises(OtherModelError, match=r"r holds predictions of another model: for the same 4 images .* 50 %"):
        evaluate_suite(function(2.0), SmallSuite(), tmp_path / "r", CPU)
    assert run_bytes(tmp_path / "r") == before
    outcome = evaluate_suite(function(1.0), SmallSuite(), tmp_path / "r", CPU)
    assert (outcome.remark is None) != finished


def test_a_fresh_folder_is_taken_for_another_function_of_the_same_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said: list[str] = []
    folders = []
    for scale in (1.0, 2.0, 3.0, 2.0):
        folder = default_folder(function(scale), SmallSuite(), CPU, say=said.append)
        evaluate_suite(function(scale), SmallSuite(), folder, CPU)
        folders.append(folder)
    assert folders[1] == folders[3]
    assert [folder.name.removeprefix(folders[0].name) for folder in folders] == ["", "-2", "-3", "-2"]
    assert len(said) == 3
    assert str(folders[0]) in said[0]
    assert "another model" in said[0]


def test_attributes_and_code_that_no_hash_sees_are_told(tmp_path: Path) -> None:
    class Tempered(torch.nn.Module):
        def __init__(self, temperature: float) -> None:
            super().__init__()
            self.inner, self.temperature = small_model().module, temperature

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.inner(x) / self.temperature

    model = Model("t", Tempered(1.0), 10, Preprocessing(), hash="weights")
    evaluate_suite(model, SmallSuite(), tmp_path / "r", CPU)
    with pytest.raises(OtherModelError):
        evaluate_suite(replace(model, module=Tempered(1.5)), SmallSuite(), tmp_path / "r", CPU)


def test_other_pixels_under_the_same_record_are_told(tmp_path: Path) -> None:
    evaluate_suite(small_model(), SmallSuite(), tmp_path / "r", CPU)
    changed = SmallSuite()
    changed.images[2, 1, 4, 4] += 1
    with pytest.raises(OtherModelError, match="predictions for other images: the first of 'clean'"):
        evaluate_suite(small_model(), changed, tmp_path / "r", CPU)


@pytest.mark.parametrize("later", [{"batch_size": 7}, {"fold": True}])
def test_float_noise_is_no_other_model(tmp_path: Path, later: dict[str, Any]) -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(288, 10)
    )
    model = Model("n", network.eval(), 10, Preprocessing(), hash="n")
    evaluate_suite(model, SmallSuite(), tmp_path / "r", CPU, cells=[CELLS[0]])
    outcome = evaluate_suite(model, SmallSuite(), tmp_path / "r", replace(CPU, **later))
    assert len(outcome.fresh) == len(CELLS) - 1


def test_another_device_or_pytorch_is_allowed_more_noise(tmp_path: Path) -> None:
    evaluate_suite(function(1.0), SmallSuite(), tmp_path / "r", CPU)
    with pytest.raises(OtherModelError):
        evaluate_suite(function(1.005), SmallSuite(), tmp_path / "r", CPU)
    document = json.loads((tmp_path / "r" / FILE).read_text())
    document["logits"]["device"] = "Another GPU"
    (tmp_path / "r" / FILE).write_text(json.dumps(document))
    assert evaluate_suite(function(1.005), SmallSuite(), tmp_path / "r", CPU).remark is not None


def test_a_model_that_draws_from_pytorch_is_known_again(tmp_path: Path) -> None:
    model = Model("d", lambda x: x.flatten(1)[:, :10] + torch.randn(len(x), 10), 10, Preprocessing(), hash="d")
    state = torch.get_rng_state()
    for _ in range(2):
        torch.manual_seed(torch.seed())
        evaluate_suite(model, SmallSuite(), tmp_path / "r", CPU)
    torch.set_rng_state(state)


def test_a_model_that_never_gives_the_same_is_not_compared(tmp_path: Path) -> None:
    calls = []

    def moody(x: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return x.flatten(1)[:, :10] * len(calls)

    model = Model("m", moody, 10, Preprocessing(), hash="m")
    found = take(Forward(model, CPU), SmallSuite())
    assert found is not None
    assert found.logits is None
    evaluate_suite(model, SmallSuite(), tmp_path / "r", CPU)
    assert evaluate_suite(model, SmallSuite(), tmp_path / "r", CPU).fresh == []


@pytest.mark.parametrize("content", ["", "{", "[]", '{"kind": "robench-probe"}', "null"])
def test_a_damaged_probe_proves_nothing(tmp_path: Path, content: str) -> None:
    evaluate_suite(function(1.0), SmallSuite(), tmp_path / "r", CPU)
    (tmp_path / "r" / FILE).write_text(content)
    assert evaluate_suite(function(1.0), SmallSuite(), tmp_path / "r", CPU).fresh == []


def test_models_that_take_no_four_images_and_cells_that_cannot_be_read_are_left_to_the_run(tmp_path: Path) -> None:
    def of_50(x: torch.Tensor) -> torch.Tensor:
        if len(x) not in (50, 20):
            raise ValueError("one batch size only")
        return x.flatten(1)[:, :10]

    outcome = evaluate_suite(Model("s", of_50, 10, Preprocessing(), hash="s"), SmallSuite(), tmp_path / "s", CPU)
    assert len(outcome.fresh) == len(CELLS)
    assert not (tmp_path / "s" / FILE).exists()
    outcome = evaluate_suite(small_model(), SmallSuite(broken=("clean",)), tmp_path / "r", CPU)
    assert list(outcome.failures) == ["clean"]
    with pytest.raises(RobenchError, match="has 7 output classes"):
        evaluate_suite(small_model(classes=7), SmallSuite(), tmp_path / "c", CPU)


def test_of_many_classes_some_are_kept() -> None:
    model = Model("w", lambda x: torch.zeros(len(x), 1001) + x.mean(), 1001, Preprocessing(), hash="w")
    found = take(Forward(model, CPU), SmallSuite())
    assert found is not None
    assert found.logits is not None
    assert (len(found.logits.rows), len(found.logits.rows[0]), found.logits.step) == (4, 91, 11)


class Ending(torch.nn.Module):
    """A linear network that ends in a softmax, or not."""

    def __init__(self, *, softmax: bool) -> None:
        super().__init__()
        self.inner, self.softmax = small_model().module, softmax

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.inner(x)  # type: ignore[operator]
        return torch.softmax(logits, 1) if self.softmax else logits


def test_an_average_refuses_parts_that_are_probabilities_already(tmp_path: Path) -> None:
    """A softmax of probabilities is nearly uniform, and nothing in the average's own outputs shows it."""
    plain, ending = (wrap(Ending(softmax=softmax), name=name) for softmax, name in ((False, "plain"), (True, "ending")))
    said = r"returns probabilities, in \[0, 1\] with a sum of 1"
    with pytest.raises(RobenchError, match=f"ending, of an ensemble, {said}"):
        evaluate_suite(ensemble([plain, ending]), SmallSuite(), tmp_path / "a", CPU, cells=[CELLS[0]])
    with pytest.raises(RobenchError, match=f"The model of .tta=flip {said}"):
        evaluate_suite(flipped(ending), SmallSuite(), tmp_path / "b", CPU, cells=[CELLS[0]])
    as_they_are = ensemble([ending, ending], how="mean-logit")
    for number, model in enumerate((ensemble([plain, plain]), flipped(plain), as_they_are)):
        evaluate_suite(model, SmallSuite(), tmp_path / str(number), CPU, cells=[CELLS[0]])
