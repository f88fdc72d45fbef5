"""A normalisation found in a checkpoint or a module: the mean and std of a normalising layer in the model."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import FunctionType, MethodType
from typing import Any

import numpy as np
import torch
from torch import nn

from robench.models.presets import Triple

# Names of the two tensors of layers that normalise images.
_PAIRS = (("mean", "std"), ("mu", "sigma"), ("new_mean", "new_std"))
# Names of the mean alone, within a module.
_MEANS = ("mean", "mu", "pixel_mean", "image_mean", "img_mean", "data_mean", "channel_mean", "new_mean")
HIGHEST_MEAN = 1.5  # values above it are for pixels from 0 to 255


@dataclass(frozen=True)
class FoundNormalisation:
    """Mean and std per channel, for images in [0, 1], and their names."""

    mean: Triple
    std: Triple
    names: tuple[str, ...]


def find_normalisation(state: Mapping[str, torch.Tensor]) -> FoundNormalisation | None:
    """Return the normalisation among tensors that are not weights: ``mean`` and ``std``, ``mu`` and ``sigma``...

    Values for pixels from 0 to 255 are converted to images in [0, 1]. Copies of one normalisation count as one; with
    several different ones there is none.

    >>> find_normalisation({"normal.mu": torch.full((1, 3, 1, 1), 127.5), "normal.sigma": torch.full((3,), 51.0)})
    FoundNormalisation(mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2), names=('normal.mu', 'normal.sigma'))
    """
    found: dict[tuple[Triple, Triple], list[str]] = {}
    for name in state:
        leaf = name.rpartition(".")[2]
        for mean, std in _PAIRS:
            if leaf != mean and not leaf.endswith(f"_{mean}"):
                continue
            partner = name[: len(name) - len(mean)] + std
            values = _values(state, name, partner)
            if values is not None:
                found.setdefault(values, []).extend((name, partner))
    if len(found) != 1:
        return None
    (((mean_values, std_values), names),) = found.items()
    return FoundNormalisation(mean_values, std_values, tuple(dict.fromkeys(names)))


def _values(state: Mapping[str, torch.Tensor], mean: str, std: str) -> tuple[Triple, Triple] | None:
    if std not in state or state[mean].numel() != 3 or state[std].numel() != 3:
        return None
    means, deviations = (state[name].detach().double().flatten() for name in (mean, std))
    if not bool(torch.isfinite(means).all() & torch.isfinite(deviations).all() & (deviations > 0).all()):
        return None
    scale = 255.0 if float(means.max()) > HIGHEST_MEAN or float(deviations.max()) > HIGHEST_MEAN else 1.0
    return _triple(means / scale), _triple(deviations / scale)


def _triple(values: torch.Tensor) -> Triple:
    first, second, third = (round(float(value), 7) for value in values)
    return first, second, third


def own_normalisation(module: Any) -> str | None:
    """Return the name of the mean that a module or function takes off its images; None where none is seen.

    A tensor of that name counts anywhere in a module; a plain attribute only in a layer without parts, such as
    torchvision's ``Normalize``, and in the module itself: encoders keep the mean of their training images unused. Of a
    function, its closure and the globals that it names are looked at, of another object its attributes. Zeros are no
    mean.

    Args:
        module: from images (n, 3, H, W) to logits.

    >>> from torchvision.transforms import Normalize
    >>> layer = Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    >>> own_normalisation(nn.Sequential(layer, nn.Flatten())), own_normalisation(nn.Flatten())
    ('0.mean', None)
    """
    if isinstance(module, FunctionType):
        known = inspect.getclosurevars(module)
        return next(_in_variables({**known.globals, **known.nonlocals}), None)
    if isinstance(module, MethodType):
        return own_normalisation(module.__self__)
    found = _in_module(module) if isinstance(module, nn.Module) else _in_variables(getattr(module, "__dict__", {}))
    return next(found, None)


def means_among(tensors: Mapping[str, torch.Tensor]) -> list[str]:
    """Return the names of tensors that are the mean of images.

    >>> means_among({"normal.mean": torch.full((3, 1, 1), 0.5), "bn.running_mean": torch.ones(3)})
    ['normal.mean']
    """
    return [name for name, tensor in tensors.items() if name.rpartition(".")[2] in _MEANS and _is_mean(tensor)]


def _in_module(module: nn.Module) -> Iterator[str]:
    declared = getattr(module, "normalises", None)
    if isinstance(declared, str):
        yield declared
    yield from means_among(dict((*module.named_buffers(), *module.named_parameters())))
    for path, part in module.named_modules():
        if path == "" or not any(True for _ in part.children()):
            yield from (f"{path}.{name}".lstrip(".") for name in _MEANS if _is_mean(getattr(part, name, None)))


def _in_variables(values: Mapping[str, Any]) -> Iterator[str]:
    for name, value in values.items():
        if name.lower() in _MEANS and _is_mean(value):
            yield name
        elif isinstance(value, nn.Module) and (found := own_normalisation(value)) is not None:
            yield f"{name}.{found}"


def _is_mean(value: Any) -> bool:
    """Return whether a value is three numbers, not all 0, as a mean of pixels in [0, 1] or from 0 to 255 is."""
    if isinstance(value, torch.Tensor):
        if value.numel() != 3 or value.is_meta or value.is_complex():
            return False
        value = value.detach().flatten().tolist()
    if isinstance(value, np.ndarray) and value.size == 3 and value.dtype.kind in "iuf":
        value = value.ravel().tolist()
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 3:
        return False
    numbers = all(isinstance(one, (int, float)) and math.isfinite(one) and -255 <= one <= 255 for one in value)
    return numbers and any(value)
