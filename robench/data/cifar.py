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

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


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


def find_layout(folder: Path) -> tuple[str, Path] | None:
    """Return (layout name, place) if ``folder`` is, holds, or archives a published CIFAR folder."""
    for name, layout in _LAYOUTS.items():
        for place in (folder, folder / name):
            if (place / layout.files["test"][0]).is_file() and (place / layout.meta).is_file():
                return name, place
        archive = name.replace("-batches-py", "-python") + ".tar.gz"
        for place in (folder, folder / archive):
            if place.name == archive and place.is_file():
                return name, place
    return None


def load_cifar(folder: Path, split: str = "test") -> ArrayImages:
    """Read CIFAR-10 or CIFAR-100 (fine labels): the unpacked folder or the published ``.tar.gz`` itself.

    Args:
        folder: ``cifar-10-batches-py``, ``cifar-100-python``, a folder that holds one, or the archive.
        split: ``train`` (50,000 pictures) or ``test`` (10,000).

    Raises:
        RobenchError: not such a folder, a file missing or damaged, or a pickle that holds more than arrays.
    """
    found = find_layout(folder)
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
        meta = _unpickle(place / layout.meta, read(layout.meta))
    classes = tuple(n.decode() for n in meta[layout.names])
    pictures = np.concatenate([pictures for pictures, _ in batches])
    labels = np.concatenate([labels for _, labels in batches])
    return ArrayImages(pictures, labels, classes, name=f"{place} ({split})")


@contextmanager
def _opener(name: str, place: Path) -> Iterator[Any]:
    """Give a function from a file's name to its bytes, in a folder or in the archive."""
    if place.is_dir():
        yield lambda file: (place / file).read_bytes()
        return
    try:
        with tarfile.open(place) as archive:

            def read(file: str) -> bytes:
                member = archive.extractfile(f"{name}/{file}")
                if member is None:
                    raise KeyError(file)
                return member.read()

            yield read
    except (tarfile.TarError, KeyError, EOFError, OSError) as error:
        raise RobenchError(
            f"{place} cannot be read: {error}.", hint="Fetch it again and compare its checksum."
        ) from error


def _batch(place: Path, file: str, raw: bytes, labels_key: bytes) -> tuple[Any, Any]:
    batch = _unpickle(place / file, raw)
    try:
        data, labels = np.asarray(batch[b"data"]), np.asarray(batch[labels_key], dtype=np.int64)
    except (KeyError, TypeError, ValueError) as error:
        raise RobenchError(f"{place / file} has no data or labels: {error}.", hint="Fetch the set again.") from error
    if data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != 3072 or len(labels) != len(data):
        raise RobenchError(
            f"{place / file}: expected uint8 rows of 3,072 values and a label a row; found {data.dtype} of shape"
            f" {data.shape} and {len(labels)} labels.",
            hint="Fetch the set again.",
        )
    return np.ascontiguousarray(data.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)), labels


def _unpickle(path: Path, raw: bytes) -> Any:
    try:
        return _ArrayUnpickler(io.BytesIO(raw), encoding="bytes").load()
    except Exception as error:  # a damaged pickle may raise anything; none of it is ours
        raise RobenchError(
            f"{path} is not a CIFAR batch: {error}.",
            hint="Fetch the set again and compare its checksum ('robench data verify').",
        ) from error
