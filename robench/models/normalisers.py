"""A normalisation found in a checkpoint: the mean and std of a normalising layer in the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from robench.models.presets import Triple

# Names of the two tensors of layers that normalise images.
_PAIRS = (("mean", "std"), ("mu", "sigma"), ("new_mean", "new_std"))
_HIGHEST = 1.5  # values above it are for pixels from 0 to 255


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
    scale = 255.0 if float(means.max()) > _HIGHEST or float(deviations.max()) > _HIGHEST else 1.0
    return _triple(means / scale), _triple(deviations / scale)


def _triple(values: torch.Tensor) -> Triple:
    first, second, third = (round(float(value), 7) for value in values)
    return first, second, third
