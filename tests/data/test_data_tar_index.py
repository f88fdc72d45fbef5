"""The index of an archive is remembered as long as the archive stays as it was."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest

from robench.data import tar_index
from robench.data.trees import TarTree

NAMES = ["fog/1/n01440764/a.JPEG", "./fog/1/n01440764/b\udcff.JPEG", f"fog/2/{'long' * 60}/c.JPEG", ".hidden/d.JPEG"]


def write(path: Path, count: int = 1) -> Path:
    with tarfile.open(path, "w") as archive:
        for name in NAMES:
            info = tarfile.TarInfo(name)
            info.size = count
            archive.addfile(info, io.BytesIO(b"x" * count))
    return path


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tar_index, "_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(tar_index, "_REMEMBERED", 1)
    return tmp_path / "cache"


def forbid_scanning(monkeypatch: pytest.MonkeyPatch) -> None:
    def scan(path: Path, length: int) -> tar_index.Entries:
        raise AssertionError("the headers were read again")

    monkeypatch.setattr(tar_index, "_scan", scan)


def test_the_second_opening_reads_no_headers(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.tar")
    first = tar_index.entries(path)
    forbid_scanning(monkeypatch)
    again = tar_index.entries(path)
    assert again.names == first.names == NAMES
    assert np.array_equal(again.offsets, first.offsets)
    assert np.array_equal(again.sizes, [1, 1, 1, 1])
    tree = TarTree([path])
    assert tree.folders() == ["fog"]
    assert tree.files("fog/1/n01440764") == ["a.JPEG", "b\udcff.JPEG"]
    assert tree.fetch("fog/1/n01440764/a.JPEG") == b"x"


def test_a_changed_archive_is_read_again(tmp_path: Path, cache: Path) -> None:
    path = write(tmp_path / "a.tar")
    tar_index.entries(path)
    write(path, count=2)
    os.utime(path, ns=(1, 1))
    assert list(tar_index.entries(path).sizes) == [2, 2, 2, 2]


def test_a_damaged_index_is_made_again(tmp_path: Path, cache: Path) -> None:
    path = write(tmp_path / "a.tar")
    first = tar_index.entries(path)
    (known,) = cache.iterdir()
    known.write_bytes(known.read_bytes()[:40])
    assert tar_index.entries(path).names == first.names


def test_small_archives_leave_nothing_behind(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tar_index, "_REMEMBERED", 10_000)
    tar_index.entries(write(tmp_path / "a.tar"))
    assert not cache.exists()
