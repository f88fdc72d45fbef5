"""Models of the Hugging Face hub or snapshot folders, in timm's or transformers' layout, without running their code."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import nn

from robench.data.base import Geometry, Interpolation
from robench.data.decode import resize_and_crop
from robench.documents import read_document
from robench.errors import RobenchError, first_line
from robench.models.base import Model, Preprocessing
from robench.models.published import classes_of, named, timm_classes, timm_preprocessing
from robench.models.safe_reading import tensors_only

if TYPE_CHECKING:
    from robench.models.request import Request

# Pillow's numbers of filters, as processors keep them.
_FILTERS: dict[int, Interpolation] = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}
_WARPED = 384
_SNAPSHOT = "A snapshot has config.json and model.safetensors of one model; download it again."
# Mean difference of pixels in [0, 1] allowed between a processor and our description of it; resize implementations
# differ by 0.0005.
_APART = 0.01


def from_hub(name: str, request: Request) -> Model:
    """Load a model of the Hugging Face hub, or a snapshot folder of one: timm's layout, or transformers'.

    Weights are read as tensors only, and Python files of a repository are never run.

    Raises:
        RobenchError: missing, or it needs code from the repository or a library that is not installed.
    """
    folder = Path(name).expanduser()
    if not folder.is_dir():
        hint = "Check the name and the network, or give a snapshot: `model='hf:FOLDER'`"
        return _by_timm(f"hf-hub:{name}", name, hint)
    config = read_document(folder / "config.json", "model configuration", hint=_SNAPSHOT)
    if "architecture" in config:
        return _by_timm(f"local-dir:{folder}", folder.name, _SNAPSHOT)
    _refuse_code(folder, config)
    return _by_transformers(folder)


def _by_timm(spec: str, name: str, hint: str) -> Model:
    import timm

    try:
        with tensors_only():
            module = timm.create_model(spec, pretrained=True).eval()
    except Exception as error:  # hub, network and file errors of many kinds
        raise RobenchError(f"hf:{name} could not be loaded: {first_line(error)}", hint=hint) from error
    model = named(f"hf:{name}", module, classes_of(module), timm_preprocessing(module))
    return replace(model, classes=timm_classes(module))


def _refuse_code(folder: Path, config: dict[str, Any]) -> None:
    """Refuse what transformers would download and run, or load from elsewhere, if the configuration asks for it."""
    if "auto_map" in config:
        raise RobenchError(
            f"{folder} needs Python code of its repository, which robench does not run.",
            hint="If you trust it, load it in a custom function: `model='python:FILE.py:FUNCTION'`",
        )
    implementations = [str(value) for key, value in _walk(config) if "implementation" in key]
    elsewhere = [value for value in implementations if "/" in value]
    if elsewhere or (folder / "adapter_config.json").exists():
        what = f"a kernel of the hub ({elsewhere[0]})" if elsewhere else "an adapter on another model"
        raise RobenchError(
            f"{folder} asks for {what}, which robench does not download.",
            hint="Save the plain model (save_pretrained), or load it yourself: `model='python:FILE.py:FUNCTION'`",
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
            network, report = AutoModelForImageClassification.from_pretrained(folder, **safe, output_loading_info=True)
            processor = AutoImageProcessor.from_pretrained(folder, **safe)
    except Exception as error:  # missing files, unknown architectures, pickles, and more
        raise RobenchError(
            f"{folder} cannot be loaded by transformers: {first_line(error)}",
            hint="It needs config.json, preprocessor_config.json and model.safetensors of an image classifier.",
        ) from error
    network.eval()
    _refuse_drawn(folder, report.get("missing_keys") or ())
    classes = int(network.config.num_labels)
    preprocessing = _preprocessing(processor, folder)
    _refuse_otherwise(folder, processor, preprocessing)
    model = named(f"hf:{folder.name}", _Logits(network), classes, preprocessing)
    card = model.card | {"architecture": type(network).__name__}
    return replace(model, card=card, classes=_names(network.config, classes))


def _names(config: Any, classes: int) -> tuple[str, ...] | None:
    """Return the class names of a configuration; ``LABEL_0`` and so on are none."""
    names = {int(label): str(name) for label, name in (getattr(config, "id2label", None) or {}).items()}
    if set(names) != set(range(classes)) or all(name == f"LABEL_{label}" for label, name in names.items()):
        return None
    return tuple(names[label] for label in range(classes))


def _refuse_drawn(folder: Path, missing: Iterable[str]) -> None:
    """Refuse a network if transformers drew some of its weights at random because the file lacks them."""
    names = sorted(missing)
    if names:
        shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
        raise RobenchError(
            f"The weights in {folder} lack {shown}; transformers would draw them at random.",
            hint="Give a fine-tuned image classifier; a backbone without its head has no classes to evaluate.",
        )


def _refuse_otherwise(folder: Path, processor: Any, preprocessing: Preprocessing) -> None:
    """Refuse a processor that does more than resize, crop and normalise, such as exchanging red and blue.

    Tested on an image, as what a processor does depends on its code and not only on its fields.

    Raises:
        RobenchError: its output has another size, or differs by more than two resize implementations do.
    """
    image = _test_image()
    try:
        wanted = torch.as_tensor(processor(Image.fromarray(image), return_tensors="pt")["pixel_values"])[0].numpy()
        pixels = resize_and_crop(image, preprocessing.geometry or Geometry()).transpose(2, 0, 1) / 255.0
    except Exception as error:  # it needs more than an image, or crops before it resizes
        raise RobenchError(
            f"{type(processor).__name__} of {folder} fails on an image: {first_line(error)}",
            hint="Wrap the model with its own preprocessing: `model='python:FILE.py:FUNCTION'`",
        ) from error
    mean, std = (np.reshape(values, (3, 1, 1)) for values in (preprocessing.mean, preprocessing.std))
    found = (pixels - mean) / std
    apart = float(np.abs(found - wanted).mean() * std.mean()) if found.shape == wanted.shape else None
    if apart is None or not apart < _APART:
        what = (
            f"images of shape {wanted.shape}, not {found.shape}"
            if apart is None
            else f"pixels {apart * 255:.1f} grey levels away on average"
        )
        raise RobenchError(
            f"{type(processor).__name__} of {folder} does more than resize, crop and normalise: it returns {what}.",
            hint="Wrap the model with its own preprocessing: `model='python:FILE.py:FUNCTION'`",
        )


def _test_image() -> npt.NDArray[np.uint8]:
    """Return a colourful image, wider than high, with edges and gradients: uint8 (480, 640, 3)."""
    y, x = np.mgrid[:480, :640]
    channels = (x * 255 / 639, 255 - y * 255 / 479, 127.5 + 127.5 * np.sign(np.sin(x / 40) * np.sin(y / 60)))
    return np.stack(channels, axis=-1).round().astype(np.uint8)


class _Logits(nn.Module):
    """A classifier of transformers as a module that returns logits."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.network(pixel_values=images).logits
        return logits


def _preprocessing(processor: Any, folder: Path) -> Preprocessing:
    """Return what an image processor does, as a :class:`Preprocessing`.

    Raises:
        RobenchError: it does more than resize, centre crop and normalisation can express.
    """
    scale = getattr(processor, "rescale_factor", 1 / 255)
    if not getattr(processor, "do_rescale", True) or abs(scale * 255 - 1) > 1e-6:
        raise RobenchError(
            f"{folder} scales pixels by {scale}; robench's models take pixels in [0, 1].",
            hint="Wrap it: `model='python:FILE.py:FUNCTION'`",
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
