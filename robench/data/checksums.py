"""Checksums of large files, found once and remembered for as long as the file system says that they are as they were.

CIFAR-10-C's 19 files hold 2.9 GB, whose checksums take longer than all else that an evaluation does before its first
batch. What is remembered holds as long as :mod:`robench.unchanged` says; ``robench data verify`` reads every byte.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from pathlib import Path

from robench.errors import RobenchError
from robench.files import atomic_write, sha256
from robench.unchanged import State, settled, state_of

_REMEMBERED = 16 << 20  # bytes; a smaller file is read in 10 ms


def checksum_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal, from the user's cache folder where it is known.

    Raises:
        OSError: the file cannot be read.
    """
    began, state = time.time(), state_of(path)
    if state.size < _REMEMBERED:
        return sha256(path)
    known = _folder() / hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:32]
    if (found := _load(known, state)) is not None:
        return found
    found = sha256(path)
    if state_of(path) == state and settled(state, began):
        _save(known, f"{state} {found}\n")
    return found


def _folder() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("robench") / "checksums"


def _load(path: Path, state: State) -> str | None:
    """Return what was remembered of a file in this state; None where there is nothing, or it is damaged."""
    try:
        said, _, found = path.read_text(encoding="ascii").strip().rpartition(" ")
    except (OSError, ValueError):
        return None
    return found if said == str(state) and re.fullmatch("[0-9a-f]{64}", found) else None


def _save(path: Path, text: str) -> None:
    try:
        with atomic_write(path, "w", own=True) as file:
            file.write(text)
    except RobenchError:  # no home folder, or a full one: the next opening reads the file again
        return
