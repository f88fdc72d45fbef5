"""CLIP, SigLIP and SigLIP 2 of transformers, from snapshot folders in the hub's layout."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import isqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import nn

from robench.data.base import Geometry
from robench.errors import RobenchError, first_line
from robench.files import digest
from robench.models.base import Model, Preprocessing
from robench.models.checkpoints import weights_hash
from robench.models.safe_reading import tensors_only
from robench.models.snapshots import (
    TWO_TOWERS,
    not_said,
    preprocessing_of,
    quiet,
    refuse_drawn,
    refuse_otherwise,
    says_preprocessing,
    settings_of,
)
from robench.models.zeroshot.classifier import classifier
from robench.models.zeroshot.towers import Tokens, Towers

if TYPE_CHECKING:
    from robench.models.request import Request

_TOKENIZERS = ("tokenizer.json", "vocab.json", "spiece.model", "tokenizer.model")
_SQUARES = "square: the shorter side is resized and the centre cropped, where the model's processor keeps the shape"
_NEEDED = "It needs config.json, preprocessor_config.json, the tokenizer's files and model.safetensors."


def from_snapshot(folder: Path, request: Request) -> Model:
    """Load a snapshot as a zero-shot classifier of the request's class names.

    Raises:
        RobenchError: transformers is missing, the snapshot lacks a file, or no class names are known.
    """
    return classifier(load_towers(folder), request)


def load_towers(folder: Path) -> Towers:
    """Load both encoders, the tokenizer and the preprocessing of a snapshot.

    Raises:
        RobenchError: transformers is missing, or the snapshot lacks a file.
    """
    network, tokenizer, processor = _load(folder)
    kind = TWO_TOWERS[type(network).__name__]
    naflex = kind == "siglip2"
    preprocessing = _of_squares(processor, folder) if naflex else preprocessing_of(processor, folder)
    if not naflex:
        refuse_otherwise(folder, processor, preprocessing)
    length = int(network.config.text_config.max_position_embeddings)
    bias = getattr(network, "logit_bias", None)
    return Towers(
        name=f"hf:{folder.name}",
        family=f"transformers {type(network).__name__}",
        image=_Patches(network, int(processor.patch_size)) if naflex else _Images(network),
        text=network,
        tokenize=_tokenize(tokenizer, length, padded=kind != "clip"),
        encode=_encode(network),
        scale=float(network.logit_scale.detach().double().exp()),
        bias=None if bias is None else float(bias.detach()),
        preprocessing=preprocessing,
        weights=weights_hash(f"transformers:{digest(settings_of(network))}", network.state_dict()),
        tokenizer=f"{type(tokenizer).__name__}, at most {length} tokens",
        card={"architecture": type(network).__name__} | ({"images": _SQUARES} if naflex else {}),
    )


def _load(folder: Path) -> tuple[Any, Any, Any]:
    """Return network, tokenizer and image processor."""
    try:
        import transformers
    except ImportError as error:
        raise RobenchError("This snapshot needs transformers.", hint="pip install 'robench[zeroshot]'") from error
    from robench.files import read_document

    if not any((folder / name).is_file() for name in _TOKENIZERS):
        # transformers would make a tokenizer of no words, without a warning
        raise RobenchError(f"{folder} holds no tokenizer ({', '.join(_TOKENIZERS)}).", hint=_NEEDED)
    if not says_preprocessing(folder):
        raise not_said(folder, "")
    config = read_document(folder / "config.json", "model configuration")
    kinds = {kind: name for name, kind in TWO_TOWERS.items()}
    name = (config.get("architectures") or [kinds.get(config.get("model_type", ""), "")])[0]
    safe = {"local_files_only": True, "trust_remote_code": False}
    try:
        with tensors_only(), quiet():
            network, report = getattr(transformers, name).from_pretrained(
                folder, local_files_only=True, output_loading_info=True
            )
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **safe)
            processor = transformers.AutoImageProcessor.from_pretrained(folder, **safe)
    except Exception as error:  # missing files, pickles, and more
        raise RobenchError(f"{folder} cannot be loaded by transformers: {first_line(error)}", hint=_NEEDED) from error
    refuse_drawn(folder, report.get("missing_keys") or (), "Download the snapshot again; both encoders are needed.")
    return network.float().eval().requires_grad_(False), tokenizer, processor


def _tokenize(tokenizer: Any, length: int, *, padded: bool) -> Callable[[Sequence[str]], Tokens]:
    """Return the tokenizer as the library's processors call it: SigLIP was trained on texts of one length."""

    def tokenize(texts: Sequence[str]) -> Tokens:
        padding: bool | str = "max_length" if padded else True
        found = tokenizer(list(texts), padding=padding, max_length=length, truncation=True, return_tensors="pt")
        return dict(found)

    return tokenize


def _encode(network: Any) -> Callable[[Tokens], torch.Tensor]:
    def encode(tokens: Tokens) -> torch.Tensor:
        return _pooled(network.get_text_features(**tokens))

    return encode


def _pooled(output: Any) -> torch.Tensor:
    """Return the features among what an encoder gives: a record from transformers 5 on, before that a tensor."""
    found: torch.Tensor = output if isinstance(output, torch.Tensor) else output.pooler_output
    return found


class _Images(nn.Module):
    """The image encoder of CLIP or SigLIP: from images (n, 3, H, W) to features (n, d)."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.encoder = network.vision_model
        self.projection = getattr(network, "visual_projection", None) or nn.Identity()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.projection(_pooled(self.encoder(pixel_values=images)))
        return features


class _Patches(nn.Module):
    """The image encoder of SigLIP 2 (NaFlex): square images as a row of patches (n, P, 3 p^2)."""

    def __init__(self, network: Any, patch: int) -> None:
        super().__init__()
        self.encoder, self.patch = network.vision_model, patch

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        count, side = len(images), images.shape[-1] // self.patch
        grid = images.reshape(count, 3, side, self.patch, side, self.patch).permute(0, 2, 4, 3, 5, 1)
        patches = grid.reshape(count, side * side, -1)
        mask = torch.ones(count, side * side, dtype=torch.int32, device=images.device)
        shapes = torch.full((count, 2), side, device=images.device)
        return _pooled(self.encoder(pixel_values=patches, pixel_attention_mask=mask, spatial_shapes=shapes))


def _of_squares(processor: Any, folder: Path) -> Preprocessing:
    """Return the preprocessing of SigLIP 2 for square images: its processor keeps the shape of others.

    A run's images have one shape: the shorter side is resized and the centre is cropped.
    """
    side = int(processor.patch_size) * isqrt(int(processor.max_num_patches))
    plain = preprocessing_of(processor, folder, geometry=Geometry(side, side, "bilinear"))
    found = replace(plain, input_size=(side, side))

    def transform(image: Image.Image) -> npt.NDArray[Any]:
        made = processor(image, return_tensors="pt")
        height, width = (int(one) for one in made["spatial_shapes"][0])
        patch = int(processor.patch_size)
        rows = np.asarray(made["pixel_values"][0])[: height * width].reshape(height, width, patch, patch, 3)
        return rows.transpose(4, 0, 2, 1, 3).reshape(3, height * patch, width * patch)

    refuse_otherwise(folder, processor, found, transform, side=480)
    return found
