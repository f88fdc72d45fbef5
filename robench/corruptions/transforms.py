"""Corruptions as transforms of torchvision (v2), for people's own data sets and training loops."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torchvision import tv_tensors
from torchvision.transforms import v2

from robench.corruptions import _device, corrupt, corruption, whole
from robench.corruptions.forms import batch_of, content_index
from robench.corruptions.severities import BENCHMARK, SEVERITIES
from robench.errors import RobenchError

_INDEX = "index"


class _Corrupting(v2.Transform):
    """What both transforms share: which parts of a sample are images, and the index of the sample."""

    def __init__(self, seed: int, frost: str | None = None) -> None:
        super().__init__()
        self.seed, self.frost = whole("seed", seed), frost
        self._given: int | Sequence[int] | torch.Tensor | None = None

    def _needs_transform_list(self, flat_inputs: list[Any]) -> list[bool]:
        """Return which parts are images: torchvision's rule, and arrays of images where there is nothing else."""
        found = super()._needs_transform_list(flat_inputs)
        wanted = [need and _is_image(part) for part, need in zip(flat_inputs, found, strict=True)]
        if any(wanted):
            return wanted
        first = next((number for number, part in enumerate(flat_inputs) if _is_array(part)), None)
        return [number == first for number in range(len(flat_inputs))]

    def forward(self, *inputs: Any, index: int | Sequence[int] | torch.Tensor | None = None) -> Any:
        """Return the sample with its images corrupted.

        Args:
            inputs: an image, a batch, or a sample of any structure (torchvision's rules say which part is the image).
            index: the image's number in its data set, or one for each image of a batch. None: the entry ``index`` of a
                sample that is a mapping, else the class's own rule.
        """
        if index is None and len(inputs) == 1 and isinstance(inputs[0], Mapping):
            index = inputs[0].get(_INDEX)
        self._given = index
        try:
            return super().forward(*inputs)
        finally:
            self._given = None

    def _corrupted(
        self, images: torch.Tensor, name: str, severity: int, index: torch.Tensor, seed: int
    ) -> torch.Tensor:
        """Corrupt a batch; in a worker of a DataLoader by one thread, since there are several workers."""
        if torch.utils.data.get_worker_info() is not None and _device.has_loops(images.device):
            import numba

            numba.set_num_threads(1)
        made: torch.Tensor = corrupt(images, name, severity, index=index, seed=seed, frost=self.frost)
        return made

    def _numbers(self, images: torch.Tensor) -> torch.Tensor | None:
        """Return the index that was given, one for each image."""
        if self._given is None:
            return None
        numbers = torch.as_tensor(self._given).reshape(-1)
        if numbers.is_floating_point() or numbers.dtype == torch.bool or len(numbers) not in (1, len(images)):
            raise RobenchError(
                f"The index is one whole number for each of {len(images)} images; found {self._given!r}.",
                hint="Give the images' numbers in their data set.",
            )
        # One number for several images (the frames of a clip, or a stack): they follow it.
        if len(numbers) == 1 and len(images) > 1:
            return numbers.long() * len(images) + torch.arange(len(images), device=numbers.device)
        return numbers.long()


def _is_image(part: Any) -> bool:
    kinds = (tv_tensors.Image, tv_tensors.Video, Image.Image)
    return isinstance(part, kinds) or type(part) is torch.Tensor


def _is_array(part: Any) -> bool:
    return isinstance(part, np.ndarray) and part.dtype == np.uint8 and part.ndim in (2, 3, 4)


def _wrapped(given: Any, made: Any) -> Any:
    """Return a tensor as the kind of tensor that was given."""
    return tv_tensors.wrap(made, like=given) if isinstance(given, tv_tensors.TVTensor) else made


