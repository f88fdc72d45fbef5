"""The CIFAR architectures of the papers, by name, with the normalisation that a training method needs."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from robench.errors import RobenchError, did_you_mean
from robench.registry import Registry

if TYPE_CHECKING:
    from torch import nn

    from robench.models.architectures.norms import DualBatchNorm, DuBIN, routed

__all__ = ["ARCHITECTURES", "DuBIN", "DualBatchNorm", "build", "descriptions", "known", "names", "routed"]

# A builder takes the number of classes, and norm= for other normalisations than its default.
ARCHITECTURES: Registry[Callable[..., nn.Module]] = Registry(
    "architecture",
    {
        "resnet-18": "robench.models.architectures.resnet:resnet18",
        "resnet-18-64": "robench.models.architectures.resnet:resnet18_64",
        "resnext-29": "robench.models.architectures.resnext:resnext29",
        "resnext-29-4x32": "robench.models.architectures.resnext:resnext29_4x32",
        "densenet-bc-100-12": "robench.models.architectures.densenet:densenet_bc_100_12",
        "densenet-40-12": "robench.models.architectures.densenet:densenet_40_12",
        "allconv": "robench.models.architectures.allconv:AllConvNet",
    },
    group="robench.architectures",
)
_BUILT_IN = {
    "wrn-40-2": "Wide ResNet; any wrn-D-W with D = 6 n + 4 works",
    "wrn-28-2": "Wide ResNet of split BatchNorm's tables",
    "wrn-28-10": "Wide ResNet of AutoLabel's tables",
    "wrn-10-1": "Wide ResNet of the embedded digits",
    "resnet-20": "thin ResNet; also resnet-32, -44, -56 and -110",
    "resnet-32": "thin ResNet",
    "resnet-44": "thin ResNet",
    "resnet-56": "thin ResNet",
    "resnet-110": "thin ResNet",
    "resnet-18": "ResNet-18 with a 3 x 3 stem",
    "resnet-18-64": "the same for 64 pixels: its stem has stride 2 (AugMax's code for Tiny ImageNet)",
    "resnext-29": "ResNeXt-29 with 32 groups of 4 (the papers' text)",
    "resnext-29-4x32": "ResNeXt-29 with 4 groups of 32 (AugMix's and AugMax's code)",
    "densenet-bc-100-12": "DenseNet-BC, depth 100, growth 12 (the papers' text)",
    "densenet-40-12": "DenseNet, depth 40, growth 12, no bottleneck (AugMix's code)",
    "allconv": "AllConvNet",
}
MAX_CLASSES = 100_000
_MAX_PARAMETERS = 2_000_000_000


def build(name: str, num_classes: int, norm: str = "bn") -> nn.Module:
    """Return a freshly initialised network on normalised images (n, 3, H, W), giving logits (n, K).

    Args:
        name: one of :func:`names`, or another depth and width of a family (``wrn-16-4``).
        num_classes: K, up to 100,000.
        norm: ``bn``, ``dubn`` (dual BatchNorm), ``dubin`` (with InstanceNorm halves in all stages but the last) or
            ``splitbn`` (the same layers as ``dubn``; ``splitbn-shared``: with one set of affine parameters).

    Raises:
        RobenchError: an unknown name or normalisation, or a network too large for any machine.

    >>> import torch
    >>> build("wrn-10-1", 10)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """
    from robench.models.architectures import norms, resnet, wide_resnet

    norms.plain_norm(norm)
    if not 1 <= num_classes <= MAX_CLASSES:
        raise RobenchError(
            f"A network has 1 to {MAX_CLASSES:,} classes; found {num_classes:,}.",
            hint="Omit the number of classes to take the data's.",
        )
    if wide := _wide(name):
        return wide_resnet.WideResNet(*wide, num_classes, norm)
    if thin := _thin(name):
        return resnet.cifar_resnet(thin, num_classes, norm)
    if name not in ARCHITECTURES:
        raise RobenchError(f"Unknown architecture '{name}'.", hint=did_you_mean(name, names()))
    return ARCHITECTURES.get(name)(num_classes, **({} if norm == "bn" else {"norm": norm}))


def known(name: str) -> bool:
    """Return whether :func:`build` has this architecture."""
    return _wide(name) is not None or _thin(name) is not None or name in ARCHITECTURES


def names() -> list[str]:
    """Return the names of the architectures that the papers use, and of those that installed packages add."""
    return [*_BUILT_IN, *(name for name in ARCHITECTURES if name not in _BUILT_IN)]


def descriptions() -> dict[str, str]:
    """Return one line per architecture; those of packages are described by their builder's docstring."""
    added = {name: ARCHITECTURES.get(name) for name in ARCHITECTURES if name not in _BUILT_IN}
    return _BUILT_IN | {name: (builder.__doc__ or "").strip().partition("\n")[0] for name, builder in added.items()}


def _wide(name: str) -> tuple[int, int] | None:
    found = re.fullmatch(r"wrn-(\d{1,9})-(\d{1,9})", name, re.ASCII)
    if found is None or int(found[1]) < 10 or (int(found[1]) - 4) % 6 or not int(found[2]):
        return None
    depth, width = int(found[1]), int(found[2])
    # Two 3 x 3 convolutions per block, 16, 32 and 64 times the width.
    parameters = 18 * (depth - 4) // 6 * width**2 * (16**2 + 32**2 + 64**2)
    if parameters > _MAX_PARAMETERS:
        raise RobenchError(
            f"{name} would have {parameters:,} parameters; the limit is {_MAX_PARAMETERS:,}.",
            hint="The papers have wrn-40-2, wrn-28-2 and wrn-28-10.",
        )
    return depth, width


def _thin(name: str) -> int | None:
    found = re.fullmatch(r"resnet-(20|32|44|56|110)", name)
    return int(found[1]) if found else None


def __getattr__(name: str) -> Any:
    if name in ("DuBIN", "DualBatchNorm", "routed"):
        from robench.models.architectures import norms

        return getattr(norms, name)
    raise AttributeError(f"module 'robench.models.architectures' has no attribute '{name}'")
