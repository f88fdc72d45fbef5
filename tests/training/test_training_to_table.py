"""From training to evaluation to table: every recipe at tiny size, one of each architecture quickly."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import robench
from robench.data import digits
from robench.data.classes import class_list, imagenet_wnids
from robench.results.loading import load as load_result
from robench.training import recipes
from robench.training.engine import needed
from robench.training.methods import find
from robench.training.recipes.digest import digest
from robench.training.recipes.schema import Recipe

# Options that make a step cheaper, and networks smaller, without changing what is run.
CHEAP = {"steps": 1, "pgd_steps": 1, "spatial_steps": 1, "worst_of": 2, "buckets": 1, "blocks": 5, "features": 8}
NETWORK_OPTIONS = {"width": 16, "code": 16}  # of the autoencoder alone: AugMix has a width too
NAMES = recipes.names()


def _architectures() -> list[str]:
    """Return one recipe of every architecture, of each family the smallest; standard training where it is there."""
    found: dict[str, str] = {}
    for name in sorted(
        NAMES, key=lambda name: (not name.startswith("standard-digits"), not name.startswith("standard"))
    ):
        architecture = recipes.read(name)["architecture"]
        family = "resnet-18-64" if architecture == "resnet-18-64" else re.split("[0-9]", architecture)[0]
        found.setdefault(family, name)
    return sorted(found.values())


def _names_of(dataset: str) -> list[str]:
    """Return class names whose labels are 0, 1, 2... in sorted order; of ImageNet a few."""
    if dataset == "imagenet":
        return list(imagenet_wnids()[:6])
    known = class_list(dataset)
    count = {"cifar10": 10, "cifar100": 100, "tiny-imagenet": 200}[dataset]
    return sorted(known) if known is not None and len(known) == count else [f"{i:03d}" for i in range(count)]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Class folders of digits, scaled to the size of each data set and named by its classes."""
    images = digits.load("train")
    home = tmp_path_factory.mktemp("data")
    for dataset, side in (("cifar10", 32), ("cifar100", 32), ("tiny-imagenet", 64), ("imagenet", 64)):
        for number, name in enumerate(_names_of(dataset)):
            image = Image.fromarray(images.read(np.array([number]))[0]).resize((side, side))
            splits = ("train", "test" if dataset.startswith("cifar") else "val")
            for split in splits if number < 10 else splits[1:]:
                place = home / dataset / split / name
                place.mkdir(parents=True)
                for copy in range(2 if dataset in ("cifar10", "imagenet") else 1):
                    image.save(place / f"{copy}.png")
    _write_splits(home)
    for name in ("EDSR", "CAE", "StylizedImageNet"):  # DeepAugment's written sets, next to ImageNet
        (home / name).symlink_to(home / "imagenet" / "train")
    return {path.name: path for path in home.iterdir()}


def _write_splits(home: Path) -> None:
    """Write manifests of DeepFashion Remixed and StreetView StoreFronts with an image of every set, and copies."""
    images = digits.load("train")
    heads = {"dfr": "file,split,label,scale,occlusion,viewpoint,zoom", "svsf": "file,label,country,year,camera"}
    rows = {
        "dfr": ["train,{0},2,2,2,1"] * 8 + ["validation,{0},2,2,2,1", "train,{0},1,2,2,1"],
        "svsf": ["{0},US,2019,new"] * 8 + ["{0},France,2019,new"],
    }
    for name, kinds in rows.items():
        lines = [heads[name]]
        for number, kind in enumerate(kinds):
            file = f"train/image/{number}.png"
            lines.append(f"{file},{kind.format(1 + number % 5)}")
            copies = ("EDSR", "CAE", "StylizedDFR", "StylizedSVSF")
            for place in (home / name / file, *(home / name / copy / "image" / f"{number}.png" for copy in copies)):
                place.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(images.read(np.array([number]))[0]).resize((64, 64)).save(place)
        (home / name / "manifest.csv").write_text("\n".join(lines) + "\n")


