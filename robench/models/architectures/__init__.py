"""The CIFAR architectures of the papers, by name, with the normalisation that a training method needs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from robench.errors import RobenchError, did_you_mean

if TYPE_CHECKING:
    from torch import nn

    from robench.models.architectures.norms import DualBatchNorm, DuBIN, routed

__all__ = ["DuBIN", "DualBatchNorm", "build", "known", "names", "routed"]

_NAMED = {
    "resnet-18": "ResNet-18 with a 3 x 3 stem",
    "resnet-18-64": "the same for 64 pixels: its stem has stride 2 (AugMax's code for Tiny ImageNet)",
    "resnext-29": "ResNeXt-29 with 32 groups of 4 (the papers' text)",
    "resnext-29-4x32": "ResNeXt-29 with 4 groups of 32 (AugMix's and AugMax's code)",
    "densenet-bc-100-12": "DenseNet-BC, depth 100, growth 12 (the papers' text)",
    "densenet-40-12": "DenseNet, depth 40, growth 12, no bottleneck (AugMix's code)",
    "allconv": "AllConvNet",
}
_FAMILIES = {
    "wrn-40-2": "Wide ResNet; any wrn-D-W with D = 6 n + 4 works",
    "wrn-28-2": "Wide ResNet of split BatchNorm's tables",
    "wrn-28-10": "Wide ResNet of AutoLabel's tables",
    "wrn-10-1": "Wide ResNet of the embedded digits",
    "resnet-20": "thin ResNet; also resnet-32, -44, -56 and -110",
    "resnet-32": "thin ResNet",
    "resnet-44": "thin ResNet",
    "resnet-56": "thin ResNet",
    "resnet-110": "thin ResNet",
}
DESCRIPTIONS = _FAMILIES | _NAMED


def build(name: str, num_classes: int, norm: str = "bn") -> nn.Module:
    """Return a freshly initialised network on normalised images (n, 3, H, W), giving logits (n, K).

    Args:
        name: one of :func:`names`, or another depth and width of a family (``wrn-16-4``).
        num_classes: K.
        norm: ``bn``, ``dubn`` (dual BatchNorm), ``dubin`` (with InstanceNorm halves in all stages but the last) or
            ``splitbn`` (the same layers as ``dubn``; ``splitbn-shared``: with one set of affine parameters).

    Raises:
        RobenchError: an unknown name or normalisation.
    """
    from robench.models.architectures import allconv, densenet, norms, resnet, resnext, wide_resnet

    norms.plain_norm(norm)
    if wide := _wide(name):
        return wide_resnet.WideResNet(*wide, num_classes, norm)
    if thin := _thin(name):
        return resnet.cifar_resnet(thin, num_classes, norm)
    if name in ("resnet-18", "resnet-18-64"):
        return resnet.resnet18(num_classes, norm, 2 if name.endswith("-64") else 1)
    if name in ("resnext-29", "resnext-29-4x32"):
        return resnext.ResNeXt29(num_classes, norm, *((4, 32) if name.endswith("4x32") else (32, 4)))
    if name in ("densenet-bc-100-12", "densenet-40-12"):
        depth = 100 if "bc" in name else 40
        return densenet.DenseNet(depth, 12, num_classes, norm, bottleneck="bc" in name)
    if name == "allconv":
        return allconv.AllConvNet(num_classes, norm)
    raise RobenchError(f"Unknown architecture '{name}'.", hint=did_you_mean(name, names()))


def known(name: str) -> bool:
    """Return whether :func:`build` has this architecture."""
    return name in _NAMED or _wide(name) is not None or _thin(name) is not None


def names() -> list[str]:
    """Return the names of the architectures that the papers use."""
    return list(DESCRIPTIONS)


def _wide(name: str) -> tuple[int, int] | None:
    found = re.fullmatch(r"wrn-(\d+)-(\d+)", name)
    if found is None or int(found[1]) < 10 or (int(found[1]) - 4) % 6 or not int(found[2]):
        return None
    return int(found[1]), int(found[2])


def _thin(name: str) -> int | None:
    found = re.fullmatch(r"resnet-(20|32|44|56|110)", name)
    return int(found[1]) if found else None


def __getattr__(name: str) -> Any:
    if name in ("DuBIN", "DualBatchNorm", "routed"):
        from robench.models.architectures import norms

        return getattr(norms, name)
    raise AttributeError(f"module 'robench.models.architectures' has no attribute '{name}'")
