"""Lists of ImageNet's classes by name, recognised by their order: the names alone do not tell its two cranes apart."""

from __future__ import annotations

from collections.abc import Sequence

from robench.data.classes import WORDNET_ID, imagenet_names, imagenet_wnids, matched_labels

# By number of classes: timm's name of the list. 21,843 are Google's, 21,841 the Winter 2021 release, 21,842
# Microsoft's; 11,821 and 11,221 are cleaned-up parts of them.
_LISTS = {
    21843: "imagenet21k",
    21841: "imagenet22k",
    21842: "imagenet22kms",
    11821: "imagenet12k",
    11221: "imagenet21kmiil",
}
_IN_PLACE = 0.95  # share of names that must stand where the list has them


def wordnet_ids(names: Sequence[str]) -> tuple[str, ...] | None:
    """Return the WordNet ids of a list of classes that is one of ImageNet's, in its order; None for any other.

    >>> wordnet_ids(imagenet_names())[:2], wordnet_ids(["cat", "dog"])
    (('n01440764', 'n01443537'), None)
    """
    if all(WORDNET_ID.fullmatch(name) for name in names):
        return tuple(names)
    if len(names) == len(imagenet_wnids()):
        return imagenet_wnids() if _in_place(names, imagenet_names()) else None
    if len(names) not in _LISTS:
        return None
    from timm.data import ImageNetInfo

    info = ImageNetInfo(_LISTS[len(names)])
    words = [info.index_to_description(label) for label in range(info.num_classes())]
    return tuple(info.label_names()) if _in_place(names, words) else None


def _in_place(names: Sequence[str], words: Sequence[str]) -> bool:
    """Return whether nearly all names fit what the list has in their place."""
    pairs = zip(names, words, strict=True)
    fitting = sum(name == word or matched_labels([name], [word]) == [0] for name, word in pairs)
    return fitting >= _IN_PLACE * len(names)
