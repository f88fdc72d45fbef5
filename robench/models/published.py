"""Models with published weights: timm's and torchvision's, with the preprocessing that belongs to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from robench.data.base import Geometry, Interpolation
from robench.errors import RobenchError, did_you_mean, first_line
from robench.models import networks
from robench.models.base import Model, Preprocessing
from robench.models.checkpoints import weights_hash
from robench.models.safe_reading import tensors_only

if TYPE_CHECKING:
    from robench.models.request import Request


def from_timm(name: str, request: Request) -> Model:
    """Load a timm model with its published weights and preprocessing.

    Raises:
        RobenchError: no such model, or its weights cannot be fetched.
    """
    import timm

    if not timm.is_model(name):
        raise RobenchError(f"timm has no model '{name}'.", hint=did_you_mean(name, timm.list_models(pretrained=True)))
    try:
        with tensors_only():
            module = timm.create_model(name, pretrained=True).eval()
    except Exception as error:  # hub and network errors of many kinds
        raise RobenchError(
            f"The weights of timm:{name} could not be fetched: {first_line(error)}",
            hint=f"Fetch them where there is a network, and give the file: --model FILE.safetensors --arch timm:{name}",
        ) from error
    return named(f"timm:{name}", module, classes_of(module), timm_preprocessing(module))


def timm_preprocessing(module: Any) -> Preprocessing:
    """Return the preprocessing of a timm model's data config: crop fraction, interpolation, mean and std."""
    import timm

    config = timm.data.resolve_model_data_config(module)
    size = int(config["input_size"][-1])
    resize = int(size / config.get("crop_pct", 1.0))
    kind = config.get("interpolation", "bicubic")
    interpolation: Interpolation = kind if kind in ("nearest", "bilinear", "bicubic", "lanczos") else "bicubic"
    exact = config.get("crop_mode") == "squash"
    geometry = Geometry((resize, resize) if exact else resize, size, interpolation)
    return Preprocessing(tuple(config["mean"]), tuple(config["std"]), geometry, None, "timm")


def from_torchvision(name: str, request: Request) -> Model:
    """Load a torchvision model by the name of its weights, see :func:`robench.models.networks.torchvision_weights`.

    The model's name says which weights they are, also where torchvision's default was taken.

    Raises:
        RobenchError: no such model or weights, or they cannot be fetched.
    """
    architecture, weights = networks.torchvision_weights(name)
    module = _torchvision_network(architecture, weights).eval()
    return named(f"torchvision:{architecture}.{weights.name}", module, 1000, torchvision_preprocessing(weights))


def torchvision_state(name: str) -> dict[str, torch.Tensor]:
    """Return the published weights of a torchvision model by the names of its tensors.

    Args:
        name: as for :func:`robench.models.networks.torchvision_weights`.

    Raises:
        RobenchError: no such model or weights, or they cannot be fetched.
    """
    architecture, weights = networks.torchvision_weights(name)
    return _torchvision_network(architecture, weights).state_dict()


def _torchvision_network(architecture: str, weights: Any) -> nn.Module:
    try:
        with tensors_only():
            return networks.build(f"torchvision:{architecture}", 1000, weights=weights.name)
    except RobenchError:
        raise
    except Exception as error:  # network errors, and what is left of a broken fetch
        raise RobenchError(
            f"The weights of torchvision:{architecture}.{weights.name} could not be fetched: {first_line(error)}",
            hint=f"Fetch {weights.url} and give the file: --model FILE.pth --arch torchvision:{architecture}",
        ) from error


def torchvision_preprocessing(weights: Any) -> Preprocessing:
    """Return the preprocessing that an entry of torchvision's weights was measured with."""
    transform = weights.transforms()
    interpolation: Interpolation = "bicubic" if "bicubic" in str(transform.interpolation).lower() else "bilinear"
    geometry = Geometry(int(transform.resize_size[0]), int(transform.crop_size[0]), interpolation)
    return Preprocessing(tuple(transform.mean), tuple(transform.std), geometry, None, "torchvision")


def named(name: str, module: nn.Module, classes: int, preprocessing: Preprocessing) -> Model:
    """Return a model whose hash is that of its weights."""
    found = weights_hash(name.partition(":")[0] + type(module).__name__, module.state_dict())
    return Model(name, module, classes, preprocessing, found, {"spec": name, "architecture": type(module).__name__})


def classes_of(module: Any) -> int:
    """Return how many classes a timm model puts out."""
    return int(module.num_classes)
