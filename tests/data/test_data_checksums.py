"""A large file's checksum is remembered for as long as the file is the same, and only then."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest

from robench import unchanged
from robench.data import checksums


@pytest.fixture
def reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Files that were read, with a cache of the test's own that remembers small ones too, at once."""
    read: list[Path] = []
    real = checksums.sha256

    def counted(path: Path) -> str:
        read.append(path)
        return real(path)

    monkeypatch.setattr(checksums, "_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(checksums, "_REMEMBERED", 1)
    monkeypatch.setattr(unchanged, "_SETTLED", -1.0)
    monkeypatch.setattr(checksums, "sha256", counted)
    return read


def _expected(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_file_is_read_once(tmp_path: Path, reads: list[Path]) -> None:
    path = tmp_path / "fog.npy"
    path.write_bytes(b"pixels")
    assert {checksums.checksum_of(path) for _ in range(3)} == {_expected(path)}
    assert reads == [path]


def test_a_change_is_seen_whose_length_and_time_are_the_old_ones(tmp_path: Path, reads: list[Path]) -> None:
    path = tmp_path / "fog.npy"
    path.write_bytes(b"pixels")
    checksums.checksum_of(path)
    times = path.stat()
    time.sleep(0.02)  # file systems keep times in steps of some milliseconds
    path.write_bytes(b"others")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert checksums.checksum_of(path) == _expected(path)
    time.sleep(0.02)
    (tmp_path / "new").write_bytes(b"thirds")
    os.replace(tmp_path / "new", path)
    assert checksums.checksum_of(path) == _expected(path)
    assert len(reads) == 3


def test_a_file_that_has_just_changed_is_not_remembered(
    tmp_path: Path, reads: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unchanged, "_SETTLED", 60.0)
    path = tmp_path / "fog.npy"
    path.write_bytes(b"pixels")
    assert checksums.checksum_of(path) == checksums.checksum_of(path) == _expected(path)
    assert len(reads) == 2


@pytest.mark.parametrize("damage", [b"", b"\xff\xfe", b"1 2 3 4 5 abc\n"])
def test_a_damaged_memory_is_no_memory(damage: bytes, tmp_path: Path, reads: list[Path]) -> None:
    path = tmp_path / "fog.npy"
    path.write_bytes(b"pixels")
    checksums.checksum_of(path)
    for file in (tmp_path / "cache").iterdir():
        file.write_bytes(damage)
    assert checksums.checksum_of(path) == _expected(path)


def test_where_nothing_can_be_remembered_the_file_is_read(
    tmp_path: Path, reads: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").write_text("a file, not a folder")
    path = tmp_path / "fog.npy"
    path.write_bytes(b"pixels")
    assert checksums.checksum_of(path) == checksums.checksum_of(path) == _expected(path)
