"""Finds out in which form a user's copy of a data set is, and opens it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from robench.data.arrays import ArrayImages, map_npy
from robench.data.base import Geometry, Images
from robench.data.encoded import EncodedImages
from robench.errors import RobenchError

AnyImages = ArrayImages | EncodedImages
_FORMS = (
    "Expected one folder per class, Parquet files, WebDataset shards, images.npy with labels.npy, a folder saved by"
    " datasets, cifar-10-batches-py, cifar-100-python or tiny-imagenet-200."
)


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
        path: a folder or file in one of these forms, found out in this order: ``digits`` (the embedded digits);
            ``hf:OWNER/NAME`` (the Hugging Face hub); ``cifar-10-batches-py`` / ``cifar-100-python`` (or the archive,
            or a folder that holds one); ``tiny-imagenet-200``; a folder saved by ``datasets``; Parquet files in the
            hub's layout; a pair ``NAME_data.npy`` + ``NAME_labels.npy`` or ``images.npy`` + ``labels.npy``;
            WebDataset shards; one folder per class, on the disk or in a tar.
        split: which part, where the form has parts: ``train``, ``validation`` or ``test``.
        dataset: the data set whose classes the labels are brought to by name or WordNet id (``imagenet``,
            ``cifar10``...); None: labels stay as the files have them.
        geometry: resize and crop for pictures of differing sizes.
        workers: decoding threads.

    Raises:
        RobenchError: no such path, nothing known there, or label names that fit no class of ``dataset``.
    """
    from robench.data.classes import class_list

    classes = class_list(dataset)
    images = _open(path, split, classes, geometry, workers)
    return images if classes is None else with_classes(images, classes, str(path))


def _open(
    path: str | Path, split: str, classes: Sequence[str] | None, geometry: Geometry | None, workers: int | None
) -> AnyImages:
    from robench.data import cifar, digits, hub, parquet, tiny, webdataset
    from robench.data.folders import load_folders

    if str(path) == "digits":
        return digits.load(split)
    if str(path).startswith(hub.PREFIX):
        return hub.load_hub(str(path), split, geometry=geometry, workers=workers)
    path = Path(path)
    if not path.exists():
        raise RobenchError(f"{path} does not exist.", hint="Check the path, or get the set with 'robench data list'.")
    if cifar.find_layout(path):
        return cifar.load_cifar(path, split)
    if root := tiny.find_tiny(path):
        return tiny.load_tiny(root, split, geometry=geometry, workers=workers)
    if hub.is_saved(path):
        return hub.load_saved(path, split, geometry=geometry, workers=workers)
    if parquet.find_parquet(path, split):
        return parquet.load_parquet(path, split, geometry=geometry, workers=workers)
    if pair := find_pair(path):
        return load_pair(*pair)
    if shards := webdataset.find_shards(path, split):
        return webdataset.load_shards(shards, geometry=geometry, workers=workers)
    if path.is_dir() and not any(child.is_dir() for child in path.iterdir()):
        raise RobenchError(f"{path} holds no images in a form that is known.", hint=_FORMS)
    return load_folders(path, _folder_classes(path, classes), split=split, geometry=geometry, workers=workers)


def _folder_classes(path: Path, classes: Sequence[str] | None) -> Sequence[str] | None:
    """Return the classes that folders are named after, or None where they may go by other names."""
    from robench.data.classes import WORDNET_ID

    return classes if classes is not None and WORDNET_ID.fullmatch(classes[0]) else None


def with_classes(images: AnyImages, classes: Sequence[str], where: str) -> AnyImages:
    """Bring labels to the numbering of ``classes``: by name where the set names its labels, else by number.

    Raises:
        RobenchError: names that fit no class, or label numbers beyond the classes.
    """
    from robench.data.classes import label_map

    labels = images.labels
    if labels is None:
        return images
    if images.classes is not None:
        if tuple(images.classes) != tuple(classes):
            images.labels = label_map(images.classes, classes, where)[labels]
    elif len(labels) and (labels.min() < 0 or labels.max() >= len(classes)):
        raise RobenchError(
            f"{where}: labels go from {labels.min()} to {labels.max()}; expected 0 to {len(classes) - 1}.",
            hint="The labels belong to another data set.",
        )
    images.classes = tuple(classes)
    return images


def find_pair(path: Path) -> tuple[Path, Path] | None:
    """Return (pictures, labels) of a ``.npy`` pair at ``path``, or None."""
    if path.is_file() and path.name.endswith("_data.npy"):
        labels = path.with_name(path.name.replace("_data.npy", "_labels.npy"))
        return (path, labels) if labels.is_file() else None
    if not path.is_dir():
        return None
    for name in ("images.npy", "data.npy"):
        if (path / name).is_file() and (path / "labels.npy").is_file():
            return path / name, path / "labels.npy"
    pairs = [p for p in sorted(path.glob("*_data.npy")) if find_pair(p)]
    return find_pair(pairs[0]) if len(pairs) == 1 else None


def load_pair(pictures: Path, labels: Path) -> ArrayImages:
    """Memory-map pictures (N, H, W, 3) and read their labels (N,).

    Raises:
        RobenchError: a file missing, damaged, of another type or rank, or of differing lengths.
    """
    numbers = np.asarray(map_npy(labels, ndim=1, dtype=None))
    if numbers.dtype.kind not in "iu":
        raise RobenchError(f"{labels}: expected integers; found {numbers.dtype}.", hint="Labels are class numbers.")
    return ArrayImages(map_npy(pictures), numbers.astype(np.int64), name=str(pictures), source=pictures)
