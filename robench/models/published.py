"""Models with published weights, timm's and torchvision's, and their preprocessing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from robench.data.base import Geometry, Interpolation
from robench.errors import RobenchError, did_you_mean, first_line
from robench.models import networks
from robench.models.base import Model, Preprocessing
from robench.models.checkpoints import network_hash
from robench.models.presets import PRESETS
from robench.models.safe_reading import tensors_only

if TYPE_CHECKING:
    from robench.models.request import Request
    from robench.models.saved_config import SavedConfig


LEFT_OUT = "geometry_left_out"  # the entry of a card: what of the model's own geometry is not done
_KINDS = ("nearest", "bilinear", "bicubic", "lanczos")


def from_timm(name: str, request: Request) -> Model:
    """Load a timm model with its published weights and preprocessing.

    Raises:
        RobenchError: no such model, or its weights could not be downloaded.
    """
    module = _timm_network(name)
    model = named(f"timm:{name}", module, classes_of(module), timm_preprocessing(module))
    return replace(model, classes=timm_classes(module), card=model.card | geometry_left_out(module))


def timm_state(name: str) -> dict[str, torch.Tensor]:
    """Return the published weights of a timm model by the names of its tensors.

    Raises:
        RobenchError: no such model, or its weights could not be downloaded.
    """
    state: dict[str, torch.Tensor] = _timm_network(name).state_dict()
    return state


def no_model_of_timm(name: str) -> RobenchError:
    """Return the refusal of a name that timm does not know; a path's says how saved models are named."""
    import timm

    if "/" in name or "\\" in name:
        hint = "Name what it has: timm:resnet50.a1_in1k. A saved model of timm is given as its folder: hf:FOLDER."
    else:
        hint = did_you_mean(name, timm.list_models(pretrained=True))
    return RobenchError(f"timm has no model '{name}'.", hint=hint)


def _timm_network(name: str) -> Any:
    import timm

    if not timm.is_model(name):
        raise no_model_of_timm(name)
    try:
        with tensors_only():
            return timm.create_model(name, pretrained=True).eval()
    except Exception as error:  # hub and network errors of many kinds
        raise RobenchError(
            f"Could not download the weights of timm:{name}: {first_line(error)}",
            hint="Download them elsewhere, and give the file:"
            f" `robench.evaluate(model='FILE.safetensors', arch='timm:{name}')`"
            " (which brings mean, std, resize and crop).",
        ) from error


def timm_preprocessing(module: Any) -> Preprocessing:
    """Return the preprocessing of a timm model's data config: crop fraction, interpolation, mean and std.

    Raises:
        RobenchError: the model takes images of another number of channels than 3.
    """
    import timm

    config = timm.data.resolve_model_data_config(module)
    if (channels := int(config["input_size"][0])) != 3:
        raise RobenchError(
            f"The configuration of {type(module).__name__} is for images of {channels} channel"
            f"{'' if channels == 1 else 's'}, not of 3.",
            hint="Convert the images in a custom function: `model='python:FILE.py:FUNCTION'`",
        )
    size = int(config["input_size"][-1])
    resize = int(size / config.get("crop_pct", 1.0))
    kind = config.get("interpolation", "bicubic")
    interpolation: Interpolation = kind if kind in _KINDS else "bicubic"
    exact = config.get("crop_mode") == "squash"
    geometry = Geometry((resize, resize) if exact else resize, size, interpolation)
    return Preprocessing(tuple(config["mean"]), tuple(config["std"]), geometry, None, "timm")


def geometry_left_out(module: Any) -> dict[str, str]:
    """Return what a card says of a timm model whose images a resize and a square centre crop do not prepare."""
    import timm

    config = timm.data.resolve_model_data_config(module)
    _, height, width = config["input_size"]
    if height != width:
        return {LEFT_OUT: f"images of {height} x {width} pixels"}
    if (mode := config.get("crop_mode")) not in ("center", "squash", None):
        return {LEFT_OUT: f"crop_mode '{mode}'"}
    if (portion := config.get("crop_pct") or 1.0) > 1:  # images smaller than their crop
        return {LEFT_OUT: f"crop_pct {portion:g}"}
    kind = config.get("interpolation", "bicubic")
    return {} if kind in _KINDS else {LEFT_OUT: f"interpolation '{kind}'"}


