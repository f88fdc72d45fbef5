"""Natural shifts: ImageNet-R, -A, -200, V2, Sketch, Real Blurry, CIFAR-10.1, clean sets, and metadata splits."""

from __future__ import annotations

import csv
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from published_layouts import INDICES, WNIDS, to_jpeg, write_classes

import robench
from robench import suites
from robench.data import digits
from robench.data.base import Geometry
from robench.data.classes import imagenet_names, imagenet_wnids
from robench.data.deepfashion2 import write_manifest
from robench.errors import RobenchError
from robench.suites import Cell, OpenOptions, OpenSuite
from robench.suites.splits import load_definition
from robench.suites.subsets import SUBSETS


def everything(opened: OpenSuite, cell: Cell) -> tuple[np.ndarray, list]:
    batches = list(opened.batches(cell, 3))
    return np.concatenate([b.images.numpy() for b in batches]), np.concatenate([b.target for b in batches]).tolist()


def write_subset(folder: Path, photos: list[np.ndarray], name: str, count: int = 4) -> list[int]:
    """Write two images into the folders of a subset's first classes; return ImageNet's numbers of these."""
    indices = list(SUBSETS[name][:count])
    for number, index in enumerate(indices):
        place = folder / imagenet_wnids()[index]
        place.mkdir(parents=True)
        for k in range(2):
            (place / f"art_{k}.jpg").write_bytes(to_jpeg(photos[(2 * number + k) % 8]))
    (folder / "README.txt").write_text("a list of classes")
    return indices


@pytest.mark.parametrize("name", ["imagenet-r", "imagenet-a"])
def test_subsets_count_labels_within_their_200_classes(name: str, tmp_path: Path, photos: list[np.ndarray]) -> None:
    indices = write_subset(tmp_path / name, photos, name)
    opened = suites.open_suite(name, tmp_path)
    images, target = everything(opened, Cell(name))
    assert images.shape == (8, 3, 224, 224)
    assert [int(suites.subset_indices(name)[t]) for t in target] == [i for i in indices for _ in range(2)]
    assert len(opened.classes) == 200
    assert opened.suite.cells == (Cell(name),)
    assert "8 images found" in opened.remarks[0]
    assert opened.protocol["geometry"] == {"resize": 256, "crop": 224, "interpolation": "bilinear"}


def test_the_subset_lists_are_those_of_the_papers() -> None:
    assert len(SUBSETS["imagenet-r"]) == len(SUBSETS["imagenet-a"]) == 200
    assert len(set(SUBSETS["imagenet-r"]) & set(SUBSETS["imagenet-a"])) == 86
    for indices in SUBSETS.values():
        assert list(indices) == sorted(set(indices))
    assert list(imagenet_wnids()) == sorted(imagenet_wnids())


def test_imagenet_200_is_cut_from_the_validation_folder(tmp_path: Path, photos: list[np.ndarray]) -> None:
    write_classes(tmp_path / "val", photos)
    write_subset(tmp_path / "imagenet-r", photos, "imagenet-r")
    kept = [i for i in INDICES if i in SUBSETS["imagenet-r"]]
    alone = suites.open_suite("imagenet-200", tmp_path / "val")
    beside = suites.open_suite("imagenet-r", tmp_path / "imagenet-r")
    assert [cell.name for cell in beside.suite.cells] == ["imagenet-200", "imagenet-r"]
    for opened in (alone, beside):
        _, target = everything(opened, Cell("imagenet-200"))
        assert sorted({int(suites.subset_indices("imagenet-r")[t]) for t in target}) == sorted(kept)
        assert len(target) == 2 * len(kept)


def test_a_class_outside_the_subset_is_refused(tmp_path: Path, photos: list[np.ndarray]) -> None:
    write_subset(tmp_path / "imagenet-r", photos, "imagenet-r")
    (tmp_path / "imagenet-r" / "n01440764").mkdir()  # class 0 is not one of the 200
    with pytest.raises(RobenchError, match="folders are not WordNet ids of the suite: n01440764"):
        suites.open_suite("imagenet-r", tmp_path / "imagenet-r")


