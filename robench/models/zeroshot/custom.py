"""A zero-shot classifier of any two-tower module, from Python."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from robench.data.base import Geometry
from robench.errors import RobenchError
from robench.files import digest
from robench.models.base import Model, Preprocessing
from robench.models.identity import identify, unique
from robench.models.presets import Triple, triple
from robench.models.zeroshot.texts import ClassNames, Prompts, load_prompts
from robench.models.zeroshot.towers import CosineClassifier

_TEXTS = 256


def zero_shot(
    image_encoder: Callable[[torch.Tensor], torch.Tensor],
    class_names: Sequence[str],
    *,
    text_encoder: Callable[[list[str]], torch.Tensor] | None = None,
    text_features: Any = None,
    prompts: str | Sequence[str] = "simple",
    scale: float,
    bias: float | None = None,
    mean: Triple | None = None,
    std: Triple | None = None,
    geometry: Geometry | None = None,
    name: str | None = None,
) -> Model:
    """Make a zero-shot classifier of an image encoder and a text encoder, or of features of the classes.

    The hash covers the image encoder (as :func:`robench.models.wrap` does), prompts, class names, the text features,
    scale and bias.

    Args:
        image_encoder: from normalised float32 images (n, 3, H, W) to features (n, d).
        class_names: K names in the order of the labels.
        text_encoder: from a list of n texts to features (n, d); it holds its own tokenizer.
        text_features: in place of a text encoder: (K, d), or (K, T, d) of T prompts per class, which are brought to
            length 1 and averaged.
        prompts: a published set (``imagenet``, ``cifar``, ``simple``), a file, or templates with one ``{}`` each.
        scale: what cosines are multiplied by before the softmax (100 for CLIP).
        bias: added to all logits; it changes no softmax.
        mean, std: per channel, for images in [0, 1]; None: images are not normalised.
        geometry: resize and crop; None: the suite's own.
        name: what tables call the model.

    Raises:
        RobenchError: neither or both of text encoder and features, features of another number of classes, values that
            are not finite, or a normalisation that is not of images in [0, 1].

    >>> eye = torch.eye(12)
    >>> model = zero_shot(nn.Flatten(), ["red", "blue"], text_features=eye[:2], scale=10.0, name="pixels")
    >>> (1000 * model.module(torch.ones(1, 3, 2, 2))).int().tolist()
    [[2886, 2886]]
    """
    names = ClassNames("given", tuple(class_names), tuple(class_names))
    if not names.names or not all(isinstance(one, str) and one.strip() for one in names.names):
        raise RobenchError("Every class needs a name.", hint="Give `class_names` as a list of texts.")
    if (text_encoder is None) == (text_features is None):
        raise RobenchError(
            "A zero-shot model needs either a text encoder or text features.", hint="Give exactly one of them."
        )
    if not math.isfinite(scale) or scale <= 0:
        raise RobenchError(f"The scale must be above 0; found {scale}.", hint="CLIP's is 100.")
    used = _prompts(prompts)
    given = text_features if text_encoder is None else _encoded(text_encoder, used, names)
    text = _joined(given, len(names.names))
    identity = identify(image_encoder)
    hashed = {
        "zero_shot": "custom",
        "image": identity.digest if identity.proven else unique(),
        "names": list(names.names),
        "templates": list(used.templates) if text_encoder is not None else None,
        "text": hashlib.sha256(text.numpy().tobytes()).hexdigest(),
        "scale": float(scale),
        "bias": bias,
    }
    encoder = image_encoder if isinstance(image_encoder, nn.Module) else _Called(image_encoder)
    title = name or str(getattr(image_encoder, "__name__", type(image_encoder).__name__))
    card = {
        "architecture": type(image_encoder).__name__,
        "zero_shot": {
            "family": "custom",
            "logit_scale": float(scale),
            "temperature": 1.0 / float(scale),
            "logit_bias": bias,
            "prompts": used.name if text_encoder is not None else "in the features",
            "templates": len(used.templates) if text_encoder is not None else None,
            "class_names": "given",
        },
    } | identity.remark()
    given_any = mean is not None or std is not None or geometry is not None
    own, pair = Preprocessing(), (triple("mean", mean), triple("std", std))
    origin = "option" if given_any else "default"
    preprocessing = Preprocessing(pair[0] or own.mean, pair[1] or own.std, geometry, origin=origin)
    module = CosineClassifier(encoder, text, float(scale), bias)
    found = digest(hashed)
    return Model(title, module, len(text), preprocessing, found, card, names.classes, identity_proven=identity.proven)


class _Called(nn.Module):
    """A plain function as a module."""

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.function(images)


def _prompts(given: str | Sequence[str]) -> Prompts:
    if isinstance(given, str):
        return load_prompts(given)
    templates = tuple(given)
    wrong = [one for one in templates if not isinstance(one, str) or one.count("{}") != 1]
    if wrong or not templates:
        raise RobenchError(
            f"Every template has one {{}} for the class name; found {str(wrong[:1] or templates)[:60]}.",
            hint='For example `prompts=["a photo of a {}."]`.',
        )
    return Prompts("given", templates)


@torch.inference_mode()
def _encoded(encoder: Callable[[list[str]], torch.Tensor], prompts: Prompts, names: ClassNames) -> torch.Tensor:
    """Return the features of every prompt of every class: (K, T, d)."""
    texts = [text for name in names.names for text in prompts.of(name)]
    parts = [torch.as_tensor(encoder(texts[start : start + _TEXTS])) for start in range(0, len(texts), _TEXTS)]
    return torch.cat(parts).reshape(len(names.names), len(prompts.templates), -1)


def _joined(given: Any, classes: int) -> torch.Tensor:
    """Return one feature of length 1 per class: float32 (K, d)."""
    features = torch.as_tensor(np.asarray(given.detach().cpu() if isinstance(given, torch.Tensor) else given)).float()
    if features.ndim not in (2, 3) or len(features) != classes or not features.numel():
        raise RobenchError(
            f"Text features have the shape {tuple(features.shape)}; {classes} classes need ({classes}, d) or"
            f" ({classes}, T, d).",
            hint="Give one row for every class name.",
        )
    if not bool(torch.isfinite(features).all()) or bool((features.norm(dim=-1) == 0).any()):
        raise RobenchError("Text features hold NaN, infinity or zero vectors.", hint="Compute them again.")
    unit = nn.functional.normalize(features, dim=-1)
    return (nn.functional.normalize(unit.mean(dim=1), dim=-1) if unit.ndim == 3 else unit).contiguous()
