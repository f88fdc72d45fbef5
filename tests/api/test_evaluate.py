"""``robench.evaluate``: the same from Python, with any callable or module."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import robench
from robench.models import load_model
from robench.suites.base import OpenOptions as SuiteOptions

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
FEW = SuiteOptions(limit=60, conditions=("contrast",), severities=(1, 5))


def test_a_module_is_measured_and_taken_up(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3072, 10))
    half = (0.5, 0.5, 0.5)
    result = robench.evaluate(
        module, "digits-c", out=tmp_path / "r", suite_options=FEW, resamples=50, quiet=True, mean=half, std=half
    )
    assert [cell.name for cell in result.cells] == ["clean", "contrast/1", "contrast/5"]
    assert all(cell.images == 60 for cell in result.cells)
    assert not result.suite.complete
    said = " ".join(result.notes)
    assert "Partial run: 3 of 76 cells. Do not report its means" in said
    assert "debiased form from 200 images per cell on" in said
    again = robench.evaluate(
        module, "digits-c", out=tmp_path / "r", suite_options=FEW, resamples=50, quiet=True, mean=half, std=half
    )
    assert again.cells == result.cells
    assert again.notes == [
        *result.notes,
        f"Nothing was run: every cell had already been measured ({tmp_path / 'r'}).",
    ]


def test_a_clean_error_near_chance_is_said_with_its_likely_cause(tmp_path: Path) -> None:
    def constant(images: torch.Tensor) -> torch.Tensor:
        return torch.zeros(len(images), 10)

    result = robench.evaluate(constant, "digits-c", out=tmp_path / "r", suite_options=FEW, resamples=0, quiet=True)
    assert any("near chance" in note and "normalisation" in note for note in result.notes)
    assert any("No normalisation was given" in note for note in result.notes)
    good = robench.evaluate(
        "reference:digits/augmix", "digits-c", out=tmp_path / "g", suite_options=FEW, resamples=0, quiet=True
    )
    assert not any("near chance" in note or "No normalisation" in note for note in good.notes)


def test_cosines_and_what_ends_in_tanh_are_said(tmp_path: Path) -> None:
    network = load_model("reference:digits/standard").module
    options = {"norm_preset": "half", "limit": 60, "resamples": 0, "quiet": True, "num_classes": 10}
    result = robench.evaluate(lambda x: network(x).tanh(), "clean", out=tmp_path / "a", **options)
    said = next(note for note in result.notes if "All outputs of the model lie in [-1, 1]" in note)
    # One logit at 1 and nine at -1.
    assert "No confidence can exceed 45.1 %" in said
    small = robench.evaluate(lambda x: -network(x).tanh(), "clean", out=tmp_path / "b", **options)
    assert not any("[-1, 1]" in note for note in small.notes)  # hardly ever right: nothing contradicts the logits


def test_probabilities_instead_of_logits_are_said(tmp_path: Path) -> None:
    network = load_model("reference:digits/standard").module
    for name, function, said in (
        ("probabilities", lambda x: network(x).softmax(1), True),
        ("logarithms", lambda x: network(x).log_softmax(1), False),
    ):
        result = robench.evaluate(
            function, "digits-c", out=tmp_path / name, suite_options=FEW, resamples=0, quiet=True, num_classes=10,
            mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), name=name,
        )  # fmt: skip
        assert any("outputs are probabilities" in note for note in result.notes) == said


def test_every_reference_model_that_comes_along_can_be_loaded() -> None:
    from robench.models import load_model, reference

    assert {"digits/standard", "digits/augmix"} <= set(reference.names())
    for name in reference.names():
        folder = reference.folder(name)
        assert (folder / "weights.safetensors").stat().st_size < (300_000 if name.startswith("digits/") else 5_000_000)
        model = load_model(f"reference:{name}")
        assert model.card["command"].startswith("robench train --recipe")


def test_unusual_models_are_refused_with_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(robench.RobenchError, match="shape"):
        robench.evaluate(
            lambda x: x.mean(),
            "digits-c",
            out=tmp_path / "a",
            suite_options=FEW,
            quiet=True,  # type: ignore[arg-type]
        )
    with pytest.raises(robench.RobenchError, match="has 3 output classes"):
        robench.evaluate(lambda x: x.mean((2, 3)), "digits-c", out=tmp_path / "b", suite_options=FEW, quiet=True)


def test_half_a_normalisation_is_refused() -> None:
    with pytest.raises(robench.RobenchError, match="`mean` was given without `std`"):
        robench.evaluate(torch.nn.Flatten(), "digits-c", mean=(0.5, 0.5, 0.5), num_classes=192, quiet=True)


@pytest.mark.parametrize("suite", ["digits-p", "cifar10-sta"])
def test_suites_of_several_frames_an_image(tmp_path: Path, suite: str) -> None:
    """Flip probability and worst-of-k from the stored frames, against a plain count."""
    import numpy as np

    from robench.data import digits
    from robench.predictions import RunFolder

    data = None
    if suite == "cifar10-sta":
        images = digits.load("test")
        data = tmp_path / "folder"
        for row in range(30):
            place = data / CIFAR10[int(images.labels[row])] / f"{row:03}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            from PIL import Image

            Image.fromarray(images.read(np.array([row]))[0]).save(place)
    result = robench.evaluate(
        "reference:digits/standard",
        suite,
        data=data,
        out=tmp_path / "r",
        suite_options=SuiteOptions(limit=12),
        resamples=20,
        quiet=True,
    )
    run = RunFolder.open(tmp_path / "r")
    for cell in result.cells:
        rows = run.read(cell.name)
        frames = rows.predicted.reshape(len(np.unique(rows.index)), -1)
        if suite == "digits-p":
            first = "noise" in cell.name
            flips = frames[:, 1:] != (frames[:, :1] if first else frames[:, :-1])
            assert cell.metrics["flip_probability"].value == pytest.approx(flips.mean())
        else:
            wrong = frames != rows.target.reshape(frames.shape)
            assert cell.metrics["worst_case_error"].value == pytest.approx(wrong.any(1).mean())
            worst = rows.nll.reshape(frames.shape).argmax(1)
            published = wrong[np.arange(len(wrong)), worst].mean()
            assert cell.metrics["worst_loss_error"].value == pytest.approx(published)
            assert published <= wrong.any(1).mean()
