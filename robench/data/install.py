"""Known sets as a whole: download, unpack, verify."""

from __future__ import annotations

import gzip
import hashlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from robench.data.archive import unpack
from robench.data.catalogue import LISTING, Entry, data_root, installed, mirrors
from robench.data.download import Notify, Report, download, file_md5
from robench.errors import RobenchError
from robench.files import require_space


def install(
    entry: Entry,
    root: Path | None = None,
    *,
    mirror: Sequence[str] = (),
    report: Callable[[str], Report] | None = None,
    notify: Notify | None = None,
    wait: float = 1.0,
    retries: int = 8,
) -> Path:
    """Download a set, check it, unpack it, and return its folder; a set that is there is left as it is.

    Tars that robench reads in place (``packed`` in the catalogue) are not unpacked.

    Args:
        entry: the set.
        root: folder of all sets; None: :func:`robench.data.catalogue.data_root`.
        mirror: hosts that are asked before the set's own; see :func:`robench.data.catalogue.mirrors`.
        report: gives, for a file's name, the function that is told its progress.
        notify: told, in a sentence, why there is a pause or another host.
        wait: seconds before a retry.
        retries: how often a broken download is taken up again.

    Raises:
        RobenchError: no space, a download that fails, wrong bytes, or an archive that is not to be trusted.
    """
    root = root or data_root()
    folder = root / entry.name
    if installed(entry.name, root):
        return folder
    _make(root)
    with _locked(root, entry.name, notify):
        if installed(entry.name, root):
            return folder
        if folder.exists():
            raise RobenchError(f"{folder} exists, but was not put there by robench.", hint="Move it away first.")
        for left in root.glob(f".{entry.name}.*.part"):  # of a process that was killed; the lock is ours
            shutil.rmtree(left, ignore_errors=True)
        incoming = root / f".{entry.name}.downloads"
        have = sum(file.stat().st_size for file in incoming.glob("*")) if incoming.is_dir() else 0
        unpacked = 0 if entry.packed else entry.size
        require_space(root, max(0, entry.size - have) + unpacked)
        archives = [
            download(
                [*(f"{one}/{entry.name}/{file.name}" for one in mirrors(mirror)), file.url, *file.mirrors],
                incoming / file.name,
                md5=file.md5,
                size=file.size if file.exact else None,
                wait=wait,
                retries=retries,
                report=report(file.name) if report is not None else None,
                notify=notify,
            )
            for file in entry.files
        ]
        if entry.packed:
            _keep_packed(incoming, archives, folder)
        else:
            unpack(archives, folder)
            shutil.rmtree(incoming)
    return folder


@contextmanager
def _locked(root: Path, name: str, notify: Notify | None) -> Iterator[None]:
    """Hold the set's lock; one process downloads, others wait for it."""
    from filelock import FileLock, Timeout

    lock = FileLock(str(root / f".{name}.lock"))
    try:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            if notify is not None:
                notify(f"Another process is downloading {name}; waiting for it.")
            lock.acquire()
    except OSError as error:
        raise RobenchError(
            f"Cannot lock {lock.lock_file}: {error.strerror or error}.",
            hint="Remove it, or choose another folder with ROBENCH_DATA or `root`.",
        ) from error
    try:
        yield
    finally:
        lock.release()


def _make(root: Path) -> None:
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RobenchError(
            f"Cannot make {root}: {error.strerror}.", hint="Choose another folder with ROBENCH_DATA or `root`."
        ) from error


def _keep_packed(incoming: Path, archives: list[Path], folder: Path) -> None:
    """Make the folder of downloads the set's folder."""
    with gzip.open(incoming / LISTING, "wt", encoding="utf-8") as listing:
        for archive in archives:
            listing.write(f"{_checksum(archive)}\t{archive.stat().st_size}\t{archive.name}\n")
    incoming.rename(folder)


def verify(folder: Path, entry: Entry | None = None) -> Iterator[str]:
    """Compare a set's files with what they must be, and yield a sentence for every one that is wrong.

    A set that robench downloaded is compared with the list it left; any other copy with the catalogue's
    checksums of single files, or of the packed archives.

    Args:
        folder: the set's folder.
        entry: the known set; needed where there is no list.

    Raises:
        RobenchError: there is nothing to compare with.
    """
    if (folder / LISTING).is_file():
        yield from _verify_listing(folder)
        return
    if entry is None or not (entry.contents or any(file.md5 for file in entry.files)):
        raise RobenchError(
            f"Nothing is known of what {folder} must hold.",
            hint="Only sets from 'robench data download' and those with published checksums can be verified.",
        )
    archives = [file for file in entry.files if (folder / file.name).is_file() and file.md5]
    if archives:
        for file in entry.files:
            if not (folder / file.name).is_file():
                yield f"{folder / file.name}: missing."
            elif file.md5 and file_md5(folder / file.name) != file.md5:
                yield f"{folder / file.name}: wrong checksum."
    elif not entry.contents:
        raise RobenchError(f"{folder} holds none of {entry.name}'s archives.", hint="Give the folder of the archives.")
    inner = folder / entry.folder if entry.folder and (folder / entry.folder).is_dir() else folder
    if archives and not any((inner / name).is_file() for name in entry.contents):
        return  # packed only
    for name, md5 in entry.contents.items():
        path = inner / name
        if not path.is_file():
            yield f"{path}: missing."
        elif file_md5(path) != md5:
            yield f"{path}: wrong checksum."


def _verify_listing(folder: Path) -> Iterator[str]:
    try:
        with gzip.open(folder / LISTING, "rt", encoding="utf-8") as listing:
            lines = [line.rstrip("\n").split("\t", 2) for line in listing]
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise RobenchError(f"{folder / LISTING} is damaged: {error}.", hint="Download the set again.") from error
    for checksum, size, name in lines:
        path = folder / name
        if not path.is_file():
            yield f"{path}: missing."
        elif path.stat().st_size != int(size):
            yield f"{path}: {path.stat().st_size:,} bytes instead of {int(size):,}."
        elif _checksum(path) != checksum:
            yield f"{path}: wrong checksum."


def _checksum(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
