"""Finds out in which form a user's copy of a data set is, and opens it."""

from __future__ import annotations

from pathlib import Path

from robench.data.arrays import ArrayImages
from robench.data.base import Geometry, Images
from robench.errors import RobenchError


def open_images(
    path: str | Path,
    *,
    split: str = "test",
    dataset: str | None = None,
    geometry: Geometry | None = None,
    workers: int | None = None,
) -> Images:
    """Open a set of labelled pictures, whatever its form.

    Args:
        path: a folder or file: ``cifar-10-batches-py`` / ``cifar-100-python`` (or the archive, or a folder that
            holds one), Parquet files in the hub's layout; ``digits`` for the embedded digits.
        split: which part, where the form has parts.
        dataset: name of the data set, for sets whose labels need it.
        geometry: resize and crop for pictures of differing sizes.
        workers: decoding threads.

    Raises:
        RobenchError: no such path, or nothing known there.
    """
    from robench.data.cifar import find_layout, load_cifar
    from robench.data.digits import load
    from robench.data.parquet import find_parquet, load_parquet

    if str(path) == "digits":
        return load(split)
    path = Path(path)
    if not path.exists():
        raise RobenchError(f"{path} does not exist.", hint="Check the path, or get the set with 'robench data list'.")
    if find_layout(path):
        return load_cifar(path, split)
    if find_parquet(path, split):
        return load_parquet(path, split, geometry=geometry, workers=workers)
    raise RobenchError(f"{path} holds no data set in a form that robench knows.", hint="See 'robench data list'.")


__all__ = ["ArrayImages", "open_images"]
