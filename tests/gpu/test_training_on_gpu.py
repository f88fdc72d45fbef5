"""Training on the device: the views are the CPU's, every recipe trains, and a stopped run resumes."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from robench.data import digits
from robench.processes import World
from robench.training import recipes
from robench.training.engine.loop import Trainer, train
from robench.training.networks.cae import CAE
from robench.training.networks.edsr import EDSR
from robench.training.ops import augment, kernels_cpu
from robench.training.ops import operations as op

TINY = ["data.limit=60", "batch_size=20", "epochs=1", "data.validation_split=null"]
NAMES = [name for name in recipes.names("digits") if not name.startswith(("edsr", "cae"))]
VALUES = {"posterize": 3, "rotate": -8, "solarize": 180, "shear_x": 0.1, "shear_y": -0.1, "translate_x": 3,
          "translate_y": -2, "color": 0.6, "contrast": 1.6, "brightness": 0.6, "sharpness": 1.6}  # fmt: skip


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """DeepAugment's networks, not trained."""
    found = {}
    torch.manual_seed(0)
    for name, network in (("edsr-digits", EDSR(8, 16, 2)), ("cae-digits", CAE(32, 16))):
        found[name] = tmp_path_factory.mktemp(name)
        save_file(network.state_dict(), found[name] / "weights.safetensors")
    return found


def _settings(name: str) -> list[str]:
    """Few steps of attacks, few held-out images."""
    recipe = recipes.load(name)
    steps = ["options.steps=2"] if recipe.method in ("adversarial", "ccat", "augmax", "autolabel-adversarial") else []
    held_out = ["data.validation_split=null", "data.validation=10"] if recipe.method.startswith("autolabel") else []
    return [*TINY, *steps, *held_out]


@pytest.mark.parametrize("name", op.NAMES)
def test_operations_are_those_of_the_compiled_loops(name: str, device: str) -> None:
    images = digits.load("train").read(np.arange(256)).transpose(0, 3, 1, 2).copy()
    ops = np.full((256, 1), op.NAMES.index(name))
    values = np.full((256, 1), float(VALUES.get(name, 0)))
    compiled = kernels_cpu.apply(images, ops, values, 128)
    tensors = [torch.from_numpy(array).to(device) for array in (images, ops, values)]
    found = augment.apply(*tensors, fill=128).cpu().numpy()
    gap = np.abs(found.astype(int) - compiled.astype(int))
    assert gap.max() <= (1 if name in ("shear_x", "shear_y", "rotate") else 0)
    assert (gap > 0).mean() < 0.02


@pytest.mark.parametrize("name", NAMES)
def test_the_first_view_and_loss_are_the_cpus(name: str, device: str, folders: dict[str, Path], tmp_path: Path) -> None:
    views, losses = [], []
    for place in ("cpu", device):
        recipe = recipes.load(name, _settings(name))
        trainer = Trainer(recipe, None, tmp_path / place, torch.device(place), World(), quiet=True)
        trainer.locate(folders)
        trainer.net.module.register_forward_pre_hook(lambda _, inputs: views.append(inputs[0].detach().cpu()))
        before = len(views)
        losses.append(trainer.method.loss(trainer.net, next(trainer._batches())).loss.item())
        del views[before + 1 :]
    assert float((views[0] - views[1]).abs().mean()) < 0.01
    assert losses[0] == pytest.approx(losses[1], rel=0.03)


@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_trains(name: str, device: str, folders: dict[str, Path], tmp_path: Path) -> None:
    recipe = recipes.load(name, [*_settings(name), "precision=bf16"])
    train(recipe, None, tmp_path, device=device, quiet=True, folders=folders)
    (row,) = csv.DictReader((tmp_path / "log.csv").open())
    assert math.isfinite(float(row["loss"]))
    assert (tmp_path / "card.yaml").is_file()


def test_a_stopped_run_resumes(device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)  # else two whole runs differ by as much
    recipe = recipes.load("augmix-digits", [*TINY, "epochs=3", "checkpoint_steps=1", "weights=fp32"])

    def stop(done: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(recipe, None, tmp_path / "broken", device=device, quiet=True, after_step=stop)
    for folder in ("broken", "whole"):
        train(recipe, None, tmp_path / folder, device=device, quiet=True)
    broken, whole = (load_file(tmp_path / folder / "weights.safetensors") for folder in ("broken", "whole"))
    for name, value in whole.items():  # a GPU's sums have no fixed order
        torch.testing.assert_close(broken[name], value, rtol=1e-2, atol=2e-3)


def test_compiled_training_is_the_plain_one(device: str, tmp_path: Path) -> None:
    losses = []
    for compiled in ("false", "true"):
        recipe = recipes.load("standard-digits", [*TINY, "epochs=2", f"compile={compiled}"])
        train(recipe, None, tmp_path / compiled, device=device, quiet=True)
        losses += [float(row["loss"]) for row in csv.DictReader((tmp_path / compiled / "log.csv").open())][-1:]
    assert losses[0] == pytest.approx(losses[1], rel=0.02)


def test_memory_does_not_grow_with_the_steps(device: str, tmp_path: Path) -> None:
    if not device.startswith("cuda"):
        pytest.skip("PyTorch counts the memory of a card only")
    trainer = Trainer(recipes.load("augmax-digits", TINY), None, tmp_path, torch.device(device), World(), quiet=True)
    batch = next(trainer._batches())
    peaks = []
    for count in (5, 15):
        torch.cuda.reset_peak_memory_stats(device)
        for number in range(count):
            trainer._step(batch, number)
        peaks.append(torch.cuda.max_memory_allocated(device))
    assert peaks[1] <= 1.05 * peaks[0]
