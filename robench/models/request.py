"""A request for a model, and what every source of models needs: wrapping and resolved preprocessing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import nn

from robench.data.base import Geometry
from robench.errors import RobenchError
from robench.models.base import Model, Preprocessing
from robench.models.normalisers import own_normalisation
from robench.models.presets import Triple, triple


@dataclass(frozen=True)
class Request:
    """A model spec with its options; :func:`robench.models.load_model` says what they mean."""

    spec: str
    arch: str | None = None
    num_classes: int | None = None
    mean: Triple | None = None
    std: Triple | None = None
    norm: str = "bn"
    ema: bool = False
    key: str | None = None
    geometry: Geometry | None = None
    prompts: str | None = None
    class_names: str | None = None
    classes: tuple[str, ...] | None = None
    dataset: str | None = None


def wrap(
    module: Callable[[torch.Tensor], torch.Tensor],
    *,
    num_classes: int | None = None,
    mean: Triple | None = None,
    std: Triple | None = None,
    name: str | None = None,
    classes: Sequence[str] | None = None,
) -> Model:
    """Make a model of an ``nn.Module``, or of any callable from normalised float images to logits.

    The hash covers everything that the output depends on, see :mod:`robench.models.identity`. If that cannot be
    proven, the hash is unique to this call, ``identity_proven`` is false, and ``card["identity"]`` says why.

    Args:
        module: takes float32 images (n, 3, H, W), normalised; returns logits (n, K).
        num_classes: K; None: the width of the last linear layer.
        mean, std: per channel, for images in [0, 1]; None: images are not normalised.
        name: what tables call the model; None: the function's or class's name.
        classes: names of the K classes in the order of the logits, to be compared with the data's; None: unknown.

    Raises:
        RobenchError: the number of classes is neither given nor known from a linear layer, or is not that of the
            names; a normalisation that is not of images in [0, 1].

    >>> model = wrap(nn.Sequential(nn.Flatten(), nn.Linear(12, 3)), mean=(0.5,) * 3, std=(0.5,) * 3, name="linear")
    >>> model.name, model.num_classes, model.preprocessing.origin, model.identity_proven
    ('linear', 3, 'option', True)
    """
    from robench.models.identity import identify, unique

    title = name or str(getattr(module, "__name__", type(module).__name__))
    count = count_classes(module, num_classes or (len(classes) if classes is not None else None), title)
    if classes is not None and len(classes) != count:
        raise RobenchError(f"{title} has {count} classes, but {len(classes)} names.", hint="Name every class.")
    identity = identify(module)
    kind = type(module).__name__ if isinstance(module, nn.Module) else "callable"
    card: dict[str, Any] = {"architecture": kind} | identity.remark()
    if (inside := own_normalisation(module)) is not None:
        card["normalises"] = inside
    request = Request("", num_classes=num_classes, mean=triple("mean", mean), std=triple("std", std))
    preprocessing = resolve(Preprocessing(), request)
    found = identity.digest if identity.proven else unique()
    names = tuple(classes) if classes is not None else None
    return Model(title, module, count, preprocessing, found, card, names, identity_proven=identity.proven)


def resolve(own: Preprocessing, request: Request) -> Preprocessing:
    """Return the model's preprocessing, replaced by the request's options where given, with its origin."""
    if request.mean is None and request.std is None and request.geometry is None:
        return own
    origin = "option" if own.origin == "default" else f"option over {own.origin}"
    return replace(
        own,
        mean=request.mean or own.mean,
        std=request.std or own.std,
        geometry=request.geometry or own.geometry,
        origin=origin,
    )


def count_classes(module: Callable[[torch.Tensor], torch.Tensor], given: int | None, title: str) -> int:
    """Return a callable's number of classes: what was given, or the width of the last linear layer.

    Raises:
        RobenchError: neither is known.
    """
    width = given if given is not None else last_width(module)
    if width is None:
        raise RobenchError(f"The number of classes of {title} is not known.", hint="Give it: `num_classes=10`.")
    return width


def last_width(module: Any) -> int | None:
    """Return the width of a module's last linear layer, also of a TorchScript program; None where it has none.

    >>> last_width(nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 3)))
    3
    """
    parts = list(module.modules()) if isinstance(module, nn.Module) else []
    widths: list[int] = [
        cast(torch.Tensor, part.weight).shape[0]
        for part in parts
        if isinstance(part, nn.Linear) or _is_scripted_linear(part)
    ]
    return widths[-1] if widths else None


def _is_scripted_linear(part: nn.Module) -> bool:
    return isinstance(part, torch.jit.ScriptModule) and getattr(part, "original_name", "") == "Linear"
