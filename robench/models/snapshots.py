"""What snapshots in transformers' layout have in common: no code is run, and preprocessing is what it says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from robench.data.base import Geometry, Interpolation
from robench.data.decode import resize_and_crop
from robench.errors import RobenchError, first_line
from robench.models.base import Preprocessing
from robench.models.safe_reading import tensors_only

# Pillow's numbers of filters, as processors keep them.
_FILTERS: dict[int, Interpolation] = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}
_WARPED = 384
# Mean difference of pixels in [0, 1] allowed between a processor and our description of it; resize implementations
# differ by 0.0005.
_APART = 0.01

# Fields of a configuration that change nothing that is computed.
_ABOUT = ("transformers_version", "_name_or_path", "dtype", "torch_dtype", "architectures", "_attn_implementation")

TWO_TOWERS = {"CLIPModel": "clip", "SiglipModel": "siglip", "Siglip2Model": "siglip2"}


def is_two_tower(config: dict[str, Any]) -> bool:
    """Return whether a configuration is of a CLIP or SigLIP model with both of its encoders.

    >>> is_two_tower({"model_type": "siglip", "architectures": ["SiglipForImageClassification"]})
    False
    """
    kinds = config.get("architectures")
    if isinstance(kinds, list) and kinds:
        return kinds[0] in TWO_TOWERS
    return config.get("model_type") in TWO_TOWERS.values()


def settings_of(network: Any) -> dict[str, Any]:
    """Return what the configuration of a network of transformers says of what it computes, as a plain document."""
    found: dict[str, Any] = _plain(network.config.to_dict())
    return found


def _plain(value: Any) -> Any:
    """Return a part of a configuration as a document that has a digest; what is not plain by its text."""
    if isinstance(value, dict):
        return {str(key): _plain(part) for key, part in value.items() if key not in _ABOUT}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers' progress bars and warnings off the screen; what matters is checked."""
    from transformers.utils import logging

    level, shown = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if shown:
            logging.enable_progress_bar()


def says_preprocessing(folder: Path) -> bool:
    """Return whether a snapshot has a file that says how its images are prepared."""
    return any((folder / name).exists() for name in ("preprocessor_config.json", "processor_config.json"))


def load_snapshot(folder: Path, kind: str) -> tuple[Any, Any, list[str]]:
    """Load a snapshot's network and image processor from tensors alone; the processor is None where it has no file.

    Args:
        folder: the snapshot.
        kind: transformers' class for it, such as ``AutoModel``.

    Returns:
        The network, the processor, and the names of weights that the snapshot lacks and transformers drew at random.

    Raises:
        RobenchError: transformers is missing, or cannot load it.
    """
    try:
        import transformers
    except ImportError as error:
        raise RobenchError("This snapshot needs transformers.", hint="pip install 'robench[hub]'") from error
    safe = {"local_files_only": True, "trust_remote_code": False}
    try:
        with tensors_only(), quiet():
            network, report = getattr(transformers, kind).from_pretrained(folder, **safe, output_loading_info=True)
            processor = None
            if says_preprocessing(folder):
                processor = transformers.AutoImageProcessor.from_pretrained(folder, **safe)
    except Exception as error:  # missing files, unknown architectures, pickles, and more
        raise RobenchError(
            f"{folder} cannot be loaded by transformers: {first_line(error)}",
            hint="It needs config.json, preprocessor_config.json and model.safetensors"
            f"{' of an image classifier' if kind.endswith('Classification') else ''}.",
        ) from error
    return network, processor, sorted(report.get("missing_keys") or ())


def not_said(folder: Path, way_out: str) -> RobenchError:
    """Return the refusal of a snapshot that does not say how its images are prepared."""
    return RobenchError(
        f"{folder} has no preprocessor_config.json: it does not say how its images are resized and normalised.",
        hint=f"Copy the file of the model that it was trained from into the folder{way_out}.",
    )


def refuse_code(folder: Path, config: dict[str, Any]) -> None:
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


def refuse_drawn(folder: Path, missing: Iterable[str], hint: str | None = None) -> None:
    """Refuse a network if transformers drew some of its weights at random because the file lacks them."""
    names = sorted(missing)
    if names:
        shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
        raise RobenchError(
            f"The weights in {folder} lack {shown}; transformers would draw them at random.",
            hint=hint or "Give a fine-tuned image classifier; a backbone without its head has no classes to evaluate.",
        )


Transform = Callable[[Image.Image], npt.NDArray[Any]]


def refuse_otherwise(
    folder: Path, processor: Any, preprocessing: Preprocessing, transform: Transform | None = None, side: int = 0
) -> None:
    """Refuse a processor that does more than resize, crop and normalise, such as exchanging red and blue.

    Tested on an image, as what a processor does depends on its code and not only on its fields.

    Args:
        folder: what messages call the model.
        processor: of transformers, or any object whose class messages name.
        preprocessing: what it is taken for.
        transform: what it does: from an image to floats (3, H, W); None: the processor is called.
        side: height and width of a square test image; 0: it is wider than high.

    Raises:
        RobenchError: its output has another size, or differs by more than two resize implementations do.
    """
    image = _test_image(side)
    try:
        wanted = (transform or _pixel_values(processor))(Image.fromarray(image))
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


def _pixel_values(processor: Any) -> Transform:
    def transform(image: Image.Image) -> npt.NDArray[Any]:
        found: npt.NDArray[Any] = torch.as_tensor(processor(image, return_tensors="pt")["pixel_values"])[0].numpy()
        return found

    return transform


def _test_image(side: int) -> npt.NDArray[np.uint8]:
    """Return a colourful image with edges and gradients: uint8 (480, 640, 3), or (side, side, 3)."""
    height, width = (side, side) if side else (480, 640)
    y, x = np.mgrid[:height, :width]
    channels = (
        x * 255 / (width - 1),
        255 - y * 255 / (height - 1),
        127.5 + 127.5 * np.sign(np.sin(x / 40) * np.sin(y / 60)),
    )
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def preprocessing_of(processor: Any, folder: Path, geometry: Geometry | None = None) -> Preprocessing:
    """Return what an image processor does, as a :class:`Preprocessing`; ``geometry`` replaces what its fields say.

    Raises:
        RobenchError: it does more than resize, centre crop and normalisation can express.
    """
    scale = getattr(processor, "rescale_factor", 1 / 255)
    if not getattr(processor, "do_rescale", True) or abs(scale * 255 - 1) > 1e-6:
        raise RobenchError(
            f"{folder} scales pixels by {scale}; robench's models take pixels in [0, 1].",
            hint="Wrap it: `model='python:FILE.py:FUNCTION'`",
        )
    geometry = geometry or _geometry(processor)
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
