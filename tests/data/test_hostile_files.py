"""Files that would hang, fill the memory, run a program or kill the process are refused in words."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from reader_forms import LABELS, Made, folders, pixels, png, table

import robench
from robench.data import Geometry, open_images
from robench.data.archive import unpack
from robench.data.arrays import map_npy, read_rows
from robench.data.decode import resize_and_crop
from robench.data.formats import CorruptImageError, read_rgb
from robench.data.manifest import read_manifest
from robench.errors import RobenchError

# Endless and enormous files


@pytest.mark.parametrize(
    ("place", "said"),
    [
        (lambda p: os.mkfifo(p), "not a regular file"),
        (lambda p: p.symlink_to("/dev/zero"), "not a regular file"),
        (lambda p: p.symlink_to(p), "[Ss]ymbolic link"),
        (lambda p: p.symlink_to("nowhere.png"), "No such file"),
        (lambda p: os.truncate(os.open(p, os.O_CREAT | os.O_WRONLY), 1 << 40), "1,099,511,627,776 bytes"),
    ],
    ids=["pipe", "device", "loop", "nowhere", "giant"],
)
def test_what_is_not_an_image_file_in_a_class_folder_is_named(
    place: Callable[[Path], None], said: str, tmp_path: Path
) -> None:
    folders(tmp_path, Made())
    place(tmp_path / "test" / "cat" / "zz.png")
    images = open_images(tmp_path)
    row = [str(name) for name in images.files or ()].index("cat/zz.png")
    with pytest.raises(CorruptImageError, match=rf"cat/zz\.png cannot be decoded: .*{said}"):
        images.read(np.array([row]))
    assert len(images.checksum()) == 64


@pytest.mark.parametrize("name", ["images.npy", "set.tar", "set.parquet", "batch", "manifest.csv"])
def test_a_pipe_instead_of_a_set_is_refused_and_not_waited_for(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(RobenchError):
        open_images(tmp_path / name)
    with pytest.raises(RobenchError, match="not a regular file"):
        map_npy(tmp_path / name)


@pytest.mark.parametrize("path", ["x" * 5000, "a\0b", "", "/dev/zero"])
def test_paths_that_cannot_be_are_refused(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RobenchError) as caught:
        open_images(path)
    assert len(caught.value.message) < 500


def column(data: list[bytes], repeat: int) -> pa.Table:
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    images = pa.array([{"bytes": one, "path": None} for one in data * repeat], kind)
    return pa.table({"image": images, "label": pa.array([0] * len(images))})


def test_a_parquet_file_that_grows_ten_thousandfold_is_refused(tmp_path: Path) -> None:
    big = column([bytes(1 << 20)], 100)
    pq.write_table(big, tmp_path / "test-00000-of-00001.parquet", compression="zstd")
    assert (tmp_path / "test-00000-of-00001.parquet").stat().st_size < 200_000
    with pytest.raises(RobenchError, match="would grow from"):
        open_images(tmp_path)
    pq.write_table(pa.table({"file": ["x" * (1 << 20)] * 100}), tmp_path / "manifest.parquet", compression="zstd")
    with pytest.raises(RobenchError, match="would grow from"):
        read_manifest(tmp_path / "manifest.parquet", ["file"])


def test_a_saved_set_that_grows_is_refused(tmp_path: Path) -> None:
    big = column([bytes(1 << 20)], 100)
    (tmp_path / "state.json").write_text('{"_data_files": [{"filename": "a.arrow"}]}')
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with (
        pa.OSFile(str(tmp_path / "a.arrow"), "wb") as out,
        pa.ipc.new_stream(out, big.schema, options=options) as to,
    ):
        to.write_table(big, max_chunksize=8)
    with pytest.raises(RobenchError, match="would grow from"):
        open_images(tmp_path)


def test_an_image_that_a_resize_would_make_enormous_is_refused() -> None:
    line = np.zeros((2, 9000, 3), np.uint8)
    for interpolation in ("bilinear", "nearest"):
        with pytest.raises(RobenchError, match="would be resized to 448 x 2,016,000"):
            resize_and_crop(line, Geometry(448, None, interpolation))  # type: ignore[arg-type]
    assert resize_and_crop(line, Geometry(448, 64)).shape == (64, 64, 3)


def test_a_batch_that_does_not_fit_into_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from robench.data import encoded

    monkeypatch.setattr(encoded, "_MAX_BATCH", 3 * 32 * 32 * 3)
    with pytest.raises(RobenchError, match="4 images of 32 x 32 pixels do not fit into memory"):
        open_images(folders(tmp_path, Made())).read(np.arange(4))


# Programs


def test_no_reader_hands_a_file_to_an_interpreter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from robench.training.engine import disk

    program = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n(" + bytes(tmp_path / "pwned") + b") (w) file\n"
    path = tmp_path / "1.png"
    path.write_bytes(program)
    calls: list[object] = []
    monkeypatch.setattr("subprocess.Popen", lambda *a, **k: calls.append(a))
    monkeypatch.setattr("subprocess.check_call", lambda *a, **k: calls.append(a))
    with pytest.raises(RobenchError, match="not an image of a known format"):
        read_rgb(path)
    with pytest.raises(RobenchError, match="not an image of a known format"):
        robench.gallery(path)
    part = type("Part", (), {"resized_crop": (0.1, 1.0), "size": 32})()
    with pytest.raises(RobenchError, match="not an image of a known format"):
        disk._Crops([path], part, 0, 0)[0]
    assert calls == []
    assert Image.registered_extensions()[".ps"] == "EPS"  # what Pillow alone would take it for
    assert not (tmp_path / "pwned").exists()


# Tables


def write(root: Path, name: str, made: pa.Table) -> Path:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(made, root / name)
    return root


SET = "test-00000-of-00001.parquet"


def test_several_configurations_are_named_and_one_can_be_given(tmp_path: Path) -> None:
    for name in ("full", "cropped"):
        write(tmp_path, f"{name}/{SET}", table(Made()))
    with pytest.raises(RobenchError, match="2 configurations of the split 'test': cropped, full") as caught:
        open_images(tmp_path)
    assert str(tmp_path / "cropped") in str(caught.value)
    assert len(open_images(tmp_path / "full")) == 4
    for name in ("a", "b"):
        write(tmp_path / "hub", f"{name}/test/0000.parquet", table(Made()))
    with pytest.raises(RobenchError, match="2 configurations of the split 'test': a, b"):
        open_images(tmp_path / "hub")
    assert len(open_images(tmp_path / "hub" / "a")) == 4
    assert len(open_images(tmp_path / "hub" / "a" / "test")) == 4


@pytest.mark.parametrize("names", [["test-00001-of-00002.parquet"], ["default/test/0001.parquet"]])
def test_a_missing_file_of_a_split_is_noticed(names: list[str], tmp_path: Path) -> None:
    for name in names:
        write(tmp_path, name, table(Made()))
    with pytest.raises(RobenchError, match="1 of the 2 files of 'test' are missing, such as number 0"):
        open_images(tmp_path)


def test_files_of_a_split_are_read_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number in range(11):
        write(tmp_path, f"default/test/{number}.parquet", table(Made(labels=[number % 10] * 4)))
    labels = open_images(tmp_path).labels
    assert labels is not None
    assert labels.tolist() == [number % 10 for number in range(11) for _ in range(4)]


def test_a_name_without_a_split_is_the_cause_that_is_told(tmp_path: Path) -> None:
    write(tmp_path, "cats.parquet", table(Made()))
    with pytest.raises(RobenchError, match=r"do not say of which split they are, such as cats\.parquet"):
        open_images(tmp_path)
    assert len(open_images(tmp_path / "cats.parquet")) == 4


def renamed(**columns: str) -> pa.Table:
    made = table(Made()).replace_schema_metadata(None)
    return pa.table({new: made.column(old) for new, old in columns.items()})


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (renamed(image="image", img="image", label="label"), "several image columns: image, img"),
        (renamed(image="image", label="label", cls="label"), "several label columns: label, cls"),
        (renamed(photo="image", label="label"), "no image column; expected one of image, .* found photo, label"),
        (renamed(image="image"), "no label column"),
        (renamed(image="label", label="label"), "expected encoded images .* found int64"),
        (table(Made()).slice(0, 0), "has no rows"),
        (table(Made()).replace_schema_metadata({"huggingface": "{"}), "hub's metadata"),
        (table(Made()).replace_schema_metadata({"huggingface": "[" * 9999}), "hub's metadata"),
    ],
    ids=["two images", "two labels", "no image", "no label", "numbers", "empty", "metadata", "deep metadata"],
)
def test_columns_that_are_doubtful_are_refused(made: pa.Table, said: str, tmp_path: Path) -> None:
    write(tmp_path, SET, made)
    with pytest.raises(RobenchError, match=said):
        open_images(tmp_path)


def test_the_hubs_metadata_tells_the_columns_of_any_name(tmp_path: Path) -> None:
    info = {"photo": {"_type": "Image"}, "kind": {"_type": "ClassLabel", "names": [f"c{i}" for i in range(10)]}}
    made = renamed(photo="image", kind="label")
    made = made.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": info}})})
    images = open_images(write(tmp_path, SET, made))
    assert images.classes == tuple(f"c{i}" for i in range(10))


def test_dictionary_encoded_names_and_numbers_are_labels(tmp_path: Path) -> None:
    made = table(Made(names=None))
    for number, values in enumerate((["cat", "dog", "cat", "ant"], [5, 2, 5, 0])):
        coded = made.set_column(1, "label", pa.array(values).dictionary_encode())
        images = open_images(write(tmp_path / str(number), SET, coded))
        assert images.labels is not None
        assert images.labels.tolist() == ([1, 2, 1, 0] if number == 0 else values)


def pointing(path: str, form: str) -> pa.Table:
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    if form == "struct":
        return pa.table({"image": pa.array([{"bytes": None, "path": path}] * 2, kind), "label": [0, 1]})
    return pa.table({"image": pa.array([path] * 2), "label": [0, 1]})


@pytest.mark.parametrize("form", ["struct", "text"])
def test_paths_without_bytes_are_followed_from_the_file_or_named_as_the_cause(form: str, tmp_path: Path) -> None:
    place = write(tmp_path, SET, pointing("images/a.png", form))
    with pytest.raises(RobenchError, match=r"holds only paths; .*images/a\.png: No such file"):
        open_images(place)
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_bytes(png(pixels()[2]))
    np.testing.assert_array_equal(open_images(place).read(np.arange(2))[1], pixels()[2])
    with pytest.raises(RobenchError, match=r"holds only paths; .*not a regular file"):
        open_images(write(tmp_path / "b", SET, pointing("/dev/zero", form)))


# Arrays


def test_a_mapped_file_that_becomes_shorter_is_an_error_and_not_the_end_of_the_process(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", np.tile(pixels(), (500, 1, 1, 1)))
    np.save(tmp_path / "labels.npy", np.tile(LABELS, 500))
    images = open_images(tmp_path)
    order = np.array([1990, 3, 3])
    np.testing.assert_array_equal(images.read(order), pixels()[order % 4])
    os.truncate(tmp_path / "images.npy", 100_000)
    for indices in (np.arange(1900, 2000), order):
        with pytest.raises(RobenchError, match="has changed since it was opened: it ends early"):
            images.read(indices)
    (tmp_path / "images.npy").unlink()
    with pytest.raises(RobenchError, match="has changed since it was opened: No such file"):
        images.read(np.arange(2))


def test_rows_of_any_layout_are_read(tmp_path: Path) -> None:
    array = np.arange(2 * 3 * 4 * 5, dtype=np.uint8).reshape(2, 3, 4, 5)
    np.save(tmp_path / "a.npy", np.asfortranarray(array))
    mapped = map_npy(tmp_path / "a.npy")
    for indices in (np.array([1, 0]), np.arange(2), np.array([], np.int64)):
        np.testing.assert_array_equal(read_rows(mapped, indices, tmp_path / "a.npy"), array[indices])


def test_several_pairs_and_both_cifars_are_refused_until_one_is_given(tmp_path: Path) -> None:
    from reader_forms import cifar

    for name in ("a", "b"):
        np.save(tmp_path / f"{name}_data.npy", pixels())
        np.save(tmp_path / f"{name}_labels.npy", np.array(LABELS))
    with pytest.raises(RobenchError, match=r"several sets of images and labels: a_data\.npy, b_data\.npy"):
        open_images(tmp_path)
    assert len(open_images(tmp_path / "b_data.npy")) == 4
    cifar(tmp_path / "c", Made())
    (tmp_path / "c" / "cifar-100-python.tar.gz").write_bytes(b"")
    with pytest.raises(RobenchError, match="cifar-10-batches-py and cifar-100-python"):
        open_images(tmp_path / "c")
    assert len(open_images(tmp_path / "c", dataset="cifar10")) == 4


@pytest.mark.parametrize("header", ["'shape': (-4, 32, 32, 3)", "'shape': ()", "'descr': 'O'", "x" * 60_000])
def test_a_made_up_npy_header_is_refused(header: str, tmp_path: Path) -> None:
    text = ("{'descr': '|u1', 'fortran_order': False, 'shape': (4, 32, 32, 3), " + header + "}\n").encode()
    data = b"\x93NUMPY\x01\x00" + min(len(text), 65_535).to_bytes(2, "little") + text + bytes(4 * 32 * 32 * 3)
    (tmp_path / "images.npy").write_bytes(data)
    np.save(tmp_path / "labels.npy", np.array(LABELS))
    with pytest.raises(RobenchError, match=r"images\.npy"):
        open_images(tmp_path)


# Class folders


def numbered(root: Path, names: list[str], empty: tuple[str, ...] = ()) -> Path:
    for name in [*names, *empty]:
        (root / name).mkdir(parents=True)
        if name not in empty:
            (root / name / "a.png").write_bytes(png(pixels()[0]))
    return root


def test_numbered_folders_keep_their_numbers(tmp_path: Path) -> None:
    images = open_images(numbered(tmp_path / "a", ["0", "1", "4", "10"], empty=("logs", "3")))
    assert images.labels is not None
    assert images.labels.tolist() == [0, 1, 4, 10]
    assert tuple(images.classes or ()) == tuple(str(label) for label in range(11))
    assert "logs" in images.remarks[0]
    assert "3" not in images.remarks[0].removeprefix(str(tmp_path))
    from_one = open_images(numbered(tmp_path / "b", ["1", "2", "3"]))
    assert from_one.labels is not None
    assert from_one.labels.tolist() == [0, 1, 2]
    with pytest.raises(RobenchError, match="the numbers 1 to 4 with gaps"):
        open_images(numbered(tmp_path / "c", ["1", "2", "4"]))
    with pytest.raises(RobenchError, match="the same number: 0, 01, 1"):
        open_images(numbered(tmp_path / "d", ["0", "1", "01"]))


def test_a_class_folder_without_images_is_named(tmp_path: Path) -> None:
    with pytest.raises(RobenchError, match="1 of 3 class folders hold no images: logs"):
        open_images(numbered(tmp_path, ["ant", "bee"], empty=("logs",)))


def test_images_beside_and_folders_within_class_folders_are_counted(tmp_path: Path) -> None:
    numbered(tmp_path, ["ant", "bee"])
    (tmp_path / "stray.png").write_bytes(png(pixels()[0]))
    (tmp_path / "ant" / "more").mkdir()
    said = " ".join(open_images(tmp_path).remarks)
    assert "1 folders within class folders were not read" in said
    assert "1 images next to the class folders were not read" in said


# Archives


def tar(path: Path, names: list[str]) -> Path:
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT, errors="surrogateescape") as archive:
        for name in names:
            info = tarfile.TarInfo(name)
            data = png(pixels()[0])
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def test_names_that_are_not_utf_8_are_read_in_place_and_refused_by_unpacking(tmp_path: Path) -> None:
    name = "cat/" + b"caf\xe9.png".decode(errors="surrogateescape")
    packed = tar(tmp_path / "set.tar", [name])
    images = open_images(packed)
    assert images.read(np.arange(1)).shape == (1, 32, 32, 3)
    assert len(images.checksum()) == 64
    with pytest.raises(RobenchError, match=r"caf\\udce9\.png.* not UTF-8"):
        unpack([packed], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    folders(tmp_path / "on disk", Made())
    bad = os.path.join(os.fsencode(tmp_path / "on disk" / "test" / "cat"), b"caf\xe9.png")
    with open(bad, "wb") as file:
        file.write(b"x")
    images = open_images(tmp_path / "on disk")
    with pytest.raises(RobenchError, match="cannot be decoded") as caught:
        images.read(np.arange(len(images)))
    str(caught.value).encode()
    assert len(images.checksum()) == 64


def test_a_path_that_is_there_twice_in_tars_is_refused(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    for name in ("a.tar", "b.tar"):
        tar(tmp_path / "set" / name, ["cat/1.png"])
    with pytest.raises(RobenchError, match=r"cat/1\.png occurs twice"):
        open_images(tmp_path / "set")
