"""Files that appear whole or not at all, documents that are read with care, and checksums."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import platform
import re
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO, Any

from robench.errors import RobenchError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_MAX_DEPTH = 100
_MAX_VALUES = 1_000_000  # of a YAML document, whose references can multiply a few lines
_MAX_BYTES = {"json": 256 << 20, "yaml": 4 << 20}
_LONGEST_NAME = 48  # of the target, in the name of its part file, which may have 255 bytes
_TYPES = {dict: "a mapping", list: "a list", str: "a text", type(None): "nothing", bool: "true or false"}
_NEXT_STEP = {
    errno.ENOSPC: "Free some space or choose another folder; what was finished before is kept.",
    errno.EDQUOT: "Free some space or choose another folder; what was finished before is kept.",
    errno.ENAMETOOLONG: "Choose a shorter name.",
    errno.ENOTDIR: "A part of the path is a file; choose another folder.",
    errno.EISDIR: "Give the name of a file in it.",
}
_HUGE = re.compile(r"[eE]\+?\d{3}")
_swept: set[Path] = set()


@contextmanager
def atomic_write(path: str | os.PathLike[str], mode: str = "wb") -> Iterator[IO[Any]]:
    """Open a file beside ``path``; on success flush it to the disk and rename it to ``path``.

    Whatever happens (an exception, SIGKILL, power loss), ``path`` holds either its old content or the whole
    new one. The unfinished ``.NAME.*.part`` file of a writer that was killed is removed by the next one. A link is
    followed. A device, a pipe or ``/dev/stdout`` is written to, not replaced.

    Args:
        path: the file; folders above it are made.
        mode: ``"wb"`` or ``"w"`` (UTF-8).

    Raises:
        RobenchError: the folder cannot be written to, the disk is full, or ``path`` is a folder, a disk, or a pipe that
            nobody reads.
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
                if fcntl is not None:  # while it is locked; Windows renames closed files only
                    os.replace(aside, target)
            if fcntl is None:
                os.replace(aside, target)
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


def write_json(path: str | os.PathLike[str], document: Any) -> None:
    """Write ``document`` as indented JSON with its keys in their order, atomically. NaN is refused.

    Raises:
        RobenchError: as :func:`atomic_write`.
        ValueError: a number is not finite.
    """
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    with atomic_write(path) as file:
        file.write(text.encode())


def read_document(
    path: str | os.PathLike[str],
    kind: str,
    *,
    top: type[dict[Any, Any]] | type[list[Any]] | None = dict,
    hint: str | None = None,
    max_bytes: int | None = None,
) -> Any:
    """Read a JSON or YAML document that somebody else may have written, cut short or made up.

    Args:
        path: the file; it is read as YAML where its name ends in ``.yaml`` or ``.yml``, else as JSON.
        kind: what the document is, as messages call it: ``"model card"``, ``"run record"``.
        top: type that the document must have; None: any. A mapping's keys must be text.
        hint: the next step for the user where the document cannot be used.
        max_bytes: largest size; None: 256 MiB of JSON, 4 MiB of YAML.

    Returns:
        The document, made of plain values, nested at most 100 deep; NaN and infinity occur in YAML only.

    Raises:
        RobenchError: no such file, not a regular file, too large, not UTF-8, bad syntax, nested too deep, or of
            another type. The message names the file, what was expected and what was found.
    """
    path = Path(path)
    form = "yaml" if path.suffix.lower() in (".yaml", ".yml") else "json"
    limit = max_bytes if max_bytes is not None else _MAX_BYTES[form]
    try:
        data = _read_regular(path, limit)
    except (OSError, ValueError) as error:
        reason = "it does not exist" if isinstance(error, FileNotFoundError) else _reason(error)
        raise RobenchError(
            f"Could not read the {kind} {path}: {reason}.", hint=hint or "Check the path and its permissions."
        ) from error
    return parse_document(data, str(path), kind, form=form, top=top, hint=hint)


def parse_document(
    data: bytes,
    name: str,
    kind: str,
    *,
    form: str = "json",
    top: type[dict[Any, Any]] | type[list[Any]] | None = dict,
    hint: str | None = None,
) -> Any:
    """Read the bytes of a JSON or YAML document; see :func:`read_document`, which takes them from a file.

    >>> parse_document(b'{"seed": 1}', "run.json", "run record")
    {'seed': 1}

    Raises:
        RobenchError: as there.
    """
    try:
        text = data.decode("utf-8")
        document = _load(text, form)
        _check(document, text, form)
    except UnicodeDecodeError as error:
        reason = f"expected UTF-8; found byte {data[error.start]:#04x} at position {error.start}"
    except RecursionError:
        reason = f"it is nested more than {_MAX_DEPTH} deep"
    except Exception as error:  # what a damaged document makes a parser raise is not limited to its own errors
        reason = f"it is not valid {form.upper()}: {_reason(error)}"
    else:
        if top is None or (isinstance(document, top) and _has_text_keys(document)):
            return document
        found = _TYPES.get(type(document), f"a {type(document).__name__}")
        reason = f"expected {_TYPES[top]}{' with names as keys' if top is dict else ''}; found {found}"
        if isinstance(document, dict) and top is dict:
            reason += f" with the key {next(key for key in document if not isinstance(key, str))!r}"
    raise RobenchError(
        f"Could not read the {kind} {name}: {reason}.", hint=hint or "It is damaged or another file; get it again."
    )


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


def require_regular(path: str | os.PathLike[str]) -> os.stat_result:
    """Return the status of a regular file; a pipe or a device, which may never end, is refused before it is opened.

    Raises:
        OSError: there is no such file, or it is not a regular file.
    """
    status = os.stat(path)
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder", str(path))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file but a pipe, socket or device", str(path))
    return status


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


def _read_regular(path: Path, limit: int) -> bytes:
    size = require_regular(path).st_size
    if size > limit:
        raise ValueError(f"it has {size:,} bytes; at most {limit:,} are expected")
    return path.read_bytes()


def _load(text: str, form: str) -> Any:
    if form == "json":
        return json.loads(text, parse_constant=_refuse_constant, parse_float=_finite if _HUGE.search(text) else None)
    import yaml

    return yaml.safe_load(text)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"it holds {name}, which is not a JSON number")


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _refuse_constant(text)


def _check(document: Any, text: str, form: str) -> None:
    """Refuse what is nested too deep, grows by references (YAML), or holds text that is not Unicode.

    Raises:
        RecursionError: nested too deep.
        ValueError: too many values, or half of a surrogate pair.
    """
    escapes = "\\u" in text or "\\U" in text
    waiting = [(document, 0)]
    seen = 0
    while waiting:
        value, depth = waiting.pop()
        if isinstance(value, str):
            value.encode()
            continue
        seen += len(value) if isinstance(value, dict | list) else 0
        if depth > _MAX_DEPTH:
            raise RecursionError
        if form == "yaml" and seen > _MAX_VALUES:
            raise ValueError(f"it holds more than {_MAX_VALUES:,} values")
        inner = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else ()
        kept = (dict, list, str) if escapes else (dict, list)
        waiting.extend((one, depth + 1) for one in inner if isinstance(one, kept))


def _has_text_keys(document: Any) -> bool:
    return not isinstance(document, dict) or all(isinstance(key, str) for key in document)


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeEncodeError):
        return "a text in it is not Unicode"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def _umask() -> int:
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
