"""Where compiled loops run, and where tensor operations do the same."""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy.typing as npt
import torch

_lost_threads = False


def has_loops(device: torch.device) -> bool:
    """Return whether numba's loops can work on a tensor there; elsewhere tensor operations give the same images.

    They cannot in a process that was forked (a worker of a DataLoader) from one whose loops had begun: their threads
    are not there, and OpenMP ends the process. A test answers no for the CPU too, and so compares both ways without a
    GPU.
    """
    return device.type == "cpu" and not _lost_threads


def host_has_loops() -> bool:
    """Return whether numba's loops can work in this process, whatever device the tensors are on."""
    return not _lost_threads


def planes(images: torch.Tensor) -> npt.NDArray[Any]:
    """Return a tensor's values with its planes one after the other: loops are compiled for that order alone.

    Compiling them for a second order (images in channels-last memory) takes seconds, copying an image of 224 pixels
    0.1 ms.
    """
    return images.contiguous().numpy()


def _note_lost_threads() -> None:
    global _lost_threads
    loops = sys.modules.get("numba.np.ufunc.parallel")
    _lost_threads = _lost_threads or bool(getattr(loops, "_is_initialized", False))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_lost_threads)
