"""Sampled Fourier maps: nested draws, intervals that hold the whole map's errors, and nothing measured twice."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from robench.evaluation import fourier
from robench.evaluation.fourier import FourierOptions, fourier_map
from robench.evaluation.fourier_sample import FIRST, Drawing, Goal, Tally
from robench.models.base import Model, Preprocessing

OPTIONS = FourierOptions(norm=3.0, batch_size=500)
IMAGES = 2000


def _setting() -> tuple[Model, torch.Tensor, np.ndarray]:
    generator = torch.Generator().manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 36, 4)).eval()
    with torch.no_grad():
        module[1].weight.copy_(torch.randn(4, 3 * 36, generator=generator))
        module[1].bias.zero_()
    images = torch.randint(0, 256, (IMAGES, 3, 6, 6), dtype=torch.uint8, generator=generator)
    target = module(images / 255).argmax(1).numpy()
    target[::10] = (target[::10] + 1) % 4  # a tenth is answered wrongly when clean
    return Model("linear", module, 4, Preprocessing((0.0,) * 3, (1.0,) * 3), "hash-of-linear"), images, target


def test_every_error_of_a_sampled_map_lies_in_its_interval_as_often_as_promised() -> None:
    model, images, target = _setting()
    held, used = [], []
    for seed in range(8):  # seeds draw signs too: the whole map of each is its own
        options = replace(OPTIONS, seed=seed)
        truth = np.array(fourier_map(model, images, target, options)["error"])
        found = fourier_map(model, images, target, replace(options, within=0.02))
        width = np.array(found["half_width"])
        assert width.max() <= 0.02
        held.append(np.abs(np.array(found["error"]) - truth) <= width + 1e-12)
        used.append(found["passes"] / found["of"])
    assert 0.93 <= np.mean(held) <= 0.99
    assert max(used) < 0.6
    assert truth.std() > 0.02  # the map is not flat


def test_intervals_cover_by_brute_force_at_several_errors() -> None:
    rng = np.random.default_rng(0)
    for flips, mends in ((0.02, 0.0), (0.1, 0.1), (0.5, 0.2)):
        right = rng.random(10_000) > 0.08
        wrong = np.where(right, rng.random(10_000) < flips, rng.random(10_000) > mends)
        held = []
        for trial in range(400):
            goal = Goal(right, 0.02, Drawing(10_000, trial))
            found = goal.measure(Tally(), trial, wrong.__getitem__)
            held.append(abs(found.error(goal.of) - wrong.mean()) <= found.half_width(goal.of))
        assert 0.92 <= np.mean(held) <= 0.995


def test_a_larger_sample_contains_the_smaller_and_frequencies_take_other_images() -> None:
    drawing = Drawing(1000, 0)
    np.testing.assert_array_equal(drawing.stretch(5, 0, 300)[:100], drawing.stretch(5, 0, 100))
    assert sorted(drawing.stretch(5, 0, 1000)) == list(range(1000))
    neighbours = [set(drawing.stretch(number, 0, 100)) for number in range(8)]
    assert len(set.union(*neighbours)) > 650


def test_a_map_within_nothing_is_the_whole_and_few_images_are_all_measured() -> None:
    model, images, target = _setting()
    few = images[:FIRST], target[:FIRST]
    sampled = fourier_map(model, *few, replace(OPTIONS, within=0.3))
    whole = fourier_map(model, *few, OPTIONS)
    assert sampled["error"] == whole["error"]
    assert np.array(sampled["half_width"]).max() == 0
    assert sampled["passes"] == sampled["of"] == 20 * FIRST


def test_a_stopped_map_is_extended_and_not_measured_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, images, target = _setting()
    state, measured, original = tmp_path / "state.json", [], fourier.wrong_under

    def counts(*arguments: object) -> torch.Tensor:
        measured.append(len(arguments[1]))  # type: ignore[arg-type]
        return original(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(fourier, "wrong_under", counts)
    wide = fourier_map(model, images, target, replace(OPTIONS, within=0.05), state=state)
    assert sum(measured) == IMAGES + wide["passes"]
    measured.clear()
    narrow = fourier_map(model, images, target, replace(OPTIONS, within=0.03), state=state)
    assert sum(measured) == IMAGES + narrow["passes"] - wide["passes"]
    assert np.array(narrow["half_width"]).max() <= 0.03
    assert len(json.loads(state.read_text())["done"]) == 20
    whole = fourier_map(model, images, target, OPTIONS, state=state)
    np.testing.assert_array_equal(whole["error"], fourier_map(model, images, target, OPTIONS)["error"])
