"""Loading a model from its spec: a path, ``timm:NAME``, ``reference:NAME``, ``python:FILE:FUNCTION``..."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from torch import nn

from robench.data.base import Geometry
from robench.errors import RobenchError
from robench.models.base import Model
from robench.models.normalisers import own_normalisation
from robench.models.presets import Triple, triple
from robench.models.request import Request, resolve
from robench.registry import Registry

FORMS = {
    "PATH.pth, .pt, .ckpt, .safetensors": "weights of an architecture (arch), bare or within a checkpoint",
    "FOLDER": "a folder that `robench train` wrote (weights.safetensors, card.yaml)",
    "PATH.pt2": "a torch.export program",
    "PATH.pt": "or a TorchScript program",
    "PATH.onnx": "an ONNX network (pip install 'robench[onnx]')",
    "timm:NAME": "a timm model with its weights and preprocessing",
    "torchvision:NAME[.WEIGHTS]": "a torchvision model with its weights and preprocessing",
    "hf:OWNER/NAME or hf:FOLDER": "a model of the Hugging Face hub, or a snapshot of one on disk; CLIP and SigLIP "
    "are zero-shot models",
    "open_clip:ARCH/PRETRAINED or open_clip:FOLDER": "a zero-shot model of open_clip: a tag of published weights, a "
    "file, or a snapshot (pip install 'robench[zeroshot]')",
    "robustbench:NAME": "a model of RobustBench's zoo, where its package is installed",
    "reference:NAME": "a model shipped with robench, e.g. reference:digits/augmix",
    "python:FILE_OR_MODULE:FUNCTION": "what the function returns: a module, or any callable from images to logits",
    "'SPEC?bn=auxiliary'": "which normalisation predicts in a network with two (splitbn, dubn, dubin): main, "
    "auxiliary, or bn=mean&lambda=0.5",
    "'SPEC?tta=flip'": "the mean of the probabilities of an image and its mirror image",
    "'SPEC?bn=batch&batch=200'": "batch norms with each batch's own statistics; results are marked as adapted",
    "'PATH?key=student'": "one of several networks of a checkpoint, or of several outputs of an ONNX network",
    "'SPEC?outputs=1:1001'": "only these logits, counted from 0, such as those after a background class",
}

_BUILT_IN = {
    "timm": "robench.models.published:from_timm",
    "torchvision": "robench.models.published:from_torchvision",
    "hf": "robench.models.hub:from_hub",
    "open_clip": "robench.models.zeroshot.openclip:from_open_clip",
    "reference": "robench.models.local:from_reference",
    "robustbench": "robench.models.robustbench:from_robustbench",
    "python": "robench.models.custom:from_python",
}
# By the scheme of a spec (before the colon): a function of the rest of the spec and the whole request.
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
    prompts: str | None = None,
    class_names: str | None = None,
    classes: tuple[str, ...] | None = None,
    dataset: str | None = None,
) -> Model:
    """Load a model. Code in a checkpoint is never run.

    Args:
        spec: one of :func:`forms`.
        arch: architecture for a file of weights: a built-in one, ``timm:NAME``, ``torchvision:NAME``,
            ``python:FILE:FUNCTION``, or a bare timm or torchvision name.
        num_classes: number of classes; needed to build an architecture.
        mean, std: normalisation per channel, for images in [0, 1]; they replace the model's own.
        norm: normalisation layers of the architecture: bn, ibn, dubn, dubin, splitbn or splitbn-shared.
        ema: take a checkpoint's averaged weights.
        key: which of several networks of a checkpoint, or outputs of an ONNX network; also as ``SPEC?key=NAME``.
        geometry: resize and crop; they replace the model's own.
        name: what tables call the model.
        prompts: of a zero-shot model: ``imagenet``, ``cifar``, ``simple`` or a file of templates; None: those of the
            data set.
        class_names: of a zero-shot model: ``imagenet``, ``cifar10``, ``cifar100`` or a file; None: the data's.
        classes: the data's class names by label, for a zero-shot model.
        dataset: what is evaluated (``imagenet``, ``cifar10``...), for a zero-shot model's names and prompts.

    Raises:
        RobenchError: no such model, a file that is unreadable without running code, weights that do not fit, several
            networks and none chosen, or a normalisation that is missing or not of images in [0, 1].
    """
    from robench.models import branches, posthoc, queries
    from robench.models.classes import keep

    if num_classes is not None and num_classes < 1:
        raise RobenchError(f"A model has at least one class; found num_classes {num_classes}.", hint="Omit it.")
    spec, query = queries.split(spec)
    if key is not None and query.key is not None and key != query.key:
        raise RobenchError(f"Two keys were given, '{key}' and '{query.key}'.", hint="Use only one of them.")
    request = Request(
        spec,
        arch,
        num_classes,
        triple("mean", mean),
        triple("std", std),
        norm,
        ema,
        key or query.key,
        geometry,
        prompts,
        class_names,
        classes,
        dataset,
    )
    try:
        model = _load(request)
    except RobenchError as error:
        if "," not in spec:
            raise
        hint = f"{error.hint or ''} Several models are given by `models`."
        raise RobenchError(error.message, hint=hint.strip()) from error
    if (inside := own_normalisation(model.module)) is not None:
        model = replace(model, card=model.card | {"normalises": inside})
    if query.branch is not None:
        model = branches.predict_by(model, query.branch)
    if query.outputs is not None:
        model = keep(model, *query.outputs)
    if query.batch is not None:
        model = posthoc.by_batch(model, query.batch)
    if query.tta is not None:
        model = posthoc.flipped(model)
    if isinstance(model.module, nn.Module):
        model.module.eval()
        model = replace(model, card=model.card | {"parameters": sum(one.numel() for one in model.module.parameters())})
    named = posthoc.marked(replace(model, name=name or model.name))
    return replace(named, preprocessing=resolve(model.preprocessing, request))


def forms() -> dict[str, str]:
    """Return the forms of a spec with a description each, including those that installed packages add."""
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
    if colon and rest.startswith("//"):
        raise RobenchError(f"{request.spec} is an address, not a file.", hint="Download the file, and give its path.")
    if not path.exists() and colon and len(scheme) > 1 and "/" not in scheme and "\\" not in scheme:
        raise RobenchError(
            f"Unknown kind of model '{scheme}:'.", hint="Known: a path, " + ", ".join(f"{s}:" for s in SOURCES) + "."
        )
    return local.from_weights(path, request)
