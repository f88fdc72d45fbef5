"""What is known of a zero-shot model before its text features are computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from robench.api.options import ModelOptions, Place
from robench.api.words import one_of
from robench.errors import RobenchError

if TYPE_CHECKING:
    from robench.models.zeroshot.towers import Towers

DATASETS = ("imagenet", "cifar10", "cifar100", "digits")


@dataclass(frozen=True)
class ZeroShotOptions:
    """Prompts and class names of a model, and the data set that they come from where they are not given."""

    model: ModelOptions
    dataset: str | None

    def refuse(self, spec: str) -> None:
        """Refuse what has no effect on a model with a head of its own.

        Raises:
            RobenchError: anything is given.
        """
        for name in ("prompts", "class_names"):
            if getattr(self.model, name) is not None:
                raise RobenchError(f"`{name}` has no effect on '{spec}', which has a head of its own.", hint="Omit it.")
        if self.dataset is not None:
            raise RobenchError(f"`dataset` has no effect on '{spec}'.", hint="Omit it.")


def zero_shot_options(prompts: Place | None, class_names: Place | None, dataset: str | None) -> ZeroShotOptions:
    """Return checked options.

    Raises:
        RobenchError: a data set whose classes are not known by name.
    """
    from robench.api.packing import model_of

    words = {"prompts": prompts, "class_names": class_names}
    if dataset is not None:
        one_of("dataset", dataset, DATASETS)
    return ZeroShotOptions(model_of(words), dataset)  # type: ignore[arg-type]


def zero_shot(spec: str, options: ZeroShotOptions) -> dict[str, Any] | None:
    """Return what is known of a zero-shot model; None for another model.

    Raises:
        RobenchError: it cannot be loaded, or a file of names or prompts is not usable.
    """
    from robench.models.zeroshot.specs import towers_of

    towers = towers_of(spec)
    if towers is None:
        return None
    found: dict[str, Any] = {"name": towers.name, "parameters": sum(one.numel() for one in towers.text.parameters())}
    more, shown = _texts(towers, options)
    found |= more | towers.preprocessing.record() | towers.card
    return found | {"zero_shot": towers.record() | shown}


def _texts(towers: Towers, options: ZeroShotOptions) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return number of classes and hash, and what is known of prompts and names."""
    from robench.data.classes import class_list
    from robench.models.zeroshot.classifier import identity, record
    from robench.models.zeroshot.features import tokens_digest
    from robench.models.zeroshot.texts import load_class_names, load_prompts

    given, dataset = options.model, options.dataset
    if given.class_names is None and dataset is None:
        prompts = load_prompts(given.prompts)
        named = prompts.name if given.prompts is not None else "of the data set"
        return {}, {"prompts": named, "class_names": "of the data (a data set's with `dataset`)"}
    names = load_class_names(given.class_names, class_list(dataset), dataset)
    prompts = load_prompts(given.prompts, names.origin if given.class_names is not None else dataset)
    tokens = tokens_digest(towers, prompts, names)
    more = {"classes": len(names.names), "hash": identity(towers, prompts, names, tokens)}
    return more, record(prompts, names, tokens)