def _tiny(name: str) -> list[str]:
    """Return the settings that make a recipe a matter of one or two steps."""
    recipe = recipes.load(name)
    settings = ["data.limit=8", "batch_size=4", "epochs=1", "weights=fp16", "init=null"]
    settings += ["optimiser.warmup_epochs=0", "optimiser.lr=0.001"]
    if recipe.data.resized_crop is not None:
        settings += ["data.size=64"]
    if find(recipe.method).NEEDS_VALIDATION and recipe.data.validation_split is None:
        settings += ["data.validation=4"]
    for key, value in _cheap(recipe).items():
        settings.append(f"{key}={value}")
    return settings


def _cheap(recipe: Recipe) -> dict[str, int]:
    cheap = CHEAP | (NETWORK_OPTIONS if recipe.method == "cae" else {})
    known = find(recipe.method).__dataclass_fields__
    settings = {f"options.{key}": value for key, value in cheap.items() if key in known}
    return settings | ({"optimiser.milestones": []} if recipe.optimiser.milestones else {})  # type: ignore[dict-item]


def _train(name: str, data: Path | None, out: Path) -> Path:
    recipe = recipes.load(name)
    for network in needed.networks(recipe):
        place = out.parent / needed.folder_name(network)
        if not (place / "card.yaml").is_file():
            robench.train(network, data=data, out=place, set=_tiny(network), device="cpu", quiet=True)
    torch.set_num_threads(1)
    (trained,) = robench.train(name, data=data, out=out, set=_tiny(name), device="cpu", quiet=True)
    return trained.folder


def _check(name: str, folders: dict[str, Path], out: Path) -> None:
    recipe = recipes.load(name, _tiny(name))
    dataset = "imagenet" if recipe.data.dataset in ("images", "imagenet") else recipe.data.dataset
    data = folders.get(dataset)
    folder = _train(name, data, out / "models" / "model")
    if not recipe.num_classes:  # a network that augments images
        from robench.training.networks.distorter import load_network

        assert load_network(folder) is not None
        return
    images: dict[str, Any] = {"limit": 20} if data is None else {"data": data}
    suite = dataset if recipe.data.definition else "clean"
    if recipe.data.resized_crop is not None and not recipe.data.definition:  # as training looks at its test images
        images |= {"resize": round(recipe.data.size * 256 / 224), "crop": recipe.data.size}
    if recipe.data.definition:
        images["corruption"] = {"dfr": "iid,scale-small", "svsf": "iid,country-france"}[suite]
    result = robench.evaluate(
        str(folder), suite, out=out / "run", device="cpu", resamples=0, quiet=True, batch_size=16, **images
    )
    assert result is not None
    assert result.model.num_classes == recipe.num_classes
    assert result.model.card["recipe"] == name
    assert result.model.card["recipe_digest"] == digest(recipe)
    if recipe.data.definition:
        assert {cell.name for cell in result.cells} == set(images["corruption"].split(","))
        return
    error = result.summary["clean_error"].value
    assert error is not None
    assert 0.0 <= error <= 1.0
    if dataset != "digits":
        shared = {"test_accuracy": result.model.card["trained_with"]["test_accuracy"]}
        assert 1.0 - error == pytest.approx(shared["test_accuracy"], abs=1e-6)
    assert load_result(out / "run" / "result.json").model.name == name
    assert robench.api.table("augmix/1", results=out / "run", format="csv").count("\n") > 3


ONE_OF_EACH = _architectures()


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_one_recipe_of_each_architecture(name: str, folders: dict[str, Path], tmp_path: Path) -> None:
    _check(name, folders, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NAMES if name not in ONE_OF_EACH])
def test_every_recipe(name: str, folders: dict[str, Path], tmp_path: Path) -> None:
    _check(name, folders, tmp_path)
