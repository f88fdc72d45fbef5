"""Models from local files: weights, training folders, reference models, TorchScript."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from robench.data.classes import class_list
from robench.errors import RobenchError
from robench.models import networks, reference
from robench.models.base import Model, Preprocessing
from robench.models.cards import check_card, read_card
from robench.models.checkpoints import State, file_hash, read_weights, weights_hash
from robench.models.custom import call_function, source_hash
from robench.models.fitting import fit, looks_like
from robench.models.identity import identify
from robench.models.matching import Match, match, strip_prefixes
from robench.models.normalisers import FoundNormalisation, find_normalisation
from robench.models.published import geometry_left_out, timm_preprocessing, torchvision_preprocessing, with_config
from robench.models.request import count_classes
from robench.models.saved_config import find_config

if TYPE_CHECKING:
    from robench.models.request import Request


def from_reference(name: str, request: Request) -> Model:
    """Load a model that comes with robench."""
    return replace(from_folder(reference.folder(name), request), name=name.rpartition("/")[2])


def from_folder(path: Path, request: Request) -> Model:
    """Load what `robench train` wrote.

    Raises:
        RobenchError: no card or weights there.
    """
    if not (path / "card.yaml").exists():
        hint = "Give a file of weights, or a folder that `robench train` wrote."
        if any((path / name).exists() for name in ("config.json", "open_clip_config.json")):
            hint = f"A snapshot of the Hugging Face hub is given with its prefix: `model='hf:{path}'`"
        elif (path / "saved_model.pb").exists():
            hint = "It is TensorFlow's: export the model to ONNX, and give the file."
        raise RobenchError(f"{path} is a folder without card.yaml.", hint=hint)
    document = read_card(path)
    if "backbone" in document:
        from robench.models.probes import from_probe_folder

        return from_probe_folder(path, document)
    card = check_card(document, str(path / "card.yaml"))
    state = read_weights(path / "weights.safetensors").state
    try:
        module = networks.build(card.architecture, card.num_classes, norm=card.norm)
    except RobenchError as error:
        raise RobenchError(f"{path / 'card.yaml'}: {error.message}", hint=error.hint) from error
    whole = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    fit(module, whole, card.architecture, str(path))
    names = card.classes or class_list(card.dataset)
    return Model(
        card.name,
        module,
        card.num_classes,
        Preprocessing(card.mean, card.std, origin="card"),
        weights_hash(card.architecture, state),
        {key: value for key, value in document.items() if key not in ("mean", "std", "classes")},
        tuple(names) if names is not None and len(names) == card.num_classes else None,
    )


def from_weights(path: Path, request: Request) -> Model:
    """Load a file of weights into ``arch``, or a TorchScript program.

    Raises:
        RobenchError: no such file, no architecture given, or weights that do not fit it.
    """
    from robench.models.torchscript import is_torchscript

    if path.exists() and is_torchscript(path):
        return _from_torchscript(path, request)
    weights = read_weights(path, ema=request.ema, key=request.key)
    if request.arch is None:
        return _refuse_without_architecture(path, strip_prefixes(weights.state))
    if request.num_classes is None:
        raise RobenchError(f"The number of classes of {path} is not known.", hint="Give `num_classes`.")
    module, architecture, own = build_any(request.arch, request)
    found = match(weights.state, module.state_dict())
    if found.others:
        names = ", ".join(f"'{prefix.removesuffix('.')}'" for prefix in (*found.taken_off, *found.others))
        raise RobenchError(
            f"{path} holds several networks of {architecture}, under {names}.",
            hint=f"Choose one by its name: '{path}?key={found.others[-1].removesuffix('.')}' (in quotes).",
        )
    fit(module, found.state, architecture, str(path), found=found)
    card = {"architecture": architecture, "file": path.name, "norm": request.norm} | weights.record() | _unused(found)
    title = path.stem + (f"-{request.key}" if request.key else "")
    saved = find_config(weights.document, path, architecture, required=request.mean is None)
    if saved is not None:
        own = with_config(own, saved, module)
    if architecture.startswith("timm:"):
        card |= geometry_left_out(module)
    preprocessing = _preprocessing(own, find_normalisation(found.rest), path, architecture, request)
    classes = saved.classes if saved is not None and len(saved.classes or ()) == request.num_classes else None
    made = Model(title, module, request.num_classes, preprocessing, "", card, classes)
    if not architecture.startswith("python:"):
        return replace(made, hash=weights_hash(f"{architecture}/{request.norm}", found.state))
    identity, source = identify(module), source_hash(architecture.removeprefix("python:"), module)
    digest = weights_hash(f"{architecture}/{identity.digest}|{source}", found.state)
    return replace(made, hash=digest, card=card | identity.remark(), identity_proven=identity.proven)


def _unused(found: Match) -> dict[str, Any]:
    """Return what a card says about tensors in the checkpoint that do not belong to the network."""
    normalisation = find_normalisation(found.rest)
    known = set(normalisation.names) if normalisation is not None else set()
    tops = sorted({name.partition(".")[0] for name in found.rest if name not in known})
    return {"unused": tops[:20]} if tops else {}


def _preprocessing(
    own: Preprocessing, found: FoundNormalisation | None, path: Path, architecture: str, request: Request
) -> Preprocessing:
    """Return the preprocessing of weights: that of the checkpoint's buffers, else of its configuration, else ``own``.

    Raises:
        RobenchError: an architecture of torchvision, and neither file nor options give a normalisation.
    """
    if found is not None:
        origin = "checkpoint" if own.origin == "default" else f"checkpoint over {own.origin}"
        return replace(own, mean=found.mean, std=found.std, origin=origin)
    if own.origin == "default" and request.mean is None and architecture.startswith("torchvision:"):
        raise RobenchError(
            f"{path} does not say which normalisation {architecture} was trained with.",
            hint="Add `norm_preset='imagenet'` (or `mean` and `std`), or `norm_preset='none'` for images in [0, 1]; for"
            " torchvision's own weights also their name, such as `arch='torchvision:resnet50.IMAGENET1K_V1'`.",
        )
    return own


def build_any(arch: str, request: Request) -> tuple[nn.Module, str, Preprocessing]:
    """Build an architecture without weights: built-in, timm's, torchvision's, or what a function returns.

    Raises:
        RobenchError: unknown architecture, or a normalisation that it cannot have.
    """
    if arch.startswith("python:"):
        if request.norm != "bn":
            raise RobenchError(
                f"`norm={request.norm!r}` has no effect on {arch}.", hint="Let the function build the network with it."
            )
        module = call_function(arch.partition(":")[2])
        if not isinstance(module, nn.Module):
            raise RobenchError(
                f"{arch} returned {type(module).__name__}, not an nn.Module.", hint="Let it return the network."
            )
        return module, arch, Preprocessing()
    published = None
    if arch.startswith("torchvision:") and "." in arch:  # published weights in a local file
        name, published = networks.torchvision_weights(arch.partition(":")[2])
        arch = f"torchvision:{name}"
    found = networks.find(arch)
    module = networks.build(found.spec, request.num_classes or 0, norm=request.norm).eval()
    if published is not None:
        return module, found.spec, torchvision_preprocessing(published)
    return module, found.spec, timm_preprocessing(module) if found.package == "timm" else Preprocessing()


def _refuse_without_architecture(path: Path, state: State) -> Model:
    name = looks_like(state)
    hint = (
        f"It looks like {name}: add `arch='{name}'`."
        if name
        else "Add `arch`: built-in (robench models list), a torchvision or timm name, or python:FILE:FUNCTION."
    )
    raise RobenchError(f"{path} holds weights but not the architecture they belong to.", hint=hint)


def _from_torchscript(path: Path, request: Request) -> Model:
    from robench.models.torchscript import load_torchscript

    module = load_torchscript(path).eval()
    classes = count_classes(module, request.num_classes, str(path))
    card = {"format": "TorchScript", "file": path.name}
    return Model(path.stem, module, classes, Preprocessing(), file_hash(path), card)
