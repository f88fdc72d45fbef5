"""ImageNet-O in its published layout, and any folder as a set of foreign images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from published_layouts import to_jpeg

from robench import suites
from robench.api.models import DataClasses, data_classes
from robench.data.base import Geometry
from robench.data.classes import imagenet_wnids
from robench.errors import RobenchError
from robench.suites import Cell, OpenOptions
from robench.suites.subsets import SUBSETS


def _class_folders(folder: Path, photos: list[np.ndarray], indices: list[int]) -> None:
    for number, index in enumerate(indices):
        place = folder / imagenet_wnids()[index]
        place.mkdir(parents=True)
        (place / f"n0{number}.jpg").write_bytes(to_jpeg(photos[number % 8]))


def test_imagenet_o_is_foreign_and_its_validation_images_are_not(tmp_path: Path, photos: list[np.ndarray]) -> None:
    own = list(SUBSETS["imagenet-o"][:3])
    _class_folders(tmp_path / "imagenet-o", photos, own)
    _class_folders(tmp_path / "val", photos, [0, *own])  # class 0 is none of the 200
    opened = suites.open_suite("imagenet-o", tmp_path / "imagenet-o")
    assert [cell.name for cell in opened.suite.cells] == ["clean", "imagenet-o"]
    target = {cell.name: next(opened.batches(cell, 9)).target.tolist() for cell in opened.suite.cells}
    assert target == {"clean": [0, 1, 2], "imagenet-o": [-1, -1, -1]}
    assert opened.suite.subset == "imagenet-o"


def test_the_list_of_imagenet_o_has_the_published_ends() -> None:
    """The classes that its README lists first and last, and how many there are."""
    listed = [imagenet_wnids()[i] for i in SUBSETS["imagenet-o"]]
    assert (listed[0], listed[1], listed[-1], len(listed)) == ("n01443537", "n01704323", "n13052670", 200)


def test_imagenet_o_without_validation_images_says_what_to_do(tmp_path: Path, photos: list[np.ndarray]) -> None:
    _class_folders(tmp_path / "imagenet-o", photos, list(SUBSETS["imagenet-o"][:2]))
    opened = suites.open_suite("imagenet-o", tmp_path / "imagenet-o")
    assert [cell.name for cell in opened.suite.cells] == ["imagenet-o"]
    assert any("robench ood" in remark for remark in opened.remarks)


def test_a_folder_of_any_depth_is_a_set_of_foreign_images(tmp_path: Path, photos: list[np.ndarray]) -> None:
    for name in ("a.jpg", "deep/er/b.jpg", "deep/c.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(to_jpeg(photos[0]))
    (tmp_path / "deep" / "notes.txt").write_text("not an image")
    opened = suites.open_suite("ood", tmp_path, OpenOptions(geometry=Geometry(resize=40, crop=32)))
    batch = next(opened.batches(Cell("ood"), 8))
    assert (tuple(batch.images.shape), batch.target.tolist()) == ((3, 3, 32, 32), [-1] * 3)
    assert opened.suite.dataset == tmp_path.name
    assert any("1 file was not read" in remark and ".txt" in remark for remark in opened.remarks)


def test_no_foreign_image_counts_twice(tmp_path: Path, photos: list[np.ndarray]) -> None:
    for name in ("a.jpg", "deep/b.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(to_jpeg(photos[0]))
    (tmp_path / "deep" / "up").symlink_to(tmp_path)
    (tmp_path / "again").symlink_to("deep")
    assert suites.open_suite("ood", tmp_path).total(Cell("ood")) == 2
    (tmp_path / "deep" / "b (1).jpg").write_bytes(to_jpeg(photos[0]))
    with pytest.raises(RobenchError, match=r"b \(1\)\.jpg is a copy of b\.jpg"):
        suites.open_suite("ood", tmp_path)


def test_labels_of_a_foreign_set_do_not_count(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", np.zeros((4, 8, 8, 3), np.uint8))
    np.save(tmp_path / "labels.npy", np.arange(4))
    opened = suites.open_suite("ood", tmp_path, OpenOptions(clean="digits"))
    assert next(opened.batches(Cell("ood"), 4)).target.tolist() == [-1] * 4
    assert next(opened.batches(Cell("clean"), 4)).target.min() >= 0
    assert opened.suite.num_classes == 10


@pytest.mark.parametrize(("data", "expected"), [(None, "needs images"), ("empty", "does not hold"), ("lost", "exist")])
def test_no_foreign_images_are_refused(data: str | None, expected: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(RobenchError, match=expected):
        suites.open_suite("ood", None if data is None else tmp_path / data)


def test_the_name_of_a_folder_of_outliers_says_nothing_of_the_models_classes(tmp_path: Path) -> None:
    """A zero-shot model was made of CIFAR-10's names where the outliers lay in a folder called cifar10."""
    (tmp_path / "cifar10").mkdir()
    np.save(tmp_path / "cifar10" / "images.npy", np.zeros((4, 8, 8, 3), np.uint8))
    np.save(tmp_path / "cifar10" / "labels.npy", np.arange(4))
    opened = suites.open_suite("ood", tmp_path / "cifar10", OpenOptions(clean="digits"))
    assert data_classes(opened) == DataClasses(10, None, None)