def with_config(own: Preprocessing, saved: SavedConfig, module: Any) -> Preprocessing:
    """Return an architecture's own preprocessing with what a file of weights says of it.

    Args:
        own: of the architecture.
        saved: what the file says; resize, crop and interpolation count where ``own`` is timm's.
        module: the network.
    """
    if own.origin == "timm":
        module.pretrained_cfg = {**(getattr(module, "pretrained_cfg", None) or {}), **saved.values}
        found = timm_preprocessing(module)
    else:
        found = replace(own, mean=saved.values["mean"], std=saved.values["std"])
    if own.origin != "default" and found == own:
        return own
    return replace(found, origin=saved.origin if own.origin == "default" else f"{saved.origin} over {own.origin}")


def from_torchvision(name: str, request: Request) -> Model:
    """Load a torchvision model with published weights; see :func:`robench.models.networks.torchvision_weights`.

    The model's name includes that of the weights, also for torchvision's default.

    Raises:
        RobenchError: no such model or weights, or a failed download.
    """
    architecture, weights = networks.torchvision_weights(name)
    module = _torchvision_network(architecture, weights).eval()
    model = named(f"torchvision:{architecture}.{weights.name}", module, 1000, torchvision_preprocessing(weights))
    return replace(model, classes=tuple(weights.meta["categories"]))


def torchvision_state(name: str) -> dict[str, torch.Tensor]:
    """Return the published weights of a torchvision model by the names of its tensors.

    Args:
        name: as for :func:`robench.models.networks.torchvision_weights`.

    Raises:
        RobenchError: no such model or weights, or a failed download.
    """
    architecture, weights = networks.torchvision_weights(name)
    return _torchvision_network(architecture, weights).state_dict()


def _torchvision_network(architecture: str, weights: Any) -> nn.Module:
    try:
        with tensors_only():
            return networks.build(f"torchvision:{architecture}", 1000, weights=weights.name)
    except RobenchError:
        raise
    except Exception as error:  # network errors, and the remains of a broken download
        raise RobenchError(
            f"Could not download the weights of torchvision:{architecture}.{weights.name}: {first_line(error)}",
            hint=f"Download {weights.url} and give the file: `robench.evaluate(model='FILE.pth',"
            f" arch='torchvision:{architecture}', {_keywords(torchvision_preprocessing(weights))})`",
        ) from error


def _keywords(preprocessing: Preprocessing) -> str:
    """Return a preprocessing as keywords of ``robench.evaluate``."""
    pair, geometry = (preprocessing.mean, preprocessing.std), preprocessing.geometry
    names = [name for name, values in PRESETS.items() if values == pair]
    words = [f"norm_preset='{names[0]}'"] if names else [f"mean={pair[0]}", f"std={pair[1]}"]
    if geometry is not None:
        words += [f"resize={geometry.resize}", f"crop={geometry.crop}"]
        words += [f"interpolation='{geometry.interpolation}'"] if geometry.interpolation != "bilinear" else []
    return ", ".join(words)


def torchvision_preprocessing(weights: Any) -> Preprocessing:
    """Return the preprocessing of an entry of torchvision's weights."""
    transform = weights.transforms()
    interpolation: Interpolation = "bicubic" if "bicubic" in str(transform.interpolation).lower() else "bilinear"
    geometry = Geometry(int(transform.resize_size[0]), int(transform.crop_size[0]), interpolation)
    return Preprocessing(tuple(transform.mean), tuple(transform.std), geometry, None, "torchvision")


def named(
    name: str,
    module: nn.Module,
    classes: int,
    preprocessing: Preprocessing,
    settings: Mapping[str, Any] | None = None,
) -> Model:
    """Return a model identified by its weights, its layers and its configuration's settings."""
    found = network_hash(name.partition(":")[0], module, settings)
    return Model(name, module, classes, preprocessing, found, {"spec": name, "architecture": type(module).__name__})


def timm_classes(module: Any) -> tuple[str, ...] | None:
    """Return the names of a timm model's classes: those of its configuration, or ImageNet's WordNet ids, or None."""
    from timm.data import ImageNetInfo, infer_imagenet_subset

    config: dict[str, Any] = getattr(module, "pretrained_cfg", None) or {}
    names = config.get("label_names")
    if names is None and re.search(r"in(1|12|21|22)k", str(config.get("tag") or "")):
        subset = infer_imagenet_subset(module)
        names = ImageNetInfo(subset).label_names() if subset is not None else None
    return tuple(map(str, names)) if names is not None and len(names) == classes_of(module) else None


def classes_of(module: Any) -> int:
    """Return the number of classes of a timm model."""
    return int(module.num_classes)
