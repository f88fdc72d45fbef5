"""Folders of files, on the disk or inside tar archives that stay packed: one way to list and to read both."""

from __future__ import annotations

import os
import re
import sys
import tarfile
from array import array
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from robench.data import tar_index
from robench.data.formats import ENDINGS, check_length
from robench.errors import RobenchError
from robench.files import require_regular

_COPY = re.compile(r"^(?P<stem>.+?)( \(\d+\)| - Copy.*| copy.*)$")
_JUNK = ("__MACOSX", "Thumbs.db", "desktop.ini")


class Tree(Protocol):
    """Folders and files under one root; paths have forward slashes, the root is ``""``."""

    root: Path

    def folders(self, path: str = "") -> list[str]:
        """Return the names of the folders directly in ``path``, sorted; hidden ones are omitted."""
        ...

    def files(self, path: str = "") -> list[str]:
        """Return the names of the files directly in ``path``, sorted; hidden ones are omitted."""
        ...

    def size(self, path: str) -> int:
        """Return a file's length in bytes."""
        ...

    def fetch(self, path: str) -> bytes:
        """Return a file's bytes; raises OSError."""
        ...


class FolderTree:
    """A folder on the disk. Nothing is followed deeper than it is asked for, so links that loop do no harm."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folders(self, path: str = "") -> list[str]:
        """See Tree."""
        return sorted(entry.name for entry in self._entries(path) if is_folder(entry))

    def files(self, path: str = "") -> list[str]:
        """See Tree."""
        return sorted(entry.name for entry in self._entries(path) if not is_folder(entry))

    def size(self, path: str) -> int:
        """See Tree."""
        return (self.root / path).stat().st_size

    def fetch(self, path: str) -> bytes:
        """See Tree."""
        place = self.root / path
        _check_size(require_regular(place).st_size)
        return place.read_bytes()

    def _entries(self, path: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(self.root / path) as entries:
                return [entry for entry in entries if not entry.name.startswith(".") and entry.name not in _JUNK]
        except OSError as error:
            raise RobenchError(
                f"{self.root / path} cannot be listed: {error.strerror}.", hint="Check the folder and its permissions."
            ) from error


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a folder or a link to one."""
    try:
        return entry.is_dir()
    except OSError:  # a link that leads back to itself
        return False


@dataclass
class _Packed:
    """One folder within archives: files by name with archive number, offset and size."""

    folders: set[str] = field(default_factory=set)
    names: dict[str, int] = field(default_factory=dict)
    places: array[int] = field(default_factory=lambda: array("q"))


class TarTree:
    """Uncompressed tar archives, read in place; hard links are the files they lead to, special files are ignored.

    Args:
        archives: the archives, whose contents are seen as one tree.

    Raises:
        RobenchError: not an uncompressed tar, or a truncated one.
    """

    def __init__(self, archives: Iterable[Path]) -> None:
        self.archives = sorted(archives)
        self.root = self.archives[0] if len(self.archives) == 1 else self.archives[0].parent
        self._folders: dict[str, _Packed] = {"": _Packed()}
        self._descriptors = [os.open(path, os.O_RDONLY) for path in self.archives]
        for number, path in enumerate(self.archives):
            self._index(number, path)

    def __del__(self) -> None:
        for descriptor in getattr(self, "_descriptors", []):
            os.close(descriptor)

    def folders(self, path: str = "") -> list[str]:
        """See Tree."""
        return sorted(self._folder(path).folders)

    def files(self, path: str = "") -> list[str]:
        """See Tree."""
        return sorted(self._folder(path).names)

    def size(self, path: str) -> int:
        """See Tree."""
        return self._place(path)[2]

    def fetch(self, path: str) -> bytes:
        """See Tree."""
        number, offset, size = self._place(path)
        _check_size(size)
        data = os.pread(self._descriptors[number], size, offset)
        if len(data) != size:
            raise OSError(f"{self.archives[number]} ends within it")
        return data

    def _folder(self, path: str) -> _Packed:
        if path not in self._folders:
            raise RobenchError(f"{self.root} has no folder '{path}'.", hint="Check that the archive is complete.")
        return self._folders[path]

    def _place(self, path: str) -> tuple[int, int, int]:
        folder, _, name = path.rpartition("/")
        packed = self._folder(folder)
        if name not in packed.names:
            raise OSError(f"no such file in {self.root}")
        first = 3 * packed.names[name]
        number, offset, size = packed.places[first : first + 3]
        return number, offset, size

    def _index(self, number: int, path: Path) -> None:
        try:
            names, offsets, sizes = tar_index.entries(path)
        except (tarfile.TarError, OSError) as error:
            raise RobenchError(
                f"{path} cannot be read as an uncompressed tar archive: {error}.",
                hint="It is truncated, damaged or compressed: fetch it again, or unpack it.",
            ) from error
        last: str | None = None
        packed: _Packed | None = None
        for name, offset, size in zip(names, offsets.tolist(), sizes.tolist(), strict=True):
            parent, _, file = name.rpartition("/")
            if parent != last:
                last, packed = parent, self._make(parent)
            if packed is not None and file and not _hidden(file):
                if file in packed.names:
                    raise RobenchError(
                        f"{path}: {name} occurs twice, in this archive or in another one.",
                        hint="One of the two would be read without a word; pack the set again.",
                    )
                # The same 50,000 file names stand in each of ImageNet-C's 75 cells: kept once.
                packed.names[sys.intern(file)] = len(packed.places) // 3
                packed.places.extend((number, offset, size))

    def _make(self, path: str) -> _Packed | None:
        """Return the folder, made with those above it where they are new; None for a hidden one."""
        parts = [part for part in path.split("/") if part not in ("", ".")]
        if any(_hidden(part) for part in parts):
            return None
        for depth in range(len(parts)):
            parent, child = "/".join(parts[:depth]), "/".join(parts[: depth + 1])
            self._folders.setdefault(child, _Packed())
            self._folders[parent].folders.add(parts[depth])
        return self._folders["/".join(parts)]


