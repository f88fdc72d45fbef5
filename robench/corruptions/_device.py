"""Where compiled loops run, and where tensor operations do the same."""

from __future__ import annotations

import torch


def has_loops(device: torch.device) -> bool:
    """Return whether numba's loops can work on a tensor there; elsewhere tensor operations give the same images.

    A test answers no for the CPU too, and so compares both ways without a GPU.
    """
    return device.type == "cpu"
