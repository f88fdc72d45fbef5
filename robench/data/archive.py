"""Archives unpacked so that they cannot harm: nothing outside the folder, no links, no bombs, all or nothing."""

from __future__ import annotations

import gzip
import hashlib
import lzma
import os
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from robench.data.catalogue import LISTING
from robench.data.tar_index import Header, refuse_more
from robench.errors import RobenchError

# Images and arrays hardly shrink; an archive that grows a hundredfold is an attack or another kind of data.
MAX_RATIO = 100
MAX_MEMBERS = 10_000_000
_CHUNK = 1 << 20
# What the readers raise on damaged bytes; RuntimeError: a zip that asks for a password.
_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    gzip.BadGzipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    RuntimeError,
)


class _Member(NamedTuple):
    name: str
    size: int
    file: IO[bytes]


def is_archive(path: Path) -> bool:
    """Whether the file's name is that of an archive that :func:`unpack` takes."""
    return path.name.endswith((".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".zip"))


def unpack(archives: list[Path], folder: Path) -> Path:
    """Unpack archives (and copy plain files) into a new folder that appears only when all is there.

    A list of the files with size and checksum is left in it (``.robench-files.tsv.gz``), for ``verify``.

    Raises:
        RobenchError: ``folder`` exists, a damaged archive, a member that is a link or a device, leads outside, is
            there twice, or grows beyond all measure; the disk is full or not writable.
    """
    if folder.exists():
        raise RobenchError(f"{folder} exists already.", hint="Delete or rename it first.")
    aside = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".part", dir=folder.parent))
        with gzip.open(aside / LISTING, "wt", encoding="utf-8") as listing:
            for archive in archives:
                limit = max(MAX_RATIO * archive.stat().st_size, 1 << 24)
                for line in _unpack_one(archive, aside, limit):
                    listing.write(line + "\n")
        os.chmod(aside, 0o755)
        os.replace(aside, folder)
    except BaseException as error:
        if aside is not None:
            shutil.rmtree(aside, ignore_errors=True)
        if isinstance(error, OSError):
            raise RobenchError(
                f"Cannot unpack into {folder}: {error.strerror or error}.", hint="Free space or choose another folder."
            ) from error
        raise
    return folder


def _unpack_one(archive: Path, folder: Path, limit: int) -> Iterator[str]:
    """Unpack one archive and yield a line of the list for every file."""
    written = 0
    try:
        for number, member in enumerate(_members(archive)):
            if number >= MAX_MEMBERS:
                raise RobenchError(f"{archive} holds more than {MAX_MEMBERS:,} files.", hint="It is not this set.")
            path = folder.joinpath(*safe_parts(member.name, archive))
            written += member.size
            if written > limit:
                raise RobenchError(
                    f"{archive} would grow to more than {limit / 1e9:.1f} GB, {MAX_RATIO} times its size.",
                    hint="It is not what it says it is; nothing was unpacked.",
                )
            if path.exists():
                raise RobenchError(f"{archive} holds {member.name} twice.", hint="It is damaged; get it again.")
            path.parent.mkdir(parents=True, exist_ok=True)
            checksum, size = _write(member, path)
            yield f"{checksum}\t{size}\t{path.relative_to(folder).as_posix()}"
    except _DAMAGE as error:
        raise RobenchError(f"{archive} is damaged: {error}.", hint="Delete it and get it again.") from error


def safe_parts(name: str, archive: Path) -> tuple[str, ...]:
    """Return the parts of a member's path, all of them inside the folder.

    Raises:
        RobenchError: an absolute path, a drive, ``..``, an empty name, control characters, or not UTF-8.
    """
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise RobenchError(
            f"{archive} holds '{name}', a name that is not UTF-8.", hint="It is damaged, or packed by an old program."
        ) from error
    path = PurePosixPath(name.replace("\\", "/"))
    parts = tuple(part for part in path.parts if part != ".")
    if path.is_absolute() or ".." in parts or not parts or ":" in parts[0] or not name.isprintable():
        raise RobenchError(
            f"{archive} holds '{name}', which cannot be a file in the folder.",
            hint="Do not trust the archive; get it elsewhere.",
        )
    return parts


def _members(archive: Path) -> Iterator[_Member]:
    if archive.suffix == ".zip":
        yield from _zip_members(archive)
    elif is_archive(archive):
        yield from _tar_members(archive)
    else:
        with open(archive, "rb") as file:
            yield _Member(archive.name, archive.stat().st_size, file)


def _tar_members(archive: Path) -> Iterator[_Member]:
    with tarfile.open(archive, "r:*", tarinfo=Header) as opened:
        while (member := opened.next()) is not None:
            opened.members = []  # type: ignore[attr-defined]  # else every header is kept
            if member.isdir():
                safe_parts(member.name + "/x", archive)
                continue
            if not member.isreg():
                raise _not_a_file(archive, member.name)
            file = opened.extractfile(member)
            if file is not None:
                yield _Member(member.name, member.size, file)
        # A compressed stream has its checksum at its very end, which tarfile leaves unread.
        if opened.fileobj is not None:
            refuse_more(opened.fileobj.read)


def _zip_members(archive: Path) -> Iterator[_Member]:
    with zipfile.ZipFile(archive) as opened:
        for info in opened.infolist():
            if info.is_dir():
                safe_parts(info.filename + "x", archive)
                continue
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFREG):
                raise _not_a_file(archive, info.filename)
            with opened.open(info) as file:
                yield _Member(info.filename, info.file_size, file)


def _not_a_file(archive: Path, name: str) -> RobenchError:
    return RobenchError(f"{archive} holds '{name}', a link or device.", hint="Data sets have none; get it elsewhere.")


def _write(member: _Member, path: Path) -> tuple[str, int]:
    """Write one member and return its checksum and size; more than it announced is refused."""
    digest = hashlib.blake2b(digest_size=16)
    size = 0
    with open(path, "xb") as out:
        while chunk := member.file.read(_CHUNK):
            size += len(chunk)
            if size > member.size:
                raise zipfile.BadZipFile(f"{member.name} is longer than it says")
            digest.update(chunk)
            out.write(chunk)
    if size != member.size:
        raise zipfile.BadZipFile(f"{member.name} ends early")
    return digest.hexdigest(), size
