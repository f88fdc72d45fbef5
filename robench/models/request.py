"""What a user asks for, as one value, and what every source of models needs of it: wrapping and preprocessing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import nn

from robench.data.base import Geometry
from robench.errors import RobenchError
from robench.models.base import Model, Preprocessing
from robench.models.presets import Triple


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
    geometry: Geometry | None = None


def wrap(
    module: Callable[[torch.Tensor], torch.Tensor],
    *,
    num_classes: int | None = None,
    mean: Triple | None = None,
    std: Triple | None = None,
    name: str | None = None,
) -> Model:
    """Make a model of an ``nn.Module`` or any callable from normalised float images to logits.

    A module's hash is that of its weights; another callable's is its name only, so that a changed function of the
    same name needs a folder of its own.

    Raises:
        RobenchError: the number of classes is neither given nor known from a linear layer.
    """
    from robench.models.checkpoints import weights_hash

    title = name or str(getattr(module, "__name__", type(module).__name__))
    if isinstance(module, nn.Module):
        kind = type(module).__name__
        found = weights_hash(repr(module), module.state_dict())
        classes = num_classes or _last_classes(module)
    else:
        kind, found, classes = "callable", f"callable:{title}", num_classes
    if classes is None:
        raise RobenchError(f"The number of classes of {title} is not known.", hint="Give it: num_classes=10.")
    request = Request("", num_classes=num_classes, mean=mean, std=std)
    preprocessing = resolve(Preprocessing(), request)
    return Model(title, module, classes, preprocessing, found, {"architecture": kind})


def resolve(own: Preprocessing, request: Request) -> Preprocessing:
    """Return the model's own preprocessing with the request's options in place of it, and where each came from."""
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


def _last_classes(module: nn.Module) -> int | None:
    """Return the width of the last linear layer."""
    linear = [part for part in module.modules() if isinstance(part, nn.Linear)]
    return linear[-1].out_features if linear else None
