"""From what a user types to a model: a path, ``timm:NAME``, ``reference:NAME``, ``python:FILE:FUNCTION``..."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from torch import nn

from robench.data.base import Geometry
from robench.errors import RobenchError
from robench.models.base import Model
from robench.models.presets import Triple
from robench.models.request import Request, resolve
from robench.registry import Registry

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

_BUILT_IN = {
    "timm": "robench.models.published:from_timm",
    "torchvision": "robench.models.published:from_torchvision",
    "hf": "robench.models.hub:from_hub",
    "reference": "robench.models.local:from_reference",
    "python": "robench.models.local:from_python",
}
# What stands before the colon of a spec; a source takes what stands behind it, and the whole request.
SOURCES: Registry[Callable[[str, Request], Model]] = Registry("kind of model", _BUILT_IN, group="robench.model_sources")


def load_model(
    spec: str,
    *,
    arch: str | None = None,
    num_classes: int | None = None,
    mean: Triple | None = None,
    std: Triple | None = None,
    norm: str = "bn",
    ema: bool = False,
    key: str | None = None,
    geometry: Geometry | None = None,
    name: str | None = None,
) -> Model:
    """Load a model; no code of a checkpoint is ever run.

    Args:
        spec: one of :func:`forms`.
        arch: architecture of a file of weights: ours, ``timm:NAME``, ``torchvision:NAME``, ``python:FILE:FUNCTION``,
            or a bare timm or torchvision name.
        num_classes: classes that the model puts out; needed to build an architecture.
        mean, std: the model's normalisation; they replace what the model brings along.
        norm: normalisation layers of our architectures: bn, dubn, dubin, splitbn or splitbn-shared.
        ema: take a checkpoint's averaged weights.
        key: which of several networks of a checkpoint, or outputs of an ONNX network; also as ``SPEC?key=NAME``.
        geometry: resize and crop; replaces the model's own.
        name: what tables call the model.

    Raises:
        RobenchError: nothing there, not readable without running code, or weights that do not fit.
    """
    from robench.models import branches, classes, queries

    if num_classes is not None and num_classes < 1:
        raise RobenchError(f"A model has at least one class; found num_classes {num_classes}.", hint="Omit it.")
    spec, query = queries.split(spec)
    if key is not None and query.key is not None and key != query.key:
        raise RobenchError(f"Two keys were given, '{key}' and '{query.key}'.", hint="Use only one of them.")
    request = Request(spec, arch, num_classes, mean, std, norm, ema, key or query.key, geometry)
    model = _load(request)
    if query.branch is not None:
        model = branches.predict_by(model, query.branch)
    if query.outputs is not None:
        model = classes.keep(model, *query.outputs)
    if isinstance(model.module, nn.Module):
        model.module.eval()
    return replace(model, name=name or model.name, preprocessing=resolve(model.preprocessing, request))


def forms() -> dict[str, str]:
    """Return the forms of a spec and what each is, with those that installed packages add."""
    added = {name: SOURCES.get(name) for name in SOURCES if name not in _BUILT_IN}
    return FORMS | {f"{name}:...": (load.__doc__ or "").strip().partition("\n")[0] for name, load in added.items()}


def _load(request: Request) -> Model:
    from robench.models import local

    scheme, colon, rest = request.spec.partition(":")
    if colon and scheme in SOURCES:
        return SOURCES.get(scheme)(rest, request)
    path = Path(request.spec).expanduser()
    if path.is_dir():
        return local.from_folder(path, request)
    if path.suffix == ".onnx":
        from robench.models.onnx import from_onnx

        return from_onnx(path, request)
    if path.suffix == ".pt2":
        from robench.models.programs import from_export

        return from_export(path, request)
    if not path.exists() and colon and len(scheme) > 1 and "/" not in scheme and "\\" not in scheme:
        raise RobenchError(
            f"Unknown kind of model '{scheme}:'.", hint="Known: a path, " + ", ".join(f"{s}:" for s in SOURCES) + "."
        )
    return local.from_weights(path, request)
