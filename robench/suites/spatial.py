"""CIFAR10-STA: ten random rotations and translations of every image, of which the worst counts."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from robench.data.find import open_images
from robench.errors import RobenchError
from robench.suites.base import Cell, OpenOptions, Suite
from robench.suites.checks import check_clean
from robench.suites.copies import found_copy
from robench.suites.opened import Found, choose_cells
from robench.suites.reading import View, view_of

if TYPE_CHECKING:
    import torch

ATTEMPTS = 10
DEGREES = 30.0
PIXELS = 3


def open_sta(suite: Suite, data: Path | None, options: OpenOptions) -> Found:
    """Open CIFAR10-STA from the clean test set; the ten attempts at an image come as frames 0..9 of one clip.

    Raises:
        RobenchError: no data, no labels, or a set of other classes.
    """
    if data is None:
        raise RobenchError(f"{suite.name} needs the clean test set.", hint="Give a folder with CIFAR-10 in `data`.")
    images = open_images(data, dataset=suite.dataset, workers=options.workers)
    if images.labels is None:
        raise RobenchError(f"{data} has no labels.", hint="Give a labelled test set.")
    check_clean(suite, images, str(data))

    def attempts(pixels: torch.Tensor, index: npt.NDArray[np.int64]) -> torch.Tensor:
        import torch

        angle, shift = draw(index, options.seed, str(pixels.device))
        return torch.stack([rotate_and_shift(pixels, angle[:, k], shift[:, k]) for k in range(ATTEMPTS)], dim=1)

    def view(_: Cell) -> View:
        return view_of(images, attempts, frames=ATTEMPTS)

    protocol = {"clean": images.checksum(), "attempts": ATTEMPTS, "degrees": DEGREES, "pixels": PIXELS}
    protocol["difficulty"] = 1  # in the record of every suite of clips
    cells = choose_cells(suite, options)
    dataset = found_copy(suite.dataset, images)
    remarks = tuple(images.remarks)
    return Found(suite, cells, "generated", view, protocol, images.classes, remarks=remarks, dataset=dataset)


def draw(index: npt.NDArray[np.int64], seed: int, device: str = "cpu") -> tuple[torch.Tensor, torch.Tensor]:
    """Draw the attempts at some images.

    Args:
        index: int64 (n,), the images' indices in the clean set.
        seed: of the whole test set.
        device: where the draws are wanted.

    Returns:
        Angles in degrees, float32 (n, 10) within [-30, 30], and shifts in whole pixels, int64 (n, 10, 2: x, y)
        within [-3, 3].
    """
    import torch

    from robench.corruptions.random import Stream

    stream = Stream(seed, "spatial", index=torch.from_numpy(index), device=device)
    angle = (stream.uniform(0, (ATTEMPTS,)) * 2 - 1) * DEGREES
    shift = ((stream.uniform(1, (ATTEMPTS, 2)) * 2 - 1) * PIXELS).round().long()
    return angle, shift


def rotate_and_shift(pixels: torch.Tensor, angle: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """Rotate about the centre, then shift; nearest neighbour, black outside, as torchvision's affine on Pillow.

    Args:
        pixels: uint8 (n, C, H, W).
        angle: float (n,), degrees clockwise on the screen.
        shift: int64 (n, 2), pixels to the right and down.

    Returns:
        uint8 (n, C, H, W), on the same device.
    """
    import torch

    n, channels, height, width = pixels.shape
    radians = angle.double() * (math.pi / 180.0)
    cos, sin = torch.cos(radians)[:, None, None], torch.sin(radians)[:, None, None]
    y, x = torch.meshgrid(
        torch.arange(height, device=pixels.device, dtype=torch.float64) + 0.5 - height / 2,
        torch.arange(width, device=pixels.device, dtype=torch.float64) + 0.5 - width / 2,
        indexing="ij",
    )
    dx, dy = shift[:, 0, None, None].double(), shift[:, 1, None, None].double()
    from_x = cos * (x - dx) + sin * (y - dy) + width / 2
    from_y = -sin * (x - dx) + cos * (y - dy) + height / 2
    inside = (from_x >= 0) & (from_x < width) & (from_y >= 0) & (from_y < height)
    column = from_x.floor().long().clamp(0, width - 1)
    row = from_y.floor().long().clamp(0, height - 1)
    flat = (row * width + column).reshape(n, 1, -1).expand(-1, channels, -1)
    taken = pixels.reshape(n, channels, -1).gather(2, flat).reshape(pixels.shape)
    return taken * inside[:, None]
