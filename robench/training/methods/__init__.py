"""The training methods: one file and one line each.

Installed packages add methods through the entry-point group ``robench.methods``; a recipe can also name a class in
a file, ``method: python:FILE.py:CLASS``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from robench.errors import RobenchError
from robench.registry import Registry

if TYPE_CHECKING:
    from robench.training.methods.base import Method, OneView
    from robench.training.recipes.schema import Recipe

_HERE = "robench.training.methods"
METHODS: Registry[type[Method]] = Registry(
    "training method",
    {
        "standard": f"{_HERE}.standard:Standard",
        "cutout": f"{_HERE}.cutout:Cutout",
        "mixup": f"{_HERE}.mixup:Mixup",
        "cutmix": f"{_HERE}.cutmix:CutMix",
        "autoaugment": f"{_HERE}.autoaugment:AutoAugment",
        "random-autoaugment": f"{_HERE}.random_autoaugment:RandomAutoAugment",
        "randaugment": f"{_HERE}.randaugment:RandAugment",
        "multi-label": f"{_HERE}.multi_label:MultiLabel",
        "random-erasing": f"{_HERE}.random_erasing:RandomErasing",
        "patch": f"{_HERE}.patch:Patch",
        "noise": f"{_HERE}.noise:Noise",
        "adversarial": f"{_HERE}.adversarial:Adversarial",
        "ccat": f"{_HERE}.ccat:CCAT",
        "augmix": f"{_HERE}.augmix:AugMix",
        "augmax": f"{_HERE}.augmax:AugMax",
        "edsr": f"{_HERE}.edsr:TrainEDSR",
        "cae": f"{_HERE}.cae:TrainCAE",
        "deepaugment": f"{_HERE}.deepaugment:DeepAugment",
        "noise2net": f"{_HERE}.noise2net:Noise2Net",
        "autolabel-augmix": f"{_HERE}.autolabel_augmix:AutoLabelAugMix",
        "autolabel-mixup": f"{_HERE}.autolabel_mixup:AutoLabelMixup",
        "autolabel-adversarial": f"{_HERE}.autolabel_adversarial:AutoLabelAdversarial",
        "weak-augment": f"{_HERE}.weak_augment:WeakAugment",
    },
    group="robench.methods",
)


def find(name: str) -> type[Method]:
    """Return the class of a method: built in, of an installed package, or ``python:FILE.py:CLASS``.

    Raises:
        RobenchError: no such method, or the file's class is not one.
    """
    if not name.startswith("python:"):
        return METHODS.get(name)
    from robench.models.custom import import_code
    from robench.training.methods.base import Method

    where, _, attribute = name.removeprefix("python:").rpartition(":")
    if not where:
        raise RobenchError(f"'{name}' names no class.", hint="Write method=python:FILE.py:CLASS.")
    found = getattr(import_code(where), attribute, None)
    if not (isinstance(found, type) and issubclass(found, Method)):
        raise RobenchError(
            f"{where} has no training method '{attribute}'.",
            hint="A method is a dataclass derived from robench.training.Method with a loss(net, batch).",
        )
    return found


def create(name: str, options: Mapping[str, Any]) -> Method:
    """Return the method ``name`` with its options.

    Raises:
        RobenchError: no such method, or the options do not fit it.
    """
    return find(name).from_options(options)


def of(recipe: Recipe) -> tuple[OneView | None, Method]:
    """Return a recipe's methods: the one that comes before, where there is one, and the one whose loss is trained.

    Raises:
        RobenchError: no such method, options that do not fit or have no effect, or a first method that is more than a
            view.
    """
    from robench.training.methods.base import OneView

    method = create(recipe.method, recipe.options)
    if recipe.before is None:
        return None, method
    first = create(recipe.before.method, recipe.before.options)
    if not isinstance(first, OneView):
        raise RobenchError(
            f"Method {recipe.before.method} cannot come before another: it is more than a view of the images.",
            hint="For example before.method=deepaugment, cutout or randaugment.",
        )
    idle = [name for name in first.LOSS_OPTIONS if recipe.before.options.get(name)]
    if idle:
        raise RobenchError(
            f"Option '{idle[0]}' of {recipe.before.method} has no effect before another method: it is of its loss.",
            hint=f"Omit before.options.{idle[0]}.",
        )
    return first, method
