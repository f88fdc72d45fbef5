"""CIFAR-10 and CIFAR-100 in their published Python layout, read without running code from the pickles."""

from __future__ import annotations

import io
import pickle
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from robench.data.arrays import ArrayImages
from robench.errors import RobenchError
from robench.files import require_regular

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
# By label, as in the published file `meta` (fine_label_names).
CIFAR100_CLASSES = (
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle", "bowl",
    "boy", "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle", "chair",
    "chimpanzee", "clock", "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur", "dolphin",
    "elephant", "flatfish", "forest", "fox", "girl", "hamster", "house", "kangaroo", "keyboard", "lamp",
    "lawn_mower", "leopard", "lion", "lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain",
    "mouse", "mushroom", "oak_tree", "orange", "orchid", "otter", "palm_tree", "pear", "pickup_truck",
    "pine_tree", "plain", "plate", "poppy", "porcupine", "possum", "rabbit", "raccoon", "ray", "road", "rocket",
    "rose", "sea", "seal", "shark", "shrew", "skunk", "skyscraper", "snail", "snake", "spider", "squirrel",
    "streetcar", "sunflower", "sweet_pepper", "table", "tank", "telephone", "television", "tiger", "tractor",
    "train", "trout", "tulip", "turtle", "wardrobe", "whale", "willow_tree", "wolf", "woman", "worm",
)  # fmt: skip
# Other names of the same classes: those of the data set's page, and of the copy on the Hugging Face hub.
CIFAR100_SYNONYMS = {
    "cra": "crab",
    "maple": "maple_tree",
    "oak": "oak_tree",
    "palm": "palm_tree",
    "pine": "pine_tree",
    "willow": "willow_tree",
}


class _Layout(NamedTuple):
    """File names and pickle keys of one published set."""

    files: dict[str, tuple[str, ...]]
    labels: bytes
    meta: str
    names: bytes


_LAYOUTS = {
    "cifar-10-batches-py": _Layout(
        {"test": ("test_batch",), "train": tuple(f"data_batch_{i}" for i in range(1, 6))},
        b"labels",
        "batches.meta",
        b"label_names",
    ),
    "cifar-100-python": _Layout({"test": ("test",), "train": ("train",)}, b"fine_labels", "meta", b"fine_label_names"),
}
_DATASETS = {"cifar10": "cifar-10-batches-py", "cifar100": "cifar-100-python"}
_MAX_BATCH = 512 << 20  # bytes; the largest published file has 155 million
_ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
}


