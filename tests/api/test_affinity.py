"""Affinity: accuracy on augmented minus accuracy on clean images, of the view that a recipe trains on."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import robench
from robench.cli.main import main
from robench.data import digits
from robench.errors import RobenchError
from robench.models import load_model
from robench.training import recipes
from robench.training.engine.batch import Batch
from robench.training.methods import create

MODEL = "reference:digits/standard"


def test_it_is_the_difference_of_two_accuracies() -> None:
    recipe = recipes.load("cutout-digits", ["options.length=20"])
    found = robench.affinity(MODEL, "cutout-digits", set=["options.length=20"], device="cpu", batch_size=37, seed=5)
    test = digits.load("test")
    images = torch.from_numpy(test.read(np.arange(len(test)))).permute(0, 3, 1, 2).contiguous()
    labels = torch.from_numpy(np.asarray(test.labels))
    batch = Batch(images, labels, torch.arange(len(labels)), recipe.data, 5, 0)
    model = load_model(MODEL)
    assert isinstance(model.module, torch.nn.Module)
    with torch.no_grad():
        right = [
            float((model.module.eval()((pixels - 0.5) / 0.5).argmax(1) == labels).double().mean())
            for pixels in (images / 255, create("cutout", {"length": 20}).labelled_view(None, batch))  # type: ignore[arg-type]
        ]
    assert (found.clean_accuracy, found.augmented_accuracy) == pytest.approx(tuple(right))
    assert found.value == pytest.approx(right[1] - right[0])
    assert found.low <= found.value <= found.high < 0
    assert found.images == 599


def test_the_weak_view_of_split_batchnorm_and_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["affinity", "-m", MODEL, "--recipe", "weak-augment-digits", "--limit", "60", "--device", "cpu", "--json"]
    assert main(words) == 0
    cutout = json.loads(capsys.readouterr().out)
    assert main([*words, "--set", "options.weak=none"]) == 0
    nothing = json.loads(capsys.readouterr().out)
    assert nothing["value"] == 0.0
    assert cutout["value"] <= 0.0
    assert main(words[:-1]) == 0
    assert "affinity" in capsys.readouterr().out


def test_what_has_no_single_view_is_refused() -> None:
    with pytest.raises(RobenchError, match="no single augmented view"):
        robench.affinity(MODEL, "mixup-digits", limit=10, device="cpu")
    with pytest.raises(RobenchError, match="64 x 64"):
        robench.affinity(MODEL, "standard-tiny-imagenet-resnet18", limit=10, device="cpu")
