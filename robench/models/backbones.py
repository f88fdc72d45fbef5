"""Frozen image encoders: a model without its head, from images to features."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from robench.documents import read_document
from robench.errors import RobenchError, first_line
from robench.files import digest
from robench.models.base import Model, Preprocessing
from robench.models.checkpoints import network_hash
from robench.models.published import LEFT_OUT, geometry_left_out, no_model_of_timm, timm_preprocessing
from robench.models.safe_reading import tensors_only
from robench.models.snapshots import (
    load_snapshot,
    not_said,
    preprocessing_of,
    refuse_code,
    refuse_otherwise,
    says_preprocessing,
    settings_of,
)

_TRIED = 2


@dataclass(frozen=True)
class Backbone:
    """An image encoder whose weights do not change.

    Args:
        spec: what loads it again.
        module: from normalised float images (n, 3, H, W) to features (n, d).
        preprocessing: of the model's own configuration.
        hash: SHA-256 over weights and architecture.
        features: what the features are, in words.
        card: more that is known.
    """

    spec: str
    module: nn.Module
    preprocessing: Preprocessing
    hash: str
    features: str
    card: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The spec without folders above the last one."""
        scheme, colon, rest = self.spec.partition(":")
        return f"{scheme}:{Path(rest).name}" if colon and Path(rest).exists() else self.spec

    def record(self) -> dict[str, Any]:
        """Return what the card of a head says about it."""
        return {"spec": self.spec, "hash": self.hash, "features": self.features}


def load_backbone(spec: str) -> Backbone:
    """Load an image encoder.

    Args:
        spec: ``timm:NAME``, ``torchvision:NAME[.WEIGHTS]``, ``hf:FOLDER`` or ``hf:OWNER/NAME`` (timm's layout,
            transformers', CLIP and SigLIP), ``open_clip:ARCH/PRETRAINED``, or any model whose last layer is linear.

    Raises:
        RobenchError: it cannot be loaded, or its features differ from call to call.
    """
    scheme, _, rest = spec.partition(":")
    load = {"timm": _from_timm, "hf": _from_hub, "open_clip": _from_towers}.get(scheme)
    found = load(rest, spec) if load is not None else _without_head(spec)
    found.module.eval().requires_grad_(False)
    _refuse_random(found)
    return replace(found, spec=_absolute(spec))


def _absolute(spec: str) -> str:
    """Return a spec that is found from any folder."""
    scheme, colon, rest = spec.partition(":")
    path = Path(rest if colon else spec).expanduser()
    if not path.exists():
        return spec
    return f"{scheme}:{path.resolve()}" if colon else str(path.resolve())


@torch.inference_mode()
def _refuse_random(found: Backbone) -> None:
    """Refuse an encoder that draws, such as a masked autoencoder, or whose features are not rows."""
    geometry = found.preprocessing.geometry
    side = geometry.crop or geometry.resize if geometry is not None else 32
    shape = (side, side) if isinstance(side, int) else tuple(side or (32, 32))
    images = torch.rand(_TRIED, 3, *shape, generator=torch.Generator().manual_seed(0))
    try:
        first, second = found.module(images), found.module(images)
    except Exception as error:
        raise RobenchError(
            f"{found.spec} fails on images of {shape[0]} x {shape[1]} pixels: {first_line(error)}",
            hint="Give the image encoder of a classifier or of a two-tower model.",
        ) from error
    if not isinstance(first, torch.Tensor) or first.ndim != 2 or len(first) != _TRIED:
        raise RobenchError(
            f"{found.spec} does not give one row of features per image.", hint="Choose a model with pooled features."
        )
    if not torch.allclose(first, second, atol=1e-4, rtol=1e-3):
        raise RobenchError(
            f"The features of {found.spec} differ from call to call.", hint="Choose an encoder that does not draw."
        )


