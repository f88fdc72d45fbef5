"""Sets that are taken for another set, or whose labels are damaged, are refused before anything is measured."""

from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from published_layouts import WNIDS, file_name, write_cifar_c, write_classes, write_tree
from pyarrow import parquet

from robench import suites
from robench.data import digits
from robench.data.base import Geometry
from robench.data.manifest import read_manifest
from robench.data.video import encode_clip
from robench.errors import RobenchError
from robench.suites import Cell, OpenOptions
from robench.suites.checks import check_labels
from robench.suites.generate import prepare
from robench.suites.splits import load_definition


@pytest.mark.parametrize("label", [-1, 10])
def test_labels_out_of_range_are_refused(cifar_c: Path, label: int) -> None:
    labels = np.load(cifar_c / "labels.npy").astype(np.int64)
    labels[::20] = label
    np.save(cifar_c / "labels.npy", labels)
    with pytest.raises(RobenchError, match=r"expected 0 to 9|5 of 100 labels are missing or negative"):
        suites.open_suite("cifar10-c", cifar_c)


def test_labels_that_leave_the_upper_classes_out_are_another_sets() -> None:
    check_labels(np.arange(1000) % 10, 10, "x")
    check_labels(np.arange(20) % 10, 100, "a few images may lack most classes")
    with pytest.raises(RobenchError, match="labels go from 0 to 9; expected 0 to 99"):
        check_labels(np.arange(1000) % 10, 100, "x")
    with pytest.raises(RobenchError, match="labels go from 1 to 10") as caught:
        check_labels(np.arange(1000) % 10 + 1, 10, "x")
    assert "subtract 1" in str(caught.value.hint)


@pytest.mark.parametrize("suite", ["cifar100-c", "cifar100-p"])
def test_the_clean_set_of_another_suite_is_refused(cifar_clean: Path, tmp_path: Path, suite: str) -> None:
    for opened in (
        lambda: suites.open_suite(suite, cifar_clean),
        lambda: prepare(suite, cifar_clean, tmp_path / "out"),
    ):
        with pytest.raises(RobenchError, match="10 of 10 label names fit no class of the suite") as caught:
            opened()
        assert "Give images of the suite's classes" in str(caught.value.hint)


@pytest.mark.parametrize("suite", ["cifar100-c", "cifar100-p"])
def test_a_clean_set_of_fewer_numbered_classes_is_refused(tmp_path: Path, suite: str) -> None:
    np.save(tmp_path / "images.npy", np.zeros((1000, 32, 32, 3), np.uint8))
    np.save(tmp_path / "labels.npy", np.arange(1000) % 10)
    with pytest.raises(RobenchError, match="labels go from 0 to 9; expected 0 to 99"):
        suites.open_suite(suite, tmp_path)


def test_of_several_sets_in_a_folder_none_is_guessed(cifar_c: Path) -> None:
    write_cifar_c(cifar_c.parent / "CIFAR-100-C", ("fog",))
    with pytest.raises(RobenchError, match="several sets of this layout: CIFAR-10-C, CIFAR-100-C"):
        suites.open_suite("cifar100-c", cifar_c.parent)
    for name in ("CIFAR-10-P", "CIFAR-100-P"):
        (cifar_c.parent / name).mkdir()
        np.save(cifar_c.parent / name / "scale.npy", np.zeros((2, 31, 32, 32, 3), np.uint8))
    with pytest.raises(RobenchError, match="several sets of this layout: CIFAR-10-P, CIFAR-100-P"):
        suites.open_suite("cifar100-p", cifar_c.parent)
    (cifar_c.parent / "CIFAR-100-C" / "labels.npy").unlink()
    assert suites.open_suite("cifar10-c", cifar_c.parent).source == "published"


def test_arrays_of_another_image_size_are_refused(cifar_c: Path) -> None:
    np.save(cifar_c / "fog.npy", np.load(cifar_c / "fog.npy").repeat(2, 1).repeat(2, 2))
    with pytest.raises(RobenchError, match="expected images of 32 x 32"):
        suites.open_suite("cifar10-c", cifar_c)


def test_arrays_without_labels_are_told_so_and_a_labelled_pair_is_a_clean_set(cifar_c: Path, tmp_path: Path) -> None:
    (cifar_c / "labels.npy").unlink()
    with pytest.raises(RobenchError, match=r"labels\.npy is missing"):
        suites.open_suite("cifar10-c", cifar_c)
    test = digits.load("test")
    pair = tmp_path / "pair"
    pair.mkdir()
    np.save(pair / "images.npy", test.array[:20])
    np.save(pair / "labels.npy", test.labels[:20])
    assert suites.open_suite("cifar10-c", pair).source == "generated"


def test_sequences_of_differing_numbers_of_clips_are_refused(tmp_path: Path) -> None:
    for cell in suites.get("cifar10-p").cells:
        frames = {"motion_blur": 21, "translate": 16}.get(cell.name, 31)
        clips = 2 if cell.name == "scale" else 3
        np.save(tmp_path / f"{cell.name}.npy", np.zeros((clips, frames, 32, 32, 3), np.uint8))
    with pytest.raises(RobenchError, match=r"scale\.npy has 2 clips and .* 3"):
        suites.open_suite("cifar10-p", tmp_path)


