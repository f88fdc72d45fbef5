"""What the rest of a batch does to an image's logits, in models that mind it and in models that do not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from small_suite import CELLS, SmallSuite, run_bytes, small_model

from robench.evaluation import EvaluationOptions, evaluate_suite
from robench.evaluation.batching import BatchNoise, batch_noise
from robench.evaluation.engine import measure
from robench.evaluation.forward import Forward
from robench.evaluation.progress import QuietProgress
from robench.models.base import Model, Preprocessing
from robench.predictions import RunFolder
from robench.results.remarks import remarks

CPU = EvaluationOptions(device="cpu", batch_size=50)
SUITE: dict[str, Any] = {"name": "small-c", "cells": [cell.name for cell in CELLS], "protocol": {}}


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


def noise_of(module: Any, images: int = 50) -> BatchNoise | None:
    forward = Forward(Model("probe", module, 10, Preprocessing(), hash="probe"), CPU)
    shown = next(SmallSuite().batches(CELLS[0], images)).images
    return batch_noise(forward, shown, forward(shown))


def noted(noise: BatchNoise) -> list[str]:
    return remarks(SUITE, [], {"clean": [{"batch_noise": noise.line()}]})[1:]  # the first: only a part


def test_a_networks_logits_move_by_float_noise_and_nothing_is_said() -> None:
    noise = noise_of(small_model().module)
    assert noise is not None
    assert (noise.images, noise.batch, noise.changed) == (4, 50, 0)
    assert noise.difference < 1e-4 * noise.largest
    assert noted(noise) == []


@pytest.mark.parametrize("module", [centred, drawing])
def test_answers_that_depend_on_the_batch_or_on_chance_are_said(module: Any) -> None:
    noise = noise_of(module)
    assert noise is not None
    assert noise.difference > 0.1
    (sentence,) = noted(noise)
    assert "depend on what shares a batch, or on chance: 4 images run without the other 46" in sentence


def test_it_is_left_out_where_it_cannot_be_tried() -> None:
    assert noise_of(small_model().module, images=7) is None
    assert noise_of(of_50_at_most) is None


def test_random_numbers_go_on_as_if_nothing_had_been_tried() -> None:
    torch.manual_seed(3)
    forward = Forward(Model("probe", drawing, 10, Preprocessing(), hash="probe"), CPU)
    images = next(SmallSuite().batches(CELLS[0], 20)).images
    first = forward(images)
    after = torch.get_rng_state()
    assert batch_noise(forward, images, first) is not None
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
    assert batch_noise(forward, images, first) is not None
    assert torch.equal(module.mean, mean)
    assert int(module.seen) == 20


def test_a_scripted_module_is_tried_too() -> None:
    scripted = torch.jit.trace(small_model().module, torch.zeros(1, 3, 8, 8))
    noise = noise_of(scripted)
    assert noise is not None
    assert noise.changed == 0


def test_a_first_cell_of_few_images_does_not_end_the_trial() -> None:
    forward = Forward(small_model(), CPU)
    assert measure(forward, SmallSuite(images=7), CELLS[0], CPU, 50, QuietProgress()).noise is None
    assert measure(forward, SmallSuite(), CELLS[0], CPU, 50, QuietProgress()).noise is not None
    assert measure(forward, SmallSuite(), CELLS[0], CPU, 50, QuietProgress()).noise is None  # once is enough


def test_a_run_tries_it_once_and_keeps_it_in_its_log(tmp_path: Path) -> None:
    evaluate_suite(small_model(), SmallSuite(), tmp_path / "r", CPU)
    lines = list(RunFolder.open(tmp_path / "r").read_log())
    assert [line["cell"] for line in lines if "batch_noise" in line] == [CELLS[0].name]
    assert len(run_bytes(tmp_path / "r")) == 2 * len(CELLS)
