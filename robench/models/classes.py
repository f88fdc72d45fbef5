"""Matching the order of a model's logits to the data's classes, by name where both are known."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from robench.data.classes import WORDNET_ID, imagenet_names, imagenet_wnids, matched_labels
from robench.errors import RobenchError
from robench.models.base import Model
from robench.models.outputs import all_logits_of
from robench.models.synsets import wordnet_ids

# Names that carry only a position.
_NUMBER = re.compile(r"(?:LABEL_|class[_ ]?)?(\d{1,9})", re.IGNORECASE)
_BACKGROUND = 1001
# Heads of ImageNet-21k: Google's, the Winter 2021 release, and their cleaned-up parts.
_IMAGENET_21K = (10450, 11221, 11821, 21841, 21842, 21843)
_CIFAR = 100  # classes of the largest set that is not a part of ImageNet
_SHOWN = 5


def align(model_classes: Sequence[str], data_classes: Sequence[str]) -> tuple[int, ...] | None:
    """Return which logit belongs to each class of the data, or None where they are in order.

    Names are compared without case, punctuation and spaces, by synonyms (``tench, Tinca tinca``) and by WordNet id.
    Lists without a common name, or numbers against names, say nothing about the order. In lists of the same length,
    names found in only one list are accepted if all others are in place, or if there is only one.

    Args:
        model_classes: names of the model's classes, in the order of its logits.
        data_classes: names of the data's classes, by label.

    Returns:
        Positions of logits, one per class of the data, or None.

    Raises:
        RobenchError: the model lacks classes of the data, or the names do not determine the order.

    >>> align(["dog", "cat", "ox"], ["Cat", "Dog", "Ox"])
    (1, 0, 2)
    >>> align(["background", "cat", "dog"], ["cat", "dog"])
    (1, 2)
    """
    found = _positions(model_classes, data_classes)
    missing = [label for label in range(len(data_classes)) if label not in found]
    if len(model_classes) != len(data_classes):
        if missing:
            raise _lacking(model_classes, data_classes, missing)
        return tuple(found[label] for label in range(len(data_classes)))
    if all(label == position for label, position in found.items()):
        return None  # all that can be told is in place
    if len(missing) > 1:
        names = ", ".join(f"'{data_classes[label]}'" for label in missing[:_SHOWN])
        raise RobenchError(
            f"The model's classes are in another order than the data's, and {len(missing)} of {len(data_classes)} names"
            f" are unknown to it: {names}.",
            hint="Rename the data's classes to the model's, or reorder the logits yourself: python:FILE.py:FUNCTION.",
        )
    left = set(range(len(model_classes))) - set(found.values())
    return tuple(found[label] if label in found else next(iter(left)) for label in range(len(data_classes)))


def in_order_of(model: Model, data_classes: Sequence[str] | None, num_classes: int) -> Model:
    """Return the model with its logits in the order of the data's classes; itself where they are already.

    A reordered model has its own hash, and its card says that it was reordered. Where names do not tell the order of
    all classes, the card says so, too.

    Args:
        model: a model; its ``classes`` may be unknown.
        data_classes: names of the data's classes by label; None: unknown. A list of another length than
            ``num_classes`` does not describe logits and counts as unknown.
        num_classes: number of logits that the data needs.

    Raises:
        RobenchError: as :func:`align`, or a different number of logits where names are unknown.
    """
    if model.classes is not None and data_classes is not None and len(data_classes) == num_classes:
        order = align(model.classes, data_classes)
        if order is None:
            said = _by_position(model.classes, data_classes)
            return replace(model, card=model.card | said) if said else model
        return select(model, order, tuple(data_classes), "by name")
    if model.num_classes != num_classes:
        raise RobenchError(
            f"{model.name} has {model.num_classes:,} output classes; the suite needs {num_classes:,}.",
            hint=advice_on_width(model.num_classes, num_classes),
        )
    return model


def _by_position(model_classes: Sequence[str], data_classes: Sequence[str]) -> dict[str, str]:
    """Return what the card says of classes that are in order as far as their names tell; nothing where all names do."""
    told = len(_positions(model_classes, data_classes))
    if told == len(data_classes):
        return {}
    if told:
        return {"class_order": f"by position: {told} of {len(data_classes)} names match"}
    return {"class_order": f"by position: the model's first is '{model_classes[0]}', the data's '{data_classes[0]}'"}


def select(model: Model, order: tuple[int, ...], classes: tuple[str, ...] | None, how: str) -> Model:
    """Return the model with only some of its logits, in this order.

    Raises:
        RobenchError: it has no such logit.
    """
    if max(order) >= model.num_classes:
        raise RobenchError(
            f"{model.name} has {model.num_classes} logits; there is no logit {max(order)}.", hint="Counted from 0."
        )
    moved = sum(position != label for label, position in enumerate(order))
    card = model.card | {"class_order": f"{how}: {len(order)} of {model.num_classes} logits, {moved} moved"}
    digest = hashlib.sha256(f"{model.hash}|{','.join(map(str, order))}".encode()).hexdigest()
    wrapper = Reordered if isinstance(model.module, nn.Module) else _ReorderedFunction
    return replace(
        model,
        module=wrapper(model.module, order, model.num_classes),
        num_classes=len(order),
        hash=digest,
        card=card,
        classes=classes,
    )


def keep(model: Model, first: int, end: int) -> Model:
    """Return the model with the logits from ``first`` to before ``end``, counted from 0.

    Raises:
        RobenchError: it has no such logit.
    """
    names = model.classes[first:end] if model.classes is not None else None
    return select(model, tuple(range(first, end)), names, f"outputs {first}:{end}")


class Reordered(nn.Module):
    """A network with its logits reordered.

    Args:
        network: gives logits (n, K).
        order: positions of the logits to return.
        outputs: number of logits of the network, K.
    """

    order: torch.Tensor

    def __init__(self, network: Callable[[torch.Tensor], torch.Tensor], order: tuple[int, ...], outputs: int) -> None:
        super().__init__()
        self.network, self.outputs = network, outputs
        self.register_buffer("order", torch.tensor(order), persistent=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits (n, len(order))."""
        return all_logits_of(self.network(images), self.outputs)[:, self.order]


