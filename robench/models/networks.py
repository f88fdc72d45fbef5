"""Building networks, for training and evaluation alike: built-in architectures, torchvision's and timm's."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from torch import nn

from robench.errors import RobenchError, did_you_mean
from robench.models.architectures import build as build_own
from robench.models.architectures import known, names
from robench.models.architectures.norms import INSTANCE, plain_norm

Library = Literal["robench", "torchvision", "timm"]

_STAGES_BEFORE_LAST = ("layer1.", "layer2.", "layer3.")


@dataclass(frozen=True)
class ArchitectureName:
    """An architecture and the library that has it."""

    package: Library
    name: str

    @property
    def spec(self) -> str:
        """The name with its library (``torchvision:resnet50``); built-in names stand alone."""
        return self.name if self.package == "robench" else f"{self.package}:{self.name}"


def find(arch: str) -> ArchitectureName:
    """Return the architecture that a name stands for.

    Args:
        arch: a built-in name, ``torchvision:NAME``, ``timm:NAME``, or a bare name, which is looked up as built-in
            first, then in torchvision, then in timm.

    Raises:
        RobenchError: no library has it; the message suggests the nearest names.
    """
    library, colon, name = arch.partition(":")
    if not colon:
        library, name = "", arch
        if known(name):
            return ArchitectureName("robench", name)
    if library in ("", "torchvision") and name in torchvision_names():
        return ArchitectureName("torchvision", name)
    if library in ("", "timm"):
        import timm

        if timm.is_model(name):
            return ArchitectureName("timm", name)
    raise _unknown(name, library)


def build(
    arch: str,
    num_classes: int,
    *,
    norm: str = "bn",
    input_size: int | None = None,
    weights: str | None = None,
) -> nn.Module:
    """Return a network on normalised images (n, 3, H, W) that gives logits (n, K), in training mode.

    Args:
        arch: as for :func:`find`.
        num_classes: K.
        norm: ``bn`` (the network's own normalisation), ``ibn``, ``dubn``, ``dubin``, ``splitbn`` or
            ``splitbn-shared``: on torchvision's and timm's networks every BatchNorm2d is replaced. IBN and DuBIN take
            the first one of every block of a ResNet's first three stages (IBN-a, as in AugMax's published code); with
            DuBIN all others become dual.
        input_size: side of the images in pixels, for networks that are built for one (vision transformers); None:
            the library's default.
        weights: name of published weights of torchvision (``IMAGENET1K_V1``) or timm (``a1_in1k``); None: random
            initialisation from PyTorch's global generator.

    Raises:
        RobenchError: unknown architecture, weights or normalisation, or a network that cannot have them.

    >>> build("wrn-10-1", 10, norm="splitbn").norm.main.num_features
    64
    >>> [type(layer).__name__ for layer in build("torchvision:resnet18", 5, norm="dubin").layer1[0].children()]
    ['Conv2d', 'DuBIN', 'ReLU', 'Conv2d', 'DualBatchNorm']
    """
    found = find(arch)
    plain_norm(norm)
    if weights is not None and norm != "bn":
        raise RobenchError(
            f"Published weights of {found.spec} have plain BatchNorms; they do not fit norm={norm}.",
            hint="Build it without weights, and start training from them (init).",
        )
    if found.package == "robench":
        _refuse(found, input_size=input_size, weights=weights)
        return build_own(found.name, num_classes, norm)
    make = _from_torchvision if found.package == "torchvision" else _from_timm
    module = make(found, num_classes, input_size, weights)
    return module if norm == "bn" else _with_norm(module, norm, found)


def torchvision_weights(name: str) -> tuple[str, Any]:
    """Return the architecture and the entry of torchvision's weights that a name stands for.

    Args:
        name: ``resnet50.IMAGENET1K_V1``, torchvision's own ``ResNet50_Weights.IMAGENET1K_V1``, or ``resnet50`` alone
            (or with ``.DEFAULT``): torchvision's default, which may change between its versions. The ``name`` of the
            returned entry says which it is.

    Raises:
        RobenchError: no such classifier or weights.

    >>> architecture, weights = torchvision_weights("ResNet50_Weights.IMAGENET1K_V1")
    >>> architecture, weights.name
    ('resnet50', 'IMAGENET1K_V1')
    """
    from torchvision import models

    architecture, _, wanted = name.partition(".")
    if architecture.endswith("_Weights"):
        architecture = _enumerations().get(architecture, architecture)
    if architecture not in torchvision_names():
        raise RobenchError(
            f"torchvision has no classifier '{architecture}'.",
            hint=did_you_mean(architecture, [*torchvision_names(), *_enumerations()]),
        )
    options = models.get_model_weights(architecture)
    known = [entry.name for entry in options]
    if wanted not in ("", "DEFAULT", *known):
        raise RobenchError(f"{architecture} has no weights '{wanted}'.", hint=did_you_mean(wanted, known))
    return architecture, options.DEFAULT if wanted in ("", "DEFAULT") else options[wanted]


@cache
def torchvision_names() -> tuple[str, ...]:
    """Return the names of torchvision's classifiers."""
    from torchvision import models

    return tuple(models.list_models(module=models))


