"""What the rest of a batch does to an image's logits, in models that mind it and in models that do not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_suite import CELLS, SmallSuite, small_model

from robench.evaluation import EvaluationOptions, evaluate_suite
from robench.evaluation.batching import batch_check
from robench.evaluation.forward import Forward
from robench.evaluation.measuring import measure
from robench.evaluation.plan import suite_info
from robench.evaluation.progress import QuietProgress
from robench.models.base import Model, Preprocessing
from robench.predictions import BatchCheck, CellNotes, OutputCheck, Predictions
from robench.results import score_run
from robench.results.remarks import remarks

CPU = EvaluationOptions(device="cpu", batch_size=50)
INFO = suite_info(SmallSuite(), small_model())
_WHOLE, _PARTS = np.zeros(1, np.int32), np.zeros(1, np.float32)
ONE = Predictions(
    index=np.arange(1), target=_WHOLE, predicted=_WHOLE, confidence=_PARTS, target_probability=_PARTS, nll=_PARTS,
    brier=_PARTS, entropy=_PARTS, top5=np.zeros((1, 5), np.int32),
)  # fmt: skip


def centred(x: torch.Tensor) -> torch.Tensor:
    """Logits less their mean over the batch, as a network that normalises by its batch's statistics."""
    logits = x.flatten(1)[:, :10] * 4
    return logits - logits.mean(dim=0)


def drawing(x: torch.Tensor) -> torch.Tensor:
    """Logits with drawn numbers in them."""
    return x.flatten(1)[:, :10] + torch.randn(len(x), 10)


def of_50_at_most(x: torch.Tensor) -> torch.Tensor:
    """Logits for one batch size only."""
    if len(x) != 50:
        raise ValueError("one batch size only")
    return x.flatten(1)[:, :10]


def check_of(module: Any, images: int = 50) -> BatchCheck | None:
    forward = Forward(Model("probe", module, 10, Preprocessing(), hash="probe"), CPU)
    shown = next(SmallSuite().batches(CELLS[0], images)).images
    return batch_check(forward, shown, forward(shown))()


def noted(check: BatchCheck) -> list[str]:
    notes = {"clean": CellNotes(batch=check), "fog/1": CellNotes(batch=BatchCheck(images=4))}
    found = remarks(INFO, [], {cell: replace(ONE, notes=note) for cell, note in notes.items()})
    return [sentence for sentence in found if "shares a batch" in sentence]


def in_training() -> torch.nn.Module:
    """Return a network whose batch normalisation goes on in training mode, whatever is asked of it."""

    class Stuck(torch.nn.BatchNorm2d):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.batch_norm(x, None, None, training=True)

    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), Stuck(4), torch.nn.Flatten(), torch.nn.Linear(144, 10))