@dataclass(frozen=True)
class _ReorderedFunction:
    """The same for a plain function: as a module it would get images in channels-last memory."""

    function: Callable[[torch.Tensor], torch.Tensor]
    order: tuple[int, ...]
    outputs: int

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        logits = all_logits_of(self.function(images), self.outputs)
        return logits[:, torch.tensor(self.order, device=logits.device)]


def _positions(model_classes: Sequence[str], data_classes: Sequence[str]) -> dict[int, int]:
    """Return the model's position of every class of the data whose name determines it."""
    if len(model_classes) in _IMAGENET_21K:
        ids, wanted = wordnet_ids(model_classes), wordnet_ids(data_classes)
        if ids is not None and wanted is not None:
            at = {name: position for position, name in enumerate(ids)}
            return {label: at[name] for label, name in enumerate(wanted) if name in at}
    numbers = [_numbers(names) for names in (model_classes, data_classes)]
    if any(found is not None for found in numbers):
        ours, theirs = numbers
        if ours is None or theirs is None:
            return {}
        places = {number: position for position, number in enumerate(ours)}
        shift = _shift(ours, theirs)
        return {label: places[number + shift] for label, number in enumerate(theirs) if number + shift in places}
    labels = matched_labels(_in_words(model_classes, data_classes), _in_words(data_classes, model_classes))
    found: dict[int, list[int]] = {}
    for position, label in enumerate(labels):
        if label is not None:
            found.setdefault(label, []).append(position)
    told = {label: positions[0] for label, positions in found.items() if len(positions) == 1}
    return told | _shared_in_place(model_classes, data_classes, told)


