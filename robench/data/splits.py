"""Which part of a data set is read: the names of splits, for every form that has them."""

from __future__ import annotations

from collections.abc import Iterable

from robench.errors import RobenchError

NAMES = {
    "test": ("test",),
    "validation": ("validation", "valid", "val"),
    "train": ("train", "training"),
}
"""What a split is called in files and folders, upper and lower case alike."""

INSTEAD = {"test": ("validation",)}
"""Splits whose images stand for those of another, where it is not there."""


def choose_split(there: Iterable[str], split: str, where: str) -> str | None:
    """Return which of the splits that are there is read; None where none of them is the one asked for.

    Args:
        there: names of splits, as files or folders have them.
        split: ``test``, ``validation``, ``train``, or any other name, which only itself answers to.
        where: what errors call the place.

    Raises:
        RobenchError: several of them have names of the same split.

    >>> choose_split(["train", "Val"], "test", "set")
    'Val'
    """
    there = list(dict.fromkeys(there))
    for kind in (split, *INSTEAD.get(split, ())):
        found = [name for name in there if name.lower() in NAMES.get(kind, (kind,))]
        if len(found) > 1:
            raise RobenchError(
                f"{where} holds several {kind} splits: {', '.join(found)}.",
                hint=f"Give the one that is meant, or move the others: {found[0]}, for example.",
            )
        if found:
            return found[0]
    return None


def kind_of(name: str) -> str:
    """Return which split a name is of, or nothing.

    >>> kind_of("Val"), kind_of("logs")
    ('validation', '')
    """
    return next((kind for kind, names in NAMES.items() if name.lower() in names), "")


def read_instead(where: str, split: str, found: str) -> tuple[str, ...]:
    """Return a remark where the validation images stand for test images that are not there.

    >>> read_instead("set", "test", "val")
    ('set: the validation split was read, as there is no test split.',)
    """
    if kind_of(found) not in INSTEAD.get(split, ()):
        return ()
    return (f"{where}: the {kind_of(found)} split was read, as there is no {split} split.",)
