"""Class lists by data set, and the mapping of other people's label names onto them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt

from robench.errors import RobenchError

_LISTED = 20
WORDNET_ID = re.compile(r"n\d{8}")


@cache
def imagenet_wnids() -> tuple[str, ...]:
    """Return the 1,000 WordNet ids of ImageNet-1K, sorted: the class order of every model and suite here."""
    from timm.data import ImageNetInfo

    return tuple(ImageNetInfo().label_names())


@cache
def imagenet_names() -> tuple[str, ...]:
    """Return the 1,000 English names by class (``tench, Tinca tinca``)."""
    from timm.data import ImageNetInfo

    info = ImageNetInfo()
    return tuple(info.index_to_description(i) for i in range(info.num_classes()))


def class_list(dataset: str | None) -> tuple[str, ...] | None:
    """Return the class identifiers of a data set by label (WordNet ids for ImageNet), or None where not known."""
    from robench.data.cifar import CIFAR10_CLASSES, CIFAR100_CLASSES
    from robench.data.digits import CLASSES

    if dataset == "imagenet":
        return imagenet_wnids()
    known = {"cifar10": CIFAR10_CLASSES, "cifar100": CIFAR100_CLASSES, "digits": CLASSES}
    return known.get((dataset or "").removesuffix("-jpeg"))  # a copy kept as JPEG has the same classes


def label_map(names: Sequence[str], wanted: Sequence[str], where: str) -> npt.NDArray[np.int64]:
    """Return for every label of a foreign set the label of ours, matched by WordNet id or by name.

    Names are compared without case, punctuation and spaces; a name with several synonyms (``tench, Tinca tinca``)
    matches by the whole list, else by its synonyms where these point to one class only. A name that two classes have
    is told apart by its position where the whole list stands in our order. Numbers alone are labels, from 0.

    Args:
        names: the set's label names, by label.
        wanted: our class names or WordNet ids, by label.
        where: what the error calls the set.

    Returns:
        int64 of shape (len(names),).

    Raises:
        RobenchError: a name that matches no class or several, or two names that match the same one.
    """
    mapped, known = _matched(names, wanted)
    if _in_order(names, mapped, known, len(wanted)):
        return np.arange(len(names), dtype=np.int64)
    if all(name.isdecimal() and int(name) < len(wanted) for name in names):
        mapped = [int(name) for name in names]
    unmatched = [name for name, label in zip(names, mapped, strict=True) if label is None]
    if unmatched:
        known_as = f": {', '.join(wanted)}" if len(wanted) <= _LISTED else f", such as {wanted[0]}"
        raise RobenchError(
            f"{where}: {len(unmatched)} of {len(names)} label names fit no class of the suite, or several:"
            f" {', '.join(repr(name) for name in unmatched[:5])}.",
            hint=f"Give images of the suite's classes, or rename the labels to these{known_as}; or to class numbers"
            " from 0.",
        )
    found = [label for label in mapped if label is not None]
    if len(set(found)) != len(found):
        twice = sorted({names[i] for i, label in enumerate(found) if found.count(label) > 1})
        raise RobenchError(
            f"{where}: several label names fit the same class: {', '.join(map(repr, twice[:5]))}.",
            hint="Give every class its own name.",
        )
    return np.array(found, np.int64)


def matched_labels(names: Sequence[str], wanted: Sequence[str]) -> list[int | None]:
    """Return for every name the label of the class that it fits, compared as in :func:`label_map`.

    None stands for a name that fits no class, or several.

    >>> matched_labels(["Sports car", "dog", "yak"], ["dog", "sports_car"])
    [1, 0, None]
    """
    mapped, known = _matched(names, wanted)
    return list(range(len(names))) if _in_order(names, mapped, known, len(wanted)) else mapped


def _matched(names: Sequence[str], wanted: Sequence[str]) -> tuple[list[int | None], dict[str, set[int]]]:
    known: dict[str, set[int]] = {}
    for label, one in enumerate(wanted):
        for key in _keys(one):
            known.setdefault(key, set()).add(label)
    if tuple(wanted) == imagenet_wnids_if_asked(wanted):
        for label, one in enumerate(imagenet_names()):
            for key in _keys(one):
                known.setdefault(key, set()).add(label)
    for other, name in _synonyms(wanted).items():
        known.setdefault(_keys(other)[0], set()).add(wanted.index(name))
    return [_match(name, known) for name in names], known


def _synonyms(wanted: Sequence[str]) -> dict[str, str]:
    """Return other names of these classes, each with the class's own."""
    from robench.data.cifar import CIFAR100_CLASSES, CIFAR100_SYNONYMS

    return CIFAR100_SYNONYMS if tuple(wanted) == CIFAR100_CLASSES else {}


def imagenet_wnids_if_asked(wanted: Sequence[str]) -> tuple[str, ...] | None:
    """Return the ImageNet list only if ``wanted`` looks like it, so that timm is not imported for other sets."""
    return imagenet_wnids() if len(wanted) == 1000 and WORDNET_ID.fullmatch(wanted[0]) else None


def _keys(name: str) -> list[str]:
    """Return the forms of a name, the strictest first: whole, then each synonym.

    Unicode's two ways to write an accent are one, and letters of all scripts count.

    >>> _keys("Caf\u00e9, bar") == _keys("cafe\u0301,BAR"), _keys("\u732b") == _keys("\u72d7")
    (True, False)
    """
    letters = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    whole = "".join(one for one in letters if one == "," or unicodedata.category(one)[0] in "LMN")
    return list(dict.fromkeys([whole, *(part for part in whole.split(",") if part)]))


def _match(name: str, known: dict[str, set[int]]) -> int | None:
    keys = _keys(name)
    if len(exact := known.get(keys[0], set())) == 1:
        return next(iter(exact))
    candidates = [known[key] for key in keys if key in known]
    both = set.intersection(*candidates) if candidates else set()
    return next(iter(both)) if len(both) == 1 else None


def _in_order(names: Sequence[str], mapped: Sequence[int | None], known: dict[str, set[int]], wanted: int) -> bool:
    """Whether a whole list stands in our order, so that its position tells apart names that two classes share.

    ImageNet's names have two cranes, cardigans and more; the hub's copy lists all 1,000 in the order of WordNet ids.
    """
    return len(names) == wanted and all(
        found == place or (found is None and place in known.get(_keys(name)[0], ()))
        for place, (name, found) in enumerate(zip(names, mapped, strict=True))
    )
