"""Images kept as encoded files (JPEG, PNG): read by a source, decoded by threads, brought to one size."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np
import numpy.typing as npt

from robench.cpu import cores
from robench.data.base import Geometry, Images
from robench.data.decode import decode
from robench.data.formats import CorruptImageError, image_size
from robench.errors import RobenchError

_SAMPLED = 64
_MAX_BATCH = 8 << 30  # bytes


class Source(Protocol):
    """Where encoded images come from: a folder, a tar, a Parquet file."""

    def __len__(self) -> int: ...

    def name(self, position: int) -> str:
        """Return what an error message calls image ``position``."""
        ...

    def fetch(self, position: int) -> bytes:
        """Return the bytes of image ``position``; called from several threads."""
        ...

    def identity(self) -> bytes:
        """Return bytes that differ when names, order or sizes differ."""
        ...


class EncodedImages:
    """Encoded images with labels; see :class:`robench.data.base.Images`.

    Args:
        source: gives the bytes of each image.
        labels: int64 of shape (N,), or None.
        classes: class names by label, or None.
        files: a name for every image, or None.
        geometry: resize and crop after decoding.
        workers: decoding threads; None: one per core that this process may use.
        remarks: what was chosen, left out or converted.
    """

    def __init__(
        self,
        source: Source,
        labels: npt.NDArray[np.int64] | None,
        classes: Sequence[str] | None,
        *,
        files: Sequence[str] | None = None,
        geometry: Geometry | None = None,
        workers: int | None = None,
        remarks: Sequence[str] = (),
    ) -> None:
        self.source, self.labels, self.classes, self.files = source, labels, classes, files
        self.remarks: Sequence[str] = tuple(remarks)
        self.geometry = geometry or Geometry()
        self.workers = workers if workers is not None else cores()

    def __len__(self) -> int:
        return len(self.source)

    def read(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Return images as uint8 of shape (n, H, W, 3), decoded by threads.

        Raises:
            CorruptImageError: an image cannot be decoded.
            RobenchError: a file cannot be read, or sizes differ after the geometry.
        """
        if len(indices) == 0:
            return np.empty((0, 1, 1, 3), np.uint8)
        first = self.read_one(int(indices[0]))
        if len(indices) * first.nbytes > _MAX_BATCH:
            raise RobenchError(
                f"{len(indices)} images of {first.shape[0]:,} x {first.shape[1]:,} pixels do not fit into memory as one"
                " batch.",
                hint="Set `resize` and `crop`, or a smaller `batch_size`.",
            )
        stack = np.empty((len(indices), *first.shape), np.uint8)
        stack[0] = first

        def fill(span: range) -> None:
            for row in span:
                image = self.read_one(int(indices[row]))
                if image.shape != first.shape:
                    raise self._sizes_differ(int(indices[row]), image.shape, int(indices[0]), first.shape)
                stack[row] = image

        workers = min(self.workers, len(indices) - 1)
        if workers <= 1:
            fill(range(1, len(indices)))
        else:
            spans = [range(1 + w, len(indices), workers) for w in range(workers)]
            for done in [_pool().submit(fill, span) for span in spans]:
                done.result()
        return stack

    def read_one(self, position: int) -> npt.NDArray[np.uint8]:
        """Return one image after the geometry, uint8 of shape (H, W, 3)."""
        return decode(self._fetch(position), self.geometry, self.source.name(position))

    def raw_size(self, position: int) -> tuple[int, int]:
        """Return (height, width) of one image as stored, from its header.

        Raises:
            CorruptImageError: the image cannot be read.
        """
        return image_size(self._fetch(position), self.source.name(position))

    def _fetch(self, position: int) -> bytes:
        try:
            return self.source.fetch(position)
        except OSError as error:
            raise CorruptImageError(self.source.name(position), error.strerror or error) from error

    def checksum(self) -> str:
        """Return a SHA-256 over names, sizes, labels, and the bytes of 64 images spread over the set.

        Of all images where these 64 have one length: uncompressed images of one size are not told apart by theirs.
        """
        digest = hashlib.sha256(self.source.identity())
        if self.labels is not None:
            digest.update(self.labels.tobytes())
        chosen = sorted({i * len(self) // _SAMPLED for i in range(_SAMPLED)}) if len(self) else []
        found = [self._length_and_digest(position) for position in chosen]
        if len({length for length, _ in found}) == 1:
            found = [self._length_and_digest(position) for position in range(len(self))]
        for _, of_image in found:
            digest.update(of_image)
        return digest.hexdigest()

    def _length_and_digest(self, position: int) -> tuple[int, bytes]:
        try:
            data = self.source.fetch(position)
        except OSError:  # reported when the image is read, which skip_corrupt may allow
            data = b""
        return len(data), hashlib.sha256(data).digest()

    def _sizes_differ(
        self, position: int, shape: tuple[int, ...], other: int, expected: tuple[int, ...]
    ) -> RobenchError:
        return RobenchError(
            f"{self.source.name(position)} is {shape[0]} x {shape[1]} pixels, but {self.source.name(other)} is"
            f" {expected[0]} x {expected[1]}; one batch needs one size.",
            hint="Set `resize` and `crop`.",
        )


_lock = threading.Lock()
_shared: dict[int, ThreadPoolExecutor] = {}


def _pool() -> ThreadPoolExecutor:
    """Return this process's decoding threads (made anew after a fork)."""
    with _lock:
        if os.getpid() not in _shared:
            _shared.clear()
            _shared[os.getpid()] = ThreadPoolExecutor(max(2, cores()), thread_name_prefix="robench-decode")
        return _shared[os.getpid()]


def are_jpeg(images: Images) -> bool:
    """Whether images are kept as JPEG, which loses detail: by the leading bytes of the first one."""
    return isinstance(images, EncodedImages) and len(images) > 0 and images.source.fetch(0).startswith(b"\xff\xd8\xff")
