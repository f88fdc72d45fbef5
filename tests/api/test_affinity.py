"""Affinity: accuracy on augmented minus accuracy on clean images, of the view that a recipe trains on."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import robench
from robench import api
from robench.api.affinity import _interval
from robench.cli.main import main
from robench.data import digits
from robench.data.classes import class_list
from robench.errors import RobenchError
from robench.models import load_model
from robench.tables import identities
from robench.tables.covering import cover
from robench.tables.measured import find_results
from robench.tables.published import load_table
from robench.training import recipes
from robench.training.engine.batch import Batch
from robench.training.methods import create
from robench.training.networks.cae import CAE
from robench.training.networks.edsr import EDSR
from robench.training.recipes.digest import digest

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


@pytest.mark.parametrize(("rates", "images"), [((0.02, 0.05), 200), ((0.002, 0.002), 100), ((0.1, 0.4), 60)])
def test_its_interval_holds_the_true_difference_as_often_as_promised(rates: tuple[float, float], images: int) -> None:
    rng, truth = np.random.default_rng(images), rates[0] - rates[1]
    held = 0
    for draw in range(400):
        differences = rng.choice([1.0, -1.0, 0.0], size=images, p=[*rates, 1.0 - sum(rates)])
        low, high = _interval(differences, seed=draw)
        held += low <= truth <= high
    assert held >= 0.925 * 400  # 2.3 standard errors below 95 %


def test_the_weak_view_of_split_batchnorm_and_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["affinity", "-m", MODEL, "--recipe", "weak-augment-digits", "--limit", "60", "--device", "cpu", "--json"]
    assert main(words) == 0
    cutout = json.loads(capsys.readouterr().out)
    assert main([*words, "--set", "options.weak=none"]) == 0
    nothing = json.loads(capsys.readouterr().out)
    assert nothing["affinity"]["value"] == 0.0
    assert nothing["affinity"]["low"] < 0.0 < nothing["affinity"]["high"]  # 60 images that answer alike are not all
    assert cutout["affinity"]["value"] <= 0.0
    assert main(words[:-1]) == 0
    assert "affinity" in capsys.readouterr().out


def test_deepaugment_takes_the_networks_that_were_trained_and_distorts_test_images_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, network in (("edsr-digits", EDSR(8, 8, 2)), ("cae-digits", CAE(8, 4))):
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        save_file(network.state_dict(), folder / "weights.safetensors")
        (folder / "card.yaml").write_text(f"recipe: {name}\n")
    monkeypatch.chdir(tmp_path)
    found = [
        robench.affinity(MODEL, "deepaugment-digits", set={"options.once": once}, limit=40, device="cpu")
        for once in (False, True)
    ]
    assert found[0].value == found[1].value < 0


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """An affinity of digits."""
    return robench.affinity(MODEL, "weak-augment-digits", limit=60, device="cpu").document


def _of_table(document: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return the document as it would be of split-bn/1's model, view and images, with changes of its parts."""
    known = identities.recipes()
    clean = "standard-clean-cifar10-wrn28-2"
    card = {"recipe": clean, "recipe_digest": known[clean].digest, "dataset": "cifar10", "trained_with": {"seed": 1}}
    view = {"recipe": "mine", "digest": known["weak-augmix-cifar10-wrn28-2"].digest, "seed": 0}
    data = {"complete": True, "images": 10_000, "classes": list(class_list("cifar10") or ())}
    changed = deepcopy(document)
    changed["model"]["card"] = card | changes.get("card", {})
    changed["model"]["preprocessing"] = {"origin": "card"}
    changed["view"] = view | changes.get("view", {})
    changed["data"] |= data | changes.get("data", {})
    return changed


def test_a_document_fills_its_cell_of_split_bn_1(document: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "affinity.json").write_text(json.dumps(_of_table(document)))
    table = load_table("split-bn/1")
    found = find_results(tmp_path, affinities=True)
    coverage = cover(table, found)
    assert set(coverage.filled) == {(4, "affinity")}
    assert coverage.filled[4, "affinity"].value == pytest.approx(100 * document["affinity"]["value"])
    shown = api.table("split-bn/1", results=tmp_path, format="markdown")
    assert f"{100 * document['affinity']['value']:.2f} [" in shown
    with pytest.raises(RobenchError, match="no result"):  # only tables read affinities
        find_results(tmp_path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"card": {"recipe_digest": "0" * 64}}, "its recipe is not standard-clean"),
        ({"card": {"trained_with": {"seed": 1, "images": 512}}}, "trained on 512 images"),
        ({"view": {"digest": "0" * 64}}, "was not measured"),
        ({"data": {"complete": False, "images": 60}}, "60 images per cell"),
        ({"data": {"classes": ["a", "b"], "path": "folder"}}, "its images are those of folder"),
    ],
)
def test_what_is_nearly_the_tables_fills_nothing(
    document: dict[str, Any], tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    (tmp_path / "affinity.json").write_text(json.dumps(_of_table(document, **changes)))
    text = api.table("split-bn/1", results=tmp_path, format="markdown", why=True)
    assert "none fills a cell" in text
    assert said in text


def test_the_command_writes_the_document(
    tmp_path: Path, document: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.json"
    words = ["-m", MODEL, "--recipe", "weak-augment-digits", "--limit", "60", "--device", "cpu", "--out", str(path)]
    assert main(["affinity", *words]) == 0
    written = json.loads(path.read_text())
    assert written == document
    assert written["view"]["digest"] == digest(recipes.load("weak-augment-digits"))
    assert written["data"]["complete"] is False
    path.write_text(path.read_text().replace('"images": 60', '"images": 0'))
    with pytest.raises(RobenchError, match="damaged"):
        api.table("split-bn/1", results=path)


def test_what_has_no_single_view_is_refused() -> None:
    with pytest.raises(RobenchError, match="no single augmented view"):
        robench.affinity(MODEL, "mixup-digits", limit=10, device="cpu")
    with pytest.raises(RobenchError, match="64 x 64"):
        robench.affinity(MODEL, "standard-tiny-imagenet-resnet18", limit=10, device="cpu")
