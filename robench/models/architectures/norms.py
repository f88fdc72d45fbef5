"""Normalisation layers of the papers: BatchNorm, dual BatchNorm (DuBN, split BatchNorm), IBN, DuBIN; their routing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

import torch
from torch import nn

from robench.errors import RobenchError

NORMS = ("bn", "ibn", "dubn", "dubin", "splitbn", "splitbn-shared")
ROUTES = ("main", "auxiliary")

Norm = Callable[[int], nn.Module]


class DualBatchNorm(nn.Module):
    """Two BatchNorms with separate statistics; ``route`` says which one is in use.

    Args:
        channels: of the input.
        shared: one set of affine parameters for both, instead of one each.

    >>> layer = DualBatchNorm(3).train()
    >>> with routed(layer, "auxiliary"):
    ...     _ = layer(torch.ones(2, 3, 4, 4))
    >>> int(layer.main.num_batches_tracked), int(layer.auxiliary.num_batches_tracked)
    (0, 1)
    """

    def __init__(self, channels: int, *, shared: bool = False) -> None:
        super().__init__()
        self.main = nn.BatchNorm2d(channels)
        self.auxiliary = nn.BatchNorm2d(channels)
        if shared:
            self.auxiliary.weight, self.auxiliary.bias = self.main.weight, self.main.bias
        self.route = "main"

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise by the route in use."""
        normalised: torch.Tensor = self.main(x) if self.route == "main" else self.auxiliary(x)
        return normalised


def _halves(x: torch.Tensor, instance: nn.InstanceNorm2d, batch: nn.Module) -> torch.Tensor:
    """Normalise the first channels by instance and the rest by batch, in the layout of the input.

    An instance normalisation returns channels first. Joined so, the whole layer would be channels first, and every
    convolution and rectifier after it would convert or walk through memory in strides.
    """
    first, second = x.split([instance.num_features, x.shape[1] - instance.num_features], dim=1)
    return torch.cat([_as_laid_out(instance(first.contiguous()), x), batch(_as_laid_out(second, x))], dim=1)


@torch.fx.wrap  # a traced network calls it, and looks at the layout then
def _as_laid_out(part: torch.Tensor, whole: torch.Tensor) -> torch.Tensor:
    """Return the part with the whole's memory format."""
    last = whole.is_contiguous(memory_format=torch.channels_last)
    return part.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)


class IBN(nn.Module):
    """IBN-Net's layer (Pan et al. 2018): the first half of the channels InstanceNorm, the rest BatchNorm.

    >>> IBN(6)(torch.ones(2, 6, 4, 4)).shape
    torch.Size([2, 6, 4, 4])
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.split = channels // 2
        self.instance = nn.InstanceNorm2d(self.split, affine=True)
        self.batch = nn.BatchNorm2d(channels - self.split)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise the two halves."""
        return _halves(x, self.instance, self.batch)


class DuBIN(nn.Module):
    """AugMax's DuBIN: the first half of the channels InstanceNorm, shared by both routes, the rest dual BatchNorm."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.split = channels // 2
        self.instance = nn.InstanceNorm2d(self.split, affine=True)
        self.batch = DualBatchNorm(channels - self.split)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise the two halves."""
        return _halves(x, self.instance, self.batch)


INSTANCE: dict[str, Norm] = {"ibn": IBN, "dubin": DuBIN}
"""Layers that take the place of the first normalisation of a block."""


@contextmanager
def routed(module: nn.Module, route: str) -> Iterator[None]:
    """Send images through one route of all dual normalisations within; without any, nothing changes."""
    if route not in ROUTES:
        raise RobenchError(f"Unknown route '{route}'.", hint="Routes: main, auxiliary.")
    dual = [part for part in module.modules() if isinstance(part, DualBatchNorm)]
    before = [part.route for part in dual]
    for part in dual:
        part.route = route
    try:
        yield
    finally:
        for part, earlier in zip(dual, before, strict=True):
            part.route = earlier


def plain_norm(norm: str) -> Norm:
    """Return the layer for every place outside IBN-a's.

    Raises:
        RobenchError: an unknown normalisation.
    """
    if norm not in NORMS:
        raise RobenchError(f"Unknown normalisation '{norm}'.", hint="Known: " + ", ".join(NORMS) + ".")
    if norm == "splitbn-shared":
        return partial(DualBatchNorm, shared=True)
    return nn.BatchNorm2d if norm in ("bn", "ibn") else DualBatchNorm


def first_norm(norm: str, stage: int, stages: int) -> Norm:
    """Return the layer for the first normalisation of a block: IBN or DuBIN in all stages but the last (IBN-a)."""
    return INSTANCE.get(norm, plain_norm(norm)) if stage < stages - 1 else plain_norm(norm)


def from_plain(module: nn.Module, weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return a plain network's tensors by the names of a network with other normalisations in its place.

    Both routes of a dual BatchNorm begin as the plain one; of IBN and DuBIN the instance half has the affine
    parameters of its channels. Tensors that the network has by name already stay.

    Args:
        module: the network with the other normalisations.
        weights: of the network with BatchNorms.

    >>> plain = {"0.weight": torch.tensor([1.0, 2.0]), "0.running_mean": torch.tensor([3.0, 4.0])}
    >>> found = from_plain(nn.Sequential(DuBIN(2)), plain)
    >>> found["0.instance.weight"].item(), found["0.batch.main.weight"].item(), found["0.batch.auxiliary.weight"].item()
    (1.0, 2.0, 2.0)
    """
    found = dict(weights)
    for name, layer in module.named_modules():
        if not isinstance(layer, DualBatchNorm | IBN | DuBIN):
            continue
        for tensor in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
            value = found.pop(f"{name}.{tensor}", None)
            if value is not None:
                found |= {f"{name}.{place}.{tensor}": part for place, part in _parts(layer, value)}
    wanted = module.state_dict().keys()
    return {name: value for name, value in found.items() if name in wanted or name in weights}


def _parts(layer: DualBatchNorm | IBN | DuBIN, value: torch.Tensor) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield what of a plain BatchNorm's tensor belongs where in the layer in its place."""
    if isinstance(layer, DualBatchNorm):
        yield from (("main", value), ("auxiliary", value))
        return
    first, rest = (value, value) if not value.ndim else (value[: layer.split], value[layer.split :])
    yield "instance", first
    if isinstance(layer, IBN):
        yield "batch", rest
    else:
        yield from ((f"batch.{place}", part) for place, part in _parts(layer.batch, rest))


def initialise(module: nn.Module) -> None:
    """Draw convolutions by He's rule (fan-out, normal) and set the biases of linear layers to zero."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(part, nn.Linear):
            nn.init.zeros_(part.bias)
