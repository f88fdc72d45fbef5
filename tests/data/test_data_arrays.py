"""Arrays and CIFAR's published layout: what is read, and what is refused."""

from __future__ import annotations

import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest

from robench.data import digits, open_images
from robench.data.arrays import ArrayImages, map_npy
from robench.data.cifar import load_cifar
from robench.data.pairs import find_pair
from robench.errors import RobenchError


def write_cifar10(folder: Path, images: np.ndarray, labels: np.ndarray) -> None:
    """Write images in the layout of cifar-10-batches-py, the training set in five batches."""
    folder.mkdir(parents=True)

    def batch(name: str, rows: np.ndarray) -> None:
        data = images[rows].transpose(0, 3, 1, 2).reshape(len(rows), -1)
        record = {b"batch_label": name.encode(), b"labels": labels[rows].tolist(), b"data": data, b"filenames": []}
        (folder / name).write_bytes(pickle.dumps(record, protocol=2))

    parts = np.array_split(np.arange(len(images)), 6)
    for number, rows in enumerate(parts[:5], 1):
        batch(f"data_batch_{number}", rows)
    batch("test_batch", parts[5])
    names = [name.encode() for name in digits.CLASSES]
    (folder / "batches.meta").write_bytes(pickle.dumps({b"label_names": names}, protocol=2))


@pytest.fixture
def cifar(tmp_path: Path) -> Path:
    data = digits.load("test")
    write_cifar10(tmp_path / "data" / "cifar-10-batches-py", data.array[:60], data.labels[:60])
    return tmp_path / "data"


def test_cifar_is_read_from_its_folder_the_one_above_and_the_archive(cifar: Path) -> None:
    data = digits.load("test")
    with tarfile.open(cifar / "cifar-10-python.tar.gz", "w:gz") as archive:
        archive.add(cifar / "cifar-10-batches-py", "cifar-10-batches-py")
    for place in (cifar, cifar / "cifar-10-batches-py", cifar / "cifar-10-python.tar.gz"):
        test = open_images(place, split="test")
        assert np.array_equal(test.read(np.arange(10)), data.array[50:60])
        assert np.array_equal(test.labels, data.labels[50:60])
        assert test.classes == digits.CLASSES
        assert len(open_images(place, split="train")) == 50


def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(cifar: Path, tmp_path: Path) -> None:
    class Attack:
        def __reduce__(self) -> tuple:
            return (Path.touch, (tmp_path / "pwned",))

    (cifar / "cifar-10-batches-py" / "test_batch").write_bytes(pickle.dumps({b"data": Attack()}))
    with pytest.raises(RobenchError, match=r"test_batch is not a CIFAR batch: it asks for .*Path"):
        load_cifar(cifar, "test")
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("cut", [0, 10, 3000])
def test_a_truncated_batch_is_refused(cifar: Path, cut: int) -> None:
    path = cifar / "cifar-10-batches-py" / "test_batch"
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(RobenchError, match="test_batch is not a CIFAR batch"):
        load_cifar(cifar, "test")


def test_rows_come_in_the_order_asked_for_and_as_copies() -> None:
    data = digits.load("test")
    rows = np.array([5, 3, 3, 9])
    assert np.array_equal(data.read(rows), data.array[rows])
    first = data.read(np.arange(4))
    first[:] = 0
    assert data.read(np.arange(4)).any()


def test_the_checksum_follows_images_and_labels() -> None:
    data = digits.load("test")
    same = ArrayImages(data.array.copy(), data.labels.copy())
    assert same.checksum() == data.checksum()
    other = data.array.copy()
    other[-1, -1, -1, -1] ^= 1
    assert ArrayImages(other, data.labels).checksum() != data.checksum()
    assert ArrayImages(data.array, data.labels[::-1]).checksum() != data.checksum()


def test_a_truncated_npy_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "fog.npy"
    np.save(path, np.zeros((50, 32, 32, 3), np.uint8))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(RobenchError, match=r"fog\.npy cannot be read"):
        map_npy(path)


def test_floats_objects_and_missing_files_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "float.npy", np.zeros((5, 32, 32, 3), np.float32))
    np.save(tmp_path / "object.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(RobenchError, match="expected uint8 values; found float32"):
        map_npy(tmp_path / "float.npy")
    with pytest.raises(RobenchError, match=r"object\.npy holds Python objects"):
        map_npy(tmp_path / "object.npy")
    for array, said in (
        (
            np.zeros((5, 32, 32), np.uint8),
            r"found uint8 of shape \(5, 32, 32\)\.\nImages are an array",
        ),
        (np.zeros((5, 32, 32, 3), np.int16), "found int16.*\n.*convert the values to 8 bits"),
        (np.zeros((5, 32, 32, 3), bool), "found bool.*\n.*they are not the values of pixels"),
        (np.zeros((0, 32, 32, 3), np.uint8), "holds no images"),
    ):
        np.save(tmp_path / "odd.npy", array)
        with pytest.raises(RobenchError, match=said):
            map_npy(tmp_path / "odd.npy")
    with pytest.raises(RobenchError, match=r"gone\.npy is missing"):
        map_npy(tmp_path / "gone.npy")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from Linux's /proc")
def test_arrays_of_50000_images_take_no_memory_of_their_own(tmp_path: Path) -> None:
    """A file of CIFAR-C has 154 MB: it is mapped, and what is read of it is given back with the rows."""

    def own() -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("RssAnon")).split()[1]) // 1024

    np.lib.format.open_memmap(tmp_path / "fog.npy", "w+", np.uint8, (50_000, 32, 32, 3)).flush()  # sparse
    before = own()
    images = ArrayImages(map_npy(tmp_path / "fog.npy"), np.zeros(50_000, np.int64))
    for start in range(0, 50_000, 1000):
        assert not images.read(np.arange(start, start + 1000)).any()
    assert own() - before < 40


def test_an_npz_file_is_told_what_to_save_instead(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", images=np.zeros((2, 4, 4, 3), np.uint8), labels=np.arange(2))
    with pytest.raises(RobenchError, match=r"Save its arrays as images\.npy"):
        open_images(tmp_path / "set.npz")


def test_labels_that_do_not_fit_the_images_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", np.zeros((5, 32, 32, 3), np.uint8))
    np.save(tmp_path / "labels.npy", np.arange(4))
    assert find_pair(tmp_path) is not None
    with pytest.raises(RobenchError, match="5 images but labels of shape"):
        open_images(tmp_path)


def test_arrays_of_another_split_are_not_taken_for_the_test_images(tmp_path: Path) -> None:
    def write(split: str, count: int) -> None:
        np.save(tmp_path / f"{split}_data.npy", np.zeros((count, 8, 8, 3), np.uint8))
        np.save(tmp_path / f"{split}_labels.npy", np.arange(count))

    write("train", 6)
    with pytest.raises(RobenchError, match="holds arrays of the split train; 'test' is not there"):
        open_images(tmp_path)
    assert len(open_images(tmp_path / "train_data.npy")) == len(open_images(tmp_path, split="train")) == 6
    write("val", 5)
    found = open_images(tmp_path)
    assert (len(found), "the validation split was read" in found.remarks[0]) == (5, True)
    write("test", 4)
    assert (len(open_images(tmp_path)), len(open_images(tmp_path, split="train"))) == (4, 6)
