"""Ranks, devices and precision of a process.

PyTorch is imported only where it is needed, so that listing suites or scoring a run starts at once.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from robench.errors import RobenchError, did_you_mean

if TYPE_CHECKING:
    import torch

Precision = Literal["fp32", "bf16", "fp16"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
_DTYPES: dict[Precision, str] = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}

_LAUNCHED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # what torchrun tells every process


# Precision


def has_bf16_units(device: str) -> bool:
    """Return whether the device multiplies matrices of bfloat16 faster than of float32.

    Processors with AMX do, and NVIDIA GPUs from the Ampere generation on. Without such units bfloat16 is slower.
    """
    import torch

    if device.startswith("cuda"):
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if not hasattr(torch.cpu, "get_capabilities"):  # PyTorch 2.11
        return device == "cpu" and bool(torch.cpu._is_amx_tile_supported())
    return device == "cpu" and bool(torch.cpu.get_capabilities().get("amx_bf16", False))


def as_precision(word: str) -> Precision:
    """Return a precision in its one spelling; PyTorch's names, which older recipes use, are accepted.

    Raises:
        RobenchError: an unknown word.

    >>> as_precision("bf16"), as_precision("float32")
    ('bf16', 'fp32')
    """
    for precision, dtype in _DTYPES.items():
        if word in (precision, dtype):
            return precision
    raise RobenchError(f"Unknown precision '{word}'.", hint=did_you_mean(str(word), PRECISIONS))


def dtype_of(precision: Precision) -> torch.dtype:
    """Return PyTorch's dtype of a precision (``bf16``: ``torch.bfloat16``)."""
    import torch

    found: torch.dtype = getattr(torch, _DTYPES[precision])
    return found


# Progress

_QUIET: ContextVar[bool] = ContextVar("quiet", default=False)


@contextmanager
def quietly(quiet: bool = True) -> Iterator[None]:
    """Let what runs within say nothing of its progress (``quiet``), or say it."""
    token = _QUIET.set(quiet)
    try:
        yield
    finally:
        _QUIET.reset(token)


def is_quiet() -> bool:
    """Return whether progress is not to be said.

    >>> with quietly():
    ...     is_quiet()
    True
    """
    return _QUIET.get()


# Devices


def check_device(name: str) -> str:
    """Check the name of a device (``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``), whether or not the device exists.

    Raises:
        RobenchError: an unknown name.
    """
    if name != "auto" and not re.fullmatch(r"cpu|(cuda|mps)(:\d{1,4})?", name):
        raise RobenchError(f"Unknown device '{name}'.", hint="Known: auto, cpu, cuda, cuda:1, mps.")
    return name


def resolve_device(name: str | None = None) -> str:
    """Return the device of this name on this machine; ``auto`` and None: CUDA, then MPS, then the CPU.

    Raises:
        RobenchError: no such device on this machine, or an unknown name.

    >>> resolve_device("cpu")
    'cpu'
    """
    import torch

    name = check_device(name or "auto")
    if name == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    if not _is_there(name):
        kind = name.partition(":")[0].upper()
        raise RobenchError(f"Found no {kind} device for '{name}'.", hint="Use 'auto' for the best device available.")
    return name


def _is_there(device: str) -> bool:
    import torch

    kind, _, number = device.partition(":")
    if kind == "cuda":
        return torch.cuda.is_available() and int(number or 0) < torch.cuda.device_count()
    return kind != "mps" or torch.backends.mps.is_available()


# Ranks


@dataclass(frozen=True)
class World:
    """This process among those that share a run.

    Args:
        rank: 0 is the process that reports and writes for all.
        size: number of processes.
        local_rank: number of the process on its machine.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def first(self) -> bool:
        """Whether this process reports and writes for all."""
        return self.rank == 0

    def device(self, name: str | None = None) -> str:
        """Return this process's device: each of several processes takes its own GPU, unless one is named.

        Raises:
            RobenchError: as :func:`resolve_device`.
        """
        device = resolve_device(name)
        if device != "cuda" or self.size == 1:
            return device
        import torch

        return f"cuda:{self.local_rank % torch.cuda.device_count()}"


def launched_by_torchrun() -> bool:
    """Return whether this process is one of several that ``torchrun`` started.

    Raises:
        RobenchError: as :func:`world`.
    """
    return world().size > 1


def world() -> World:
    """Return the world that ``torchrun`` describes in the environment; without it, this process alone.

    Raises:
        RobenchError: the environment describes several processes incompletely or not in numbers.
    """
    told = {name: os.environ[name] for name in (*_LAUNCHED, "LOCAL_RANK") if os.environ.get(name)}
    if told.get("WORLD_SIZE", "1") == "1":
        return World()
    missing = [name for name in _LAUNCHED if name not in told]
    numbers = {name: told[name] for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK") if name in told}
    wrong = [f"{name}={value}" for name, value in numbers.items() if not re.fullmatch(r"\d{1,7}", value)]
    if missing or wrong or int(numbers["RANK"]) >= int(numbers["WORLD_SIZE"]):
        found = f"without {', '.join(missing)}" if missing else f"with {', '.join(wrong or sorted(numbers))}"
        raise RobenchError(
            f"The environment describes several processes (WORLD_SIZE={told['WORLD_SIZE']}), but {found}.",
            hint="Start them with torchrun; for one process: unset WORLD_SIZE.",
        )
    return World(int(numbers["RANK"]), int(numbers["WORLD_SIZE"]), int(numbers.get("LOCAL_RANK", numbers["RANK"])))


@contextmanager
def joined(device: str | None = None) -> Iterator[World]:
    """Join the process group that ``torchrun`` describes in the environment, and leave it at the end.

    Uses NCCL where every process has its own GPU, else gloo. At the end all wait for the last; a process that fails
    leaves at once, so that torchrun can stop the others. Nested blocks share one group. Without torchrun, nothing is
    joined.

    Args:
        device: as given by the user (``auto``, ``cuda``, ``cpu``...).

    Raises:
        RobenchError: as :func:`world` and :func:`resolve_device`.
    """
    here = world()
    if here.size == 1:
        yield here
        return
    import torch
    from torch import distributed

    if distributed.is_initialized():
        yield here
        return
    own_gpu = _each_has_a_gpu(here, resolve_device(device))
    if own_gpu:
        torch.cuda.set_device(here.device(device))
    distributed.init_process_group("nccl" if own_gpu else "gloo")
    try:
        yield here
        distributed.barrier()
    finally:
        distributed.destroy_process_group()


def _each_has_a_gpu(world: World, device: str) -> bool:
    import torch

    beside = os.environ.get("LOCAL_WORLD_SIZE", "")
    return device == "cuda" and (int(beside) if beside.isdigit() else world.local_rank + 1) <= torch.cuda.device_count()