def test_tiny_classes_are_counted_only_where_every_condition_has_them(tmp_path: Path) -> None:
    images = [np.full((64, 64, 3), 20 * i, np.uint8) for i in range(4)]
    root = write_tree(tmp_path / "Tiny-ImageNet-C", images, ("fog", "frost", "snow"))
    for severity in range(1, 6):
        (root / "frost" / str(severity) / "n00000001").mkdir()  # frost was published with classes of ImageNet's
    only = OpenOptions(conditions=("frost",))
    opened = suites.open_suite("tiny-imagenet-c", root, only)
    assert opened.classes == tuple(sorted(WNIDS))
    assert opened.suite.num_classes == 4
    shutil.rmtree(root / "fog" / "3" / WNIDS[0])
    with pytest.raises(RobenchError, match=f"only one of them has {WNIDS[0]}"):
        suites.open_suite("tiny-imagenet-c", root, OpenOptions(conditions=("fog", "snow")))


def test_a_file_that_cannot_be_found_is_one_image_lost_and_no_crash(tmp_path: Path) -> None:
    images = [np.full((256, 256, 3), 20 * i, np.uint8) for i in range(8)]
    root = write_classes(tmp_path / "blurry_images", images)
    first, second = sorted(root.glob("*/*.JPEG"))[:2]
    first.unlink()
    first.symlink_to("nowhere.JPEG")
    second.unlink()
    second.symlink_to(second.name)
    opened = suites.open_suite("real-blurry", root, OpenOptions(skip_corrupt=True))
    cell = Cell("real-blurry")
    batches = list(opened.batches(cell, 1))
    assert sum(len(batch.index) for batch in batches) == 6
    assert [len(batch.index) + len(batch.unreadable) for batch in batches] == [1] * 8
    lost = [message for batch in opened.batches(cell, 4) for message in batch.unreadable]
    assert [first.name in lost[0], second.name in lost[1]] == [True, True]
    with pytest.raises(RobenchError, match="cannot be decoded"):
        list(suites.open_suite("real-blurry", root).batches(cell, 4))


def test_a_strange_folder_among_wordnet_ids_is_named(tmp_path: Path) -> None:
    root = write_classes(tmp_path / "blurry_images", [np.full((256, 256, 3), i, np.uint8) for i in range(4)])
    (root / "n01440764 copy").mkdir()
    with pytest.raises(RobenchError, match="1 of 5 folders are not WordNet ids of the suite: n01440764 copy"):
        suites.open_suite("real-blurry", root)


def test_a_clip_of_another_size_is_named(tmp_path: Path) -> None:
    for i, side in enumerate((224, 200)):
        path = tmp_path / "scale" / WNIDS[0] / f"{file_name(i)}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_clip(np.zeros((31, side, side, 3), np.uint8)))
    opened = suites.open_suite("imagenet-p", tmp_path, OpenOptions(conditions=("scale",)))
    with pytest.raises(RobenchError, match="its frames are 200 x 200, not 224 x 224"):
        list(opened.batches(Cell("scale"), 62))


def test_packed_archives_are_read_where_the_clean_images_lie_beside_them(tmp_path: Path) -> None:
    images = [np.full((224, 224, 3), 20 * i, np.uint8) for i in range(4)]
    write_tree(tmp_path / "made", images, ("fog",))
    data = tmp_path / "ImageNet-C"
    write_classes(data / "val", images)
    with tarfile.open(data / "weather.tar", "w") as archive:
        archive.add(tmp_path / "made" / "fog", "fog")
    opened = suites.open_suite("imagenet-c", data, OpenOptions(conditions=("fog",)))
    assert opened.source == "published"
    assert [cell.name for cell in opened.suite.cells] == ["clean", *(f"fog/{s}" for s in range(1, 6))]


def test_of_several_natural_sets_the_named_one_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = [np.full((256, 256, 3), i, np.uint8) for i in range(4)]
    for name in ("imagenet-a", "imagenet-sketch", "imagenetv2-top-images-format-val"):
        write_classes(tmp_path / name, images[: 2 if name == "imagenet-a" else 4])
    opened = suites.open_suite("imagenet-sketch", tmp_path)
    assert opened.length(Cell("imagenet-sketch")) == 4
    with pytest.raises(RobenchError, match="holds several sets"):
        suites.open_suite("real-blurry", tmp_path)
    monkeypatch.chdir(tmp_path / "imagenetv2-top-images-format-val")
    assert suites.open_suite("imagenet-v2", ".").suite.cells == (Cell("top-images"),)