def test_images_of_other_classes_are_counted_where_folders_have_names(tmp_path: Path, photos: list[np.ndarray]) -> None:
    for index in (*SUBSETS["imagenet-r"][:2], 0):
        place = tmp_path / imagenet_names()[index].split(",")[0]
        place.mkdir()
        (place / "a.jpg").write_bytes(to_jpeg(photos[0]))
    opened = suites.open_suite("imagenet-r", tmp_path)
    assert opened.total(Cell("imagenet-r")) == 2
    assert any("1 images of classes that are none of the suite's 200 were left out" in one for one in opened.remarks)


def test_a_folder_that_is_only_called_val_stops_no_suite(tmp_path: Path, photos: list[np.ndarray]) -> None:
    """Nobody has said that these are ImageNet's images; where somebody does, they must be."""
    write_classes(tmp_path / "sketch", photos)
    for name in ("cat", "dog"):
        (tmp_path / "val" / name).mkdir(parents=True)
        (tmp_path / "val" / name / "a.jpg").write_bytes(to_jpeg(photos[0]))
    opened = suites.open_suite("imagenet-sketch", tmp_path / "sketch")
    assert [cell.name for cell in opened.suite.cells] == ["imagenet-sketch"]
    assert any("val was not measured as the clean images:" in one and "cat, dog" in one for one in opened.remarks)
    with pytest.raises(RobenchError, match="cat, dog"):
        suites.open_suite("imagenet-sketch", tmp_path / "sketch", OpenOptions(clean=str(tmp_path / "val")))


def test_of_two_copies_of_a_set_the_one_that_was_read_is_named(tmp_path: Path, photos: list[np.ndarray]) -> None:
    for copy, names in (("format-val", ("0", "2")), ("format-val-wnid", WNIDS)):
        for name in names:
            place = tmp_path / f"imagenetv2-top-images-{copy}" / name
            place.mkdir(parents=True)
            (place / "a.jpeg").write_bytes(to_jpeg(photos[0]))
    opened = suites.open_suite("imagenet-v2", tmp_path)
    assert opened.total(Cell("top-images")) == 2
    assert any("format-val was read, not imagenetv2-top-images-format-val-wnid" in one for one in opened.remarks)


def test_a_models_own_geometry_replaces_the_protocols(tmp_path: Path, photos: list[np.ndarray]) -> None:
    write_subset(tmp_path / "imagenet-a", photos, "imagenet-a")
    own = Geometry(128, 96, "bicubic")
    opened = suites.open_suite("imagenet-a", tmp_path, OpenOptions(geometry=own))
    assert everything(opened, Cell("imagenet-a"))[0].shape[2:] == (96, 96)
    assert opened.protocol["geometry"] == own.record()
    plain = suites.open_suite("imagenet-a", tmp_path)
    assert suites.fit_to_model(plain, own).protocol == opened.protocol
    assert suites.fit_to_model(plain, None) is plain
    assert suites.fit_to_model(opened, Geometry(64, 64)) is opened  # the user's choice stays


def test_imagenet_v2_maps_folder_numbers_not_their_order(tmp_path: Path, photos: list[np.ndarray]) -> None:
    numbers = (0, 2, 10, 999)
    for variant in ("matched-frequency", "top-images"):
        for number in numbers:
            place = tmp_path / f"imagenetv2-{variant}-format-val" / str(number)
            place.mkdir(parents=True)
            (place / f"{number:x}.jpeg").write_bytes(to_jpeg(photos[number % 8]))
    opened = suites.open_suite("imagenet-v2", tmp_path)
    assert [cell.name for cell in opened.suite.cells] == ["matched-frequency", "top-images"]
    for cell in opened.suite.cells:
        assert sorted(everything(opened, cell)[1]) == list(numbers)
    one = suites.open_suite("imagenet-v2", tmp_path / "imagenetv2-top-images-format-val")
    assert [cell.name for cell in one.suite.cells] == ["top-images"]