def _hidden(name: str) -> bool:
    return name.startswith(".") or name in _JUNK


def _check_size(size: int) -> None:
    try:
        check_length(size)
    except ValueError as error:
        raise OSError(str(error)) from error


def open_tree(path: Path) -> Tree:
    """Open a folder, a tar archive, or a folder that holds nothing but tar archives.

    Raises:
        RobenchError: no such path, or an archive that cannot be read.
    """
    if path.is_dir():
        tars = [p for p in sorted(path.iterdir()) if p.suffix == ".tar" and p.is_file()]
        if tars and not any(p.is_dir() and not p.name.startswith(".") for p in path.iterdir()):
            return TarTree(tars)
        return FolderTree(path)
    if path.is_file() and path.suffix == ".tar":
        return TarTree([path])
    if path.is_file():
        raise RobenchError(
            f"{path} is neither a folder nor a .tar archive.",
            hint="Save its arrays as images.npy (uint8, N x H x W x 3) and labels.npy, and give their folder."
            if path.suffix == ".npz"
            else "Unpack it, and give the folder.",
        )
    if path.exists():
        raise RobenchError(f"{path} is a pipe, socket or device.", hint="Give a folder or a .tar archive.")
    raise RobenchError(f"{path} does not exist.", hint="Check the path, or get the set with 'robench data list'.")


def join(*parts: str) -> str:
    """Join the parts of a path in a tree."""
    return "/".join(part for part in parts if part)


def child(tree: Tree, path: str, name: str) -> str | None:
    """Return the path of the folder ``name`` in ``path``, whatever its case; None if there is none."""
    folders = tree.folders(path)
    if name in folders:
        return join(path, name)
    return next((join(path, folder) for folder in folders if folder.lower() == name.lower()), None)


def images_in(tree: Tree, path: str) -> list[str]:
    """Return the image files directly in a folder, sorted, after refusing copies.

    Raises:
        RobenchError: a file lies next to a copy of itself (``NAME (1).JPEG``).
    """
    names = [name for name in tree.files(path) if is_image_name(name)]
    known = set(names)
    for name in names:
        stem, dot, suffix = name.rpartition(".")
        if (copy := _COPY.match(stem)) and copy["stem"] + dot + suffix in known:
            raise RobenchError(
                f"{join(str(tree.root), path, name)} is a copy of {copy['stem']}{dot}{suffix}.",
                hint="Delete the copies: they would be counted twice.",
            )
    return names


def is_image_name(name: str) -> bool:
    """Return whether a file's name has the ending of an image."""
    return name.lower().endswith(ENDINGS)


def omitted(names: Iterable[str], where: str) -> tuple[str, ...]:
    """Return a remark that counts files that are not read because of their names, by ending; none where there are none.

    >>> omitted(["a.heic", "b.HEIC", "notes"], "val/cat")
    ('val/cat: 3 files were not read, as their names do not end like those of images (.heic: 2, no ending: 1).',)
    """
    counts = Counter(Path(name).suffix.lower() or "no ending" for name in names)
    if not counts:
        return ()
    total = sum(counts.values())
    shown = ", ".join(f"{ending}: {count:,}" for ending, count in counts.most_common(5))
    files, end = ("1 file was", "its name does not end like that of an image") if total == 1 else (
        f"{total:,} files were", "their names do not end like those of images")  # fmt: skip
    return (f"{where}: {files} not read, as {end} ({shown}{', ...' if len(counts) > 5 else ''}).",)


class TreeSource:
    """The encoded images of some files of a tree; see :class:`robench.data.encoded.Source`."""

    def __init__(self, tree: Tree, paths: list[str]) -> None:
        self.tree, self.paths = tree, paths

    def __len__(self) -> int:
        return len(self.paths)

    def name(self, position: int) -> str:
        """Return the file's path; a manifest may name files elsewhere."""
        path = self.paths[position]
        return path if path.startswith("/") else f"{self.tree.root}/{path}"

    def fetch(self, position: int) -> bytes:
        """Return the file's bytes."""
        return self.tree.fetch(self.paths[position])

    def identity(self) -> bytes:
        """Return names and sizes; -1 for a file that is not there, which its own reading will tell."""
        sizes = np.array([self._size(path) for path in self.paths], np.int64)
        return "\0".join(self.paths).encode(errors="surrogateescape") + sizes.tobytes()

    def _size(self, path: str) -> int:
        try:
            return self.tree.size(path)
        except OSError:  # a link to nowhere or back to itself, a name in a manifest without its file
            return -1