def _shift(ours: Sequence[int], theirs: Sequence[int]) -> int:
    """Return how far apart two lists of as many numbers without gaps begin: one counts from 0, the other from 1."""
    if len(ours) != len(theirs) or any(set(one) != set(range(min(one), min(one) + len(one))) for one in (ours, theirs)):
        return 0
    return min(ours) - min(theirs)


def _shared_in_place(model_classes: Sequence[str], data_classes: Sequence[str], told: dict[int, int]) -> dict[int, int]:
    """Return the labels whose name two classes share (ImageNet has two cranes), where the position disambiguates them.

    It does if both lists have the name at the same place, counted from where the other names begin.
    """
    starts = {position - label for label, position in told.items()}
    if len(model_classes) != len(data_classes) and len(starts) != 1:
        return {}
    start = starts.pop() if len(starts) == 1 else 0
    ours, theirs, used = _english(model_classes), _english(data_classes), set(told.values())
    return {
        label: label + start
        for label in range(len(theirs))
        if label not in told
        and label + start not in used
        and 0 <= label + start < len(ours)
        and matched_labels([ours[label + start]], [theirs[label]]) == [0]
    }


def _english(names: Sequence[str]) -> Sequence[str]:
    if not _has_ids(names):
        return names
    words = dict(zip(imagenet_wnids(), imagenet_names(), strict=True))
    return [words.get(name, name) for name in names]


def _has_ids(names: Sequence[str]) -> bool:
    return any(WORDNET_ID.fullmatch(name) for name in names)


def _numbers(names: Sequence[str]) -> list[int] | None:
    """Return the numbers that names are, None where some are more."""
    found = [_NUMBER.fullmatch(name) for name in names]
    return [int(one[1]) for one in found if one is not None] if all(found) else None


def _in_words(names: Sequence[str], others: Sequence[str]) -> Sequence[str]:
    """Return WordNet ids as English names where the others are English names; the whole list matches either way."""
    if not _has_ids(names) or _has_ids(others) or tuple(names) == imagenet_wnids():
        return names
    return _english(names)


def _lacking(model_classes: Sequence[str], data_classes: Sequence[str], missing: list[int]) -> RobenchError:
    names = ", ".join(f"'{data_classes[label]}'" for label in missing[:_SHOWN])
    if len(missing) == len(data_classes):
        return RobenchError(
            f"The model has {len(model_classes):,} output classes; the suite needs {len(data_classes):,}, and they have"
            " no name in common.",
            hint=advice_on_width(len(model_classes), len(data_classes)),
        )
    return RobenchError(
        f"The model has {len(model_classes):,} classes and the data {len(data_classes):,}, of which the model lacks"
        f" {len(missing):,}: {names}{', ...' if len(missing) > _SHOWN else ''}.",
        hint=advice_on_width(len(model_classes), len(data_classes)),
    )


def advice_on_width(found: int, needed: int) -> str:
    """Return the next step where a model has another number of outputs than the data has classes.

    Args:
        found: the model's number of outputs.
        needed: the data's number of classes.
    """
    if found == _BACKGROUND and _CIFAR < needed < _BACKGROUND:
        return (
            "TensorFlow's networks have a background class first: '?outputs=1:1001' after the spec drops it. Where it"
            " is last, '?outputs=0:1000' does."
        )
    if (found, needed) == (1, 2):
        return "The output of a sigmoid is the second of two logits, the first is 0: python:FILE.py:FUNCTION."
    if found in _IMAGENET_21K:
        return (
            "These are ImageNet-21k's classes, which do not hold all of ImageNet-1k's. Choose weights fine-tuned on"
            " ImageNet-1k, data of classes that both have, or train a head on this backbone"
            " (the recipe linear-probe)."
        )
    from_one = "Labels must count from 0; if these count from 1, subtract 1. " if needed == found + 1 else ""
    return (
        f"{from_one}Choose data of the model's classes, select some logits ('?outputs=FIRST:END' after the spec), or in"
        " a function: python:FILE.py:FUNCTION."
    )