def test_sketch_and_real_blurry(tmp_path: Path, photos: list[np.ndarray]) -> None:
    write_classes(tmp_path / "sketch", photos)
    opened = suites.open_suite("imagenet-sketch", tmp_path / "sketch")
    assert sorted(set(everything(opened, Cell("imagenet-sketch"))[1])) == sorted(INDICES)
    for index in (1, 281):
        place = tmp_path / "blurry" / imagenet_names()[index].split(",")[0]
        place.mkdir(parents=True)
        (place / "a.jpg").write_bytes(to_jpeg(photos[0]))
    named = suites.open_suite("real-blurry", tmp_path / "blurry")
    assert sorted(everything(named, Cell("real-blurry"))[1]) == [1, 281]
    write_classes(tmp_path / "by-wnid", photos)
    assert len(everything(suites.open_suite("real-blurry", tmp_path / "by-wnid"), Cell("real-blurry"))[1]) == 8


def test_cifar10_1_takes_the_versions_that_are_there(tmp_path: Path) -> None:
    test = digits.load("test")
    folder = tmp_path / "datasets"
    folder.mkdir()
    for version, count in (("v6", 20), ("v4", 23)):
        np.save(folder / f"cifar10.1_{version}_data.npy", test.array[:count])
        np.save(folder / f"cifar10.1_{version}_labels.npy", test.labels[:count].astype("<i4"))
    opened = suites.open_suite("cifar10.1", tmp_path)
    assert {cell.name: opened.length(cell) for cell in opened.suite.cells} == {"v6": 20, "v4": 23}
    assert everything(opened, Cell("v4"))[1] == test.labels[:23].tolist()
    (folder / "cifar10.1_v4_data.npy").unlink()
    assert [cell.name for cell in suites.open_suite("cifar10.1", folder).suite.cells] == ["v6"]


def test_clean_opens_any_set(tmp_path: Path, photos: list[np.ndarray], cifar_clean: Path) -> None:
    embedded = suites.open_suite("clean")
    assert (embedded.suite.num_classes, embedded.length(Cell("clean"))) == (10, 599)
    small = suites.open_suite("clean", cifar_clean)
    assert (small.suite.num_classes, small.length(Cell("clean"))) == (10, 20)
    write_classes(tmp_path / "set", photos)
    opened = suites.open_suite("clean", tmp_path / "set", OpenOptions(geometry=Geometry(64, 64)))
    assert opened.suite.num_classes == 4
    assert everything(opened, Cell("clean"))[0].shape == (8, 3, 64, 64)


def write_svsf(folder: Path, photos: list[np.ndarray]) -> Path:
    classes = load_definition("svsf").classes
    rows = []
    for i, (country, year, camera) in enumerate(
        [("US", 2019, "new"), ("Canada", 2019, "new"), ("US", 2018, "new"), ("Mexico", 2017, "new"),
         ("us", 2019, "old"), ("France", 2019, "new"), ("France", 2018, "new"), ("US", 2016, "new")]
    ):  # fmt: skip
        (folder / "images").mkdir(parents=True, exist_ok=True)
        (folder / "images" / f"{i}.jpg").write_bytes(to_jpeg(photos[i]))
        rows.append([f"images/{i}.jpg", classes[2 * i], country, year, camera])
    with open(folder / "manifest.csv", "w", newline="") as file:
        csv.writer(file).writerows([["file", "label", "country", "year", "camera"], *rows])
    return folder


def test_svsf_parts_a_manifest_by_one_changed_attribute(tmp_path: Path, photos: list[np.ndarray]) -> None:
    opened = suites.open_suite("svsf", write_svsf(tmp_path, photos))
    found = {cell.name: everything(opened, cell)[1] for cell in opened.suite.cells}
    assert found == {"iid": [0, 2], "year-2018": [4], "year-2017": [6], "camera-old": [8], "country-france": [10]}
    assert opened.suite.summary == ("shift",)


def test_files_that_a_manifest_names_elsewhere_are_called_so(tmp_path: Path, photos: list[np.ndarray]) -> None:
    path = write_svsf(tmp_path / "svsf", photos) / "manifest.csv"
    path.write_text(path.read_text().replace("images/2.jpg", f"{tmp_path}/elsewhere.jpg"))
    opened = suites.open_suite("svsf", path, OpenOptions(conditions=("year-2018",)))
    with pytest.raises(RobenchError) as caught:
        everything(opened, Cell("year-2018"))
    assert caught.value.message.startswith(f"{tmp_path}/elsewhere.jpg cannot be decoded")
    (tmp_path / "elsewhere.jpg").write_bytes(to_jpeg(photos[0]))
    assert len(everything(opened, Cell("year-2018"))[1]) == 1


