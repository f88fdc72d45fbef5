"""``robench.api.list_models()`` and ``describe_model(spec)``: what can be evaluated, and how to name it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from robench.api.about_zeroshot import zero_shot, zero_shot_options
from robench.api.options import Place
from robench.api.words import spelled_out, whole
from robench.errors import RobenchError


@dataclass(frozen=True)
class ReferenceModel:
    """A trained model that comes with robench.

    Args:
        spec: what evaluates it: ``reference:digits/augmix``.
        architecture: a built-in one.
        dataset: that it was trained on; "": not known.
        recipe: that it was trained by; "": not known.
        accuracy: on clean test images, a fraction; None: not known.
    """

    spec: str
    architecture: str
    dataset: str
    recipe: str
    accuracy: float | None


@dataclass(frozen=True)
class KnownModels:
    """What robench knows of models without loading one.

    Args:
        forms: the forms of a model spec, with a description each.
        architectures: built-in architectures, with a description each; any timm or torchvision name is taken, too.
        reference: the models that come with robench.
        presets: normalisations by name: mean and standard deviation per channel, of images in [0, 1].
    """

    forms: Mapping[str, str]
    architectures: Mapping[str, str]
    reference: tuple[ReferenceModel, ...]
    presets: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]]


@dataclass(frozen=True)
class ModelDescription:
    """What is known of a model or of an architecture.

    Args:
        name: of the model, or the architecture.
        parameters: how many numbers were trained; None where they are constants of a program.
        facts: all that is known, by name: preprocessing and card, or what the architecture is; JSON-able.
    """

    name: str
    parameters: int | None
    facts: Mapping[str, Any]


@spelled_out()
def list_models() -> KnownModels:
    """Return the forms of a model spec, the architectures, the reference models and the normalisations by name.

    >>> "reference:digits/augmix" in [model.spec for model in list_models().reference]
    True
    """
    from robench.models import reference
    from robench.models.architectures import descriptions
    from robench.models.presets import PRESETS
    from robench.models.specs import forms

    return KnownModels(forms(), descriptions(), tuple(_reference(name) for name in reference.names()), dict(PRESETS))


def _reference(name: str) -> ReferenceModel:
    from robench.models import reference

    card = reference.read_card(reference.folder(name))
    trained = card.get("trained_with")
    accuracy = trained.get("test_accuracy") if isinstance(trained, dict) else None
    return ReferenceModel(
        f"reference:{name}",
        str(card["architecture"]),
        str(card.get("dataset", "")),
        str(card.get("recipe", "")),
        accuracy if isinstance(accuracy, float) else None,
    )


@spelled_out()
def describe_model(
    spec: str,
    *,
    num_classes: int = 10,
    prompts: Place | None = None,
    class_names: Place | None = None,
    dataset: str | None = None,
) -> ModelDescription:
    """Return what is known of a model, which is loaded, or of a built-in architecture, which is built.

    Args:
        spec: a model spec, or the name of a built-in architecture.
        num_classes: to build an architecture for.
        prompts, class_names: of a zero-shot model, as for :func:`robench.evaluate`.
        dataset: whose class names and prompts a zero-shot model uses: ``imagenet``, ``cifar10``, ``cifar100`` or
            ``digits``; None: only what does not depend on them is returned. Text features are not computed.

    Raises:
        RobenchError: no such model or architecture, or options that have no effect on it.

    >>> describe_model("reference:digits/augmix").facts["classes"]
    10
    """
    from robench.models.architectures import build, descriptions, known

    whole("num_classes", num_classes, least=1, most=10**6)
    options = zero_shot_options(prompts, class_names, dataset)
    found = zero_shot(spec, options)
    if found is not None:
        return ModelDescription(found["name"], found["parameters"], found)
    options.refuse(spec)
    if known(spec):
        count = sum(parameter.numel() for parameter in build(spec, num_classes).parameters())
        return ModelDescription(spec, count, {"what": descriptions().get(spec, "of a family"), "parameters": count})
    from torch import nn

    from robench.models import load_model

    try:
        model = load_model(spec, num_classes=num_classes)
    except RobenchError as error:
        if error.hint is None or "`arch" not in error.hint:
            raise
        more = "That is an option of `robench evaluate`, whose dry run shows how the model is read."
        raise RobenchError(error.message, hint=f"{error.hint} {more}") from error
    facts: dict[str, Any] = {"name": model.name, "classes": model.num_classes, "hash": model.hash}
    own = list(model.module.parameters()) if isinstance(model.module, nn.Module) else []
    if own:
        facts["parameters"] = sum(parameter.numel() for parameter in own)
    return ModelDescription(model.name, facts.get("parameters"), facts | model.preprocessing.record() | model.card)
