"""Keeps freed memory for the next batch, where the C library would hand it back to the system after each.

A network's activations are large and short-lived. glibc gets each of them fresh from the system and returns it, and the
system clears every page anew: a third of a ResNet's time on a CPU, more in a virtual machine. With higher thresholds
the next batch takes the memory of the last.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of mallopt(3)
_KEPT = 2**31 - 1
_USUAL_TRIM, _USUAL_MMAP = 64 << 20, 32 << 20  # where glibc's own thresholds end up in a process like this
_inside = 0


@contextmanager
def kept(device: str = "cpu") -> Iterator[None]:
    """Let the process keep up to 2 GiB of freed memory while the block runs on a CPU; given back at its end.

    Does nothing on other devices, with C libraries other than glibc, and where ``MALLOC_MMAP_THRESHOLD_`` or
    ``MALLOC_TRIM_THRESHOLD_`` says what the user wants. Blocks may be nested.
    """
    global _inside
    library = _glibc() if device.startswith("cpu") else None
    if library is None:
        yield
        return
    _inside += 1
    _set(library, _KEPT, _KEPT)
    try:
        yield
    finally:
        _inside -= 1
        if _inside == 0:
            _set(library, _USUAL_TRIM, _USUAL_MMAP)
            library.malloc_trim(0)


def _set(library: ctypes.CDLL, trim: int, mmap: int) -> None:
    library.mallopt(_TRIM_THRESHOLD, trim)
    library.mallopt(_MMAP_THRESHOLD, mmap)


def _glibc() -> ctypes.CDLL | None:
    if {"MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"} & set(os.environ):
        return None
    try:
        library = ctypes.CDLL("libc.so.6")
        return library if all(hasattr(library, name) for name in ("mallopt", "malloc_trim")) else None
    except OSError:  # no glibc: macOS, Windows, musl
        return None
