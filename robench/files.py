"""Files that appear whole or not at all, space on the disk, and checksums; documents are read through here, too."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import platform
import shutil
import stat
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO, Any

from robench.documents import parse_document, read_document, require_regular
from robench.errors import RobenchError
from robench.replacing import refuse_foreign

__all__ = [
    "atomic_write", "digest", "parse_document", "read_document", "remove_leftovers", "require_regular", "require_space",
    "sha256", "size_in_words", "unwritable", "write_json",
]  # fmt: skip

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_LONGEST_NAME = 48  # of the target, in the name of its part file, which may have 255 bytes
_NEXT_STEP = {
    errno.ENOSPC: "Free some space or choose another folder; what was finished before is kept.",
    errno.EDQUOT: "Free some space or choose another folder; what was finished before is kept.",
    errno.ENAMETOOLONG: "Choose a shorter name.",
    errno.ENOTDIR: "A part of the path is a file; choose another folder.",
    errno.EISDIR: "Give the name of a file in it.",
}
_swept: set[Path] = set()
_asking = threading.Lock()


@contextmanager
def atomic_write(
    path: str | os.PathLike[str], mode: str = "wb", *, own: bool = False, more: bool = False
) -> Iterator[IO[Any]]:
    """Open a file beside ``path``; on success flush it to the disk and rename it to ``path``.

    Whatever happens (an exception, SIGKILL, power loss), ``path`` holds either its old content or the whole
    new one. The unfinished ``.NAME.*.part`` file of a writer that was killed is removed by the next one. A link is
    followed. A device, a pipe or ``/dev/stdout`` is written to, not replaced.

    Args:
        path: the file; folders above it are made.
        mode: ``"wb"`` or ``"w"`` (UTF-8).
        own: whether robench chose the name, as in a run folder: whatever stands there is damaged, and replaced. A file
            that a user named is replaced only by its like; see :func:`robench.replacing.refuse_foreign`.
        more: whether another file follows in this folder, without which this one does not count: its new name then
            need not be on the disk before.

    Raises:
        RobenchError: the folder cannot be written to, the disk is full, or ``path`` is a folder, a disk, a pipe that
            nobody reads, or a file that holds something else.
    """
    path = Path(path)
    try:
        if _is_stream(path):
            with _stream(path, mode) as file:
                yield file
            return
        target = Path(os.path.realpath(path)) if path.is_symlink() else path
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, aside = _part(target)
        try:
            with os.fdopen(descriptor, mode, encoding=None if "b" in mode else "utf-8") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
                os.chmod(aside, 0o666 & ~_umask())
                if not own:
                    refuse_foreign(target, aside)
                if fcntl is not None:  # while it is locked; Windows renames closed files only
                    os.replace(aside, target)
            if fcntl is None:
                os.replace(aside, target)
            if not more:
                _sync_folder(target.parent)
        except BaseException:
            Path(aside).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise unwritable(path, error) from error
    except ValueError as error:
        if "\0" not in str(path):
            raise
        raise RobenchError(f"Cannot write {str(path)!r}: a name cannot hold a zero byte.") from error


def write_json(path: str | os.PathLike[str], document: Any, *, own: bool = False) -> None:
    """Write ``document`` as indented JSON with its keys in their order, atomically. NaN is refused; ``own`` as there.

    Bytes of a path that are not UTF-8, which JSON cannot hold, become question marks.

    Raises:
        RobenchError: as :func:`atomic_write`.
        ValueError: a number is not finite.
    """
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    with atomic_write(path, own=own) as file:
        file.write(text.encode(errors="replace"))


def sha256(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(document: Any) -> str:
    """Return the SHA-256 of a JSON-able document in canonical form (sorted keys, no spaces).

    >>> digest({"b": 1, "a": 2}) == digest({"a": 2, "b": 1})
    True
    """
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def unwritable(path: Path, error: OSError) -> RobenchError:
    """Return what a user is told when a file cannot be written."""
    return RobenchError(
        f"Cannot write {path}: {error.strerror or error}.",
        hint=_NEXT_STEP.get(error.errno or 0, "Choose a folder that you may write to."),
    )


def require_space(folder: str | os.PathLike[str], needed: int) -> None:
    """Refuse to begin what does not fit on the disk.

    Args:
        folder: where the files will be; it need not be there yet.
        needed: bytes that are still to be written.

    Raises:
        RobenchError: fewer than ``needed`` bytes are free there.
    """
    place = Path(os.path.abspath(folder))
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if free < needed:
        raise RobenchError(
            f"{folder} needs about {size_in_words(needed)}; {size_in_words(free)} are free,"
            f" {size_in_words(needed - free)} too few.",
            hint="Free some space, or choose another folder.",
        )


def size_in_words(size: int) -> str:
    """Return a number of bytes with a unit.

    >>> size_in_words(2_918_471_680), size_in_words(12_300_000), size_in_words(999_700), size_in_words(999)
    ('2.92 GB', '12.3 MB', '1 MB', '999 bytes')
    """
    for unit, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if size >= 0.9995 * unit:  # three digits of anything less are below 1,000 of the unit below
            return f"{size / unit:,.3g} {name}" if size < 1000 * unit else f"{size / unit:,.0f} {name}"
    return f"{size} bytes"


def remove_leftovers(folder: Path) -> None:
    """Remove the part files that killed writers have left in a folder.

    A living writer holds a lock on its file. Files of other machines that share the folder are left alone.
    """
    if fcntl is None:
        return
    for left in folder.glob(f".*.{_machine()}.*.part"):
        with suppress(OSError), open(left, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            left.unlink(missing_ok=True)


def _part(target: Path) -> tuple[int, str]:
    """Make and lock a file beside ``target``."""
    if target.parent not in _swept:
        _swept.add(target.parent)
        remove_leftovers(target.parent)
    prefix = f".{target.name[:_LONGEST_NAME]}.{_machine()}."
    while True:
        descriptor, aside = tempfile.mkstemp(prefix=prefix, suffix=".part", dir=target.parent)
        if fcntl is None:
            return descriptor, aside
        with suppress(OSError):  # a file system without locks, where nobody can take the file for left over either
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.path.exists(aside):
            return descriptor, aside
        os.close(descriptor)  # another writer took it for left over before it was locked


@cache
def _machine() -> str:
    return hashlib.blake2b(platform.node().encode(), digest_size=3).hexdigest()


def _is_stream(path: Path) -> bool:
    """Whether bytes go through ``path`` instead of staying there: a device, a pipe, an open descriptor."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return False
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder", str(path))
    if stat.S_ISBLK(mode):
        raise OSError(errno.EINVAL, "it is a disk, not a file", str(path))
    return not stat.S_ISREG(mode) or _leads_to_descriptor(path)


def _leads_to_descriptor(path: Path) -> bool:
    """Whether a link on the way from ``path`` is one of the system's own, such as ``/dev/stdout``."""
    place = Path(os.path.abspath(path))
    for _ in range(40):
        if not place.is_symlink():
            return False
        if place.parts[1:2] in (("dev",), ("proc",)):
            return True
        place = Path(os.path.abspath(place.parent / os.readlink(place)))
    return False


@contextmanager
def _stream(path: Path, mode: str) -> Iterator[IO[Any]]:
    # Without waiting: a pipe that nobody reads is refused at once. Appended, for what stdout was redirected to.
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | getattr(os, "O_NONBLOCK", 0))
    os.set_blocking(descriptor, True)
    with os.fdopen(descriptor, mode, encoding=None if "b" in mode else "utf-8") as file:
        yield file


def _umask() -> int:
    with _asking:  # the mask is the process's: of two threads that ask at once, one would be told 0, and set it
        mask = os.umask(0)
        os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    """Make a rename last through a power loss; not every system lets a folder be opened."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:
        pass
    finally:
        os.close(descriptor)
