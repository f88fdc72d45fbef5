"""How many threads this process may use, for pools of our own."""

from __future__ import annotations

import os
import sys


def count() -> int:
    """Return PyTorch's number of threads where it is loaded, else ``OMP_NUM_THREADS``, else the cores we may run on.

    PyTorch's own number follows ``OMP_NUM_THREADS`` and ``torch.set_num_threads``, so a process among several on one
    machine (torchrun sets it to 1) keeps to its share.
    """
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "get_num_threads"):
        return max(1, int(torch.get_num_threads()))
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    return int(asked) if asked.isdigit() and int(asked) > 0 else cores()


def cores() -> int:
    """Return the number of processor cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
