"""Where the files of an uncompressed tar archive lie, found once and remembered.

ImageNet-C's five archives hold 3.75 million files; reading all their headers takes minutes. The index is kept in the
user's cache folder under the archive's path, and holds as long as the archive's length and time of change do.
"""

from __future__ import annotations

import hashlib
import tarfile
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from robench.errors import RobenchError
from robench.files import atomic_write

_REMEMBERED = 10_000  # a smaller archive is read in less than a second
_FORMAT = 1


class Entries(NamedTuple):
    """The regular files of an archive in its order: names, and int64 (n,) offsets and lengths in bytes."""

    names: list[str]
    offsets: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]


def entries(path: Path) -> Entries:
    """Return an archive's files, from the cache where it knows the archive as it is now.

    Raises:
        tarfile.TarError, OSError: not an uncompressed tar archive, or one that ends too early.
    """
    status = path.stat()
    key = f"{_FORMAT}\0{path.resolve()}\0{status.st_size}\0{status.st_mtime_ns}"
    known = _folder() / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.npz"
    if (found := _load(known)) is not None:
        return found
    found = _scan(path, status.st_size)
    if len(found.names) >= _REMEMBERED:
        _save(known, found)
    return found


def _scan(path: Path, length: int) -> Entries:
    names: list[str] = []
    places: list[tuple[int, int]] = []
    with tarfile.open(path, "r:") as archive:
        while (member := archive.next()) is not None:
            archive.members = []  # type: ignore[attr-defined]  # else tarfile keeps every header
            if member.isreg():
                if member.offset_data + member.size > length:
                    raise tarfile.ReadError("it ends within a file")
                names.append(member.name)
                places.append((member.offset_data, member.size))
    table = np.array(places, np.int64).reshape(-1, 2)
    return Entries(names, table[:, 0], table[:, 1])


def _folder() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("robench") / "tar-index"


def _load(path: Path) -> Entries | None:
    """Return what was remembered; None where there is nothing, or it is damaged."""
    try:
        with np.load(path, allow_pickle=False) as file:
            names = file["names"].tobytes().decode(errors="surrogateescape").split("\0")
            found = Entries(names, file["offsets"], file["sizes"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return found if len(names) == len(found.offsets) == len(found.sizes) else None


def _save(path: Path, found: Entries) -> None:
    names = np.frombuffer("\0".join(found.names).encode(errors="surrogateescape"), np.uint8)
    try:
        with atomic_write(path, own=True) as file:
            np.savez_compressed(file, names=names, offsets=found.offsets, sizes=found.sizes)
    except RobenchError:  # no home folder, or a full one: the next opening reads the headers again
        return
