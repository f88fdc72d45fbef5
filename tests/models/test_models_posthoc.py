"""Mirrored views and batch statistics: equal to PyTorch's own training mode, and marked wherever they show."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import robench
from robench import suites
from robench.errors import RobenchError
from robench.evaluation import EvaluationOptions, evaluate_suite
from robench.models import ensemble, load_model, wrap
from robench.models.posthoc import by_batch, flipped
from robench.predictions import RunFolder
from robench.results.posthoc import classes_per_batch
from robench.suites import Cell

MODEL = "reference:digits/standard"
FEW = {"device": "cpu", "resamples": 0, "quiet": True}


def test_batch_statistics_equal_training_mode_without_its_running_averages() -> None:
    plain, adapted = load_model(MODEL), load_model(f"{MODEL}?bn=batch&batch=32")
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(32, 3, 32, 32)).astype(np.float32))
    trained = copy.deepcopy(plain.module).train()
    for part in trained.modules():
        if not isinstance(part, nn.modules.batchnorm._BatchNorm):
            part.training = False
    with torch.inference_mode():
        first, again = adapted.module(x), adapted.module(x)
        torch.testing.assert_close(first, trained(x))
        torch.testing.assert_close(first, again, rtol=0, atol=0)  # nothing is kept
        assert not torch.allclose(first, plain.module(x))
    assert plain.module.training is False
    assert any(name.endswith("running_mean") for name, _ in plain.module.named_buffers())  # the original is whole


def test_flip_is_the_mean_of_the_probabilities_of_both_views() -> None:
    plain, both = load_model(MODEL), load_model(f"{MODEL}?tta=flip")
    x = torch.rand(5, 3, 32, 32)
    with torch.inference_mode():
        expected = (plain.module(x).softmax(1) + plain.module(x.flip(3)).softmax(1)) / 2
        torch.testing.assert_close(both.module(x).exp(), expected)
        torch.testing.assert_close(both.module(x), both.module(x.flip(3)))


def test_a_function_can_be_mirrored_and_has_no_batch_norm() -> None:
    model = wrap(lambda x: x.mean((2, 3)), num_classes=3, name="mean colour")
    assert flipped(model).module(torch.rand(2, 3, 4, 4)).shape == (2, 3)
    with pytest.raises(RobenchError, match="no batch norm"):
        by_batch(model, 8)


def test_every_choice_is_another_model_and_says_so() -> None:
    specs = ("", "?bn=batch", "?bn=batch&batch=64", "?tta=flip", "?bn=batch&tta=flip")
    found = [load_model(MODEL + spec) for spec in specs]
    assert len({model.hash for model in found}) == len(specs)
    assert [model.batch_size for model in found] == [None, 200, 64, None, 200]
    assert [model.name for model in found][1:4] == [
        "standard-bn-batch-200 (adapted)", "standard-bn-batch-64 (adapted)", "standard-flip",
    ]  # fmt: skip
    assert found[2].card["adapted"] == {
        "statistics": "of the batch", "batch_size": 64, "order": "of the files", "reset": "every batch",
    }  # fmt: skip
    assert load_model(f"{MODEL}?bn=batch", name="mine").name == "mine (adapted)"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("bn=batch&batch=1", "at least 2"),
        ("bn=batch&batch=x", "at least 2"),
        ("bn=batch&lambda=0.5", "no lambda"),
        ("batch=4", "goes with bn=batch"),
        ("tta=crop", "flip"),
        ("bn=batches", "main, auxiliary, mean, batch"),
    ],
)
def test_other_queries_are_refused(query: str, expected: str) -> None:
    with pytest.raises(RobenchError, match=expected):
        load_model(f"{MODEL}?{query}")


def test_predictions_are_those_of_whole_batches_in_order(tmp_path: Path) -> None:
    result = robench.evaluate(f"{MODEL}?bn=batch&batch=50", "clean", data="digits", out=tmp_path, **FEW)
    assert result.model.name == "standard-bn-batch-50 (adapted)"
    assert result.run.batch_size == 50
    assert any(note.startswith("Adapted: ") for note in result.notes)
    rows, model = RunFolder.open(tmp_path).read("clean"), load_model(f"{MODEL}?bn=batch&batch=50")
    batches = suites.open_suite("clean", "digits").batches(Cell("clean"), 50)
    mean, std = (torch.tensor(v).reshape(1, 3, 1, 1) for v in (model.preprocessing.mean, model.preprocessing.std))
    with torch.inference_mode():
        expected = torch.cat([model.module((batch.images / 255 - mean) / std) for batch in batches])
    np.testing.assert_allclose(rows.logits, expected.numpy(), atol=2e-3)


def test_a_larger_sample_is_measured_anew(tmp_path: Path) -> None:
    """A model that looks at the batch would answer otherwise for images that joined others later."""
    model, opened = load_model(f"{MODEL}?bn=batch&batch=50"), suites.open_suite("clean", "digits")
    options = EvaluationOptions(device="cpu")
    for folder, limits in (("grown", (120, 200)), ("once", (200,))):
        for limit in limits:
            evaluate_suite(model, opened.with_limit(limit), tmp_path / folder, options)
    grown, once = (RunFolder.open(tmp_path / name).read("clean") for name in ("grown", "once"))
    np.testing.assert_array_equal(grown.index, once.index)
    np.testing.assert_array_equal(grown.logits, once.logits)


def test_images_sorted_by_class_are_said(tmp_path: Path) -> None:
    order = np.argsort((digits := suites.open_suite("clean", "digits")).total and _labels(digits), kind="stable")
    images = torch.cat([b.images for b in digits.batches(Cell("clean"), 200)]).permute(0, 2, 3, 1).numpy()
    np.save(tmp_path / "images.npy", images[order])
    np.save(tmp_path / "labels.npy", _labels(digits)[order])
    result = robench.evaluate(f"{MODEL}?bn=batch&batch=50", "clean", data=tmp_path, out=tmp_path / "run", **FEW)
    assert any("shuffle the files" in note for note in result.notes)
    assert classes_per_batch(np.arange(100) % 10, 50) == (10.0, pytest.approx(10 * (1 - 0.9**50)))


def _labels(opened: suites.OpenSuite) -> np.ndarray:
    return np.concatenate([batch.target for batch in opened.batches(Cell("clean"), 200)])


def test_where_batches_mean_nothing_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RobenchError, match="single images"):
        robench.evaluate(f"{MODEL}?bn=batch", "digits-p", out=tmp_path, **FEW)
    with pytest.raises(RobenchError, match="another model"):
        robench.evaluate(f"{MODEL}?bn=batch", "digits-c", batch_size=64, out=tmp_path, **FEW)
    with pytest.raises(RobenchError, match="an ensemble does not"):
        ensemble([load_model(MODEL), load_model(f"{MODEL}?bn=batch")])
    with pytest.raises(RobenchError, match="one perturbation"):
        robench.fourier(f"{MODEL}?bn=batch", limit=10, device="cpu", quiet=True, out=tmp_path / "f.json")
