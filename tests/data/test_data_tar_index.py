"""The index of an archive is remembered as long as the archive stays as it was."""

from __future__ import annotations

import io
import os
import tarfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from robench import unchanged
from robench.data import tar_index
from robench.data.archive import unpack
from robench.data.trees import TarTree
from robench.errors import RobenchError

NAMES = ["fog/1/n01440764/a.JPEG", "./fog/1/n01440764/b\udcff.JPEG", f"fog/2/{'long' * 60}/c.JPEG", ".hidden/d.JPEG"]


def write(path: Path, count: int = 1, names: Sequence[str] = NAMES) -> Path:
    with tarfile.open(path, "w") as archive:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = count
            archive.addfile(info, io.BytesIO(b"x" * count))
    return path


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tar_index, "_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(tar_index, "_REMEMBERED", 1)
    monkeypatch.setattr(unchanged, "_SETTLED", -1.0)
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


def test_a_change_is_seen_whose_length_and_time_are_the_old_ones(tmp_path: Path, cache: Path) -> None:
    path = write(tmp_path / "a.tar")
    tar_index.entries(path)
    (known,), times = cache.iterdir(), path.stat()
    time.sleep(0.02)  # file systems keep times in steps of some milliseconds
    write(path, names=["fog/1/n01440764/z.JPEG", *NAMES[1:]])
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert tar_index.entries(path).names[0] == "fog/1/n01440764/z.JPEG"
    assert list(cache.iterdir()) == [known]


def test_an_archive_that_has_just_changed_is_not_remembered(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unchanged, "_SETTLED", 60.0)
    tar_index.entries(write(tmp_path / "a.tar"))
    assert not cache.exists()


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


def scanned(path: Path) -> object:
    """What the standard library finds, or its refusal."""
    try:
        found = tar_index._scan(path, path.stat().st_size)
    except (tarfile.TarError, OSError):
        return "refused"
    return found.names, found.offsets.tolist(), found.sizes.tolist()


def plainly(path: Path) -> object:
    """What the quick reading finds; None where it leaves the archive to the standard library."""
    found = tar_index._scan_plain(path, path.stat().st_size)
    return None if found is None else (found.names, found.offsets.tolist(), found.sizes.tolist())


def archive_of(path: Path, members: list[tarfile.TarInfo], form: int) -> Path:
    with tarfile.open(path, "w", format=form) as archive:
        for info in members:
            archive.addfile(info, io.BytesIO(bytes(info.size)))
    return path


def member(name: str, size: int = 0, **more: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size = size
    for field, value in more.items():
        setattr(info, field, value)
    return info


PLAIN = [member("a.jpg", 700), member("dir", type=tarfile.DIRTYPE), member("dir/b.cls", 1), member("dir/empty.txt", 0),
         member("dir/\udcff.jpg", 513), member("x" * 99, 512), member("old", 3, type=tarfile.AREGTYPE)]  # fmt: skip


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT], ids=["ustar", "gnu"])
def test_plain_headers_are_read_as_the_standard_library_reads_them(tmp_path: Path, form: int) -> None:
    path = archive_of(tmp_path / "a.tar", PLAIN, form)
    assert plainly(path) == scanned(path) != "refused"


@pytest.mark.parametrize(
    "form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT], ids=["ustar", "gnu", "pax"]
)
@pytest.mark.parametrize(
    "strange",
    [
        member(f"{'long' * 30}/c.jpg", 5),
        member("link", type=tarfile.SYMTYPE, linkname="a.jpg"),
        member("hard", type=tarfile.LNKTYPE, linkname="a.jpg"),
        member("pipe", type=tarfile.FIFOTYPE),
        member("dé.jpg", 5),
        member("old/", type=tarfile.AREGTYPE),
    ],
    ids=["long name", "symlink", "hard link", "pipe", "accent", "folder of old form"],
)
def test_other_headers_are_left_to_the_standard_library(tmp_path: Path, form: int, strange: tarfile.TarInfo) -> None:
    path = archive_of(tmp_path / "a.tar", [PLAIN[0], strange, PLAIN[2]], form)
    assert plainly(path) in (None, scanned(path))


