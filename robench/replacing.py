"""Which existing files may be replaced by what is written: those that begin as the new content does."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from robench.errors import RobenchError

_HEAD = 6  # bytes that must be alike: the marks of PNG, PDF and Parquet, the first word of a table or a page
_LARGEST = 1 << 26  # of JSON that is read to be compared


def refuse_foreign(target: str | os.PathLike[str], new: str | os.PathLike[str]) -> None:
    """Refuse to replace a file that holds something else: ``calibrate --out /etc/passwd`` must not.

    A file may be replaced if it is not there, empty, or of the new content's kind: a JSON object with a key in common,
    or anything else that begins with the same six bytes (after white space), such as another PNG, or a table with the
    same first column.

    Args:
        target: the file to be replaced.
        new: the file with the new content.

    Raises:
        RobenchError: it is of another kind.
    """
    old = _head(Path(target))
    if not old:
        return
    fresh = _head(Path(new))
    alike = _share_a_key(target, new) if old[:1] == fresh[:1] == b"{" else old == fresh
    if not alike:
        raise RobenchError(
            f"{target} is there already and holds something else (it begins {old[:_HEAD]!r}).",
            hint="Nothing was replaced. Choose another name, or remove it first.",
        )


def _head(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(4096).lstrip()[:_HEAD]
    except FileNotFoundError:
        return b""


def _share_a_key(one: str | os.PathLike[str], other: str | os.PathLike[str]) -> bool:
    keys = [_keys(path) for path in (one, other)]
    return None in keys or bool(set(keys[0] or ()) & set(keys[1] or ()))


def _keys(path: str | os.PathLike[str]) -> set[str] | None:
    """Return the keys of a JSON object; none of a file that is not one, None of one too large to be read here."""
    if os.path.getsize(path) > _LARGEST:
        return None
    with suppress(ValueError, RecursionError, OSError):
        document: Any = json.loads(Path(path).read_bytes())
        return set(document) if isinstance(document, dict) else set()
    return set()
