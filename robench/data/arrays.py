"""Images of one size in one array, in memory or memory-mapped from a ``.npy`` file."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from robench.data.checksums import checksum_of
from robench.data.labels import Labels, read_labels
from robench.errors import RobenchError
from robench.files import require_regular


class ArrayImages:
    """Images in one uint8 array; see :class:`robench.data.base.Images`.

    Args:
        array: uint8 of shape (N, H, W, 3); a memory map is read only where it is asked for.
        labels: int64 of shape (N,), or None.
        classes: class names by label, or None.
        files: a name for every image, or None.
        indices: stable ids of the images in the set they were taken from; None: 0..N-1.
        name: what errors call the set.
        source: the file behind the array, whose bytes the checksum covers instead of the array's.
        remarks: what was chosen or converted.

    Raises:
        RobenchError: wrong shape, type, or number of labels.
    """

    def __init__(
        self,
        array: npt.NDArray[np.uint8],
        labels: npt.NDArray[np.int64] | None = None,
        classes: Sequence[str] | None = None,
        *,
        files: Sequence[str] | None = None,
        indices: npt.NDArray[np.int64] | None = None,
        name: str = "array",
        source: Path | None = None,
        remarks: Sequence[str] = (),
    ) -> None:
        if array.ndim != 4 or array.shape[-1] != 3 or array.dtype != np.uint8:
            raise RobenchError(
                f"{name}: expected uint8 images of shape (N, H, W, 3); found {array.dtype} of shape {array.shape}.",
                hint="Store the images as uint8, height x width x RGB, values 0..255.",
            )
        if labels is not None and labels.shape != (len(array),):
            raise RobenchError(
                f"{name}: {len(array)} images but labels of shape {labels.shape}.",
                hint="Give one label for each image, in the same order.",
            )
        self.array, self.classes, self.files, self.name = array, classes, files, name
        self.labels = None if labels is None else labels.astype(np.int64, copy=False)
        self.indices = np.arange(len(array), dtype=np.int64) if indices is None else indices
        self._source = source
        self.remarks: Sequence[str] = tuple(remarks)

    def __len__(self) -> int:
        return len(self.array)

    def read(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Return a copy of these images, uint8 of shape (n, H, W, 3).

        Raises:
            RobenchError: the file behind the array has changed since it was opened.
        """
        return read_rows(self.array, indices, self._source)

    def raw_size(self, position: int) -> tuple[int, int]:
        """Return (height, width) of the images."""
        return int(self.array.shape[1]), int(self.array.shape[2])

    def checksum(self) -> str:
        """Return a SHA-256 over the file's (or the array's) bytes and the labels."""
        digest = hashlib.sha256()
        if self._source is not None:
            digest.update(bytes.fromhex(checksum_of(self._source)))
        else:
            digest.update(repr(self.array.shape).encode())
            digest.update(np.ascontiguousarray(self.array).data)
        if self.labels is not None:
            digest.update(self.labels.tobytes())
        return digest.hexdigest()


def map_npy(path: Path, *, ndim: int = 4, dtype: str | None = "uint8") -> npt.NDArray[Any]:
    """Memory-map a ``.npy`` file of images after checking its header against its size.

    Args:
        path: the file.
        ndim: the number of dimensions that it must have.
        dtype: the type that it must have; None: any.

    Raises:
        RobenchError: no such file, not a ``.npy`` file, truncated, objects inside, or of another type or rank.
    """
    array = _load(path, mapped=True)
    if dtype is not None and array.dtype != dtype:
        raise RobenchError(
            f"{path}: expected {dtype} values; found {array.dtype} of shape {array.shape}.",
            hint=f"Published files hold {dtype} values 0..255; {_conversion(array.dtype)}, or get the original file.",
        )
    if array.ndim != ndim:
        raise RobenchError(
            f"{path}: expected an array of {ndim} dimensions; found {array.dtype} of shape {array.shape}.",
            hint="Images are an array of shape (N, height, width, 3)." if ndim == 4 else "Get the original file.",
        )
    if ndim == 4 and len(array) == 0:
        raise RobenchError(f"{path} holds no images (shape {array.shape}).", hint="Get the file again.")
    return array


