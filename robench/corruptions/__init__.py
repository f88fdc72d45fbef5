"""The corruptions and perturbation sequences of ImageNet-C, CIFAR-C and their kin, on batches of uint8 images."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import TYPE_CHECKING, SupportsIndex

from robench.corruptions.registered import CORRUPTIONS, Corruption, corruption, parameters, register
from robench.corruptions.severities import ALL, BENCHMARK, EXTRA, GROUPS, table_size
from robench.errors import RobenchError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import torch

    Index = torch.Tensor | npt.NDArray[np.int64]

__all__ = [
    "ALL", "BENCHMARK", "CORRUPTIONS", "EXTRA", "GROUPS", "Corruption", "corrupt", "corruption", "perturb", "register",
]  # fmt: skip


def corrupt(
    images: torch.Tensor, name: str, severity: int, *, index: Index, seed: int = 0, frost: str | None = None
) -> torch.Tensor:
    """Return corrupted images; what an image becomes depends on seed, name, severity and its index alone.

    Args:
        images: uint8 (N, 3, H, W), RGB, on any device; N may be 0. H and W are at least 2.
        name: one of :data:`CORRUPTIONS`: the 19 of :data:`ALL`, and what was registered.
        severity: 1 to 5.
        index: int64 (N,): each image's number in its data set.
        seed: of the whole test set.
        frost: folder with the original frost images; None: robench's own textures.

    Returns:
        uint8 (N, 3, H, W) on the same device. Values are truncated, not rounded, as in the published files.

    Raises:
        RobenchError: wrong dtype or shape, an unknown name, or a severity that does not exist.

    Source: Hendrycks and Dietterich 2019; strengths as in :mod:`robench.corruptions.severities`.

    >>> import torch
    >>> images = torch.full((2, 3, 32, 32), 128, dtype=torch.uint8)
    >>> corrupt(images, "brightness", 3, index=torch.arange(2))[0, :, 0, 0].tolist()
    [166, 166, 166]
    """
    from robench.corruptions.random import Stream

    found = corruption(name)
    check_images(images, index)
    severity, seed = whole("severity", severity), whole("seed", seed)
    options = {key: value for key, value in {"frost": frost}.items() if key in found.options}
    params = parameters(name, severity, table_size(images.shape[2], images.shape[3]))
    if len(images) == 0:
        return images.clone()
    stream = Stream(seed, "corrupt", name, severity, index=index, device=images.device)
    result: torch.Tensor = found.load()(images, params, stream, **options)
    return result


def perturb(
    images: torch.Tensor, name: str, *, index: Index, seed: int = 0, difficulty: int = 1
) -> Iterator[torch.Tensor]:
    """Yield the frames of a perturbation sequence one by one; see :func:`robench.corruptions.sequences.perturb`."""
    from robench.corruptions.sequences import perturb as frames

    check_images(images, index)
    return frames(images, name, index=index, seed=whole("seed", seed), difficulty=whole("difficulty", difficulty))


def check_images(images: torch.Tensor, index: Index) -> None:
    """Refuse what is not a batch of uint8 RGB images with one index each.

    Raises:
        RobenchError: says what was expected and found.
    """
    import torch

    if not isinstance(images, torch.Tensor) or images.dtype != torch.uint8:
        found = images.dtype if isinstance(images, torch.Tensor) else type(images).__name__
        raise RobenchError(
            f"Images must be a uint8 tensor; found {found}.",
            hint="Scale images in [0, 1] by 255 and convert them: (x * 255).round().to(torch.uint8).",
        )
    if images.ndim != 4 or images.shape[1] != 3:
        raise RobenchError(
            f"Images must have the shape (N, 3, H, W); found {tuple(images.shape)}.",
            hint="Repeat a grey image's channel three times, drop the alpha channel, and put channels before rows.",
        )
    if min(images.shape[2:]) < 2:
        raise RobenchError(f"Images must be at least 2 x 2 pixels; found {tuple(images.shape[2:])}.")
    numbers = torch.as_tensor(index)
    if numbers.ndim != 1 or (len(numbers) and (numbers.is_floating_point() or numbers.dtype == torch.bool)):
        raise RobenchError(
            f"The index is one whole number for each image; found {numbers.dtype} of shape {tuple(numbers.shape)}.",
            hint="Give the images' numbers in their data set, such as torch.arange(len(images)).",
        )
    if len(numbers) != len(images):
        raise RobenchError(f"Every image needs an index: {len(images)} images, {len(numbers)} indices.")


def whole(what: str, value: SupportsIndex) -> int:
    """Return a whole number of any library (``numpy.int64``) as Python's: each is the same key to random numbers.

    Raises:
        RobenchError: it is none.
    """
    try:
        return int(operator.index(value))
    except TypeError as error:
        raise RobenchError(f"The {what} is a whole number; found {value!r} ({type(value).__name__}).") from error
