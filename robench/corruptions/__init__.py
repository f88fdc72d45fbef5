"""The corruptions and perturbation sequences of ImageNet-C, C-bar and CIFAR-C, on batches of uint8 images."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, SupportsIndex, cast

from robench.corruptions.registered import CORRUPTIONS, Corruption, corruption, parameters, register
from robench.corruptions.severities import ALL, BENCHMARK, EXTRA, GROUPS, table_size
from robench.errors import RobenchError
from robench.lazy import lazily

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import torch

    from robench.corruptions.transforms import Corrupt, Corrupted, RandomCorruption

    Index = torch.Tensor | npt.NDArray[np.int64]
    Numbers = Index | int

__all__ = [
    "ALL", "BENCHMARK", "CORRUPTIONS", "EXTRA", "GROUPS", "Corrupt", "Corrupted", "Corruption", "RandomCorruption",
    "corrupt", "corruption", "perturb", "register",
]  # fmt: skip

_TRANSFORMS = ("Corrupt", "Corrupted", "RandomCorruption")  # they import torchvision
__getattr__, __dir__ = lazily(__name__, dict.fromkeys(_TRANSFORMS, "transforms"), __all__)


def corrupt(
    images: Any,
    name: str | int | None = None,
    severity: int | str | None = None,
    *,
    index: Numbers | None = None,
    seed: int = 0,
    frost: str | None = None,
    corruption_name: str | None = None,
    corruption_number: int | None = None,
) -> Any:
    """Return corrupted images; what an image becomes depends on seed, name, severity and its index alone.

    The arguments of imagecorruptions and imagenet_c are understood as well: ``corrupt(image, severity=3,
    corruption_name="fog")``, ``corrupt(image, 3, "fog")`` and ``corrupt(image, corruption_number=9, severity=3)``.
    Unlike there, the same call gives the same image again.

    Args:
        images: uint8 (N, 3, H, W), RGB, on any device; N may be 0. H and W are at least 2. Or one image: a uint8 tensor
            (3, H, W), a uint8 array (H, W, 3), (H, W) or (N, H, W, 3), or a PIL image.
        name: one of :data:`CORRUPTIONS`: the 19 of :data:`ALL`, the 15 of ImageNet-C-bar and CIFAR-10-C-bar
            (:data:`robench.corruptions.severities_bar.BAR`), and what was registered.
        severity: 1 to 5; 1 where it is omitted.
        index: int64 (N,): each image's number in its data set. None: a number that depends on the image's pixels.
        seed: of the whole test set.
        frost: folder with the original frost images; None: robench's own textures.
        corruption_name: another word for ``name``.
        corruption_number: the corruption's place in :data:`ALL`, from 0; -1: not given.

    Returns:
        What was given, corrupted, on the same device. Values are truncated, not rounded, as in the published files. A
        grey array (H, W) becomes (H, W, 3).

    Raises:
        RobenchError: wrong dtype or shape, an unknown name, or a severity that does not exist.

    Source: Hendrycks and Dietterich 2019; strengths as in :mod:`robench.corruptions.severities`.

    >>> import torch
    >>> images = torch.full((2, 3, 32, 32), 128, dtype=torch.uint8)
    >>> corrupt(images, "brightness", 3, index=torch.arange(2))[0, :, 0, 0].tolist()
    [166, 166, 166]
    """
    import torch

    from robench.corruptions.random import Stream

    name, severity = _chosen(name, severity, corruption_name, corruption_number)
    found = corruption(name)
    if index is None or isinstance(index, int) or not isinstance(images, torch.Tensor):
        return _one(images, name, severity, index, seed, frost)
    check_images(images, index)
    severity, seed = whole("severity", severity), whole("seed", seed)
    options = {key: value for key, value in {"frost": frost}.items() if key in found.options}
    params = parameters(name, severity, table_size(images.shape[2], images.shape[3]))
    if len(images) == 0:
        return images.clone()
    stream = Stream(seed, "corrupt", name, severity, index=index, device=images.device)
    result: torch.Tensor = found.load()(images, params, stream, **options)
    return result


def _chosen(
    name: str | int | None, severity: int | str | None, other: str | None, number: int | None
) -> tuple[str, int]:
    """Return name and severity, whichever way they were given.

    Raises:
        RobenchError: no corruption, or two.
    """
    if isinstance(severity, str):  # imagecorruptions has the severity first
        if isinstance(name, str):
            raise RobenchError(f"severity is a whole number; found {severity!r}.", hint="Severities are 1 to 5.")
        name, severity = severity, name
    elif name is not None and not isinstance(name, str):
        name, severity = None, name if severity is None else severity
    by_number = None
    if number is not None and number != -1:
        place = whole("corruption_number", number)
        if not 0 <= place < len(ALL):
            raise RobenchError(f"There is no corruption {place}.", hint=f"Numbers are from 0 to {len(ALL) - 1}.")
        by_number = ALL[place]
    given = [one for one in (name, other, by_number) if one is not None]
    if len(set(given)) != 1:
        what = "Which corruption?" if not given else f"Two corruptions were given: {', '.join(map(str, given))}."
        raise RobenchError(what, hint='For example corrupt(image, "fog", 3).')
    return str(given[0]), whole("severity", 1 if severity is None else cast(int, severity))


def _one(images: Any, name: str, severity: int, index: Numbers | None, seed: int, frost: str | None) -> Any:
    """Corrupt what is not a batch with an index for each image."""
    import torch

    from robench.corruptions.forms import batch_of, content_index

    if isinstance(images, torch.Tensor) and images.dtype != torch.uint8:
        check_images(images, torch.arange(0))
    batch = batch_of(images)
    numbers = content_index(batch.images) if index is None else torch.as_tensor(index).reshape(-1)
    return batch.back(corrupt(batch.images, name, severity, index=numbers, seed=seed, frost=frost))


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