@pytest.mark.parametrize("images", [1, 2, 3, 7, 50])
def test_a_networks_logits_move_by_float_noise_and_nothing_is_said(images: int) -> None:
    check = check_of(small_model().module, images)
    assert check == BatchCheck(images=min(4, max(1, images // 2)))
    assert noted(check) == []


@pytest.mark.parametrize("images", [1, 2, 3, 7, 50])
@pytest.mark.parametrize("module", [centred, drawing, in_training()])
def test_outputs_that_depend_on_the_batch_or_on_chance_are_said(module: Any, images: int) -> None:
    check = check_of(module, images)
    assert check is not None
    assert check.difference > 0.01
    assert (check.images, check.batch) == (min(4, max(1, images // 2)), images)
    (sentence,) = noted(check)
    assert "depend on what shares a batch, or on chance" in sentence
    if images == 50:
        assert "4 images run without the other 46 of their batch" in sentence


def test_it_is_left_out_where_it_cannot_be_tried() -> None:
    assert check_of(of_50_at_most) is None


def test_random_numbers_go_on_as_if_nothing_had_been_tried() -> None:
    torch.manual_seed(3)
    forward = Forward(Model("probe", drawing, 10, Preprocessing(), hash="probe"), CPU)
    images = next(SmallSuite().batches(CELLS[0], 20)).images
    first = forward(images)
    after = torch.get_rng_state()
    assert batch_check(forward, images, first)() is not None
    assert torch.equal(torch.get_rng_state(), after)


class Adapting(torch.nn.Module):
    """Logits less a running mean of what was seen, kept in one buffer that is replaced and one that is written to."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(10))
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits = x.flatten(1)[:, :10] * 4
        self.mean = 0.9 * self.mean + 0.1 * logits.mean(dim=0)
        self.seen += len(x)
        return logits - self.mean


def test_a_model_that_adapts_does_not_adapt_to_the_trial() -> None:
    module = Adapting()
    forward = Forward(Model("probe", module, 10, Preprocessing(), hash="probe"), CPU)
    images = next(SmallSuite().batches(CELLS[0], 20)).images
    first = forward(images)
    mean = module.mean.clone()
    assert batch_check(forward, images, first)() is not None
    assert torch.equal(module.mean, mean)
    assert int(module.seen) == 20


def test_a_scripted_module_is_tried_too() -> None:
    assert check_of(torch.jit.trace(small_model().module, torch.zeros(1, 3, 8, 8))) == BatchCheck(images=4)


def test_every_cell_is_tried_and_keeps_it_with_its_predictions(tmp_path: Path) -> None:
    run = evaluate_suite(small_model(), SmallSuite(images=6), tmp_path / "r", CPU).run
    notes = {cell.name: run.read(cell.name).notes for cell in CELLS}
    assert all(found is not None and found.batch == BatchCheck(images=3) for found in notes.values())
    checks = [found.outputs for found in notes.values() if found is not None and found.outputs is not None]
    assert len(checks) == len(CELLS)
    # Whether random weights leave logits within [-1, 1] is chance.
    assert all(check.model_copy(update={"about_zero": None}) == OutputCheck(images=6) for check in checks)


def test_of_a_cell_in_parts_the_first_is_tried(tmp_path: Path) -> None:
    forward = Forward(small_model(), CPU)
    first = measure(forward, SmallSuite(), CELLS[0], CPU, 50, QuietProgress(), start=0, stop=50).predictions
    second = measure(forward, SmallSuite(), CELLS[0], CPU, 50, QuietProgress(), start=50, stop=120).predictions
    whole = measure(forward, SmallSuite(), CELLS[0], CPU, 50, QuietProgress()).predictions
    assert second.notes is not None
    assert second.notes.batch is None
    assert Predictions.concatenate([first, second]).notes == whole.notes


class Percent(torch.nn.Softmax):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 100 * super().forward(x)


@pytest.mark.parametrize(
    ("end", "said"),
    [
        (torch.nn.Softmax(dim=1), "All 1,920 rows of the model's outputs are probabilities"),
        (torch.nn.Sigmoid(), "it seems to end in a sigmoid"),
        (Percent(dim=1), "All 1,920 rows of the model's outputs seem to be scaled probabilities"),
        (torch.nn.Identity(), None),
        (torch.nn.LogSoftmax(dim=1), None),
    ],
)
def test_outputs_that_are_no_logits_are_said(tmp_path: Path, end: torch.nn.Module, said: str | None) -> None:
    model = small_model()
    model = replace(model, module=torch.nn.Sequential(model.module, end))
    notes = score_run(evaluate_suite(model, SmallSuite(), tmp_path / "r", CPU).run, resamples=0).notes
    about = [sentence for sentence in notes if "taken for logits" in sentence]
    assert (said in about[0]) if said else about == []


@pytest.mark.parametrize("depends", [True, False])
def test_near_chance_names_batch_statistics_first_where_the_batch_matters(depends: bool, tmp_path: Path) -> None:
    import robench

    def wrong(x: torch.Tensor) -> torch.Tensor:
        logits = x.flatten(1)[:, :10] * 4
        return logits - logits.mean(dim=0) if depends else logits

    result = robench.evaluate(
        wrong, "clean", out=tmp_path / "r", limit=60, resamples=0, quiet=True, mean=(0.5,) * 3, std=(0.5,) * 3
    )
    assert result is not None
    (note,) = [one for one in result.notes if "near chance" in one]
    assert ("likeliest cause is a network in training mode" in note) == depends
    assert "a wrong normalisation" in note
