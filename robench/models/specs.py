"""From what a user types to a model: a path, ``timm:NAME``, ``reference:NAME``, ``python:FILE:FUNCTION``..."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from robench.data.base import Geometry
from robench.errors import RobenchError
from robench.models.base import Model, Preprocessing
from robench.models.presets import Triple

FORMS = {
    "PATH.pth, .pt, .ckpt, .safetensors": "weights of --arch (a state dict, bare or in a training code's checkpoint)",
    "FOLDER": "a folder that `robench train` wrote (weights.safetensors, card.yaml)",
    "PATH.pt2": "a torch.export program",
    "PATH.pt": "a TorchScript program, where it is one",
    "PATH.onnx": "an ONNX network (pip install 'robench[onnx]')",
    "timm:NAME": "a timm model with its weights and preprocessing",
    "torchvision:NAME[.WEIGHTS]": "a torchvision model with its weights and preprocessing",
    "hf:OWNER/NAME or hf:FOLDER": "a model of the Hugging Face hub, or a snapshot of one on disk",
    "reference:NAME": "a model that comes with robench, e.g. reference:digits/augmix",
    "python:FILE_OR_MODULE:FUNCTION": "what the function returns: a module, or anything that turns images into logits",
    "'SPEC?bn=auxiliary'": "of a network with two normalisations (splitbn, dubn, dubin) the one that predicts: main, "
    "auxiliary, or bn=mean&lambda=0.5",
}


@dataclass(frozen=True)
class Request:
    """A spec with its options; see :func:`load_model`."""

    spec: str
    arch: str | None
    num_classes: int | None
    mean: Triple | None
    std: Triple | None
    norm: str
    ema: bool
    geometry: Geometry | None


def load_model(
    spec: str,
    *,
    arch: str | None = None,
    num_classes: int | None = None,
    mean: Triple | None = None,
    std: Triple | None = None,
    norm: str = "bn",
    ema: bool = False,
    geometry: Geometry | None = None,
    name: str | None = None,
) -> Model:
    """Load a model; no code of a checkpoint is ever run.

    Args:
        spec: one of :data:`FORMS`.
        arch: architecture of a file of weights: ours, ``timm:NAME``, ``torchvision:NAME``, ``python:FILE:FUNCTION``,
            or a bare timm or torchvision name.
        num_classes: classes that the model puts out; needed to build an architecture.
        mean, std: the model's normalisation; they replace what the model brings along.
        norm: normalisation layers of our architectures: bn, dubn, dubin, splitbn or splitbn-shared.
        ema: prefer a checkpoint's averaged weights.
        geometry: resize and crop; replaces the model's own.
        name: what tables call the model.

    Raises:
        RobenchError: nothing there, not readable without running code, or weights that do not fit.
    """
    from robench.models import branches

    if num_classes is not None and num_classes < 1:
        raise RobenchError(f"A model has at least one class; found num_classes {num_classes}.", hint="Leave it away.")
    spec, branch = branches.split(spec)
    request = Request(spec, arch, num_classes, mean, std, norm, ema, geometry)
    model = _load(request)
    if branch is not None:
        model = branches.predict_by(model, branch)
    if isinstance(model.module, nn.Module):
        model.module.eval()
    model = replace(model, preprocessing=_resolve(model.preprocessing, request))
    if name is not None:
        model.name = name
    return model


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
        raise RobenchError(f"How many classes {title} puts out is not known.", hint="Say so with num_classes=10.")
    model = Model(title, module, classes, Preprocessing(), found, {"architecture": kind})
    request = Request("", None, num_classes, mean, std, "bn", False, None)
    return replace(model, preprocessing=_resolve(model.preprocessing, request))


def _load(request: Request) -> Model:
    from robench.models import external, hub, local

    scheme, colon, rest = request.spec.partition(":")
    loaders: dict[str, Callable[[str, Request], Model]] = {
        "timm": external.from_timm,
        "torchvision": external.from_torchvision,
        "hf": hub.from_hub,
        "reference": local.from_reference,
        "python": local.from_python,
    }
    if colon and scheme in loaders:
        return loaders[scheme](rest, request)
    path = Path(request.spec).expanduser()
    if path.is_dir():
        return local.from_folder(path, request)
    if path.suffix == ".onnx":
        return external.from_onnx(path, request)
    if path.suffix == ".pt2":
        return external.from_export(path, request)
    if not path.exists() and colon and len(scheme) > 1 and "/" not in scheme and "\\" not in scheme:
        raise RobenchError(
            f"Unknown kind of model '{scheme}:'.", hint="Known: a path, " + ", ".join(f"{s}:" for s in loaders) + "."
        )
    return local.from_weights(path, request)


def _resolve(own: Preprocessing, request: Request) -> Preprocessing:
    """Let options replace what the model brings along, and note where each came from."""
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
