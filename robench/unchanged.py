"""Whether files are as they were, by what the file system says of them: nothing is read.

A file's length, inode and both its times change with its bytes; the time of its status cannot be set back by a user.
Where a file has changed just now, another change might have the same time, so nothing should be remembered of it.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from pathlib import Path

_SETTLED = 2.0  # seconds: the coarsest time of common file systems (FAT)


@dataclass(frozen=True)
class State:
    """What the file system says of a file; times in nanoseconds since 1970."""

    device: int
    inode: int
    size: int
    modified: int
    changed: int

    def __str__(self) -> str:
        return " ".join(map(str, astuple(self)))


def state_of(path: Path) -> State:
    """Return the state of a file.

    Raises:
        OSError: there is none.
    """
    found = path.stat()
    return State(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def settled(state: State, began: float) -> bool:
    """Return whether a file had not changed for so long that a change after ``began`` would show in its state.

    Args:
        state: of the file.
        began: seconds since 1970, before it was looked at.

    >>> state = State(1, 2, 3, modified=10_000_000_000, changed=10_000_000_000)
    >>> settled(state, 11.0), settled(state, 13.0)
    (False, True)
    """
    return began - max(state.modified, state.changed) / 1e9 > _SETTLED
