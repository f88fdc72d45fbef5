"""ImageNet's validation images in one folder are read with each of the tables in which their labels come."""

from __future__ import annotations

import io
import shutil
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from robench import suites
from robench.data import open_images
from robench.data.base import Geometry, Images
from robench.data.classes import imagenet_wnids
from robench.data.flat import find_flat, load_flat
from robench.errors import RobenchError

LABELS = [65, 970, 230, 809, 516, 57]  # of the first six images
SIZE = Geometry(32, 32)


def write_images(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(len(LABELS)):
        data = io.BytesIO()
        Image.fromarray(np.full((40, 48, 3), 40 * i, np.uint8)).save(data, "JPEG", quality=95)
        (folder / f"ILSVRC2012_val_{i + 1:08d}.JPEG").write_bytes(data.getvalue())
    return folder


def wnid(i: int) -> str:
    return imagenet_wnids()[LABELS[i]]


def kaggle(place: Path) -> None:
    rows = [f"ILSVRC2012_val_{i + 1:08d},{wnid(i)} 1 2 3 4 " for i in reversed(range(len(LABELS)))]
    (place / "LOC_val_solution.csv").write_text("ImageId,PredictionString\n" + "\n".join(rows) + "\n")


def synsets(place: Path) -> None:
    text = "\n".join(wnid(i) for i in range(len(LABELS)))
    (place / "imagenet_2012_validation_synset_labels.txt").write_text(text)


def caffe(place: Path) -> None:
    lines = [f"ILSVRC2012_val_{i + 1:08d}.JPEG {label}" for i, label in enumerate(LABELS)]
    (place / "val.txt").write_text("\n".join(lines))


def kit(place: Path) -> None:
    numbers = np.random.default_rng(0).permutation(1000) + 1  # the kit's own order of classes
    kinds = np.array([(numbers[i], w) for i, w in enumerate(imagenet_wnids())],
                     dtype=[("ILSVRC2012_ID", "O"), ("WNID", "O")])  # fmt: skip
    savemat(place / "meta.mat", {"synsets": kinds})
    text = "\n".join(str(numbers[label]) for label in LABELS)
    (place / "ILSVRC2012_validation_ground_truth.txt").write_text(text)


def greys(images: Images) -> dict[int, int]:
    """Return label -> grey level of its image."""
    pixels = images.read(np.arange(len(images)))
    assert images.labels is not None
    return {int(label): round(int(pixels[i, 16, 16, 0]) / 40) for i, label in enumerate(images.labels)}


RIGHT = {label: i for i, label in enumerate(LABELS)}
TABLES = [kaggle, synsets, caffe, kit]


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("nested", [False, True])
def test_labels_come_from_the_table_beside_the_images(
    table: Callable[[Path], None], nested: bool, tmp_path: Path
) -> None:
    write_images(tmp_path / "ILSVRC/Data/CLS-LOC/val" if nested else tmp_path)
    table(tmp_path)
    for dataset in (None, "imagenet"):
        images = open_images(tmp_path, dataset=dataset, geometry=SIZE)
        assert greys(images) == RIGHT
        assert images.classes == imagenet_wnids()
        assert images.remarks == ()


def test_of_several_tables_the_one_that_was_read_is_named(tmp_path: Path) -> None:
    write_images(tmp_path)
    kaggle(tmp_path)
    caffe(tmp_path)
    (remark,) = open_images(tmp_path, geometry=SIZE).remarks
    assert remark.endswith("has LOC_val_solution.csv and val.txt; LOC_val_solution.csv was read.")


def test_the_order_and_the_names_are_those_of_class_folders(tmp_path: Path) -> None:
    flat = write_images(tmp_path / "flat")
    kaggle(flat)
    for i in range(len(LABELS)):
        name = f"ILSVRC2012_val_{i + 1:08d}.JPEG"
        (tmp_path / "sorted" / wnid(i)).mkdir(parents=True)
        shutil.copy(flat / name, tmp_path / "sorted" / wnid(i) / name)
    together = open_images(flat, dataset="imagenet", geometry=SIZE)
    apart = open_images(tmp_path / "sorted", dataset="imagenet", geometry=SIZE)
    assert list(together.files or ()) == list(apart.files or ())
    np.testing.assert_array_equal(together.labels, apart.labels)
    np.testing.assert_array_equal(together.read(np.arange(6)), apart.read(np.arange(6)))


def test_the_names_are_not_gone_through_again_for_every_name(tmp_path: Path) -> None:
    """50,000 names, gone through for each of them, take a minute."""
    times = 0

    class Counted(list[str]):
        def __iter__(self) -> Iterator[str]:
            nonlocal times
            times += 1
            return super().__iter__()

    found = find_flat(write_images(tmp_path))
    caffe(tmp_path)
    assert found is not None
    assert len(load_flat(found._replace(names=Counted(found.names)))) == len(LABELS)
    assert times < len(LABELS)


def test_the_published_tar_stays_packed(tmp_path: Path) -> None:
    flat = write_images(tmp_path / "flat")
    with tarfile.open(tmp_path / "ILSVRC2012_img_val.tar", "w") as archive:
        for file in sorted(flat.iterdir()):
            archive.add(file, file.name)
    caffe(tmp_path)
    assert greys(open_images(tmp_path / "ILSVRC2012_img_val.tar", geometry=SIZE)) == RIGHT


def test_images_without_their_labels_are_told_which_tables_serve(tmp_path: Path) -> None:
    write_images(tmp_path / "set" / "val")
    with pytest.raises(RobenchError, match="in one folder, without their labels") as refused:
        open_images(tmp_path / "set")
    assert "LOC_val_solution.csv" in str(refused.value)
    kit(tmp_path / "set")
    (tmp_path / "set" / "meta.mat").unlink()
    with pytest.raises(RobenchError, match=r"own order, which is not that of the models; meta\.mat is missing"):
        open_images(tmp_path / "set")


@pytest.mark.parametrize(
    ("table", "spoil", "said"),
    [
        (kaggle, lambda text: text.replace("ImageId", "Image"), "expected the columns ImageId and PredictionString"),
        (kaggle, lambda text: "\n".join(text.splitlines()[:4]), "has no class of ImageNet for 3 of 6 images"),
        (synsets, lambda text: text + "\ncat", "expected one WordNet id per line"),
        (caffe, lambda text: text.replace(" 970", " 1000"), "expected lines 'NAME LABEL' with labels from 0 to 999"),
        (kit, lambda text: text + "\n1001", "expected one number from 1 to 1000 per line"),
    ],
)
def test_a_damaged_table_is_refused(
    table: Callable[[Path], None], spoil: Callable[[str], str], said: str, tmp_path: Path
) -> None:
    write_images(tmp_path)
    table(tmp_path)
    (path,) = (file for file in tmp_path.iterdir() if file.suffix in (".csv", ".txt"))
    path.write_text(spoil(path.read_text()))
    with pytest.raises(RobenchError, match=said):
        open_images(tmp_path)


def test_suites_take_the_folder_for_the_validation_set(tmp_path: Path) -> None:
    write_images(tmp_path)
    kaggle(tmp_path)
    opened = suites.open_suite("imagenet-c", tmp_path, suites.OpenOptions(conditions=("contrast",), severities=(5,)))
    assert (opened.source, opened.suite.num_classes) == ("generated", 1000)
    clean = suites.open_suite("clean", tmp_path, suites.OpenOptions(geometry=SIZE))
    assert clean.suite.num_classes == 1000
    (batch,) = clean.batches(clean.suite.cells[0], 10)
    assert sorted(batch.target.tolist()) == sorted(LABELS)