@cache
def _enumerations() -> dict[str, str]:
    """Return torchvision's enumerations of weights and the architecture of each: ResNet50_Weights -> resnet50."""
    from torchvision import models

    return {models.get_model_weights(name).__name__: name for name in torchvision_names()}


def _unknown(name: str, library: str) -> RobenchError:
    if library not in ("", "torchvision", "timm"):
        hint = f"'{library}:' is not a library of architectures; known: torchvision:, timm:."
        return RobenchError(f"Unknown architecture '{library}:{name}'.", hint=hint)
    import timm

    others = {"torchvision": list(torchvision_names()), "timm": timm.list_models()}
    known = others[library] if library else [*names(), *others["torchvision"], *others["timm"]]
    hint = did_you_mean(name, known)
    if hint.startswith("Known: "):  # more than a thousand names, none of them near
        hint = f"Built in: {', '.join(names())}; or a torchvision or timm name, or python:FILE.py:FUNCTION."
    return RobenchError(f"Unknown architecture '{name}'.", hint=hint)


def _refuse(found: ArchitectureName, **options: object) -> None:
    for option, value in options.items():
        if value is not None:
            raise RobenchError(f"The architecture {found.spec} has no option {option}.", hint=f"Omit {option}.")


def _from_torchvision(
    found: ArchitectureName, num_classes: int, input_size: int | None, weights: str | None
) -> nn.Module:
    from torchvision import models

    options: dict[str, Any] = {}
    if input_size is not None and found.name.startswith("vit_"):
        options["image_size"] = input_size
    elif input_size is not None and found.name.startswith("maxvit_"):
        options["input_size"] = (input_size, input_size)
    else:
        _refuse(found, input_size=input_size)
    entry = torchvision_weights(f"{found.name}.{weights}")[1] if weights is not None else None
    try:
        module: nn.Module = models.get_model(found.name, weights=entry, num_classes=num_classes, **options)
    except (ValueError, AssertionError) as error:
        raise RobenchError(f"Could not build {found.spec} with {num_classes} classes: {error}") from error
    return module


def _from_timm(found: ArchitectureName, num_classes: int, input_size: int | None, weights: str | None) -> nn.Module:
    import timm

    name = found.name if weights is None else f"{found.name.partition('.')[0]}.{weights}"
    published = timm.get_pretrained_cfg(name) if weights is not None else None
    if published is not None and published.num_classes != num_classes:
        raise RobenchError(
            f"timm's weights {name} have {published.num_classes} classes, not {num_classes}.",
            hint="Build it without weights, and start training from them (init).",
        )
    options: dict[str, Any] = {} if input_size is None else {"img_size": input_size}
    try:
        module: nn.Module = timm.create_model(name, pretrained=weights is not None, num_classes=num_classes, **options)
    except TypeError:  # convolutional networks have no img_size
        _refuse(found, input_size=input_size)
        raise
    return module


def _with_norm(module: nn.Module, norm: str, found: ArchitectureName) -> nn.Module:
    """Replace every BatchNorm2d; affine parameters and statistics are new, epsilon and momentum stay.

    Raises:
        RobenchError: there is none, one includes more than BatchNorm (timm's may include activations), or DuBIN has no
            stages to go to.
    """
    if norm in INSTANCE and not hasattr(module, "layer3"):
        kind = INSTANCE[norm].__name__  # type: ignore[attr-defined]
        hint = "Use dubn." if norm == "dubin" else "Use bn."
        raise RobenchError(f"{kind} is defined for ResNets; '{found.spec}' has no residual stages.", hint=hint)
    norms = [(path, part) for path, part in module.named_modules() if isinstance(part, nn.BatchNorm2d)]
    if not norms or any(type(part) is not nn.BatchNorm2d for _, part in norms):
        what = "BatchNorms that do more than normalise" if norms else "no BatchNorm2d"
        raise RobenchError(
            f"{found.spec} has {what}; there is nothing for norm={norm} to replace.",
            hint="Use norm=bn, or a torchvision ResNet.",
        )
    for path, part in norms:
        parent, _, leaf = path.rpartition(".")
        first = leaf == "bn1" and path.startswith(_STAGES_BEFORE_LAST)
        layer = INSTANCE.get(norm, plain_norm(norm)) if first else plain_norm(norm)
        fresh = layer(part.num_features)
        _copy_constants(fresh, part)
        setattr(module.get_submodule(parent), leaf, fresh)
    return module


def _copy_constants(fresh: nn.Module, replaced: nn.BatchNorm2d) -> None:
    for part in fresh.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.eps, part.momentum = replaced.eps, replaced.momentum
