"""Training images read from class folders, for sets that do not fit in memory: random resized crops by workers.

The crop of an image depends on the seed, the epoch and the image's number, like everything else drawn for it.
Decoding and cropping are Pillow's; all further augmentation happens in batches on the device. Held-out images are
resized and cropped as test images are.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader, Dataset

from robench.data.folders import number_classes
from robench.data.formats import ENDINGS
from robench.data.trees import is_image_name
from robench.errors import RobenchError
from robench.training.engine.source import extra_folders, spaced, test_geometry

if TYPE_CHECKING:
    from robench.training.recipes.schema import DataPart

_ATTEMPTS = 10


def images_by_folder(root: Path) -> dict[str, list[Path]]:
    """Return the images at any depth below every folder in ``root``; hidden files and folders are omitted.

    Raises:
        RobenchError: no folders with images.
    """
    names = sorted(entry.name for entry in root.iterdir() if entry.is_dir()) if root.is_dir() else []
    found = {name: _images_below(root / name) for name in names if not name.startswith(".")}
    if not any(found.values()):
        raise RobenchError(
            f"No class folders with images in {root}.",
            hint="Expected DIR/train/CLASS/NAME.JPEG below `data`.",
        )
    return found


def _images_below(folder: Path) -> list[Path]:
    """Return the images at any depth, sorted; what is hidden is omitted."""
    found = (path for path in folder.rglob("*") if is_image_name(path.name))
    return sorted(path for path in found if not any(one.startswith(".") for one in path.relative_to(folder).parts))


def class_folders(root: Path, classes: list[str] | None = None) -> tuple[list[Path], list[int], list[str]]:
    """Return the images below ``root/CLASS/``, their labels and the class names by label.

    Args:
        root: the folder.
        classes: names by label; None: the folders are numbered as those of test images are.

    Raises:
        RobenchError: no class folders with images, an empty one, or with ``classes`` a folder that is none of them.
    """
    images = images_by_folder(root)
    if classes is None:
        label_of, names, _ = number_classes(images, None, str(root))
    else:
        label_of, names = in_classes([name for name, found in images.items() if found], classes, root), tuple(classes)
    files: list[Path] = []
    labels: list[int] = []
    for name, label in label_of.items():
        files += images[name]
        labels += [label] * len(images[name])
    return files, labels, list(names)


def in_classes(names: list[str], classes: list[str], folder: Path) -> dict[str, int]:
    """Return the labels of a further folder's classes: those of the first folder's classes of the same names.

    Raises:
        RobenchError: a class that the first folder does not have.
    """
    unknown = [name for name in names if name not in classes]
    if unknown:
        raise RobenchError(
            f"{folder} has class folders that the training images do not have: {', '.join(unknown[:3])}.",
            hint="More folders of images (data.extra) need the class folders of the first.",
        )
    return {name: classes.index(name) for name in names}


def all_images(root: Path) -> tuple[list[Path], list[int]]:
    """Return the images at any depth below ``root``, and -1 for each, for training without labels.

    Raises:
        RobenchError: no images.
    """
    files = _images_below(root)
    if not files:
        raise RobenchError(f"No images in {root}.", hint=f"Expected files {', '.join(ENDINGS)} at any depth.")
    return files, [-1] * len(files)


def crop_box(
    width: int, height: int, area: tuple[float, float], random: np.random.Generator
) -> tuple[int, int, int, int]:
    """Return (left, upper, right, lower) of a random resized crop: area share and aspect 3/4 to 4/3, log-uniform.

    If ten attempts do not fit: the largest centre crop of an allowed aspect.
    """
    for _ in range(_ATTEMPTS):
        target = width * height * random.uniform(*area)
        aspect = np.exp(random.uniform(np.log(3 / 4), np.log(4 / 3)))
        w, h = round((target * aspect) ** 0.5), round((target / aspect) ** 0.5)
        if 0 < w <= width and 0 < h <= height:
            left, upper = int(random.integers(0, width - w + 1)), int(random.integers(0, height - h + 1))
            return left, upper, left + w, upper + h
    w, h = min(width, round(height * 4 / 3)), min(height, round(width * 4 / 3))
    left, upper = (width - w) // 2, (height - h) // 2
    return left, upper, left + w, upper + h


class _Files(Dataset[Any]):
    """Images of one size, by number: uint8 (3, size, size)."""

    def __init__(self, files: list[Path], part: DataPart) -> None:
        self._files, self._part = files, part

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, number: int) -> torch.Tensor:
        from robench.data.formats import CorruptImageError, read_rgb

        try:
            image = read_rgb(self._files[number])
        except CorruptImageError as error:
            raise RobenchError(error.message, hint="Restore or delete the file.") from error
        return torch.from_numpy(self._cropped(image, number)).permute(2, 0, 1)

    def _cropped(self, image: npt.NDArray[np.uint8], number: int) -> npt.NDArray[np.uint8]:
        """Return the centre of the image, as test images are cropped."""
        from robench.data.decode import resize_and_crop

        return resize_and_crop(image, test_geometry(self._part.size))


class _Crops(_Files):
    """Images cropped with the random numbers of one epoch."""

    def __init__(self, files: list[Path], part: DataPart, seed: int, epoch: int) -> None:
        super().__init__(files, part)
        self._seed, self._epoch = seed, epoch

    def _cropped(self, image: npt.NDArray[np.uint8], number: int) -> npt.NDArray[np.uint8]:
        from PIL import Image

        assert self._part.resized_crop is not None
        random = np.random.default_rng((self._seed, self._epoch, number))
        box = crop_box(image.shape[1], image.shape[0], self._part.resized_crop, random)
        side = (self._part.size, self._part.size)
        return np.array(Image.fromarray(image).resize(side, Image.Resampling.BILINEAR, box=box))


@dataclass
class DiskSource:
    """Random resized crops of the images in class folders, decoded by worker processes.

    Args:
        files: of the images.
        labels: int64 (N,), on the device.
        part: size and area range of the crops.
        seed: of the run.
        device: where the batches go.
        classes: their names by label; None: not known.
        workers: decoding processes.
    """

    files: list[Path]
    labels: torch.Tensor
    part: DataPart
    seed: int
    device: torch.device
    classes: Sequence[str] | None = None
    workers: int = field(default_factory=lambda: min(16, os.cpu_count() or 1))

    def batches(self, orders: list[torch.Tensor], epoch: int) -> Iterator[torch.Tensor]:
        """Yield uint8 (n, 3, size, size) on the device for every order, in turn."""
        yield from self._loaded(_Crops(self.files, self.part, self.seed, epoch), orders)

    def identity(self) -> str:
        """See ``Source``; of labels and the names of files and folders: the bytes may be a hundred gigabytes."""
        found = hashlib.sha256("\n".join("/".join(file.parts[-2:]) for file in self.files).encode())
        found.update(self.labels.cpu().contiguous().numpy().tobytes())
        return found.hexdigest()

    def test_views(self, orders: list[torch.Tensor]) -> Iterator[torch.Tensor]:
        """Yield the images as test images are resized and cropped: uint8 (n, 3, size, size) for every order."""
        yield from self._loaded(_Files(self.files, self.part), orders)

    def _loaded(self, images: _Files, orders: list[torch.Tensor]) -> Iterator[torch.Tensor]:
        loader = DataLoader(
            images,
            batch_sampler=[order.tolist() for order in orders],
            num_workers=self.workers,
            pin_memory=self.device.type == "cuda",
            prefetch_factor=4 if self.workers else None,
            generator=torch.Generator(),  # not PyTorch's global one, which a resumed run would advance once more
        )
        for pixels in loader:
            yield pixels.to(self.device, non_blocking=True)


def open_disk(part: DataPart, data: Path, seed: int, device: torch.device, *, labelled: bool = True) -> DiskSource:
    """Return the training images of ``data`` (of its ``train`` folder where it has one).

    Args:
        part: the recipe's.
        data: class folders, or with ``labelled=False`` any folder of images.
        seed: of the run.
        device: where the batches go.
        labelled: whether labels are needed.
    """
    if part.definition is not None:
        return _split_source(part, data, seed, device)
    root = data / part.train_split
    files: list[Path] = []
    labels: list[int] = []
    classes: list[str] | None = None
    for folder in (root if root.is_dir() else data, *extra_folders(part, data)):
        if labelled:
            more, more_labels, classes = class_folders(folder, classes)
        else:
            more, more_labels = all_images(folder)
        files, labels = files + more, labels + more_labels
    if part.limit is not None:  # the first would be of one class
        few = spaced(len(files), min(part.limit, len(files)))
        files, labels = [files[number] for number in few], [labels[number] for number in few]
    return DiskSource(files, torch.tensor(labels, device=device), part, seed, device, classes)


def _split_source(part: DataPart, data: Path, seed: int, device: torch.device) -> DiskSource:
    """Return the training images of a metadata split, and their copies of the same names in more folders.

    Raises:
        RobenchError: no manifest, or a folder without one of the images.
    """
    from robench.suites.splits import training_set

    files, targets, root = training_set(str(part.definition), data)
    every, names = list(files), [file.relative_to(root) for file in files]
    for folder in extra_folders(part, data):
        # A written set lacks the first folder of the name where that is the part of the data set.
        copies = [folder / name if (folder / name).is_file() else folder.joinpath(*name.parts[1:]) for name in names]
        lacking = next((name for name, copy in zip(names, copies, strict=True) if not copy.is_file()), None)
        if lacking is not None:
            raise RobenchError(f"{folder} has no {lacking}.", hint="It needs a copy of every training image.")
        every += copies
    labels = torch.from_numpy(targets).repeat(1 + len(part.extra), *[1] * (targets.ndim - 1))
    if part.limit is not None:
        few = spaced(len(every), min(part.limit, len(every)))
        every, labels = [every[number] for number in few], labels[torch.from_numpy(few)]
    return DiskSource(every, labels.to(device), part, seed, device)
