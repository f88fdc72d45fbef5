"""Where Triton's kernels make the corruptions and augmentation of a GPU, and what they need there.

A corruption is one to a dozen kernels instead of the hundreds that tensor operations take. Their arithmetic is that
of the CPU's compiled loops, operation for operation (multiplications and additions are not fused). Without Triton, or
where a kernel does not compile (Triton needs a C compiler), tensor operations give the same images.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Hashable
from contextlib import nullcontext
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch

WHERE = {"cuda"}
"""Types of devices where kernels make the images. A test adds the CPU, for Triton's interpreter; a benchmark takes
the GPU away, to time tensor operations."""

_failed: set[str] = set()
_lock = threading.Lock()
_launching = threading.RLock()  # Triton compiles in the thread that launches; batches are made ahead in another
_kept: dict[Hashable, torch.Tensor] = {}
_MOST_KEPT = 64


def attempt(device: torch.device, name: str, *arguments: Any) -> Any:
    """Return what a function of the modules of kernels makes, or None where kernels cannot work on this device.

    What fails is said once and not tried again.

    Args:
        device: of the tensors.
        name: ``module.function``: the module's full name, or that of one here without ``_gpu_``.
        *arguments: of the function.
    """
    if device.type not in WHERE or name in _failed or not has_triton():
        return None
    if any(isinstance(one, torch.Tensor) and one.numel() == 0 for one in arguments):
        return None
    module, function = name.rsplit(".", 1)
    try:
        make = getattr(import_module(module if "." in module else f"robench.corruptions._gpu_{module}"), function)
        with _launching, torch.cuda.device(device) if device.type == "cuda" else nullcontext():
            return make(*arguments)
    except torch.cuda.OutOfMemoryError:  # for the caller, who takes smaller batches
        raise
    except Exception as error:
        with _lock:
            known = name in _failed
            _failed.add(name)
        if not known:
            told = str(error).strip().splitlines()
            warnings.warn(
                f"The GPU kernel {name} cannot be used here ({type(error).__name__}: {told[0] if told else ''}); "
                "slower tensor operations make the same images. Triton needs a C compiler, such as gcc.",
                RuntimeWarning,
                stacklevel=3,
            )
        return None


@lru_cache(maxsize=1)
def has_triton() -> bool:
    """Return whether Triton is installed."""
    return find_spec("triton") is not None


def kept(device: torch.device, key: Hashable, make: Callable[..., torch.Tensor], *arguments: Any) -> torch.Tensor:
    """Return a table that lies on the device, uploaded at its first use; the last 64 are kept.

    Args:
        device: where it lies.
        key: what tells it from all other tables.
        make: returns it on any device.
        *arguments: of ``make``.
    """
    place = (device, key)
    with _lock:
        found = _kept.pop(place, None)
    if found is None:
        found = make(*arguments).contiguous().to(device)
    with _lock:
        _kept[place] = found  # the last one used is the last to go
        while len(_kept) > _MOST_KEPT:
            del _kept[next(iter(_kept))]
    return found


def upload(table: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Return a tensor on the device; a host that sends its own does not wait for what the device is at."""
    table = table.contiguous()
    if table.device.type == "cpu" and device.type == "cuda":
        table = table.pin_memory()
    return table.to(device, non_blocking=True)
