"""Every form a labelled set may have gives the same images; damaged or doubtful ones are refused."""

from __future__ import annotations

import io
import json
import os
import sys
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from robench.data import Geometry, open_images
from robench.data.classes import class_list, imagenet_names, imagenet_wnids, label_map
from robench.data.encoded import EncodedImages
from robench.data.formats import CorruptImageError
from robench.data.hub import load_hub
from robench.data.trees import TarTree
from robench.errors import RobenchError

WNIDS = ("n01440764", "n01443537", "n02123045")
LABELS = [0, 1, 281]


@pytest.fixture
def folder(tmp_path: Path, jpegs: list[bytes]) -> Path:
    """Four images in each of three class folders."""
    for i, data in enumerate(jpegs):
        place = tmp_path / "set" / WNIDS[i // 4]
        place.mkdir(parents=True, exist_ok=True)
        (place / f"image_{i:02d}.JPEG").write_bytes(data)
    return tmp_path / "set"


def read_all(images: EncodedImages) -> np.ndarray:
    return images.read(np.arange(len(images)))


@pytest.fixture
def expected(folder: Path) -> np.ndarray:
    return read_all(open_images(folder, geometry=Geometry(64, 48)))


def pack(folder: Path, target: Path, prefix: str = "") -> Path:
    with tarfile.open(target, "w") as archive:
        archive.add(folder, prefix or ".")
    return target


def test_folders_and_tars_give_the_same(folder: Path, expected: np.ndarray, tmp_path: Path) -> None:
    assert expected.shape == (12, 48, 48, 3)
    packed = pack(folder, tmp_path / "set.tar")
    wrapped = pack(folder, tmp_path / "wrapped.tar", "imagenet-x/imagenet-x")
    for place in (packed, wrapped):
        images = open_images(place, dataset="imagenet", geometry=Geometry(64, 48), workers=3)
        assert np.array_equal(read_all(images), expected)
        assert images.labels.tolist() == [label for label in LABELS for _ in range(4)]
        assert images.classes == imagenet_wnids()


def test_without_a_class_list_folders_are_numbered_in_order(folder: Path) -> None:
    images = open_images(folder)
    assert images.classes == WNIDS
    assert images.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4


def test_numeric_folders_are_sorted_as_numbers(tmp_path: Path, jpegs: list[bytes]) -> None:
    for number in (10, 9, 8, 7, 6, 5, 4, 3, 2, 1):
        (tmp_path / "s" / str(number)).mkdir(parents=True)
        (tmp_path / "s" / str(number) / "a.jpg").write_bytes(jpegs[0])
    assert open_images(tmp_path / "s").classes == tuple(str(number) for number in range(1, 11))


def test_parquet_and_saved_folders_give_the_same(
    folder: Path, expected: np.ndarray, tmp_path: Path, jpegs: list[bytes]
) -> None:
    images = pa.array([{"bytes": data, "path": None} for data in jpegs])
    info = {"info": {"features": {"label": {"names": list(WNIDS), "_type": "ClassLabel"}}}}
    labels = pa.array([i // 4 for i in range(12)])
    table = pa.table({"image": images, "label": labels}).replace_schema_metadata({"huggingface": json.dumps(info)})
    (tmp_path / "hub" / "data").mkdir(parents=True)
    pq.write_table(table, tmp_path / "hub" / "data" / "validation-00000-of-00001.parquet")
    saved = tmp_path / "saved" / "test"
    saved.mkdir(parents=True)
    (tmp_path / "saved" / "dataset_dict.json").write_text('{"splits": ["test"]}')
    (saved / "state.json").write_text('{"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}')
    with (
        pa.OSFile(str(saved / "data-00000-of-00001.arrow"), "wb") as out,
        pa.ipc.new_stream(out, table.schema) as writer,
    ):
        writer.write_table(table, max_chunksize=5)
    for place in (tmp_path / "hub", tmp_path / "saved"):
        opened = open_images(place, dataset="imagenet", geometry=Geometry(64, 48))
        assert np.array_equal(read_all(opened), expected)
        assert opened.labels.tolist() == [label for label in LABELS for _ in range(4)]
    with pytest.raises(RobenchError, match="has no split 'train'"):
        open_images(tmp_path / "saved", split="train")


def test_webdataset_shards_give_the_same(expected: np.ndarray, tmp_path: Path, jpegs: list[bytes]) -> None:
    def add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))

    for shard in range(2):
        with tarfile.open(tmp_path / f"imagenet-val-{shard:06d}.tar", "w") as archive:
            for i in range(6 * shard, 6 * shard + 6):
                add(archive, f"{i:08d}.jpg", jpegs[i])
                label = LABELS[i // 4]
                if i % 2:
                    add(archive, f"{i:08d}.cls", str(label).encode())
                else:
                    add(archive, f"{i:08d}.json", json.dumps({"label": label}).encode())
    opened = open_images(tmp_path, dataset="imagenet", geometry=Geometry(64, 48))
    assert np.array_equal(read_all(opened), expected)
    assert opened.labels.tolist() == [label for label in LABELS for _ in range(4)]


def test_the_hub_asks_for_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(RobenchError, match=r"pip install 'robench\[hub\]'"):
        open_images("hf:owner/name")


@pytest.mark.parametrize("streaming", [False, True])
def test_the_hub_is_read_through_datasets(
    tmp_path: Path, jpegs: list[bytes], expected: np.ndarray, streaming: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    datasets = pytest.importorskip("datasets", reason="the optional package 'datasets' is not installed")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    info = {"info": {"features": {"image": {"_type": "Image"}, "label": {"names": WNIDS, "_type": "ClassLabel"}}}}
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    images = pa.array([{"bytes": data, "path": None} for data in jpegs], kind)
    table = pa.table({"image": images, "label": pa.array([i // 4 for i in range(12)])})
    (tmp_path / "hub" / "data").mkdir(parents=True)
    table = table.replace_schema_metadata({"huggingface": json.dumps(info)})
    pq.write_table(table, tmp_path / "hub" / "data" / "test-00000-of-00001.parquet")
    opened = load_hub(
        str(tmp_path / "hub"), streaming=streaming, limit=9 if streaming else None, geometry=Geometry(64, 48)
    )
    count = 9 if streaming else 12
    assert np.array_equal(read_all(opened), expected[:count])
    assert opened.labels.tolist() == [i // 4 for i in range(count)]
    assert tuple(opened.classes) == WNIDS


@pytest.mark.parametrize("streaming", [False, True])
def test_a_row_of_the_hub_without_an_image_is_one_that_cannot_be_read(
    tmp_path: Path, jpegs: list[bytes], streaming: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    datasets = pytest.importorskip("datasets", reason="the optional package 'datasets' is not installed")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    rows = [{"bytes": jpegs[0], "path": None}, None, {"bytes": None, "path": str(tmp_path)}]
    info = {"info": {"features": {"image": {"_type": "Image"}, "label": {"_type": "Value", "dtype": "int64"}}}}
    table = pa.table({"image": pa.array(rows, kind), "label": pa.array([0, 1, 1])})
    (tmp_path / "hub").mkdir()
    pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps(info)}), tmp_path / "hub" / "test.parquet")
    opened = load_hub(str(tmp_path / "hub"), streaming=streaming)
    assert len(opened.checksum()) == 64
    assert len(opened.read(np.array([0]))) == 1
    for row, said in ((1, "neither bytes nor a path"), (2, "it is a folder|Is a directory")):
        with pytest.raises(CorruptImageError, match=rf"row {row} cannot be decoded: .*({said})"):
            opened.read(np.array([row]))


def test_images_do_not_depend_on_order_or_workers(folder: Path, expected: np.ndarray) -> None:
    images = open_images(folder, geometry=Geometry(64, 48), workers=4)
    order = np.array([7, 2, 2, 11, 0])
    assert np.array_equal(images.read(order), expected[order])
    assert np.array_equal(open_images(folder, geometry=Geometry(64, 48), workers=1).read(order), expected[order])


def test_the_checksum_follows_every_image_where_all_have_one_length(tmp_path: Path) -> None:
    """Those of bitmaps do not change with their pixels; 64 of the images are not all of them."""
    for i in range(100):
        place = tmp_path / "ab"[i % 2] / f"{i:02d}.bmp"
        place.parent.mkdir(exist_ok=True)
        Image.new("RGB", (8, 8), (i, 0, 0)).save(place)
    first = open_images(tmp_path).checksum()
    seen = set()
    for i in range(100):
        place = tmp_path / "ab"[i % 2] / f"{i:02d}.bmp"
        Image.new("RGB", (8, 8), (i, 1, 0)).save(place)
        seen.add(open_images(tmp_path).checksum())
        Image.new("RGB", (8, 8), (i, 0, 0)).save(place)
    assert len(seen) == 100
    assert first not in seen
    assert open_images(tmp_path).checksum() == first


def test_the_checksum_follows_names_and_sizes(folder: Path) -> None:
    before = open_images(folder).checksum()
    assert open_images(folder).checksum() == before
    (folder / WNIDS[0] / "image_00.JPEG").rename(folder / WNIDS[0] / "image_000.JPEG")
    assert open_images(folder).checksum() != before


def test_a_corrupt_image_is_named_and_others_are_read(folder: Path) -> None:
    bad = folder / WNIDS[1] / "image_05.JPEG"
    bad.write_bytes(bad.read_bytes()[:300])
    images = open_images(folder, geometry=Geometry(64, 48))
    with pytest.raises(RobenchError, match=r"n01443537/image_05\.JPEG cannot be decoded"):
        read_all(images)
    assert len(images.read(np.array([0, 1, 11]))) == 3


def test_images_of_differing_sizes_need_a_geometry(folder: Path) -> None:
    with pytest.raises(RobenchError, match="one batch needs one size"):
        read_all(open_images(folder))


def test_a_folder_that_is_no_wordnet_id_is_refused(folder: Path) -> None:
    (folder / "cats").mkdir()
    with pytest.raises(RobenchError, match="folders are not WordNet ids of the suite: cats"):
        open_images(folder, dataset="imagenet")


def test_copies_are_refused(folder: Path) -> None:
    original = folder / WNIDS[0] / "image_00.JPEG"
    (folder / WNIDS[0] / "image_00 (1).JPEG").write_bytes(original.read_bytes())
    with pytest.raises(RobenchError, match=r"image_00 \(1\)\.JPEG is a copy of image_00\.JPEG"):
        open_images(folder)


def test_a_validation_image_in_two_classes_is_refused(folder: Path, jpegs: list[bytes]) -> None:
    for wnid in WNIDS[:2]:
        (folder / wnid / "ILSVRC2012_val_00000001.JPEG").write_bytes(jpegs[0])
    with pytest.raises(RobenchError, match="in two class folders"):
        open_images(folder)


def test_a_link_that_leads_to_itself_does_no_harm(folder: Path, expected: np.ndarray) -> None:
    os.symlink(folder, folder / WNIDS[0] / "loop")
    os.symlink("knot.JPEG", folder / WNIDS[0] / "knot")
    assert np.array_equal(read_all(open_images(folder, geometry=Geometry(64, 48))), expected)


@pytest.mark.parametrize("keep", [700, 200_000])
def test_a_truncated_tar_is_refused(folder: Path, tmp_path: Path, keep: int) -> None:
    packed = pack(folder, tmp_path / "set.tar")
    packed.write_bytes(packed.read_bytes()[:keep])
    with pytest.raises(RobenchError, match=r"set\.tar"):
        open_images(packed)


def test_links_in_a_tar_are_not_seen(folder: Path, tmp_path: Path) -> None:
    os.symlink("/etc/passwd", folder / WNIDS[0] / "image_99")
    tree = TarTree([pack(folder, tmp_path / "set.tar")])
    assert tree.files(WNIDS[0]) == [f"image_{i:02d}.JPEG" for i in range(4)]


def test_tiny_imagenet_finds_its_labels_in_the_table(tmp_path: Path, jpegs: list[bytes]) -> None:
    root = tmp_path / "tiny-imagenet-200"
    (root / "val" / "images").mkdir(parents=True)
    (root / "wnids.txt").write_text("n02123045\nn01443537\n")
    lines = []
    for i, wnid in enumerate(["n02123045", "n01443537", "n02123045"]):
        (root / "val" / "images" / f"val_{i}.JPEG").write_bytes(jpegs[i])
        (root / "train" / wnid / "images").mkdir(parents=True, exist_ok=True)
        (root / "train" / wnid / "images" / f"{wnid}_{i}.JPEG").write_bytes(jpegs[i])
        lines.append(f"val_{i}.JPEG\t{wnid}\t0\t0\t62\t62\n")
    (root / "val" / "val_annotations.txt").write_text("".join(lines))
    images = open_images(tmp_path, geometry=Geometry((64, 64)))
    assert images.classes == ("n01443537", "n02123045")
    assert list(zip(images.files, images.labels.tolist(), strict=True)) == [
        ("val_1.JPEG", 0),
        ("val_0.JPEG", 1),
        ("val_2.JPEG", 1),
    ]
    assert read_all(images).shape == (3, 64, 64, 3)
    assert open_images(tmp_path, split="train").labels.tolist() == [0, 1, 1]
    (root / "val" / "images" / "val_1.JPEG").unlink()
    with pytest.raises(RobenchError, match=r"lacks 1 images .* such as val_1\.JPEG"):
        open_images(tmp_path)


def test_empty_and_missing_places_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(RobenchError, match="does not hold images in a known form"):
        open_images(tmp_path / "empty")
    with pytest.raises(RobenchError, match="does not exist"):
        open_images(tmp_path / "gone")


def test_labels_are_mapped_by_name_or_refused() -> None:
    wanted = ("airplane", "automobile", "bird")
    assert label_map(["Bird", "air plane", "automobile"], wanted, "x").tolist() == [2, 0, 1]
    wnids = imagenet_wnids()
    names = ["goldfish, Carassius auratus", "n01440764", "tabby, tabby cat"]
    assert label_map(names, wnids, "x").tolist() == [1, 0, 281]
    with pytest.raises(RobenchError, match="fit no class of the suite, or several: 'horse'"):
        label_map(["bird", "horse"], wanted, "x")
    with pytest.raises(RobenchError, match="fit no class of the suite, or several: 'crane'"):
        label_map(["crane"], wnids, "x")  # a bird and a machine
    with pytest.raises(RobenchError, match="fit the same class"):
        label_map(["bird", "Bird"], wanted, "x")


def test_cifar100_is_brought_to_its_own_order_by_name(tmp_path: Path, jpegs: list[bytes]) -> None:
    """Class folders of other spellings, and the hub's copy with its letter missing, are the published classes."""
    wanted = class_list("cifar100")
    assert wanted is not None
    assert label_map([*wanted[::-1]], wanted, "x").tolist() == list(range(99, -1, -1))
    spelt = {"crab": "cra", "maple_tree": "Maple", "lawn_mower": "lawn-mower", "pickup_truck": "pickup truck"}
    assert label_map([spelt.get(name, name) for name in wanted], wanted, "x").tolist() == list(range(100))
    for name in ("Willow", "aquarium fish"):  # sorted as files are, capitals come first
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.jpg").write_bytes(jpegs[0])
    images = open_images(tmp_path, dataset="cifar100")
    assert images.labels is not None
    assert sorted(wanted[label] for label in images.labels) == ["aquarium_fish", "willow_tree"]
    with pytest.raises(RobenchError, match="fit no class of the suite"):
        label_map(["hawthorn"], wanted, "x")


def test_label_numbers_beyond_the_classes_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", np.zeros((3, 32, 32, 3), np.uint8))
    np.save(tmp_path / "labels.npy", np.array([0, 1, 10]))
    with pytest.raises(RobenchError, match="labels go from 0 to 10; expected 0 to 9"):
        open_images(tmp_path, dataset="cifar10")


def test_imagenets_own_names_are_told_apart_by_their_position() -> None:
    names = list(imagenet_names())
    assert label_map(names, imagenet_wnids(), "x").tolist() == list(range(1000))
    names[0], names[1] = names[1], names[0]
    with pytest.raises(RobenchError, match="fit no class of the suite, or several"):
        label_map(names, imagenet_wnids(), "x")


def test_hidden_test_labels_give_way_to_the_validation_split(tmp_path: Path) -> None:
    image = pa.array([{"bytes": b"x", "path": "x"}] * 3, pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    (tmp_path / "data").mkdir()
    hidden = pa.table({"image": image, "label": [-1, -1, -1]})
    pq.write_table(hidden, tmp_path / "data" / "test-00000-of-00001.parquet")
    with pytest.raises(RobenchError, match="3 of 3 rows have no label"):
        open_images(tmp_path)
    shown = pa.table({"image": image, "label": [2, 0, 1]})
    pq.write_table(shown, tmp_path / "data" / "validation-00000-of-00001.parquet")
    found = open_images(tmp_path).labels
    assert found is not None
    assert found.tolist() == [2, 0, 1]


def test_a_saved_set_of_another_split_is_named(tmp_path: Path, jpegs: list[bytes]) -> None:
    table = pa.table({"image": pa.array([{"bytes": data, "path": None} for data in jpegs[:2]]), "label": [0, 1]})
    with pa.OSFile(str(tmp_path / "a.arrow"), "wb") as out, pa.ipc.new_stream(out, table.schema) as writer:
        writer.write_table(table)
    for split, said in (("train", True), ("test", False), (None, False)):
        state = {"_data_files": [{"filename": "a.arrow"}], "_split": split}
        (tmp_path / "state.json").write_text(json.dumps(state))
        remarks = open_images(tmp_path).remarks
        assert any("was saved of the split train; it was read as the test images" in one for one in remarks) is said


def test_labels_of_tiny_imagenet_count_its_sorted_ids_whatever_lists_them(tmp_path: Path, jpegs: list[bytes]) -> None:
    """Its own list has another order, as have copies made from it."""
    images = pa.array([{"bytes": data, "path": None} for data in jpegs[:3]])
    names = [WNIDS[2], WNIDS[0], WNIDS[1]]
    info = {"info": {"features": {"label": {"names": names, "_type": "ClassLabel"}}}}
    table = pa.table({"image": images, "label": [0, 1, 2]}).replace_schema_metadata({"huggingface": json.dumps(info)})
    pq.write_table(table, tmp_path / "valid-00000-of-00001.parquet")
    found = open_images(tmp_path, dataset="tiny-imagenet")
    assert found.classes == tuple(sorted(names))
    assert found.labels.tolist() == [2, 0, 1]
    assert any("labels were brought to the suite's by name" in remark for remark in found.remarks)
