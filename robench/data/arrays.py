"""Pictures of one size in one array, in memory or memory-mapped from a ``.npy`` file."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from robench.errors import RobenchError


class ArrayImages:
    """Pictures in one uint8 array; see :class:`robench.data.base.Images`.

    Args:
        array: uint8 of shape (N, H, W, 3); a memory map is read only where it is asked for.
        labels: int64 of shape (N,), or None.
        classes: class names by label, or None.
        files: a name for every picture, or None.
        indices: stable ids of the pictures in the set they were taken from; None: 0..N-1.
        name: what errors call the set.
        source: the file behind the array, whose bytes the checksum covers instead of the array's.

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
    ) -> None:
        if array.ndim != 4 or array.shape[-1] != 3 or array.dtype != np.uint8:
            raise RobenchError(
                f"{name}: expected uint8 pictures of shape (N, H, W, 3); found {array.dtype} of shape {array.shape}.",
                hint="Store the pictures as uint8, height x width x RGB, values 0..255.",
            )
        if labels is not None and labels.shape != (len(array),):
            raise RobenchError(
                f"{name}: {len(array)} pictures but labels of shape {labels.shape}.",
                hint="Give one label a picture, in the same order.",
            )
        self.array, self.classes, self.files, self.name = array, classes, files, name
        self.labels = None if labels is None else labels.astype(np.int64, copy=False)
        self.indices = np.arange(len(array), dtype=np.int64) if indices is None else indices
        self._source = source

    def __len__(self) -> int:
        return len(self.array)

    def read(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Return a copy of these pictures, uint8 of shape (n, H, W, 3)."""
        n = len(indices)
        if n and indices[-1] - indices[0] == n - 1 and (np.diff(indices) == 1).all():
            return np.array(self.array[indices[0] : indices[0] + n])  # one copy of one piece of the file
        return np.asarray(self.array[indices])

    def checksum(self) -> str:
        """Return a SHA-256 over the file's (or the array's) bytes and the labels."""
        digest = hashlib.sha256()
        if self._source is not None:
            with open(self._source, "rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        else:
            digest.update(repr(self.array.shape).encode())
            digest.update(np.ascontiguousarray(self.array).data)
        if self.labels is not None:
            digest.update(self.labels.tobytes())
        return digest.hexdigest()


def map_npy(path: Path, *, ndim: int = 4, dtype: str | None = "uint8") -> npt.NDArray[Any]:
    """Memory-map a ``.npy`` file after checking its header against its size.

    Raises:
        RobenchError: no such file, not a ``.npy`` file, truncated, objects inside, or of another type or rank.
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError as error:
        raise RobenchError(
            f"{path} is missing.", hint="Check the folder, or get the set with 'robench data'."
        ) from error
    except (ValueError, OSError, EOFError) as error:
        raise RobenchError(
            f"{path} cannot be read as a .npy array: {error}.",
            hint="The file is truncated or damaged; get it again and compare its checksum ('robench data verify').",
        ) from error
    if not isinstance(array, np.ndarray):
        raise RobenchError(f"{path} is an .npz archive; a plain .npy array is expected.", hint="Unpack it first.")
    if array.ndim != ndim or (dtype is not None and array.dtype != dtype):
        kind = "" if dtype is None else f"{dtype} "
        raise RobenchError(
            f"{path}: expected a {kind}array of {ndim} dimensions; found {array.dtype} of shape {array.shape}.",
            hint="Published files hold uint8 values 0..255; convert float pictures back, or fetch the original file.",
        )
    return array
