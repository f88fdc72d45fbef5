"""Training images from the disk: class folders with labels, any folder without."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from robench.data import digits
from robench.errors import RobenchError
from robench.training import recipes
from robench.training.engine.disk import all_images, class_folders, crop_box, open_disk
from robench.training.engine.loop import train
from robench.training.engine.setup import _taken_out, prepare
from robench.training.engine.source import DeviceSource

CPU = torch.device("cpu")


@pytest.fixture
def image_folder(tmp_path: Path) -> Path:
    """Twelve digits of 40 x 36 pixels in the folders of their classes, one with a folder below."""
    images = digits.load("train")
    for number in range(12):
        folder = tmp_path / "train" / f"class{int(np.asarray(images.labels)[number])}" / ("deep" if number == 0 else "")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(images.read(np.array([number]))[0]).resize((40, 36)).save(folder / f"{number}.png")
    return tmp_path


def test_labels_are_the_classes_in_sorted_order(image_folder: Path) -> None:
    files, labels, names = class_folders(image_folder / "train")
    assert names == sorted(names)
    assert len(files) == 12
    for file, label in zip(files, labels, strict=True):
        assert names[label] in file.parts
    assert set(all_images(image_folder)[0]) == set(files)
    assert all_images(image_folder)[1] == [-1] * 12


def _squares(root: Path, split: str, names: list[str]) -> None:
    for name in names:
        (root / split / name).mkdir(parents=True)
        shade = np.full((32, 32, 3), int(name.removeprefix("c")) * 20, np.uint8)
        Image.fromarray(shade).save(root / split / name / "a.png")


def test_numbered_folders_and_hidden_ones_are_labelled_as_in_evaluation(tmp_path: Path) -> None:
    for split in ("train", "test"):
        _squares(tmp_path, split, [str(number) for number in range(12)])
    (tmp_path / "train" / ".ipynb_checkpoints").mkdir()
    files, labels, names = class_folders(tmp_path / "train")
    assert [int(file.parent.name) for file in files] == labels
    assert names == [str(number) for number in range(12)]
    recipe = recipes.load("standard-imagenet-resnet50", ["data.size=24", "data.test_split=test", "num_classes=12"])
    found = prepare(recipe, tmp_path, CPU)
    assert found.test is not None
    assert found.source.labels.tolist() == found.test.labels.tolist() == labels


def test_an_empty_class_folder_is_refused(tmp_path: Path) -> None:
    _squares(tmp_path, "train", ["c0", "c1"])
    (tmp_path / "train" / "logs").mkdir()
    with pytest.raises(RobenchError, match="hold no images: logs"):
        class_folders(tmp_path / "train")


@pytest.mark.parametrize("name", ["standard-imagenet-resnet50", "standard-digits"])
def test_test_images_are_counted_in_the_classes_of_the_training_images(name: str, tmp_path: Path) -> None:
    _squares(tmp_path, "train", ["c0", "c1", "c2", "c3"])
    _squares(tmp_path, "test", ["c1", "c3"])
    settings = ["data.size=32", "data.test_split=test", "num_classes=4", "data.validation_split=null"]
    found = prepare(recipes.load(name, settings), tmp_path, CPU)
    assert found.test is not None
    assert found.test.labels.tolist() == [1, 3]
    _squares(tmp_path, "test", ["c4"])
    with pytest.raises(RobenchError, match="The training images have no class c4"):
        prepare(recipes.load(name, settings), tmp_path, CPU)
    _squares(tmp_path, "test", ["c0", "c2"])  # all of the training images', and one more after them
    more = prepare(recipes.load(name, settings), tmp_path, CPU).test
    assert more is not None
    assert more.labels.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("crop", ["data.resized_crop=null", "data.resized_crop=[0.5, 1.0]"])
def test_few_images_of_class_folders_are_of_all_classes(crop: str, tmp_path: Path) -> None:
    for number in range(40):
        for split in ("train", "test"):
            place = tmp_path / split / f"c{number // 10}"
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((32, 32, 3), number, np.uint8)).save(place / f"{number}.png")
    settings = ["data.limit=8", "data.validation_split=null", "num_classes=4", crop]
    source = prepare(recipes.load("standard-digits", settings), tmp_path, CPU).source
    assert source.labels.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    if isinstance(source, DeviceSource):
        assert source.images[:, 0, 0, 0].tolist() == [0, 5, 10, 15, 20, 25, 30, 35]


def test_crops_depend_on_seed_epoch_and_number_alone(image_folder: Path) -> None:
    part = recipes.load("standard-imagenet-resnet50", ["data.size=24"]).data
    source = open_disk(part, image_folder, 1, CPU)
    source.workers = 0
    (whole,) = source.batches([torch.arange(12)], epoch=3)
    assert whole.shape == (12, 3, 24, 24)
    (few,) = source.batches([torch.tensor([7, 2])], epoch=3)
    assert torch.equal(few, whole[[7, 2]])
    (later,) = source.batches([torch.arange(12)], epoch=4)
    assert not torch.equal(later, whole)


def test_held_out_images_are_cropped_as_test_images_are(image_folder: Path) -> None:
    part = recipes.load("autolabel-augmix-imagenet-resnet50", ["data.size=24"]).data
    source = open_disk(part, image_folder, 1, CPU)
    source.workers = 0
    held = _taken_out(source, torch.tensor([7, 2]), part, CPU)
    assert torch.equal(held.labels, source.labels[[7, 2]])
    for found, number in zip(held.images, (7, 2), strict=True):
        scaled = Image.open(source.files[number]).convert("RGB").resize((30, 27), Image.Resampling.BILINEAR)
        assert np.array_equal(found.permute(1, 2, 0).numpy(), np.asarray(scaled.crop((3, 2, 27, 26))))


def test_copies_of_held_out_images_are_not_trained_on(image_folder: Path) -> None:
    recipe = recipes.load("deepaugment-imagenet-resnet50", ["data.size=24", "data.validation=4"])
    with pytest.raises(RobenchError, match="their copies are in the folders"):
        prepare(recipe, image_folder, CPU)


def test_reading_leaves_pytorchs_random_numbers(image_folder: Path) -> None:
    """A run that resumes within an epoch begins to read once more than an unbroken one."""
    source = open_disk(recipes.load("cae", ["data.size=24"]).data, image_folder, 1, CPU)
    source.workers = 0
    before = torch.get_rng_state()
    assert len(list(source.batches([torch.arange(4)], epoch=0))) == 1
    assert torch.equal(torch.get_rng_state(), before)


def test_crop_boxes_lie_within_and_have_their_area() -> None:
    random = np.random.default_rng(0)
    shares = []
    for _ in range(400):
        left, upper, right, lower = crop_box(300, 200, (0.08, 1.0), random)
        assert 0 <= left < right <= 300
        assert 0 <= upper < lower <= 200
        assert 0.7 < (right - left) / (lower - upper) < 1.4
        shares.append((right - left) * (lower - upper) / 60_000)
    assert min(shares) > 0.07
    assert max(shares) > 0.8


@pytest.mark.parametrize("name", ["edsr", "cae"])
def test_networks_learn_from_any_folder_of_images(name: str, image_folder: Path, tmp_path: Path) -> None:
    small = ["options.blocks=2", "options.features=8"] if name == "edsr" else ["options.width=8", "options.code=4"]
    recipe = recipes.load(name, ["data.size=32", "batch_size=4", "epochs=6", "optimiser.lr=0.003", *small])
    train(recipe, image_folder / "train", tmp_path / "out", quiet=True)
    with (tmp_path / "out" / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])


def test_what_needs_labels_refuses_a_flat_folder(image_folder: Path, tmp_path: Path) -> None:
    flat = tmp_path / "flat"
    flat.mkdir()
    for file in (image_folder / "train").rglob("*.png"):
        (flat / file.name).write_bytes(file.read_bytes())
    with pytest.raises(RobenchError, match="No class folders"):
        train(recipes.load("standard-imagenet-resnet50"), flat, tmp_path / "out", quiet=True)
    with pytest.raises(RobenchError, match="No images"):
        all_images(tmp_path / "train" / "nothing")
