"""Normalisations that are given in Python: three numbers for images in [0, 1], of any sequence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from robench.errors import RobenchError
from robench.evaluation import EvaluationOptions
from robench.evaluation.forward import Forward
from robench.models import load_model, wrap, zero_shot


def made(how: str, **words: Any) -> Any:
    if how == "wrap":
        return wrap(nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), **words)
    if how == "load":
        return load_model("reference:digits/augmix", **words)
    return zero_shot(nn.Flatten(), ["a", "b"], text_features=torch.eye(12)[:2], scale=1.0, **words)


@pytest.mark.parametrize("how", ["wrap", "load", "zero_shot"])
@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)}, "`mean` takes numbers for images in"),
        ({"mean": 0.5, "std": (0.0, 0.5, 0.5)}, "`std` takes numbers above 0"),
        ({"mean": (0.5, 0.5), "std": 0.5}, "`mean` takes 3 numbers"),
        ({"mean": (float("nan"),) * 3, "std": 0.5}, "`mean` takes 3 numbers"),
    ],
)
def test_a_normalisation_of_other_images_is_refused(how: str, words: dict[str, Any], said: str) -> None:
    with pytest.raises(RobenchError, match=said):
        made(how, **words)


@pytest.mark.parametrize("how", ["wrap", "load", "zero_shot"])
@pytest.mark.parametrize("kind", [float, list, np.array, torch.tensor])
def test_any_sequence_of_numbers_is_taken(how: str, kind: Any) -> None:
    value = 0.5 if kind is float else kind([0.5, 0.5, 0.5])
    model = made(how, mean=value, std=value)
    assert (model.preprocessing.mean, model.preprocessing.std) == ((0.5,) * 3, (0.5,) * 3)
    assert model.preprocessing.record()["mean"] == (0.5, 0.5, 0.5)
    if how == "wrap":
        images = torch.full((1, 3, 2, 2), 255, dtype=torch.uint8)
        found = Forward(model, EvaluationOptions(device="cpu"))(images)
        with torch.no_grad():
            torch.testing.assert_close(found, model.module(torch.ones(1, 3, 2, 2)))
