"""From towers, prompts and class names to a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from robench.files import digest
from robench.models.base import Model
from robench.models.zeroshot.features import text_features, tokens_digest
from robench.models.zeroshot.texts import ClassNames, Prompts, load_class_names, load_prompts, texts_digest
from robench.models.zeroshot.towers import CosineClassifier, Towers

if TYPE_CHECKING:
    from robench.models.request import Request


def classifier(towers: Towers, request: Request) -> Model:
    """Return a model of towers: class names and prompts are the request's, else those of the data.

    The hash covers the weights and their configuration, the templates, the class names, what the tokenizer makes of
    them, scale and bias; the preprocessing stands in the run's identity beside it.

    Raises:
        RobenchError: no class names are known, or a file of names or prompts is not usable.
    """
    names = load_class_names(request.class_names, request.classes, request.dataset, request.num_classes)
    dataset = names.origin if request.class_names is not None else request.dataset
    prompts = load_prompts(request.prompts, dataset)
    tokens = tokens_digest(towers, prompts, names)
    text = text_features(towers, prompts, names, tokens)
    module = CosineClassifier(towers.image, text, towers.scale, towers.bias)
    card = towers.card | {"spec": towers.name, "zero_shot": towers.record() | record(prompts, names, tokens)}
    found = identity(towers, prompts, names, tokens)
    return Model(towers.name, module, len(names.names), towers.preprocessing, found, card, names.classes)


def record(prompts: Prompts, names: ClassNames, tokens: str) -> dict[str, Any]:
    """Return what a card says of prompts and class names."""
    found: dict[str, Any] = {
        "prompts": prompts.name,
        "templates": len(prompts.templates),
        "class_names": names.origin,
        "example": prompts.of(names.names[0])[0],
        "texts_digest": texts_digest(prompts, names),
        "tokens_digest": tokens,
    }
    return found | ({"same_name": list(names.repeated)} if names.repeated else {})


def identity(towers: Towers, prompts: Prompts, names: ClassNames, tokens: str) -> str:
    """Return the SHA-256 of everything that logits depend on, but for the preprocessing."""
    return digest(
        {
            "zero_shot": 1,
            "weights": towers.weights,
            "scale": towers.scale,
            "bias": towers.bias,
            "texts": texts_digest(prompts, names),
            "tokens": tokens,
        }
    )