class Corrupt(_Corrupting):
    """One corruption at one severity, as a transform.

    Takes PIL images, tensors (..., 3, H, W) of uint8 or floats in [0, 1], arrays (H, W, 3) of uint8, and samples that
    hold one (boxes, masks and labels pass through). Put it before the normalisation. What an image becomes depends on
    seed, corruption, severity and its index; without an index, on its pixels: in every epoch and worker the same.

    Args:
        name: one of :data:`robench.corruptions.CORRUPTIONS`.
        severity: 1 to 5.
        seed: of the whole data set.
        frost: folder with the original frost images; None: robench's own textures.

    Raises:
        RobenchError: an unknown name, or a severity that does not exist.

    >>> fog = Corrupt("fog", 3)
    >>> image = torch.full((3, 32, 32), 0.5)
    >>> fog(image).shape, torch.equal(fog(image, index=7), fog(image, index=7))
    (torch.Size([3, 32, 32]), True)
    """

    def __init__(self, name: str, severity: int = 1, *, seed: int = 0, frost: str | None = None) -> None:
        super().__init__(seed, frost)
        corruption(name)
        self.name, self.severity = name, _severity(severity)

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Corrupt one image or batch."""
        batch = batch_of(inpt)
        index = self._numbers(batch.images)
        index = content_index(batch.images) if index is None else index
        made = self._corrupted(batch.images, self.name, self.severity, index, self.seed)
        return _wrapped(inpt, batch.back(made))


class RandomCorruption(_Corrupting):
    """A random corruption at a random severity for every image, for training.

    Without an index, the draw is from PyTorch's global generator, which a DataLoader seeds anew in every epoch and
    worker. With an index it depends on seed, epoch (:meth:`set_epoch`) and index alone.

    Args:
        names: corruptions to draw from. Those of the benchmark are its test conditions: training on them invalidates a
            result on ImageNet-C; leave them to ablations and use ``robench.corruptions.EXTRA``, or say so.
        severities: severities to draw from.
        p: probability that an image is corrupted at all.
        seed: of the draws with an index.

    Raises:
        RobenchError: no names or severities, an unknown one, or a probability beyond 0 to 1.

    >>> random = RandomCorruption(["fog", "snow"], [1, 2])
    >>> image = Image.new("RGB", (32, 32), (90, 120, 60))
    >>> random(image, index=3) == random(image, index=3), random(image).size
    (True, (32, 32))
    """

    def __init__(
        self,
        names: Sequence[str] = BENCHMARK,
        severities: Sequence[int] = SEVERITIES,
        *,
        p: float = 1.0,
        seed: int = 0,
    ) -> None:
        super().__init__(seed)
        self.names = (names,) if isinstance(names, str) else tuple(names)
        self.severities = tuple(_severity(one) for one in severities)
        if not self.names or not self.severities:
            raise RobenchError("There is nothing to draw from.", hint="Give corruptions and severities, or omit them.")
        for name in self.names:
            corruption(name)
        if not 0 <= p <= 1:
            raise RobenchError(f"The probability p is from 0 to 1; found {p}.", hint="Omit it to corrupt every image.")
        self.p, self.epoch = p, 0

    def set_epoch(self, epoch: int) -> None:
        """Let images with an index be corrupted otherwise than in other epochs."""
        self.epoch = whole("epoch", epoch)

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Corrupt one image, or every image of a batch by itself."""
        from robench.corruptions.random import Stream

        batch = batch_of(inpt)
        index = self._numbers(batch.images)
        if index is None:
            index = torch.randint(0, 2**62, (len(batch.images),))
        stream = Stream(self.seed, "random corruption", self.epoch, index=index.cpu())
        draws = stream.uniform(0, (3,)).tolist()
        made = batch.images.clone()
        for number, (chance, name, severity) in enumerate(draws):
            if chance < self.p:
                chosen = self.names[int(name * len(self.names))]
                strength = self.severities[int(severity * len(self.severities))]
                one = slice(number, number + 1)
                seed = self.seed + (self.epoch << 20)
                made[one] = self._corrupted(batch.images[one], chosen, strength, index[one], seed)
        return _wrapped(inpt, batch.back(made))


class Corrupted(torch.utils.data.Dataset[Any]):
    """A data set with its images corrupted by index: the same images in every epoch, order and worker.

    Args:
        dataset: samples are an image, a tuple whose first part is one, or a mapping that holds one.
        transform: :class:`Corrupt` or :class:`RandomCorruption`.
        then: applied to every corrupted sample (the normalisation, for instance), or None.

    >>> data = Corrupted([(Image.new("RGB", (32, 32)), 4)], Corrupt("brightness", 5))
    >>> image, label = data[0]
    >>> image.getpixel((0, 0)), label
    ((76, 76, 76), 4)
    """

    def __init__(self, dataset: Any, transform: _Corrupting, then: Callable[[Any], Any] | None = None) -> None:
        self.dataset, self.transform, self.then = dataset, transform, then

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, number: int) -> Any:
        number = number + len(self) if number < 0 else number
        found = self.transform(self.dataset[number], index=number)
        return found if self.then is None else self.then(found)


def _severity(given: int) -> int:
    number = whole("severity", given)
    if number not in SEVERITIES:
        raise RobenchError(f"Severity {number} does not exist.", hint="Severities are 1, 2, 3, 4 and 5.")
    return number
