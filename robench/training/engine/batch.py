"""The images of one training step, and the random numbers that belong to them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from robench.training.ops.pixels import flip_and_crop

if TYPE_CHECKING:
    from robench.corruptions.random import Stream
    from robench.training.recipes.schema import DataPart


@dataclass
class Batch:
    """The images of one step, and the source of all randomness that belongs to them.

    Args:
        images: uint8 (n, 3, H, W), before flips and crops.
        labels: int64 (n,), -1 where there are none; or (n, K), 1 for every class that an image shows, else 0.
        index: int64 (n,), the images' numbers in the training set: what is drawn for an image depends on the
            seed, the epoch and this number, never on its neighbours in the batch.
        data: the recipe's data part (flip, padding, mean).
        seed, epoch: of the run.
        numbers: ``index`` on the CPU, where streams need not wait for the device to learn it; None: not at hand.
    """

    images: torch.Tensor
    labels: torch.Tensor
    index: torch.Tensor
    data: DataPart
    seed: int
    epoch: int
    numbers: torch.Tensor | None = None

    def stream(self, label: str) -> Stream:
        """Return the random stream for one purpose; streams with different labels are independent."""
        from robench.corruptions.random import Stream

        device = self.images.device
        index = self.index if self.numbers is None else self.numbers
        return Stream(self.seed, "train", label, self.epoch, index=index, device=device)

    def view(self, label: str = "view") -> torch.Tensor:
        """Return the images flipped and cropped as the recipe says: uint8 (n, 3, size, size)."""
        return flip_and_crop(self.images, self.stream(label), flip=self.data.flip, pad=self.data.padding)

    def showing(self, images: torch.Tensor) -> Batch:
        """Return the batch with other images, uint8 (n, 3, size, size), which are not flipped and cropped again."""
        return replace(self, images=images, data=self.data.model_copy(update={"flip": False, "pad": 0}))

    def part(self, where: slice) -> Batch:
        """Return some of the images as a batch; their random numbers stay the same."""
        numbers = None if self.numbers is None else self.numbers[where]
        return replace(
            self, images=self.images[where], labels=self.labels[where], index=self.index[where], numbers=numbers
        )
