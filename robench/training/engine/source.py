"""Training images: uint8 on the device, taken by index, without loader processes where the set fits in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt
import torch

from robench.corruptions._gpu import upload
from robench.data.encoded import are_jpeg
from robench.errors import RobenchError

if TYPE_CHECKING:
    from robench.data.base import Geometry, Images
    from robench.training.recipes.schema import DataPart

_CHUNK = 4096
_LOOKED_AT = 256


class Source(Protocol):
    """Where the batches come from."""

    labels: torch.Tensor
    classes: Sequence[str] | None

    def batches(self, orders: list[torch.Tensor], epoch: int) -> Iterator[torch.Tensor]:
        """Yield uint8 (n, 3, H, W) on the device for every tensor of image numbers, in turn."""
        ...

    def identity(self) -> str:
        """Return a digest that differs for other images, labels or orders, wherever they lie: 64 hex digits."""
        ...


@dataclass
class DeviceSource:
    """All images on the device as uint8; a batch is one gather.

    Args:
        images: uint8 (N, 3, H, W).
        labels: int64 (N,), -1 where unknown.
        stored: how they were stored where that loses something: ``JPEG``; else "".
        classes: their names by label; None: not known.
    """

    images: torch.Tensor
    labels: torch.Tensor
    stored: str = ""
    classes: Sequence[str] | None = None

    def batches(self, orders: list[torch.Tensor], epoch: int) -> Iterator[torch.Tensor]:
        """See ``Source``."""
        for order in orders:
            yield self.images[upload(order, self.images.device)]

    def identity(self) -> str:
        """See ``Source``; of all labels and a few hundred images, unless of JPEG files, which decoders read unlike."""
        few = [] if self.stored == "JPEG" else [self.images[:: max(1, len(self.images) // _LOOKED_AT)]]
        found = hashlib.sha256(str(tuple(self.images.shape)).encode())
        for part in (self.labels, *few):
            found.update(part.cpu().contiguous().numpy().tobytes())
        return found.hexdigest()


def open_split(part: DataPart, data: Path | None, split: str) -> Images:
    """Return the images of one split: the embedded digits, or the data at ``data``.

    Raises:
        RobenchError: the recipe needs a data folder and none was given, or nothing readable is there.
    """
    if part.dataset == "digits" and data is None:
        from robench.data import digits

        return digits.load(split)
    if data is None:
        raise RobenchError(
            f"This recipe trains on {part.dataset}, which does not come with robench.",
            hint="Give its folder in `data` (npy, batches, Parquet, tar or class folders).",
        )
    from robench.data import open_images

    geometry = None if part.resized_crop is None else test_geometry(part.size)
    return open_images(str(data), split=split, geometry=geometry)


def test_geometry(size: int) -> Geometry:
    """Return how test images become ``size`` pixels wide and high: the shorter side 8/7 of it, then the centre."""
    from robench.data.base import Geometry

    return Geometry(resize=round(size / 0.875), crop=size)


def on_device(
    images: Images,
    part: DataPart,
    device: torch.device,
    limit: int | None = None,
    classes: Sequence[str] | None = None,
) -> DeviceSource:
    """Read all of ``images`` onto the device.

    Args:
        images: a split, or a further folder.
        part: the recipe's.
        device: where they are kept.
        limit: only so many: the first, or evenly spaced ones where they lie in the order of their classes; None: all.
        classes: those of the training images by label, in which labels are counted where the images' classes have names
            among these; None: labels stay.

    Raises:
        RobenchError: the images' size is not the recipe's, or they have classes that the training images lack.
    """
    every = np.full(len(images), -1) if images.labels is None else np.asarray(images.labels)
    count = len(images) if limit is None else min(limit, len(images))
    grouped = every.min(initial=0) < every.max(initial=0) and bool((np.diff(every) >= 0).all())
    chosen = spaced(len(images), count) if grouped else np.arange(count)
    parts = []
    for start in range(0, count, _CHUNK):
        block = images.read(chosen[start : start + _CHUNK])
        if block.shape[1:3] != (part.size, part.size):
            raise RobenchError(
                f"The recipe trains at {part.size}x{part.size} pixels, the images have "
                f"{block.shape[2]}x{block.shape[1]}.",
                hint="Choose the recipe of this data set, or set data.size and the architecture to match.",
            )
        pixels = torch.from_numpy(np.ascontiguousarray(block)).to(device)
        parts.append(pixels.permute(0, 3, 1, 2).contiguous())
    labels = counted_in(every[chosen].astype(np.int64), images.classes, classes)
    target = torch.from_numpy(labels).to(device)
    return DeviceSource(torch.cat(parts), target, "JPEG" if are_jpeg(images) else "", images.classes)


def spaced(count: int, few: int) -> npt.NDArray[np.int64]:
    """Return ``few`` of the numbers below ``count``, evenly spaced.

    >>> spaced(10, 4).tolist(), spaced(3, 3).tolist()
    ([0, 2, 5, 7], [0, 1, 2])
    """
    return np.arange(few, dtype=np.int64) * count // max(1, few)


def counted_in(
    labels: npt.NDArray[np.int64], names: Sequence[str] | None, classes: Sequence[str] | None
) -> npt.NDArray[np.int64]:
    """Return labels of classes ``names`` as labels of ``classes``.

    They stay where the two share no name at all, and where ``names`` begin with ``classes``: the same classes have the
    same labels then, and further ones others.

    Raises:
        RobenchError: a class that ``classes`` lack.
    """
    if names is None or classes is None or not set(names) & set(classes):
        return labels
    if list(names[: len(classes)]) == list(classes):
        return labels
    present = np.unique(labels[labels >= 0])
    unknown = [str(names[label]) for label in present if names[label] not in classes]
    if unknown:
        raise RobenchError(
            f"The training images have no class {', '.join(unknown[:3])}, which other images of the run have.",
            hint="The splits of a data set, and further folders (data.extra), need the same class names.",
        )
    table = np.array([classes.index(name) if name in classes else -1 for name in names] + [-1])
    return table[labels]


def extra_folders(part: DataPart, data: Path | None) -> list[Path]:
    """Return the folders of ``data.extra``: as they are given, or in or next to the data's folder.

    Raises:
        RobenchError: one is nowhere.
    """
    found = []
    for name in part.extra:
        beside = [] if data is None else [data / name, data.parent / name]
        place = next((place for place in (Path(name).expanduser(), *beside) if place.is_dir()), None)
        if place is None:
            raise RobenchError(
                f"No folder {name} with more training images, here or next to {data}.",
                hint=f"Give its path: `set='data.extra=[...]'`. `robench data deepaugment` writes DeepAugment's sets,"
                f" EDSR and CAE; this recipe reads {' and '.join(part.extra)}.",
            )
        found.append(place)
    return found


def held_out(count: int, validation: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the numbers of the images to train on and of those held out.

    The choice depends on ``count`` alone, so every method and seed holds out the same images.

    Raises:
        RobenchError: nothing would be left to train on.
    """
    if validation >= count:
        raise RobenchError(f"Cannot hold out {validation} of {count} training images.")
    order = torch.randperm(count, generator=torch.Generator().manual_seed(20200101))
    return order[validation:].sort().values, order[:validation].sort().values