class _ArrayUnpickler(pickle.Unpickler):
    """Builds numbers, strings, containers and numpy arrays, and refuses every other name."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which a CIFAR batch does not need")
        if module == "numpy.core.multiarray":
            module = "numpy._core.multiarray"
        return super().find_class(module, name)


def find_layout(folder: Path, dataset: str | None = None) -> tuple[str, Path] | None:
    """Return (layout name, place) if ``folder`` is, holds, or archives a published CIFAR folder.

    Args:
        folder: where to look; an unpacked folder goes before its archive.
        dataset: ``cifar10`` or ``cifar100``, to choose where both are there.

    Raises:
        RobenchError: both sets are there, and ``dataset`` does not say which.
    """
    found = []
    for name, layout in _LAYOUTS.items():
        archive = name.replace("-batches-py", "-python") + ".tar.gz"
        places = [place for place in (folder, folder / name) if _is_layout(place, layout)]
        places += [place for place in (folder, folder / archive) if place.name == archive and place.is_file()]
        found += [(name, place) for place in places[:1]]
    if len(found) > 1 and dataset in _DATASETS:
        found = [one for one in found if one[0] == _DATASETS[dataset]]
    if len(found) > 1:
        raise RobenchError(
            f"{folder} holds {' and '.join(name for name, _ in found)}.", hint=f"Give one of them: {found[0][1]}."
        )
    return found[0] if found else None


def _is_layout(place: Path, layout: _Layout) -> bool:
    """Whether the folder has the list of classes and at least one batch; a missing batch is told by its reading."""
    batches = (file for files in layout.files.values() for file in files)
    return (place / layout.meta).is_file() and any((place / file).is_file() for file in batches)


def load_cifar(folder: Path, split: str = "test", dataset: str | None = None) -> ArrayImages:
    """Read CIFAR-10 or CIFAR-100 (fine labels): the unpacked folder or the published ``.tar.gz`` itself.

    Args:
        folder: ``cifar-10-batches-py``, ``cifar-100-python``, a folder that holds one, or the archive.
        split: ``train`` (50,000 images) or ``test`` (10,000).
        dataset: ``cifar10`` or ``cifar100`` where the folder may hold both.

    Raises:
        RobenchError: not such a folder, a file missing or damaged, or a pickle that holds more than arrays.
    """
    found = find_layout(folder, dataset)
    if found is None:
        raise RobenchError(
            f"{folder} holds neither cifar-10-batches-py nor cifar-100-python.",
            hint="Give the folder that the published archive unpacks to.",
        )
    name, place = found
    layout = _LAYOUTS[name]
    if split not in ("train", "test"):
        raise RobenchError(f"CIFAR has no split '{split}'.", hint="Use 'train' or 'test'.")
    with _opener(name, place) as read:
        batches = [_batch(place, file, read(file), layout.labels) for file in layout.files[split]]
        classes = _classes(place / layout.meta, read(layout.meta), layout.names)
    images = np.concatenate([images for images, _ in batches])
    labels = np.concatenate([labels for _, labels in batches])
    if len(labels) and not 0 <= labels.min() <= labels.max() < len(classes):
        raise RobenchError(
            f"{place}: labels go from {labels.min()} to {labels.max()}; expected 0 to {len(classes) - 1}.",
            hint="The files are of different sets, or damaged; get the set again.",
        )
    return ArrayImages(images, labels, classes, name=f"{place} ({split})")


@contextmanager
def _opener(name: str, place: Path) -> Iterator[Any]:
    """Give a function from a file's name to its bytes, in a folder or in the archive."""
    if place.is_dir():
        yield lambda file: _read_file(place / file)
        return
    try:
        with tarfile.open(place) as archive:

            def read(file: str) -> bytes:
                member = archive.extractfile(f"{name}/{file}")
                if member is None:
                    raise KeyError(file)
                if archive.getmember(f"{name}/{file}").size > _MAX_BATCH:
                    raise RobenchError(f"{place}: {file} is too large for a CIFAR batch.", hint="Get the set again.")
                return member.read()

            yield read
    except (tarfile.TarError, KeyError, EOFError, OSError) as error:
        raise RobenchError(
            f"{place} cannot be read: {error}.", hint="Get it again and compare its checksum."
        ) from error


def _read_file(path: Path) -> bytes:
    try:
        if require_regular(path).st_size > _MAX_BATCH:
            raise RobenchError(f"{path} is too large for a CIFAR batch.", hint="Get the set again.")
        return path.read_bytes()
    except OSError as error:
        raise RobenchError(f"{path} cannot be read: {error.strerror}.", hint="Get the set again.") from error


def _classes(path: Path, raw: bytes, key: bytes) -> tuple[str, ...]:
    meta = _unpickle(path, raw)
    try:
        return tuple(name.decode() for name in meta[key])
    except (KeyError, TypeError, AttributeError, UnicodeDecodeError) as error:
        raise RobenchError(f"{path} has no list of class names: {error!r}.", hint="Get the set again.") from error


def _batch(place: Path, file: str, raw: bytes, labels_key: bytes) -> tuple[Any, Any]:
    batch = _unpickle(place / file, raw)
    try:
        data, labels = np.asarray(batch[b"data"]), np.asarray(batch[labels_key], dtype=np.int64)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise RobenchError(f"{place / file} has no data or labels: {error}.", hint="Get the set again.") from error
    if data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != 3072 or len(labels) != len(data):
        raise RobenchError(
            f"{place / file}: expected uint8 rows of 3,072 values and a label per row; found {data.dtype} of shape"
            f" {data.shape} and {len(labels)} labels.",
            hint="Get the set again.",
        )
    return np.ascontiguousarray(data.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)), labels


def _unpickle(path: Path, raw: bytes) -> Any:
    try:
        return _ArrayUnpickler(io.BytesIO(raw), encoding="bytes").load()
    except Exception as error:  # a damaged pickle may raise anything; none of it is ours
        raise RobenchError(
            f"{path} is not a CIFAR batch: {error}.",
            hint="Get the set again and compare its checksum ('robench data verify').",
        ) from error
