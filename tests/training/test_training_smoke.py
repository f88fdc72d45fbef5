"""Trainings: every smoke recipe, shortened (slow), and a few steps of one recipe per mechanism."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

from robench.data import digits
from robench.models import load_model, reference
from robench.results.loading import load
from robench.training import recipes
from robench.training.engine import needed
from robench.training.engine.loop import train
from robench.training.methods import METHODS

MEASURED = Path(__file__).parents[2] / "leaderboards" / "measured"
SHORT = ["data.limit=320", "batch_size=20", "epochs=4", "optimiser.lr=0.05"]
NETWORKS = ("edsr-digits", "cae-digits")
# What learns slowly gets more epochs, what attacks its images fewer steps.
LONGER = (
    "autoaugment", "autolabel-mixup", "ccat", "deepaugment", "multi-label", "noise2net", "patch-uniform", "randaugment",
    "adversarial",
)  # fmt: skip
FEWER_STEPS = ("adversarial", "autolabel-adversarial", "ccat", "augmax", "augmax-dubn", "deepaugment-augmax", "advmax")
QUICK = {
    "standard": [],
    "mixup": [],
    "augmix": [],
    "augmax": ["options.steps=2"],
    "weak-augment": [],
    "adversarial": ["options.steps=2"],
    "noise2net": [],
    "autolabel-augmix": ["options.buckets=1", "data.validation_split=null", "data.validation=10"],
}
"""One recipe per mechanism: one view, mixed labels, consistency, dual norms, split norms, attacks, moving labels."""


def _settings(name: str) -> list[str]:
    short = recipes.short(name, "digits")
    settings = list(SHORT)
    if short == "deepaugment-noise2net":
        settings += ["epochs=20"]
    elif short.startswith(LONGER):
        settings += ["epochs=10"]
    if short in FEWER_STEPS:
        settings += ["options.steps=2"]
    if short == "augmix-pgd":
        settings += ["options.pgd_steps=2"]
    return settings


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """DeepAugment's two networks, trained until one can read the digits that they draw."""
    folder = tmp_path_factory.mktemp("networks")
    short = ["data.limit=400", "batch_size=20", "epochs=4"]
    return {name: train(recipes.load(name, short), None, folder / name, quiet=True) for name in NETWORKS}


def _rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "log.csv").open() as file:
        return list(csv.DictReader(file))


def test_every_method_has_a_smoke_recipe() -> None:
    assert {recipes.load(name).method for name in recipes.names("digits")} == set(METHODS)


@pytest.mark.parametrize("name", QUICK)
def test_a_few_steps_lower_the_loss(name: str, tmp_path: Path) -> None:
    short = ["data.limit=40", "batch_size=10", "epochs=5", "optimiser.lr=0.05", *QUICK[name]]
    train(recipes.load(f"{name}-digits", short), None, tmp_path, quiet=True)
    losses = [float(row["loss"]) for row in _rows(tmp_path)]
    assert min(losses[1:]) < losses[0] - 0.03


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in recipes.names("digits") if name not in NETWORKS])
def test_smoke_recipe_learns(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    recipe = recipes.load(name, _settings(name))
    folders = request.getfixturevalue("networks") if needed.networks(recipe) else {}
    train(recipe, None, tmp_path, quiet=True, folders=folders)
    rows = _rows(tmp_path)
    first, last = float(rows[0]["train_accuracy"]), float(rows[-1]["train_accuracy"])
    assert last > 0.25
    assert last > first + 0.15
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])


@pytest.mark.parametrize("name", [name for name in reference.names() if not name.startswith("digits/")])
def test_a_model_of_images_that_do_not_come_along_is_the_one_that_was_measured(name: str) -> None:
    folder = reference.folder(name)
    model, card = load_model(f"reference:{name}"), reference.read_card(folder)
    place, _, file = name.partition("/")
    found = {suite: load(MEASURED / place / suite / f"{file}.json") for suite in ("clean", "cifar10-c")}
    assert {result.model.hash for result in found.values()} == {model.hash}
    for result in found.values():
        error = result.summary["clean_error"].value
        assert error is not None
        assert card["trained_with"]["test_accuracy"] == pytest.approx(1.0 - error, abs=0.001)
    rows = _rows(folder)
    assert float(rows[-1]["train_accuracy"]) > float(rows[0]["train_accuracy"]) + 0.15


