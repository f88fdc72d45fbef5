"""How a process uses a CPU: its threads, by affinity, container quota and the user's choice, and kept memory."""

from __future__ import annotations

import ctypes
import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

Item = TypeVar("Item")
Found = TypeVar("Found")

# Threads


def threads() -> int:
    """Return the number of threads for a thread pool.

    Once PyTorch is loaded this is its number of threads, which follows ``OMP_NUM_THREADS`` and
    ``torch.set_num_threads``, so that each of several processes on a machine keeps to its share (torchrun sets 1).
    Before, it is ``OMP_NUM_THREADS``, else :func:`cores`.
    """
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "get_num_threads"):
        found = max(1, int(torch.get_num_threads()))
        return found if _asked_threads() or found != _affinity() else min(found, cores())
    return _asked_threads() or cores()


def cores() -> int:
    """Return the number of CPU cores this process may use, by its affinity and its container's CPU quota."""
    quota = _cpu_quota()
    return _affinity() if quota is None else max(1, min(_affinity(), math.ceil(quota)))


def in_threads(function: Callable[[Item], Found], items: Sequence[Item]) -> list[Found]:
    """Return ``[function(item) for item in items]``, computed by as many threads as the process may use.

    For functions that release Python's lock for most of their time: compiled loops, large arrays, files. The threads
    end before it returns, so that the process may still fork.
    """
    workers = min(threads(), len(items))
    if workers < 2:
        return [function(item) for item in items]
    with ThreadPoolExecutor(workers, thread_name_prefix="robench") as pool:
        return list(pool.map(function, items))


@contextmanager
def one_thread_of_blas() -> Iterator[None]:
    """Let matrix products of numpy take only the thread that asks for them, during the block.

    A BLAS library's own threads wait for each other in busy loops: beside other processes, two took three times as long
    as one. Threads of :func:`in_threads` do not wait for each other.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="blas"):
        yield


def keep_to_quota() -> None:
    """Limit PyTorch's threads to the container's CPU quota, unless the user has chosen a number.

    PyTorch considers the affinity only: 64 threads on a quota of 2 cores would wait for each other.
    """
    import torch

    if not _asked_threads() and torch.get_num_threads() == _affinity() > cores():
        torch.set_num_threads(cores())


def wait_asleep() -> None:
    """Let the threads of parallel loops sleep while they wait, unless the user has said how they wait.

    By default OpenMP's threads wait in a busy loop for some milliseconds. Beside other processes, the thread that they
    wait for then has no core to run on, and every loop takes a turn of the scheduler. Only for a process that is
    robench's own, before PyTorch is loaded, as OpenMP reads this once: a library must not change its user's threads.
    """
    if "torch" not in sys.modules and not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & set(os.environ):
        os.environ["OMP_WAIT_POLICY"] = "passive"


def _asked_threads() -> int | None:
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    return int(asked) if asked.isdigit() and int(asked) > 0 else None


def _affinity() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cpu_quota(proc: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> float | None:
    """Return the smallest quota of this process's control groups, in cores; None without one.

    Version 2 has ``cpu.max`` ("200000 100000": time and period), version 1 two files under the ``cpu`` controller.
    In a container, the kernel may report paths of the host; the mounted root is then the container's group.
    """
    try:
        lines = proc.read_text().splitlines()
    except OSError:
        return None
    quotas = []
    for line in lines:
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        if controllers == "":
            quotas += [_read_quota(folder / "cpu.max") for folder in _upwards(root, path)]
        elif "cpu" in controllers.split(","):
            for mounted in ("cpu", controllers):
                quotas += [
                    _read_quota(folder / "cpu.cfs_quota_us", folder / "cpu.cfs_period_us")
                    for folder in _upwards(root / mounted, path)
                ]
    return min((quota for quota in quotas if quota is not None), default=None)


def _upwards(root: Path, path: str) -> Iterator[Path]:
    folder = root / path.strip("/")
    while folder != root and root in folder.parents:
        yield folder
        folder = folder.parent
    yield root


def _read_quota(*files: Path) -> float | None:
    try:
        time, period = " ".join(file.read_text() for file in files).split()[:2]
        return int(time) / int(period) if int(time) > 0 and int(period) > 0 else None
    except (OSError, ValueError):  # no such file, or "max": no limit
        return None


# Freed memory

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of mallopt(3)
_KEPT = 2**31 - 1
_USUAL_TRIM, _USUAL_MMAP = 64 << 20, 32 << 20  # where glibc's own thresholds end up in a process like this
_inside = 0


@contextmanager
def kept_memory(device: str = "cpu") -> Iterator[None]:
    """Keep up to 2 GiB of freed memory in the process during the block on a CPU; released at its end.

    A network's activations are large and short-lived. By default glibc requests each of them from the system and
    returns it, and the system clears every page again: a third of a ResNet's time on a CPU, more in a virtual machine.
    With higher thresholds, the next batch reuses the memory of the previous one.

    Has no effect on other devices, with C libraries other than glibc, and where ``MALLOC_MMAP_THRESHOLD_`` or
    ``MALLOC_TRIM_THRESHOLD_`` is set. Blocks may be nested.
    """
    global _inside
    library = _glibc() if device.startswith("cpu") else None
    if library is None:
        yield
        return
    _inside += 1
    _set_thresholds(library, _KEPT, _KEPT)
    try:
        yield
    finally:
        _inside -= 1
        if _inside == 0:
            _set_thresholds(library, _USUAL_TRIM, _USUAL_MMAP)
            library.malloc_trim(0)


def _set_thresholds(library: ctypes.CDLL, trim: int, mmap: int) -> None:
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