def test_a_split_of_ones_own_is_a_few_lines_of_yaml(tmp_path: Path, photos: list[np.ndarray]) -> None:
    write_svsf(tmp_path, photos)
    classes = load_definition("svsf").classes
    text = json.dumps({"classes": classes, "iid": {"camera": "new"}, "ood": {"old": {"camera": "old"}}})
    (tmp_path / "own.yaml").write_text(text)
    opened = suites.open_suite("svsf", tmp_path, OpenOptions(definition=str(tmp_path / "own.yaml")))
    assert "own.yaml" in opened.suite.title
    assert "not comparable with svsf's" in opened.remarks[0]
    assert {cell.name: opened.length(cell) for cell in opened.suite.cells} == {"iid": 7, "old": 1}


def spoil_column(text: str) -> tuple[str, str]:
    return text.replace("camera", "lens"), "has no column camera"


def spoil_label(text: str) -> tuple[str, str]:
    return text.replace("auto shop", "auto shopp"), "row 1: 'auto shopp' is not a class"


def spoil_value(text: str) -> tuple[str, str]:
    return text.replace("old", "new"), "no row belongs to 'camera-old'"


def spoil_row(text: str) -> tuple[str, str]:
    return text.replace(",US,2018", ",US"), "row 3: expected 5 values; found 4"


def spoil_empty(text: str) -> tuple[str, str]:
    return text.replace(",US,2018", ",,2018"), "row 3: 'country' is empty"


@pytest.mark.parametrize("spoil", [spoil_column, spoil_label, spoil_value, spoil_row, spoil_empty])
def test_manifests_that_are_off_are_refused(tmp_path: Path, photos: list[np.ndarray], spoil: object) -> None:
    path = write_svsf(tmp_path, photos) / "manifest.csv"
    text, expected = spoil(path.read_text())
    path.write_text(text)
    with pytest.raises(RobenchError, match=expected):
        suites.open_suite("svsf", tmp_path)


def garment(category: int, scale: int = 2, occlusion: int = 2, viewpoint: int = 2, zoom: int = 1) -> dict:
    return {
        "category_id": category,
        "scale": scale,
        "occlusion": occlusion,
        "viewpoint": viewpoint,
        "zoom_in": zoom,
        "category_name": "x",
    }


DEEPFASHION = {
    "validation": [
        {"item1": garment(1), "item2": garment(8, scale=3)},
        {"item1": garment(3), "item2": garment(7)},
        {"item1": garment(2, scale=1)},
        {"item1": garment(4, occlusion=1), "item2": garment(5, occlusion=3)},
        {"item1": garment(6, viewpoint=1)},
        {"item1": garment(9, zoom=2)},
    ],
    "train": [
        {"item1": garment(10)},
        {"item1": garment(11, zoom=3)},
        {"item1": garment(12, viewpoint=3), "item2": garment(13, viewpoint=3, zoom=2)},
    ],
}


@pytest.fixture
def deepfashion(tmp_path: Path, photos: list[np.ndarray]) -> Path:
    """A small DeepFashion2 in its own layout."""
    for split, documents in DEEPFASHION.items():
        for kind in ("annos", "image"):
            (tmp_path / split / kind).mkdir(parents=True)
        for number, document in enumerate(documents, 1):
            record = {"source": "shop", "pair_id": number, **document}
            (tmp_path / split / "annos" / f"{number:06d}.json").write_text(json.dumps(record))
            (tmp_path / split / "image" / f"{number:06d}.jpg").write_bytes(to_jpeg(photos[number % 8]))
    return tmp_path


def test_dfr_is_seen_at_its_own_size_by_every_model(deepfashion: Path) -> None:
    write_manifest(deepfashion)
    opened = suites.fit_to_model(suites.open_suite("dfr", deepfashion), Geometry(resize=235, crop=224))
    assert opened.protocol["geometry"] == Geometry(resize=(256, 256)).record()
    chosen = suites.open_suite("dfr", deepfashion, OpenOptions(geometry=Geometry(resize=235, crop=224)))
    assert chosen.protocol["geometry"]["crop"] == 224