@pytest.mark.parametrize("name", [name for name in reference.names() if name.startswith("digits/")])
def test_the_model_that_comes_along_is_as_good_as_its_card_says(name: str) -> None:
    """The full smoke runs' results: well above chance, far above their first epoch, and still what the card says."""
    folder = reference.folder(name)
    card = reference.read_card(folder)
    test = digits.load("test")
    images = torch.from_numpy(test.read(np.arange(len(test)))).permute(0, 3, 1, 2).float() / 255
    model = load_model(f"reference:{name}")
    mean, std = (torch.tensor(part).view(1, 3, 1, 1) for part in (model.preprocessing.mean, model.preprocessing.std))
    assert isinstance(model.module, torch.nn.Module)
    with torch.inference_mode():
        network = model.module.eval()
        batches = ((images - mean) / std).split(100)  # which stay in the cache: half the time of all at once
        predicted = torch.cat([network(batch).argmax(1) for batch in batches]).numpy()
    accuracy = float((predicted == test.labels).mean())
    assert accuracy == pytest.approx(card["trained_with"]["test_accuracy"], abs=0.005)
    assert accuracy > 0.9
    rows = _rows(folder)
    assert float(rows[-1]["train_accuracy"]) > float(rows[0]["train_accuracy"]) + 0.15


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_learn_to_reproduce(name: str, networks: dict[str, Path]) -> None:
    rows = _rows(networks[name])
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    assert "train_accuracy" not in rows[0]


def test_artefacts_are_complete_and_small(tmp_path: Path) -> None:
    import yaml
    from safetensors.torch import load_file

    recipe = recipes.load("standard-digits", ["epochs=1", "data.limit=100"])
    train(recipe, None, tmp_path, quiet=True, command="robench train --recipe standard-digits")
    card = yaml.safe_load((tmp_path / "card.yaml").read_text())
    assert list(card) == [
        "name", "architecture", "norm", "num_classes", "dataset", "mean", "std", "recipe", "recipe_digest", "settings",
        "command", "trained_with",
    ]  # fmt: skip
    assert {"seed", "epochs", "seconds", "robench", "torch", "validation_accuracy", "test_accuracy"} <= set(
        card["trained_with"]
    )
    assert yaml.safe_load((tmp_path / "recipe.yaml").read_text())["epochs"] == 1
    assert (tmp_path / "weights.safetensors").stat().st_size < 300_000
    floats = [value for value in load_file(tmp_path / "weights.safetensors").values() if value.is_floating_point()]
    assert {value.dtype for value in floats} == {torch.float16}
    assert not (tmp_path / "checkpoint.pt").exists()


def test_a_card_says_that_the_training_images_were_jpegs(tmp_path: Path) -> None:
    """CIFAR stored as JPEG is another data set than the published one, whatever its folder is called."""
    import yaml
    from PIL import Image

    generator = np.random.default_rng(0)
    for split in ("train", "test"):
        for label in range(10):
            folder = tmp_path / "data" / split / f"class{label}"
            folder.mkdir(parents=True)
            for number in range(2):
                Image.fromarray(generator.integers(0, 256, (32, 32, 3), np.uint8)).save(folder / f"{number}.jpg")
    recipe = recipes.load("standard-cifar10-resnet18", ["architecture=wrn-10-1", "epochs=1", "batch_size=10"])
    train(recipe, tmp_path / "data", tmp_path / "out", quiet=True)
    card = yaml.safe_load((tmp_path / "out" / "card.yaml").read_text())
    assert card["trained_with"]["stored"] == "JPEG"
    assert card["trained_with"]["images"] == 20
