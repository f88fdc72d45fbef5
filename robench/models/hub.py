"""Models of the Hugging Face hub and snapshot folders of them: timm's layout, or transformers'; no code of theirs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from robench.data.base import Geometry, Interpolation
from robench.errors import RobenchError
from robench.models.base import Model, Preprocessing
from robench.models.checkpoints import tensors_only
from robench.models.external import classes_of, first_line, named, timm_preprocessing

if TYPE_CHECKING:
    from robench.models.specs import Request

# Pillow's numbers of filters, as processors keep them.
_FILTERS: dict[int, Interpolation] = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}
_WARPED = 384


def from_hub(name: str, request: Request) -> Model:
    """Load a model of the Hugging Face hub, or a snapshot folder of one: timm's layout, or transformers'.

    Weights are read as tensors only, and a repository's own Python files are never run.

    Raises:
        RobenchError: not there, in need of code from the repository, or of a library which is not installed.
    """
    folder = Path(name).expanduser()
    if not folder.is_dir():
        return _by_timm(f"hf-hub:{name}", name, "Check the name and the network, or give a snapshot: --model hf:FOLDER")
    try:
        config = json.loads((folder / "config.json").read_text())
    except (OSError, ValueError) as error:
        raise RobenchError(f"{folder} is no snapshot of a model: {error}", hint="It needs config.json.") from error
    if not isinstance(config, dict):
        raise RobenchError(f"{folder / 'config.json'} is no mapping.", hint="Fetch the snapshot again.")
    if "architecture" in config:
        return _by_timm(f"local-dir:{folder}", folder.name, "It needs config.json and model.safetensors of one model.")
    _refuse_code(folder, config)
    return _by_transformers(folder)


def _by_timm(spec: str, name: str, hint: str) -> Model:
    import timm

    try:
        with tensors_only():
            module = timm.create_model(spec, pretrained=True).eval()
    except Exception as error:  # hub, network and file errors of many kinds
        raise RobenchError(
            f"hf:{name} could not be loaded: {type(error).__name__}: {first_line(error)}", hint=hint
        ) from error
    return named(f"hf:{name}", module, classes_of(module), timm_preprocessing(module))


def _refuse_code(folder: Path, config: dict[str, Any]) -> None:
    """Refuse what transformers would fetch and run, or load from elsewhere, on a word of the configuration."""
    if "auto_map" in config:
        raise RobenchError(
            f"{folder} needs Python code of its repository, which robench does not run.",
            hint="Where you trust it, load it in a function of your own: --model python:FILE.py:FUNCTION",
        )
    implementations = [str(value) for key, value in _walk(config) if "implementation" in key]
    elsewhere = [value for value in implementations if "/" in value]
    if elsewhere or (folder / "adapter_config.json").exists():
        what = f"a kernel of the hub ({elsewhere[0]})" if elsewhere else "an adapter on another model"
        raise RobenchError(
            f"{folder} asks for {what}, which robench does not fetch.",
            hint="Save the plain model (save_pretrained), or load it yourself: --model python:FILE.py:FUNCTION",
        )


def _walk(document: Any) -> list[tuple[str, Any]]:
    if isinstance(document, list):
        return [pair for part in document for pair in _walk(part)]
    if not isinstance(document, dict):
        return []
    return [pair for key, value in document.items() for pair in [(str(key), value), *_walk(value)]]


def _by_transformers(folder: Path) -> Model:
    try:
        from transformers import AutoImageProcessor, AutoModelForImageClassification
    except ImportError as error:
        raise RobenchError("This snapshot needs transformers.", hint="pip install 'robench[hub]'") from error
    safe = {"local_files_only": True, "trust_remote_code": False}
    try:
        with tensors_only():
            network = AutoModelForImageClassification.from_pretrained(folder, **safe).eval()
            processor = AutoImageProcessor.from_pretrained(folder, **safe)
    except Exception as error:  # missing files, unknown architectures, pickles, and more
        raise RobenchError(
            f"{folder} cannot be loaded by transformers: {type(error).__name__}: {first_line(error)}",
            hint="It needs config.json, preprocessor_config.json and model.safetensors of an image classifier.",
        ) from error
    classes = int(network.config.num_labels)
    model = named(f"hf:{folder.name}", _Logits(network), classes, _preprocessing(processor, folder))
    model.card["architecture"] = type(network).__name__
    return model


class _Logits(nn.Module):
    """A classifier of transformers as a module that returns logits."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.network(pixel_values=images).logits
        return logits


def _preprocessing(processor: Any, folder: Path) -> Preprocessing:
    """Return what an image processor does, in our terms.

    Raises:
        RobenchError: it does something that resize, centre crop and normalisation cannot say.
    """
    scale = getattr(processor, "rescale_factor", 1 / 255)
    if not getattr(processor, "do_rescale", True) or abs(scale * 255 - 1) > 1e-6:
        raise RobenchError(
            f"{folder} scales pixels by {scale}; robench's models take pixels in [0, 1].",
            hint="Wrap it: --model python:FILE.py:FUNCTION",
        )
    geometry = _geometry(processor)
    if not getattr(processor, "do_normalize", True):
        return Preprocessing(geometry=geometry, origin="transformers")
    return Preprocessing(tuple(processor.image_mean), tuple(processor.image_std), geometry, None, "transformers")


def _geometry(processor: Any) -> Geometry | None:
    size, resize = dict(processor.size or {}), None
    kind = _FILTERS.get(int(getattr(processor, "resample", 2) or 0), "bilinear")
    if getattr(processor, "do_resize", True) and size.get("shortest_edge"):
        resize = int(size["shortest_edge"])
        portion = getattr(processor, "crop_pct", None)
        if portion is not None:
            # ConvNeXt's rule: crop below 384 pixels, warp from there on.
            return (
                Geometry(int(resize / portion), resize, kind)
                if resize < _WARPED
                else Geometry((resize,) * 2, None, kind)
            )
    elif getattr(processor, "do_resize", True) and size.get("height"):
        return Geometry((int(size["height"]), int(size["width"])), _crop(processor), kind)
    crop = _crop(processor)
    return Geometry(resize, crop, kind) if resize or crop else None


def _crop(processor: Any) -> int | None:
    crop = dict(getattr(processor, "crop_size", None) or {})
    return int(crop["height"]) if getattr(processor, "do_center_crop", False) and crop.get("height") else None
