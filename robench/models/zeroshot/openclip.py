"""Models of open_clip: an architecture with published weights or a file of weights, or a folder in its hub layout."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy.typing as npt
import torch
from PIL import Image
from torch import nn

from robench.data.base import Geometry, Interpolation
from robench.errors import RobenchError, did_you_mean, first_line
from robench.files import digest
from robench.models.base import Model, Preprocessing
from robench.models.checkpoints import weights_hash
from robench.models.safe_reading import refuse_bomb, tensors_only
from robench.models.snapshots import refuse_otherwise
from robench.models.zeroshot.classifier import classifier
from robench.models.zeroshot.towers import Tokens, Towers

if TYPE_CHECKING:
    from robench.models.request import Request

_PLAIN_KINDS = ("CLIP", "CustomTextCLIP")


def from_open_clip(name: str, request: Request) -> Model:
    """Load a model of open_clip as a zero-shot classifier of the request's class names.

    Args:
        name: ``ARCH/PRETRAINED`` (a tag of published weights, or a file), or a folder with ``open_clip_config.json``.
        request: class names and prompts.

    Raises:
        RobenchError: open_clip is missing, no such architecture or weights, or no class names are known.
    """
    return classifier(load_towers(name), request)


def load_towers(name: str) -> Towers:
    """Load both encoders, the tokenizer and the preprocessing.

    Raises:
        RobenchError: open_clip is missing, or no such architecture, weights or folder.
    """
    library = _library()
    folder = Path(name).expanduser()
    if folder.is_dir():
        return _towers(library, f"local-dir:{folder}", None, f"open_clip:{folder.name}")
    if name.startswith((".", "/", "~")):
        raise RobenchError(
            f"{name} is not a folder with open_clip_config.json.",
            hint="Check the path, or write open_clip:ARCH/PRETRAINED for published weights.",
        )
    architecture, slash, weights = name.partition("/")
    if architecture not in library.list_models():
        raise RobenchError(
            f"open_clip has no architecture '{architecture}'.",
            hint=did_you_mean(architecture, library.list_models()),
        )
    if not slash or not weights:
        raise RobenchError(
            f"open_clip:{architecture} does not say which weights.",
            hint=f"Write open_clip:{architecture}/PRETRAINED; {_known(library, architecture)}",
        )
    return _towers(library, architecture, _checked(library, architecture, weights), f"open_clip:{name}")


def _library() -> Any:
    try:
        import open_clip
    except ImportError as error:
        raise RobenchError("Models of open_clip need its package.", hint="pip install 'robench[zeroshot]'") from error
    return open_clip


def _known(library: Any, architecture: str) -> str:
    tags = library.list_pretrained_tags_by_model(architecture)
    return f"known: {', '.join(tags[:8])}, or a file." if tags else "it has no published weights: give a file."


def _checked(library: Any, architecture: str, weights: str) -> str:
    """Return the tag or file of weights.

    Raises:
        RobenchError: neither, or weights that were trained with another activation than the architecture has.
    """
    tags = library.list_pretrained_tags_by_model(architecture)
    if weights not in tags:
        path = Path(weights).expanduser()
        if not path.is_file():
            raise RobenchError(
                f"open_clip:{architecture} has no weights '{weights}', and there is no such file.",
                hint=_known(library, architecture).capitalize(),
            )
        refuse_bomb(path)
        return str(path)
    trained = bool((library.get_pretrained_cfg(architecture, weights) or {}).get("quick_gelu", False))
    if trained != bool((library.get_model_config(architecture) or {}).get("quick_gelu", False)):
        other = f"{architecture}-quickgelu" if trained else architecture.removesuffix("-quickgelu")
        raise RobenchError(
            f"The weights '{weights}' were trained with{'' if trained else 'out'} QuickGELU; {architecture} computes"
            " otherwise, and would give other logits.",
            hint=f"Use open_clip:{other}/{weights}.",
        )
    return weights


def _towers(library: Any, architecture: str, weights: str | None, title: str) -> Towers:
    try:
        with tensors_only(), _quiet():
            network = library.create_model(architecture, weights, require_pretrained=True, pretrained_text=False)
            tokenizer = library.get_tokenizer(architecture)
            config = library.get_model_config(architecture)
    except Exception as error:  # network errors, damaged files, configurations of other versions
        hint = (
            "The folder needs open_clip_config.json, open_clip_model.safetensors and the tokenizer's files."
            if weights is None
            else "Check the network, or give a snapshot folder of the hub: open_clip:FOLDER."
        )
        raise RobenchError(f"{title} could not be loaded: {first_line(error)}", hint=hint) from error
    network = network.float().eval().requires_grad_(False)
    kind, bias = type(network).__name__, getattr(network, "logit_bias", None)
    length = int(getattr(tokenizer, "context_length", None) or network.context_length)
    return Towers(
        name=title,
        family=f"open_clip {kind}",
        image=network.visual if kind in _PLAIN_KINDS else _Images(network),
        text=network,
        tokenize=lambda texts: _tokenize(tokenizer, texts),
        encode=lambda tokens: network.encode_text(tokens["text"]),
        scale=float(network.logit_scale.detach().double().exp()),
        bias=None if bias is None else float(bias.detach()),
        preprocessing=_preprocessing(library, network, title),
        weights=weights_hash(f"open_clip:{digest(config)}", network.state_dict()),
        tokenizer=f"{type(tokenizer).__name__}, {length} tokens",
        card={"architecture": f"open_clip {kind}"},
    )


def _tokenize(tokenizer: Any, texts: Sequence[str]) -> Tokens:
    return {"text": tokenizer(list(texts))}


class _Images(nn.Module):
    """The image encoder of a model whose encoders cannot be told apart (CoCa)."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.network.encode_image(images)
        return features


def _preprocessing(library: Any, network: Any, title: str) -> Preprocessing:
    """Return what the model's own configuration does to images.

    Raises:
        RobenchError: more than a resize, a centre crop and a normalisation.
    """
    config = library.get_model_preprocess_cfg(network)
    size = config["size"] if isinstance(config["size"], (list, tuple)) else (config["size"],) * 2
    height, width = int(size[0]), int(size[1])
    kind: Interpolation = "bilinear" if config.get("interpolation") == "bilinear" else "bicubic"
    mode = config.get("resize_mode") or "shortest"
    if mode == "squash":
        geometry = Geometry((height, width), None, kind)
    elif mode == "shortest" and height == width:
        geometry = Geometry(height, height, kind)
    else:
        raise RobenchError(
            f"{title} resizes images by '{mode}' to {height} x {width}, which pads or stretches them.",
            hint="Wrap the model with its own preprocessing: `model='python:FILE.py:FUNCTION'`",
        )
    found = Preprocessing(tuple(config["mean"]), tuple(config["std"]), geometry, (height, width), "open_clip")
    own = library.transform.image_transform_v2(library.transform.PreprocessCfg(**config), is_train=False)

    def transform(image: Image.Image) -> npt.NDArray[Any]:
        made: npt.NDArray[Any] = own(image).numpy()
        return made

    refuse_otherwise(Path(title), own, found, transform)
    return found


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what the library logs off the screen; what matters is checked."""
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        root.setLevel(before)
