"""What every reader's images are checked for, whatever the form in which people keep them."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from published_layouts import to_jpeg, write_tree

from robench import suites
from robench.data import digits
from robench.data.cifar import CIFAR10_CLASSES
from robench.errors import RobenchError
from robench.suites import Cell, OpenOptions

COUNT = 20


def pixels(side: int) -> np.ndarray:
    """Return digits at 32 x 32, or enlarged to a multiple of it."""
    small = digits.load("test").array[:COUNT]
    return small.repeat(side // 32, 1).repeat(side // 32, 2)


def as_folders(place: Path, images: np.ndarray) -> Path:
    for i, image in enumerate(images):
        folder = place / CIFAR10_CLASSES[i % 10]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{i}.png")
    return place


def as_tar(place: Path, images: np.ndarray) -> Path:
    folder = as_folders(place.with_name("packed"), images)
    with tarfile.open(place.with_suffix(".tar"), "w") as archive:
        archive.add(folder, "set")
    return place.with_suffix(".tar")


def as_pair(place: Path, images: np.ndarray) -> Path:
    place.mkdir()
    np.save(place / "images.npy", images)
    np.save(place / "labels.npy", np.arange(len(images)) % 10)
    return place


def as_parquet(place: Path, images: np.ndarray) -> Path:
    place.mkdir(parents=True)
    rows = [{"image": {"bytes": to_jpeg(image), "path": None}, "label": i % 10} for i, image in enumerate(images)]
    pq.write_table(pa.Table.from_pylist(rows), place / "test-00000-of-00001.parquet")
    return place


READERS = [as_folders, as_tar, as_pair, as_parquet]
Reader = Callable[[Path, np.ndarray], Path]


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("suite", ["cifar10-c", "cifar10-p", "cifar10-sta"])
def test_a_suite_of_one_size_takes_no_other(reader: Reader, suite: str, tmp_path: Path) -> None:
    with pytest.raises(RobenchError, match="expected images of 32 x 32 pixels; found 64 x 64"):
        suites.open_suite(suite, reader(tmp_path / "large", pixels(64)))
    opened = suites.open_suite(suite, reader(tmp_path / "right", pixels(32)))
    assert opened.length(opened.suite.cells[-1]) == COUNT


@pytest.mark.parametrize("reader", [as_folders, as_tar])
@pytest.mark.parametrize(("suite", "side", "classes"), [("tiny-imagenet-c", 64, 200), ("cifar100-c", 32, 100)])
def test_images_of_other_classes_make_no_suite(
    reader: Reader, suite: str, side: int, classes: int, tmp_path: Path
) -> None:
    with pytest.raises(RobenchError, match=rf"10 (label names|classes; {suite} has {classes})"):
        suites.open_suite(suite, reader(tmp_path / "set", pixels(side)))


@pytest.mark.parametrize("reader", [as_pair, as_parquet])
def test_tiny_takes_no_other_size(reader: Reader, tmp_path: Path) -> None:
    with pytest.raises(RobenchError, match="expected images of 64 x 64 pixels; found 32 x 32"):
        suites.open_suite("tiny-imagenet-c", reader(tmp_path / "set", pixels(32)))


def test_published_trees_of_another_size_are_refused(tmp_path: Path) -> None:
    write_tree(tmp_path / "ImageNet-C", [np.full((256, 256, 3), 99, np.uint8)] * 4, ("fog",))
    with pytest.raises(RobenchError, match="'fog/1': expected images of 224 x 224 pixels; found 256 x 256"):
        suites.open_suite("imagenet-c", tmp_path / "ImageNet-C", OpenOptions(conditions=("fog",)))


def test_one_image_of_another_size_is_found_when_it_is_read(tmp_path: Path) -> None:
    folder = as_folders(tmp_path / "set", pixels(32))
    Image.fromarray(pixels(64)[0]).save(folder / "truck" / "9.png")
    opened = suites.open_suite("cifar10-c", folder)
    for size in (1, 64):
        with pytest.raises(RobenchError, match="expected images of 32 x 32 pixels; found 64 x 64"):
            list(opened.batches(Cell("clean"), size))


def write_arrays(place: Path, labels: np.ndarray, images: int) -> Path:
    """Write fog.npy, whose image i is of the grey i modulo 251, and labels.npy."""
    place.mkdir()
    greys = (np.arange(images) % 251).astype(np.uint8)
    np.save(place / "fog.npy", np.broadcast_to(greys[:, None, None, None], (images, 32, 32, 3)))
    np.save(place / "labels.npy", labels)
    return place


FOG = ("fog",)
PERIODIC = np.arange(200) % 10


def test_one_severity_with_labels_in_turn_is_one_cell(tmp_path: Path) -> None:
    """200 labels 0 to 9 in turn are five equal blocks of 40, too; only the user knows what the files hold."""
    place = write_arrays(tmp_path / "c", PERIODIC, 200)
    with pytest.raises(RobenchError, match="repeat every 10, so that they may be those of five severities or of one"):
        suites.open_suite("cifar10-c", place, OpenOptions(conditions=FOG))
    opened = suites.open_suite("cifar10-c", place, OpenOptions(conditions=FOG, severities=(5,)))
    assert {cell.name: opened.length(cell) for cell in opened.suite.cells} == {"fog/5": 200}
    assert "200 images found, 10,000 are published" in opened.remarks[0]


def test_the_published_number_of_images_tells_one_severity_from_five(tmp_path: Path) -> None:
    labels = np.arange(10_000) % 10
    five = suites.open_suite("cifar10-c", write_arrays(tmp_path / "five", np.tile(labels, 5), 50_000),
                             OpenOptions(conditions=FOG))  # fmt: skip
    assert [five.length(cell) for cell in five.suite.cells] == [10_000] * 5
    assert five.remarks == ()
    one = write_arrays(tmp_path / "one", np.random.default_rng(0).permutation(labels), 10_000)
    with pytest.raises(RobenchError, match="holds the 10,000 images of one severity; which one cannot be told"):
        suites.open_suite("cifar10-c", one, OpenOptions(conditions=FOG))
    opened = suites.open_suite("cifar10-c", one, OpenOptions(conditions=FOG, severities=(5,)))
    assert {cell.name: opened.length(cell) for cell in opened.suite.cells} == {"fog/5": 10_000}


@pytest.mark.parametrize("labels", [PERIODIC[:40], np.tile(PERIODIC[:40], 5)], ids=["once", "five times"])
def test_labels_of_one_severity_serve_images_of_five(labels: np.ndarray, tmp_path: Path) -> None:
    """And five times the labels serve images of one."""
    if len(labels) == 40:
        opened = suites.open_suite("cifar10-c", write_arrays(tmp_path / "c", labels, 200), OpenOptions(conditions=FOG))
        (batch,) = opened.batches(Cell("fog", 2), 50)
        assert batch.images[:, 0, 0, 0].tolist() == list(range(40, 80))
    else:
        options = OpenOptions(conditions=FOG, severities=(3,))
        opened = suites.open_suite("cifar10-c", write_arrays(tmp_path / "c", labels, 40), options)
        (batch,) = opened.batches(Cell("fog", 3), 50)
        assert batch.images[:, 0, 0, 0].tolist() == list(range(40))
    assert batch.target.tolist() == PERIODIC[:40].tolist()


def test_the_mark_of_generated_files_tells_five_severities(tmp_path: Path) -> None:
    from robench.suites.generate import generate, prepare

    source = as_pair(tmp_path / "clean", pixels(32)[:, :, ::-1])
    generate(prepare("cifar10-c", source, tmp_path / "c", conditions=("contrast",)))
    opened = suites.open_suite("cifar10-c", tmp_path / "c", OpenOptions(conditions=("contrast",)))
    assert (opened.source, [opened.length(cell) for cell in opened.suite.cells]) == ("generated", [COUNT] * 5)


@pytest.mark.parametrize("suite", ["clean", "cifar10-c", "cifar10-p", "cifar10-sta"])
def test_training_images_are_not_taken_for_the_test_set(suite: str, tmp_path: Path) -> None:
    as_folders(tmp_path / "train", pixels(32))
    with pytest.raises(RobenchError, match="holds the split train; 'test' is not there"):
        suites.open_suite(suite, tmp_path)
    as_folders(tmp_path / "val", pixels(32)[:10])
    opened = suites.open_suite(suite, tmp_path)
    assert opened.length(opened.suite.cells[0]) == 10


@pytest.mark.parametrize("suite", ["clean", "cifar10-c"])
def test_of_several_configurations_none_is_guessed(suite: str, tmp_path: Path) -> None:
    for name in ("cropped", "whole"):
        as_parquet(tmp_path / name, pixels(32))
    with pytest.raises(RobenchError, match="cropped, whole"):
        suites.open_suite(suite, tmp_path)


def test_tiny_from_parquet_without_names_has_the_suites_classes(tmp_path: Path) -> None:
    opened = suites.open_suite("tiny-imagenet-c", as_parquet(tmp_path / "set", pixels(64)), OpenOptions(conditions=FOG))
    assert (opened.suite.num_classes, opened.classes) == (200, None)
    assert opened.length(Cell("fog", 1)) == COUNT


def test_what_a_reader_left_out_stands_in_the_suites_remarks(tmp_path: Path) -> None:
    folder = as_folders(tmp_path / "set", pixels(32))
    (folder / "truck" / "photo.heic").write_bytes(b"x")
    for suite in ("clean", "cifar10-c", "cifar10-p", "cifar10-sta"):
        assert any("heic" in remark for remark in suites.open_suite(suite, folder).remarks)


def test_corruptions_that_robench_does_not_make_are_not_made(tmp_path: Path) -> None:
    with pytest.raises(RobenchError, match=r"has no folder of imagenet-3dcc, such as near_focus/1/"):
        suites.open_suite("imagenet-3dcc", as_folders(tmp_path / "clean", pixels(32)))
