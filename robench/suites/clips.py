"""What opened -P suites share: clips of frames, in whole clips a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from robench.data.decode import CorruptImageError
from robench.errors import RobenchError
from robench.suites.base import Batch, Cell, OpenOptions, Source, Suite
from robench.suites.opened import Opened, fit_to, sample

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Clips:
    """The clips of one cell.

    Args:
        count: how many clips there are.
        frames: frames of each.
        target: int64 (count,), -1 where there are no labels.
        read: gives clips (by their numbers) as a uint8 tensor (n, frames, 3, H, W) on a device.
    """

    count: int
    frames: int
    target: npt.NDArray[np.int64]
    read: Callable[[npt.NDArray[np.int64], str], torch.Tensor]


class OpenedClips(Opened):
    """A -P suite; see :class:`robench.suites.base.OpenSuite`. All frames of a clip come in a row."""

    def __init__(
        self,
        suite: Suite,
        source: Source,
        clips: Callable[[Cell], Clips],
        protocol: dict[str, Any],
        options: OpenOptions,
        classes: Sequence[str] | None = None,
    ) -> None:
        super().__init__(suite, source, {**protocol, "difficulty": difficulty(options)}, options, classes)
        self._make = clips
        self._last: tuple[Cell, Clips] | None = None

    def length(self, cell: Cell) -> int:
        """Return how many clips the cell has."""
        return len(sample(self._clips(cell).count, self.options.limit))

    def batches(
        self, cell: Cell, batch_size: int, *, start: int = 0, stop: int | None = None, device: str = "cpu"
    ) -> Iterator[Batch]:
        """Yield clips start..stop, as many whole clips at a time as fit ``batch_size`` frames (at least one)."""
        clips = self._clips(cell)
        chosen = sample(clips.count, self.options.limit)[start:stop]
        step = max(1, batch_size // clips.frames)
        geometry = self.scaled_to
        for first in range(0, len(chosen), step):
            pixels, numbers, unreadable = self._read(clips, chosen[first : first + step], device)
            yield Batch(
                fit_to(pixels.flatten(0, 1), geometry),
                np.repeat(numbers, clips.frames),
                np.repeat(clips.target[numbers], clips.frames),
                np.tile(np.arange(clips.frames, dtype=np.int64), len(numbers)),
                unreadable,
            )

    def _clips(self, cell: Cell) -> Clips:
        if self._last is None or self._last[0] != cell:
            self._last = (cell, self._make(cell))
        return self._last[1]

    def _read(
        self, clips: Clips, numbers: npt.NDArray[np.int64], device: str
    ) -> tuple[torch.Tensor, npt.NDArray[np.int64], tuple[str, ...]]:
        import torch

        try:
            return clips.read(numbers, device), numbers, ()
        except CorruptImageError:
            if not self.options.skip_corrupt:
                raise
        good, parts, unreadable = [], [], []
        for number in numbers:
            try:
                parts.append(clips.read(np.array([number]), device))
            except CorruptImageError as error:
                unreadable.append(error.message)
            else:
                good.append(number)
        pixels = torch.cat(parts) if parts else torch.empty((0, clips.frames, 3, 1, 1), dtype=torch.uint8)
        return pixels, np.array(good, np.int64), tuple(unreadable)


def difficulty(options: OpenOptions) -> int:
    """Return the difficulty asked for (1, 2 or 3); published figures have 1."""
    value = 1 if options.difficulty is None else int(options.difficulty)
    if value not in (1, 2, 3):
        raise RobenchError(f"Difficulty is 1, 2 or 3; found {value}.", hint="Published figures have difficulty 1.")
    return value
