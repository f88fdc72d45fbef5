"""Images kept on a GPU, so that what many cells are made of is decoded and copied there once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch

Rows = npt.NDArray[np.int64]


def room_on(device: str) -> int:
    """Return the bytes of a device that images may fill: a quarter of what is free, so that the model has the rest."""
    import torch

    return torch.cuda.mem_get_info(device)[0] // 4 if device.startswith("cuda") else 0


class Resident:
    """Images of one set on one device, each brought there when it is first asked for.

    Args:
        images: in the set.
        device: where they are kept.
        room: bytes that they may fill. Where all of them would need more, none is kept.
    """

    def __init__(self, images: int, device: str, room: int) -> None:
        self.device, self._room = device, room
        self._there = np.zeros(images, dtype=bool)
        self._pixels: torch.Tensor | None = None

    def get(self, rows: Rows, read: Callable[[Rows], torch.Tensor]) -> torch.Tensor:
        """Return images, reading those that are not there yet.

        Args:
            rows: int64 (n,), numbers of images in the set.
            read: gives uint8 (m, 3, H, W) on the device for some of them; all of one size.

        Returns:
            uint8 (n, 3, H, W) on the device, in channels_last memory where they are kept.
        """
        import torch

        missing = rows[~self._there[rows]]
        new = read(missing) if len(missing) else None
        if new is not None:
            if self._pixels is None:
                if len(self._there) * new[0].numel() > self._room:
                    return new if len(missing) == len(rows) else read(rows)
                shape = (len(self._there), *new.shape[2:], 3)
                self._pixels = torch.empty(shape, dtype=torch.uint8, device=self.device)
            if self._pixels.shape[1:3] != new.shape[2:]:  # sizes that differ from batch to batch are not kept
                return new if len(missing) == len(rows) else read(rows)
            self._pixels[torch.from_numpy(missing).to(self.device)] = new.permute(0, 2, 3, 1)
            self._there[missing] = True
        assert self._pixels is not None
        return self._pixels[torch.from_numpy(rows).to(self.device)].permute(0, 3, 1, 2)