def plain_with_starts(path: Path) -> tuple[bytes, list[int]]:
    """Return an archive's bytes, and where the headers of its files are."""
    archive_of(path, PLAIN, tarfile.USTAR_FORMAT)
    return path.read_bytes(), [offset - 512 for offset in tar_index._scan(path, path.stat().st_size).offsets.tolist()]


def without_last(whole: bytes, last: int) -> bytes:
    return whole[:last]


def within_header(whole: bytes, last: int) -> bytes:
    return whole[: last + 100]


def wrong_header(whole: bytes, last: int) -> bytes:
    return whole[:last] + bytes([whole[last] ^ 1]) + whole[last + 1 :]


def zeros_within(whole: bytes, last: int) -> bytes:
    return whole[:last] + bytes(1024) + whole[last + 1024 :]


def twice(whole: bytes, last: int) -> bytes:
    return whole + whole


@pytest.mark.parametrize("spoil", [without_last, within_header, wrong_header, zeros_within, twice])
def test_files_are_not_lost_at_a_damaged_header_or_a_cut(tmp_path: Path, spoil: Callable[[bytes, int], bytes]) -> None:
    whole, starts = plain_with_starts(tmp_path / "a.tar")
    (tmp_path / "a.tar").write_bytes(spoil(whole, starts[-2]))
    with pytest.raises((tarfile.TarError, OSError)):
        tar_index.entries(tmp_path / "a.tar")
    with pytest.raises(RobenchError, match=r"a\.tar"):
        TarTree([tmp_path / "a.tar"])
    with pytest.raises(RobenchError, match="is damaged"):
        unpack([tmp_path / "a.tar"], tmp_path / "set")


def test_a_hard_link_is_the_file_it_leads_to(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tar", count=3)
    with tarfile.open(path, "a") as archive:
        archive.addfile(member("fog/1/n01440764/c.JPEG", type=tarfile.LNKTYPE, linkname="fog/1/n01440764/a.JPEG"))
        archive.addfile(member("fog/1/n01440764/d.JPEG", type=tarfile.LNKTYPE, linkname="./fog/1/n01440764/c.JPEG"))
    tree = TarTree([path])
    assert tree.files("fog/1/n01440764") == ["a.JPEG", "b\udcff.JPEG", "c.JPEG", "d.JPEG"]
    assert tree.fetch("fog/1/n01440764/d.JPEG") == b"xxx"


@pytest.mark.parametrize(
    ("strange", "said"),
    [
        (member("fog/9.JPEG", type=tarfile.SYMTYPE, linkname="/etc/passwd"), "is a link"),
        (member("fog/9.JPEG", type=tarfile.LNKTYPE, linkname="elsewhere"), "a link to elsewhere"),
        (member("fog/9.JPEG", type=tarfile.GNUTYPE_SPARSE), "stored with holes"),
    ],
    ids=["symbolic link", "hard link", "sparse"],
)
def test_images_that_are_no_whole_files_are_refused(tmp_path: Path, strange: tarfile.TarInfo, said: str) -> None:
    path = archive_of(tmp_path / "a.tar", [PLAIN[0], strange], tarfile.GNU_FORMAT)
    with pytest.raises(RobenchError, match=said):
        TarTree([path])


def test_a_damaged_archive_is_never_read_plainly(tmp_path: Path) -> None:
    """Any byte of a header, any length: what is found is what the standard library finds, or is left to it."""
    path = archive_of(tmp_path / "a.tar", PLAIN, tarfile.USTAR_FORMAT)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    starts = [offset - 512 for offset in tar_index._scan(path, len(whole)).offsets]
    taken = 0
    for _ in range(150):
        data = bytearray(whole)
        data[rng.choice(starts) + rng.integers(0, 512)] ^= 1 << rng.integers(0, 8)
        path.write_bytes(data)
        taken += plainly(path) is not None
        assert plainly(path) in (None, scanned(path))
    assert taken == 0  # every byte of a header is in its checksum
    for length in (0, 100, 512, 700, 1024, 1536, len(whole) // 2, len(whole) - 512):
        path.write_bytes(whole[:length])
        assert plainly(path) in (None, scanned(path)), length
