"""Copies of a clean set that are not the set: CIFAR kept as JPEG, whose results are those of another data set."""

from __future__ import annotations

from robench.data.base import Images
from robench.data.encoded import are_jpeg

_LOSSLESS = ("cifar10", "cifar100")  # published as raw pixels


def copy_of(dataset: str) -> str | None:
    """Return what a copy of a data set as JPEG files is called; None where the data set is kept so itself.

    >>> copy_of("cifar10"), copy_of("imagenet")
    ('cifar10-jpeg', None)
    """
    return f"{dataset}-jpeg" if dataset in _LOSSLESS else None


def found_copy(dataset: str, images: Images) -> str | None:
    """Return the name of the copy that was found in the place of a data set; None where it may be the published one."""
    name = copy_of(dataset)
    return name if name is not None and are_jpeg(images) else None


def copy_remarks(dataset: str) -> tuple[str, ...]:
    """Return what a reader must know of figures on a copy."""
    return (
        f"The images are JPEG files, those of {dataset} are lossless: results are those of {copy_of(dataset)}, and not"
        f" comparable with published ones of {dataset}.",
    )