def _conversion(dtype: np.dtype[Any]) -> str:
    if dtype.kind == "f":
        return "convert float images back"
    return "convert the values to 8 bits" if dtype.kind in "iu" else "they are not the values of pixels"


def load_labels(path: Path) -> Labels:
    """Read the labels of a ``.npy`` file, in any form that :func:`robench.data.labels.read_labels` knows.

    Raises:
        RobenchError: no such file, damaged, objects inside, hidden labels, or not one class for each image.
    """
    found = read_labels(_load(path, mapped=False), str(path))
    if len(found.numbers) and found.numbers.min() < 0:
        raise RobenchError(
            f"{path}: {int((found.numbers < 0).sum()):,} of {len(found.numbers):,} labels are missing or negative.",
            hint="Labels are class numbers from 0.",
        )
    return found


def _load(path: Path, *, mapped: bool) -> npt.NDArray[Any]:
    try:
        require_regular(path)
        array = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    except FileNotFoundError as error:
        raise RobenchError(
            f"{path} is missing.", hint="Check the folder, or get the set with 'robench data'."
        ) from error
    except ValueError as error:
        if "bject" not in str(error):  # "Object arrays", "Python objects"
            raise _damaged(path, error) from error
        raise RobenchError(
            f"{path} holds Python objects, which are not read: that could run code.",
            hint="Save plain numbers, or names as text: np.save(FILE, np.array(list(values)))",
        ) from error
    except Exception as error:  # a header is parsed as Python's literals, and may raise what those do
        raise _damaged(path, error) from error
    if not isinstance(array, np.ndarray):
        raise RobenchError(f"{path} is an .npz archive; a plain .npy array is expected.", hint="Unpack it first.")
    return array


def _damaged(path: Path, error: Exception) -> RobenchError:
    return RobenchError(
        f"{path} cannot be read as a .npy array: {getattr(error, 'strerror', None) or error}.",
        hint="The file is truncated or damaged; get it again and compare its checksum ('robench data verify').",
    )


def read_rows(
    array: npt.NDArray[np.uint8], indices: npt.NDArray[np.int64], source: Path | None = None
) -> npt.NDArray[np.uint8]:
    """Return a copy of some rows of an array.

    Rows of a mapped file are read from the file. Copied from the map, a file that has become shorter in between
    would end the process (SIGBUS).

    Args:
        array: in memory, or mapped by :func:`map_npy`.
        indices: int64 (n,), rows.
        source: the mapped file.

    Returns:
        (n, ...) of the array's type.

    Raises:
        RobenchError: the file has gone or has become shorter since it was mapped.
    """
    n = len(indices)
    runs = bool(n) and int(indices[-1] - indices[0]) == n - 1 and bool((np.diff(indices) == 1).all())
    if source is None or not isinstance(array, np.memmap) or not array.flags.c_contiguous:
        return np.array(array[indices[0] : indices[0] + n]) if runs else np.asarray(array[indices])
    out = np.empty((n, *array.shape[1:]), array.dtype)
    row = array.nbytes // max(1, len(array))
    try:
        with open(source, "rb", buffering=0) as file:
            if runs:
                _read_into(file, array.offset + int(indices[0]) * row, out)
            else:
                for place, index in enumerate(indices.tolist()):
                    _read_into(file, array.offset + index * row, out[place])
    except (OSError, EOFError) as error:
        raise RobenchError(
            f"{source} has changed since it was opened: {getattr(error, 'strerror', None) or error}.",
            hint="Get the file again, and repeat the command; cells that were finished before are kept.",
        ) from error
    return out


def _read_into(file: io.FileIO, offset: int, out: npt.NDArray[Any]) -> None:
    """Fill ``out``, contiguous, with the bytes from ``offset`` on."""
    view = memoryview(out).cast("B")
    file.seek(offset)
    while len(view):
        count = file.readinto(view)
        if not count:
            raise EOFError("it ends early")
        view = view[count:]