def _from_timm(name: str, spec: str, source: str | None = None) -> Backbone:
    import timm

    if source is None and not timm.is_model(name):
        raise no_model_of_timm(name)
    try:
        with tensors_only():
            module = timm.create_model(source or name, pretrained=True, num_classes=0).eval()
    except Exception as error:  # hub, network and file errors of many kinds
        raise RobenchError(
            f"Could not load the weights of {spec}: {first_line(error)}",
            hint="Check the network, or give a snapshot of the hub on disk: hf:FOLDER.",
        ) from error
    if (odd := geometry_left_out(module).get(LEFT_OUT)) is not None:
        raise RobenchError(
            f"The configuration of {spec} asks for {odd}; robench resizes and crops to a square.",
            hint="Choose an encoder that takes square crops.",
        )
    found = network_hash("timm backbone", module)
    return Backbone(spec, module, timm_preprocessing(module), found, "timm's pooled features")


def _from_hub(name: str, spec: str) -> Backbone:
    folder = Path(name).expanduser()
    if not folder.is_dir():
        return _from_timm(name, spec, f"hf-hub:{name}")
    if not (folder / "config.json").exists() and (folder / "open_clip_config.json").exists():
        return _from_towers(name, spec)
    config = read_document(folder / "config.json", "model configuration")
    if "architecture" in config:
        return _from_timm(name, spec, f"local-dir:{folder}")
    refuse_code(folder, config)
    from robench.models.zeroshot.specs import towers_of

    towers = towers_of(spec)
    return _of_towers(towers, spec) if towers is not None else _from_transformers(folder, spec)


def _from_towers(name: str, spec: str) -> Backbone:
    from robench.models.zeroshot.openclip import load_towers

    return _of_towers(load_towers(name), spec)


def _of_towers(towers: Any, spec: str) -> Backbone:
    found = digest({"image": towers.weights, "backbone": 1})
    return Backbone(spec, towers.image, towers.preprocessing, found, "the image encoder's output", towers.card)


def _from_transformers(folder: Path, spec: str) -> Backbone:
    if not says_preprocessing(folder):
        raise not_said(folder, "")
    network, processor, missing = load_snapshot(folder, "AutoModel")
    others = [name for name in missing if not name.startswith("pooler.")]
    if others:
        raise RobenchError(
            f"The weights in {folder} lack {', '.join(others[:4])}; transformers would draw them at random.",
            hint="Download the snapshot again.",
        )
    preprocessing = preprocessing_of(processor, folder)
    refuse_otherwise(folder, processor, preprocessing)
    module = _Pooled(network.float(), drawn=bool(missing))
    # Weights that the file lacks are drawn, and not used.
    state = {name: weight for name, weight in network.state_dict().items() if name not in missing}
    found = network_hash("transformers backbone", network, settings_of(network), state)
    features = "the class token" if missing else "the pooled output, else the class token"
    return Backbone(spec, module, preprocessing, found, features, {"architecture": type(network).__name__})


class _Pooled(nn.Module):
    """An encoder of transformers: its pooled output, unless the pooling's weights were drawn; else the class token."""

    def __init__(self, network: Any, *, drawn: bool) -> None:
        super().__init__()
        self.network, self.drawn = network, drawn

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        output = self.network(pixel_values=images)
        pooled = None if self.drawn else getattr(output, "pooler_output", None)
        features: torch.Tensor = output.last_hidden_state[:, 0] if pooled is None else pooled.flatten(1)
        return features


def _without_head(spec: str) -> Backbone:
    """Return a classifier of any other kind without its last linear layer."""
    from robench.models import load_model

    model = load_model(spec)
    module, layer = _headless(model)
    return Backbone(
        spec, module, model.preprocessing, digest({"model": model.hash, "without": layer}), f"the input of {layer}"
    )


def _headless(model: Model) -> tuple[nn.Module, str]:
    module = model.module
    if isinstance(module, nn.Module):
        linear = [(name, part) for name, part in module.named_modules() if isinstance(part, nn.Linear)]
        if linear and linear[-1][1].out_features == model.num_classes and linear[-1][0]:
            name = linear[-1][0]
            parent, _, leaf = name.rpartition(".")
            setattr(module.get_submodule(parent), leaf, nn.Identity())
            return _Flat(module), name
    raise RobenchError(
        f"{model.name} has no linear layer at its end that could be left out.",
        hint="Give an encoder: timm:NAME, hf:FOLDER, torchvision:NAME or open_clip:ARCH/PRETRAINED.",
    )


class _Flat(nn.Module):
    """A network with its output as rows."""

    def __init__(self, network: Callable[..., Any]) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.network(images)
        return features.flatten(1)