def test_whole_numbers_of_a_manifest_may_be_written_as_floats(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text("file,label,year\na.0,5.0,2019.0\n")
    rows = read_manifest(tmp_path / "manifest.csv", ["file", "label", "year"])
    assert rows == {"file": ["a.0"], "label": ["5"], "year": ["2019"]}


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_two_columns_of_one_name_are_refused_where_they_are_needed(form: str, tmp_path: Path) -> None:
    path, columns = tmp_path / f"manifest.{form}", {"file": "a", "label": "5", "note": "x"}
    heads, values = [*columns, "label", "note"], [*columns.values(), "6", "y"]
    if form == "csv":
        path.write_text(f"{','.join(heads)}\n{','.join(values)}\n")
    else:
        parquet.write_table(pa.Table.from_arrays([pa.array([value]) for value in values], names=heads), path)
    assert read_manifest(path, ["file"]) == {"file": ["a"]}
    with pytest.raises(RobenchError, match="2 columns named 'label'"):
        read_manifest(path, ["file", "label"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [("classes: 3", "classes: input should be a valid list; iid: field required"), (None, "No such file")],
)
def test_what_is_no_definition_is_refused_in_words(text: str | None, expected: str, tmp_path: Path) -> None:
    definition = tmp_path / "mine.yaml"
    if text is not None:
        definition.write_text(text)
    with pytest.raises(RobenchError, match=expected) as refused:
        load_definition(definition)
    assert "pydantic" not in str(refused.value)


@pytest.mark.parametrize("name", ["iid", "a/b", "", "..", "x" * 101])
def test_a_set_takes_neither_the_iid_sets_place_nor_anothers_file(name: str, tmp_path: Path) -> None:
    path = tmp_path / "d.yaml"
    path.write_text(json.dumps({"classes": ["a"], "iid": {"camera": "new"}, "ood": {name: {"camera": "old"}}}))
    with pytest.raises(RobenchError, match="a set cannot be called"):
        load_definition(path)


def test_an_unquoted_no_in_a_definition_is_refused(tmp_path: Path) -> None:
    definition = tmp_path / "mine.yaml"
    definition.write_text("classes: [cat, dog]\niid: {night: no}\nood: {dark: {night: yes}}\n")
    with pytest.raises(RobenchError, match="night"):
        load_definition(definition)


def test_class_names_that_are_numbers_go_before_class_numbers(tmp_path: Path) -> None:
    """The class called 1 is the first of 1, 2, 3, not the second."""
    for label in ("1", "2", "3"):
        Image.new("RGB", (8, 8)).save(tmp_path / f"{label}.png")
    (tmp_path / "manifest.csv").write_text("file,label,year\n1.png,1,a\n2.png,2,a\n3.png,3,a\n")
    definition = tmp_path / "d.yaml"
    definition.write_text('classes: ["1", "2", "3"]\niid: {year: a}\nood: {later: {year: b}}\n')
    options = OpenOptions(definition=str(definition), conditions=("iid",), geometry=Geometry(8, 8))
    (batch,) = suites.open_suite("svsf", tmp_path, options).batches(Cell("iid"), 3)
    assert batch.target.tolist() == [0, 1, 2]
    definition.write_text("classes: [cat, Cat]\niid: {year: a}\nood: {later: {year: b}}\n")
    with pytest.raises(RobenchError, match="two classes have the same name"):
        load_definition(definition)


def test_of_two_trees_side_by_side_none_is_guessed_or_mixed(tmp_path: Path) -> None:
    images = [np.full((224, 224, 3), 20 * i, np.uint8) for i in range(4)]
    write_tree(tmp_path / "mine", images, ("fog",))
    write_tree(tmp_path / "official", images, ("fog", "snow"))
    options = OpenOptions(conditions=("fog", "snow"))
    with pytest.raises(RobenchError, match="holds several sets with this condition: mine/fog, official/fog"):
        suites.open_suite("imagenet-c", tmp_path, options)
    assert suites.open_suite("imagenet-c", tmp_path / "official", options).classes is not None
    # Sequences of the same name are no second set.
    shutil.rmtree(tmp_path / "mine")
    (tmp_path / "ImageNet-P" / "snow" / WNIDS[0]).mkdir(parents=True)
    cells = suites.open_suite("imagenet-c", tmp_path, options).suite.cells
    assert [cell.name for cell in cells] == [f"{name}/{s}" for name in ("snow", "fog") for s in range(1, 6)]


def test_clean_images_of_some_of_tinys_classes_count_in_all_of_them(tmp_path: Path) -> None:
    images = [np.full((64, 64, 3), 20 * i, np.uint8) for i in range(4)]
    root = write_tree(tmp_path / "Tiny-ImageNet-C", images, ("fog",))
    clean = write_classes(tmp_path / "clean", images)
    shutil.rmtree(clean / sorted(WNIDS)[0])
    options = OpenOptions(clean=str(clean), conditions=("fog",))
    (batch,) = suites.open_suite("tiny-imagenet-c", root, options).batches(Cell("clean"), 9)
    assert batch.target.tolist() == [1, 2, 3]
    (clean / "n00000001").mkdir()
    Image.new("RGB", (64, 64)).save(clean / "n00000001" / "a.png")
    with pytest.raises(RobenchError, match="fit no class of the suite"):
        suites.open_suite("tiny-imagenet-c", root, options)
