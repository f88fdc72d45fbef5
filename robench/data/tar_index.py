"""Where the files of an uncompressed tar archive lie, found once and remembered.

ImageNet-C's five archives hold 3.75 million files; reading all their headers takes minutes. The index is kept in the
user's cache folder under the archive's path, and holds as long as :mod:`robench.unchanged` says.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import tarfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from robench.data.formats import ENDINGS
from robench.errors import RobenchError
from robench.files import atomic_write
from robench.unchanged import State, settled, state_of

_REMEMBERED = 10_000  # a smaller archive is read in less than a second
_FORMAT = 3
_BLOCK, _FOLDER = 512, ord("5")
_TOGETHER = 4096  # headers whose checksums are added up at once
_CHUNK = 1 << 20


class Entries(NamedTuple):
    """The regular files of an archive, then its hard links to them: names, and int64 (n,) offsets and bytes."""

    names: list[str]
    offsets: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]


def entries(path: Path) -> Entries:
    """Return an archive's files, from the cache where it knows the archive as it is now.

    Raises:
        tarfile.TarError, OSError: not an uncompressed tar archive, one that ends too early or has something after its
            end, or one with images that are symbolic links or stored with holes.
    """
    began, state = time.time(), state_of(path)
    known = _folder() / f"{hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:32]}.npz"
    if (found := _load(known, state)) is not None:
        return found
    found = _scan_plain(path, state.size) or _scan(path, state.size)
    if len(found.names) >= _REMEMBERED and state_of(path) == state and settled(state, began):
        _save(known, state, found)
    return found


def _scan_plain(path: Path, length: int) -> Entries | None:
    """Return what :func:`_scan` does in a fifth of its time; None of an archive that has more than plain headers.

    Plain are the headers of regular files and folders with names of up to 100 bytes, as GNU tar, bsdtar and Python
    write them. Whatever else an archive has, damage too, is left to the standard library.

    Source: POSIX.1-1988, ustar interchange format.
    """
    names: list[str] = []
    places: list[tuple[int, int]] = []
    sums = _Sums()
    offset = 0
    with path.open("rb", buffering=0) as file:
        number = file.fileno()
        while len(header := os.pread(number, _BLOCK, offset)) == _BLOCK and header[0]:
            kind, name = header[156], header[:100].rstrip(b"\0")
            if kind not in b"0\x005" or header[345] or b"\0" in name or len(name) == 100:
                return None
            offset += _BLOCK
            sums.add(header)
            if kind == _FOLDER:
                continue
            field = header[124:136].strip(b"\0 ")
            if not field.isdigit() or name.endswith(b"/"):
                return None
            size = int(field, 8) if b"8" not in field and b"9" not in field else length
            if offset + size > length:
                return None
            names.append(name.decode(errors="surrogateescape"))
            places.append((offset, size))
            offset += -(-size // _BLOCK) * _BLOCK
        file.seek(offset)
        if header != bytes(_BLOCK) or not sums.right() or _more(file.read):
            return None
    table = np.array(places, np.int64).reshape(-1, 2)
    return Entries(names, table[:, 0], table[:, 1])


class _Sums:
    """Whether headers have the checksums that they state: the sum of their bytes, with spaces for the checksum."""

    def __init__(self) -> None:
        self._headers: list[bytes] = []
        self._right = True

    def add(self, header: bytes) -> None:
        self._headers.append(header)
        if len(self._headers) == _TOGETHER:
            self.right()

    def right(self) -> bool:
        """Return whether all that were added are right."""
        if self._headers:
            table = np.frombuffer(b"".join(self._headers), np.uint8).reshape(-1, _BLOCK)
            found = table.sum(axis=1, dtype=np.int64) - table[:, 148:156].sum(axis=1, dtype=np.int64) + 8 * ord(" ")
            try:
                stated = [int(header[148:156].strip(b"\0 "), 8) for header in self._headers]
            except ValueError:
                stated = []
            self._right = self._right and found.tolist() == stated
            self._headers = []
        return self._right


class Header(tarfile.TarInfo):
    """A member's header. The standard library takes a damaged one, or none, for the end of the archive."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        """Read the next header.

        Raises:
            tarfile.TarError: it is damaged, or not there, as at the end of what came of a file.
        """
        try:
            return super().fromtarfile(archive)
        except tarfile.HeaderError as error:
            if isinstance(error, tarfile.EOFHeaderError) or archive.offset == 0:  # type: ignore[attr-defined]
                raise
            raise tarfile.ReadError(f"no header at byte {archive.offset:,}, nor the archive's end ({error})") from None


def refuse_more(read: Callable[[int], bytes]) -> None:
    """Refuse what follows an archive's end, beyond the zeros that fill its last block: nobody would read it.

    Args:
        read: reads so many bytes from there on, at most.

    Raises:
        tarfile.ReadError: there is something.
    """
    if _more(read):
        raise tarfile.ReadError("something follows its end, such as another archive")


def _more(read: Callable[[int], bytes]) -> bool:
    """Whether the rest of a file holds anything but zeros."""
    while chunk := read(_CHUNK):
        if chunk.strip(b"\0"):
            return True
    return False


def _scan(path: Path, length: int) -> Entries:
    names: list[str] = []
    places: list[tuple[int, int]] = []
    links: list[tuple[str, str]] = []
    with tarfile.open(path, "r:", tarinfo=Header) as archive:
        while (member := archive.next()) is not None:
            archive.members = []  # type: ignore[attr-defined]  # else tarfile keeps every header
            if member.issparse():
                raise tarfile.ReadError(f"{member.name} is stored with holes")
            if member.isreg():
                if member.offset_data + member.size > length:
                    raise tarfile.ReadError("it ends within a file")
                names.append(member.name)
                places.append((member.offset_data, member.size))
            elif member.islnk():
                links.append((member.name, member.linkname))
            elif member.issym() and member.name.lower().endswith(ENDINGS):
                raise tarfile.ReadError(f"{member.name} is a link ('tar -h' packs files instead)")
        refuse_more(archive.fileobj.read)
    known = dict(zip(map(posixpath.normpath, names), places, strict=True)) if links else {}
    for name, to in links:
        if (place := known.get(posixpath.normpath(to))) is None:
            raise tarfile.ReadError(f"{name} is a link to {to}, which is not a file in it")
        names.append(name)
        places.append(place)
        known[posixpath.normpath(name)] = place
    table = np.array(places, np.int64).reshape(-1, 2)
    return Entries(names, table[:, 0], table[:, 1])


def _folder() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("robench") / "tar-index"


def _said(state: State) -> bytes:
    return f"{_FORMAT} {state}".encode()


def _load(path: Path, state: State) -> Entries | None:
    """Return what was remembered of an archive in this state; None where there is nothing, or it is damaged."""
    try:
        with np.load(path, allow_pickle=False) as file:
            if file["state"].tobytes() != _said(state):
                return None
            names = file["names"].tobytes().decode(errors="surrogateescape").split("\0")
            found = Entries(names, file["offsets"], file["sizes"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return found if len(names) == len(found.offsets) == len(found.sizes) else None


def _save(path: Path, state: State, found: Entries) -> None:
    names = np.frombuffer("\0".join(found.names).encode(errors="surrogateescape"), np.uint8)
    try:
        with atomic_write(path, own=True) as file:
            said = np.frombuffer(_said(state), np.uint8)
            np.savez_compressed(file, state=said, names=names, offsets=found.offsets, sizes=found.sizes)
    except RobenchError:  # no home folder, or a full one: the next opening reads the headers again
        return
