"""What is done to every pixel of a batch: normalised for the network, and hashed.

Tensor operations do so from the start. Compiled loops take half as long and give the same values; as they take some
tenths of a second to load (seconds the first time, when they are compiled), a long run loads them beside its passes.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

_FEW_THREADS = 2  # more of them do PyTorch's two passes over memory faster than one does the loops' single pass
_MANY = 200_000  # a pass gains about a microsecond
_loops: Any = None


@contextmanager
def loops_beside(passes: int, device: str) -> Iterator[None]:
    """Load the compiled loops in a thread beside the block, where so many passes on the CPU are worth it."""
    if passes < _MANY or device != "cpu" or _loops is not None:
        yield
        return
    thread = threading.Thread(target=load_loops, name="robench-loops")
    thread.start()
    try:
        yield
    finally:
        thread.join()


def load_loops() -> None:
    """Load the compiled loops, or compile them; from then on they are used."""
    global _loops
    from robench.evaluation import _pixel_loops

    _pixel_loops.prepare()
    _loops = _pixel_loops


class Normaliser:
    """Normalises batches into channels_last memory: ``pixel * scale + shift`` for each channel.

    Args:
        scale, shift: float32, shape (3,), on the device.
    """

    def __init__(self, scale: torch.Tensor, shift: torch.Tensor) -> None:
        self._scale, self._shift = scale, shift
        self._row: tuple[torch.Tensor, torch.Tensor] | None = None
        self._exact: bool | None = None

    def __call__(self, images: torch.Tensor, out: torch.Tensor) -> None:
        """Fill ``out``, float32 (n, 3, H, W) in channels_last memory, from uint8 images of that shape."""
        if self._takes_loops(images, out):
            self._by_loops(images, out)
        else:
            self._by_tensors(images, out)

    def _by_tensors(self, images: torch.Tensor, out: torch.Tensor) -> None:
        out.copy_(images, non_blocking=True)
        # A broadcast over an innermost dimension of 3 is not vectorised; over a whole row of pixels it is.
        scale, shift = self._row_of(out.shape[3])
        rows = out.permute(0, 2, 3, 1).view(-1, len(scale))
        torch.addcmul(shift, rows, scale, out=rows)

    def _by_loops(self, images: torch.Tensor, out: torch.Tensor) -> None:
        scale, shift = self._row_of(out.shape[3])
        pixels, rows = (x.permute(0, 2, 3, 1).view(-1, len(scale)).numpy() for x in (images, out))
        _loops.normalise(pixels, scale.numpy(), shift.numpy(), rows)

    def _takes_loops(self, images: torch.Tensor, out: torch.Tensor) -> bool:
        if _loops is None or torch.get_num_threads() > _FEW_THREADS:
            return False
        if not (images.is_cpu and out.is_cpu and images.is_contiguous(memory_format=torch.channels_last)):
            return False
        if self._exact is None:
            self._exact = self._loops_agree()
        return self._exact

    def _loops_agree(self) -> bool:
        """Return whether the loops give PyTorch's values for every grey level: both may round once or twice."""
        levels = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16).expand(1, 3, -1, -1)
        levels = levels.contiguous(memory_format=torch.channels_last)
        found = [torch.empty_like(levels, dtype=torch.float32) for _ in range(2)]
        self._by_tensors(levels, found[0])
        self._by_loops(levels, found[1])
        return torch.equal(*found)

    def _row_of(self, width: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return scale and shift for the values of one row of pixels in channels_last memory, shape (3 * width,)."""
        if self._row is None or len(self._row[0]) != 3 * width:
            self._row = (self._scale.repeat(width), self._shift.repeat(width))
        return self._row


def weighted_sums(lanes: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """Return the sums of int64 lanes (n, m) times factors (m,), modulo 2^64; int64 (n,), on their device.

    >>> weighted_sums(torch.tensor([[1, 2], [3, 1 << 62]]), torch.tensor([10, 4])).tolist()
    [18, 30]
    """
    if lanes.device.type != "cpu":  # integers have no matrix product on a GPU; on a CPU it saves a pass over memory
        return (lanes * factors).sum(1)
    if _loops is None:
        return torch.mv(lanes, factors)
    out = torch.empty(len(lanes), dtype=torch.int64)
    _loops.weighted_sums(lanes.numpy(), factors.numpy(), out.numpy())
    return out
