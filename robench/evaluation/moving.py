"""Tensors between the host and a device, of which neither waits for the other."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

_PINNED = 64 << 20  # bytes, at most, of the host's memory that a copy from a GPU keeps from being paged out


class ToHost:
    """Tensors on their way to the host; the device and the calling thread go on meanwhile.

    Args:
        tensors: by name, all on one device.
    """

    def __init__(self, tensors: Mapping[str, torch.Tensor]) -> None:
        self._tensors = dict(tensors)
        self._copied: torch.cuda.Event | None = None
        first = next(iter(self._tensors.values()))
        if not first.is_cuda:
            self._tensors = self.arrived()
        elif sum(tensor.nbytes for tensor in self._tensors.values()) <= _PINNED:
            self._tensors = {name: tensor.to("cpu", non_blocking=True) for name, tensor in self._tensors.items()}
            self._copied = torch.cuda.Event()
            self._copied.record(torch.cuda.current_stream(first.device))

    def arrived(self) -> dict[str, torch.Tensor]:
        """Wait until they are there, and return them."""
        if self._copied is not None:
            self._copied.synchronize()
        return {name: tensor.cpu() for name, tensor in self._tensors.items()}


def to_device(array: np.ndarray, device: torch.device) -> torch.Tensor:
    """Return an array as a tensor there; a GPU is not waited for."""
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)