def test_dfr_is_made_from_deepfashion2s_annotations(deepfashion: Path) -> None:
    assert write_manifest(deepfashion) == deepfashion / "manifest.csv"
    opened = suites.open_suite("dfr", deepfashion)
    assert (opened.suite.task, opened.suite.num_classes) == ("multilabel", 13)
    found = {}
    for cell in opened.suite.cells:
        images, target = everything(opened, cell)
        assert images.shape[1:] == (3, 256, 256)
        found[cell.name] = [[k + 1 for k in range(13) if row[k]] for row in target]
    # The IID set is of the validation images alone, and only passing garments are labels.
    assert found == {
        "iid": [[1], [3, 7]],
        "scale-small": [[2]],
        "scale-large": [[8]],
        "occlusion-slight": [[4]],
        "occlusion-heavy": [[5]],
        "viewpoint-not-worn": [[6]],
        "viewpoint-side-back": [[12]],
        "zoom-medium": [[9]],
        "zoom-large": [[11]],
    }


def test_folders_are_listed_once_for_all_annotations(deepfashion: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DeepFashion2 has 192,000 images: listing them again for every annotation takes half a day."""
    listed: list[str] = []
    for name in ("scandir", "listdir"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda path, real=real: listed.append(str(path)) or real(path))
    write_manifest(deepfashion)
    assert sum(path.endswith("image") for path in listed) == 2


def test_damaged_annotations_are_refused(deepfashion: Path) -> None:
    path = deepfashion / "validation" / "annos" / "000001.json"
    text = path.read_text()
    path.write_text(text.replace('"scale": 3', '"scale": 4'))
    with pytest.raises(RobenchError, match=r"000001\.json: expected a category from 1 to 13"):
        write_manifest(deepfashion)
    path.write_text(text[:40])
    with pytest.raises(RobenchError, match=r"000001\.json: it is not valid JSON"):
        write_manifest(deepfashion)
    path.write_text(text)
    (deepfashion / "validation" / "image" / "000001.jpg").unlink()
    with pytest.raises(RobenchError, match="has no image"):
        write_manifest(deepfashion)


def test_wnids_in_the_fixtures_are_imagenets() -> None:
    assert tuple(imagenet_wnids()[i] for i in INDICES) == WNIDS


def test_a_folder_of_some_of_imagenets_classes_counts_in_all_of_them(tmp_path: Path, photos: list[np.ndarray]) -> None:
    write_classes(tmp_path / "set", photos)
    opened = suites.open_suite("clean", tmp_path / "set", OpenOptions(geometry=Geometry(64, 64)))
    assert sorted(set(everything(opened, Cell("clean"))[1])) == [0, 1, 2, 3]
    fitted = suites.fit_to_model(opened, None, num_classes=1000)
    assert (fitted.suite.num_classes, len(fitted.classes)) == (1000, 1000)
    assert sorted(set(everything(fitted, Cell("clean"))[1])) == sorted(INDICES)
    assert any("count in 1,000 by name" in remark for remark in fitted.remarks)
    assert fitted.protocol != opened.protocol
    # A model of these four classes, or of others, leaves the labels as they are.
    for classes in (4, 10, 200):
        assert suites.fit_to_model(opened, None, num_classes=classes) is opened
    with pytest.raises(RobenchError, match="has 4 classes, which cannot be counted in 10"):
        suites.open_suite("clean", tmp_path / "set", OpenOptions(num_classes=10, geometry=Geometry(64, 64)))


def test_imagenets_classes_are_counted_from_the_folders_up_to_the_result(
    tmp_path: Path, photos: list[np.ndarray]
) -> None:
    """A model that tells the 1,000 classes apart perfectly has no error on a folder of four of them."""
    flat = [np.full((64, 64, 3), 60 * (i % 4) + 20, np.uint8) for i in range(8)]
    write_classes(tmp_path / "set", flat)

    def decode(images: torch.Tensor) -> torch.Tensor:
        shade = ((images.mean((1, 2, 3)) * 255 - 20) / 60).round().long()
        return torch.nn.functional.one_hot(torch.tensor(INDICES)[shade], 1000).float() * 10

    result = robench.evaluate(
        decode, "clean", data=tmp_path / "set", out=tmp_path / "run", num_classes=1000, resamples=10, quiet=True
    )
    assert result.summary["clean_error"].value == 0.0
    assert result.suite.num_classes == 1000


@pytest.mark.parametrize(
    ("present", "classes", "counted"), [(9, 10, 10), (9, 1000, None), (10, 10, 10), (1000, 1001, None)]
)
def test_numbers_count_in_a_models_classes_where_the_upper_ones_are_there(
    present: int, classes: int, counted: int | None, tmp_path: Path
) -> None:
    np.save(tmp_path / "images.npy", np.zeros((max(20, present), 8, 8, 3), np.uint8))
    np.save(tmp_path / "labels.npy", np.arange(max(20, present)) % present)
    opened = suites.open_suite("clean", tmp_path)
    assert suites.fit_to_model(opened, None, num_classes=classes).suite.num_classes == (counted or present)


def test_names_of_cifar10_are_known_in_part_too(tmp_path: Path) -> None:
    for i, name in enumerate(("truck", "cat", "ship")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.png").write_bytes(to_jpeg(digits.load("test").array[i]))
    opened = suites.open_suite("clean", tmp_path)
    assert everything(suites.fit_to_model(opened, None, 10), Cell("clean"))[1] == [3, 8, 9]


def test_the_geometry_of_photographs_is_in_the_record_of_a_clean_set(tmp_path: Path, photos: list[np.ndarray]) -> None:
    write_classes(tmp_path / "set", photos)
    own = Geometry(64, 48)
    opened = suites.fit_to_model(suites.open_suite("clean", tmp_path / "set"), own)
    assert opened.protocol["geometry"] == own.record()


def test_a_model_that_names_its_classes_is_not_cut_to_those_of_a_folder(
    tmp_path: Path, photos: list[np.ndarray]
) -> None:
    """Of 1,000 classes all may be the answer, also where the folder has only four: 'shark' for a cat is an error."""
    write_classes(tmp_path / "set", photos)

    def always_shark(images: torch.Tensor) -> torch.Tensor:
        logits = torch.zeros(len(images), 1000)
        logits[:, 2] = 1.0  # none of the four folders
        return logits

    model = replace(robench.models.wrap(always_shark, num_classes=1000), classes=imagenet_wnids())
    result = robench.evaluate(model, "clean", data=tmp_path / "set", out=tmp_path / "run", resize=64, crop=64,
                              resamples=10, quiet=True)  # fmt: skip
    assert (result.suite.num_classes, result.summary["clean_error"].value) == (1000, 1.0)


def test_deepfashion_remixed_keeps_its_size_for_every_model(tmp_path: Path) -> None:
    opened = suites.get("dfr")
    assert opened.fixed_geometry
    assert opened.geometry == Geometry(resize=(256, 256))
    for data in (None, tmp_path):
        with pytest.raises(RobenchError) as caught:
            suites.open_suite("dfr", data)
        assert "robench data manifest-dfr" in str(caught.value.hint)
    with pytest.raises(RobenchError) as caught:
        suites.open_suite("svsf", tmp_path)
    assert "manifest.csv" in str(caught.value.hint)


def test_numbered_folders_without_0_are_not_counted_among_more_classes(tmp_path: Path) -> None:
    """Folders 1 to 9 may be classes 1 to 9 of ten, or the first nine that count from 1."""
    for number in range(1, 10):
        (tmp_path / "set" / str(number)).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / "set" / str(number) / "a.png")
    opened = suites.open_suite("clean", tmp_path / "set")
    assert suites.fit_to_model(opened, None, num_classes=9) is opened
    with pytest.raises(RobenchError, match="has classes 1 to 9; whether these count from 0 or from 1 among 10"):
        suites.fit_to_model(opened, None, num_classes=10)
    (tmp_path / "set" / "0").mkdir()
    opened = suites.fit_to_model(suites.open_suite("clean", tmp_path / "set"), None, num_classes=10)
    assert everything(opened, Cell("clean"))[1] == list(range(1, 10))


def test_a_resize_alone_keeps_the_shape_of_photographs(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (60, 40)).save(tmp_path / name / "1.png")
    options = OpenOptions(geometry=Geometry(resize=20))
    assert everything(suites.open_suite("clean", tmp_path, options), Cell("clean"))[0].shape == (2, 3, 20, 30)
