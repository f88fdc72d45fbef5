"""Random numbers by counter: what is drawn for an image depends on nothing but its own names and number.

Philox-4x32-10 (Salmon et al. 2011): the key is a digest of the seed and labels, the counter is (image index, draw,
position). The same numbers come out in every batch, order, process and on every device.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from copy import copy
from functools import cache, cached_property

import numpy as np
import numpy.typing as npt
import torch

from robench.corruptions import _device, _gpu

_MASK = 0xFFFFFFFF
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10
# Below so many numbers, one thread: they take a fraction of a millisecond, and a team of threads that ends a loop waits
# for its slowest, which on a busy machine is the scheduler's next turn, some milliseconds later.
_FEW = 1 << 16
_MOST_OF_KERNELS = 1 << 30  # of one image: kernels count in 32 bits
Fill = Callable[..., None]


class Stream:
    """The random numbers of a batch of images for one purpose.

    Args:
        seed: of the whole run.
        labels: what the numbers are for, such as ``"corrupt", "snow", 3``.
        index: int64 (N,), the images' numbers.
        device: where the numbers are made; default: that of ``index``.
    """

    def __init__(
        self,
        seed: int,
        *labels: str | int,
        index: torch.Tensor | npt.NDArray[np.int64],
        device: torch.device | str | None = None,
    ) -> None:
        self._given = torch.as_tensor(index, dtype=torch.int64)
        self.device = torch.device(device) if device is not None else self._given.device
        # NumPy's whole numbers are the same key as Python's.
        parts = [f"str:{part}" if isinstance(part, str) else f"int:{int(part)}" for part in (seed, *labels)]
        text = "\x1f".join(parts)
        hashed = hashlib.blake2b(text.encode(), digest_size=8).digest()
        self._key = (int.from_bytes(hashed[:4], "little"), int.from_bytes(hashed[4:], "little"))

    @cached_property
    def _index(self) -> torch.Tensor:
        return self._given.to(self.device, non_blocking=True).contiguous()

    @cached_property
    def _host(self) -> npt.NDArray[np.int64]:
        return self._given.cpu().numpy()

    def on_host(self) -> Stream:
        """Return the stream of the same numbers, made on the CPU: for numbers that decide what is done there."""
        if self.device.type == "cpu":
            return self
        twin = copy(self)
        twin.device, twin._given = torch.device("cpu"), torch.from_numpy(self._host)
        twin.__dict__.pop("_index", None)
        return twin

    def _is_small(self, shape: tuple[int, ...]) -> bool:
        """Return whether a GPU's numbers are made on the CPU: a few are there sooner than a hundred kernels start."""
        return self.device.type == "cuda" and len(self._given) * math.prod(shape) <= _FEW and _device.host_has_loops()

    def _sent(self, numbers: torch.Tensor) -> torch.Tensor:
        return numbers.pin_memory().to(self.device, non_blocking=True)

    def uniform(self, draw: int, shape: tuple[int, ...] = ()) -> torch.Tensor:
        """Return float32 (N, *shape) in [0, 1), multiples of 2**-24."""
        made = self._by_kernel("uniform", draw, shape)
        if made is not None:
            return made
        if self._is_small(shape):
            return self._sent(self.on_host().uniform(draw, shape))
        if _device.has_loops(self.device):
            from robench.corruptions._kernels import fill_few_uniforms, fill_uniforms

            return self._filled(fill_few_uniforms, fill_uniforms, draw, shape)
        return (self._bits(draw, shape) >> 8).float() * 2.0**-24

    def normal(self, draw: int, shape: tuple[int, ...] = ()) -> torch.Tensor:
        """Return standard normal float32 (N, *shape), by a table of quantiles.

        The middle of the distribution is interpolated between 4,095 quantiles (its variance is 1 within 1e-5), each
        tail beyond 1 / 4,096 has 4,096 quantiles of its own and ends at 5.4 standard deviations. Two table look-ups
        are an order of magnitude cheaper than logarithm, root and cosine, and equal on every device.
        """
        made = self._by_kernel("normal", draw, shape)
        if made is not None:
            return made
        if self._is_small(shape):
            return self._sent(self.on_host().normal(draw, shape))
        if _device.has_loops(self.device):
            from robench.corruptions._kernels import fill_few_normals, fill_normals

            return self._filled(fill_few_normals, fill_normals, draw, shape, *quantile_tables())
        u = self._bits(draw, shape) >> 8
        middle, tail = (torch.from_numpy(table).to(self.device) for table in quantile_tables())
        place, rest = u >> 12, u & 0xFFF
        low = middle[place]
        inner = low + (rest.float() + 0.5) * (1.0 / 4096.0) * (middle[place + 1] - low)
        return torch.where(place == 0, tail[rest], torch.where(place == 4095, -tail[4095 - rest], inner))

    def integers(self, draw: int, low: int, high: int, shape: tuple[int, ...] = ()) -> torch.Tensor:
        """Return int64 (N, *shape) in [low, high); the bias is below (high - low) / 2**32."""
        made = self._by_kernel("integers", draw, shape, low, high - low)
        if made is not None:
            return made
        if self._is_small(shape):
            return self._sent(self.on_host().integers(draw, low, high, shape))
        return low + ((self._bits(draw, shape) * (high - low)) >> 32)

    def row_uniform(self, row: int, draw: int, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
        """Return what :meth:`uniform` has for one image, float32 of this shape, made by the calling thread."""
        from robench.corruptions._kernels import fill_few_uniforms

        return self._row(fill_few_uniforms, row, draw, shape)

    def row_normal(self, row: int, draw: int, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
        """Return what :meth:`normal` has for one image, float32 of this shape, made by the calling thread."""
        from robench.corruptions._kernels import fill_few_normals

        return self._row(fill_few_normals, row, draw, shape, *quantile_tables())

    @property
    def key(self) -> tuple[int, int]:
        """The two words that stand for seed and labels."""
        return self._key

    @property
    def index(self) -> torch.Tensor:
        """The images' numbers, int64 (N,), on the stream's device."""
        return self._index

    def index_array(self) -> npt.NDArray[np.int64]:
        """Return the images' numbers on the host."""
        return self._host

    def _row(
        self, fill: Fill, row: int, draw: int, shape: tuple[int, ...], *tables: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.float32]:
        count = math.prod(shape)
        flat = np.empty((1, -(-count // 4) * 4), np.float32)
        fill(self._host[row : row + 1], *self._key, draw & _MASK, *tables, flat)
        return flat[0, :count].reshape(shape)

    def _filled(
        self, few: Fill, many: Fill, draw: int, shape: tuple[int, ...], *tables: npt.NDArray[np.float32]
    ) -> torch.Tensor:
        """Return float32 (N, *shape) on the CPU, filled by one thread where that is quicker."""
        count = math.prod(shape)
        flat = np.empty((len(self._given), -(-count // 4) * 4), np.float32)
        fill = few if flat.size < _FEW else many
        fill(self.index_array(), *self._key, draw & _MASK, *tables, flat)
        return torch.from_numpy(flat[:, :count]).reshape(len(self._given), *shape)

    def _by_kernel(
        self, kind: str, draw: int, shape: tuple[int, ...], low: int = 0, span: int = 0
    ) -> torch.Tensor | None:
        """Return (N, *shape) made by one kernel on a GPU; None where there is none."""
        if not abs(low) < 1 << 31 or not 0 <= span < 1 << 32 or math.prod(shape) >= _MOST_OF_KERNELS:
            return None
        made = _gpu.attempt(self.device, "random.fill", self, draw, math.prod(shape), kind, low, span)
        return None if made is None else made.reshape(len(self._given), *shape)

    def _bits(self, draw: int, shape: tuple[int, ...]) -> torch.Tensor:
        count = math.prod(shape)
        words = self._words(draw, count)
        return words.reshape(len(self._given), -1)[:, :count].reshape(len(self._given), *shape)

    def _words(self, draw: int, count: int) -> torch.Tensor:
        """Return 32-bit words as int64 (N, blocks, 4)."""
        blocks = -(-count // 4)
        n = len(self._given)
        if _device.has_loops(self.device):
            from robench.corruptions._kernels import fill_few_words, fill_words

            filled = np.empty((n, blocks, 4), np.uint32)
            fill = fill_few_words if filled.size < _FEW else fill_words
            fill(self.index_array(), *self._key, draw & _MASK, filled)
            return torch.from_numpy(filled.astype(np.int64))
        position = torch.arange(blocks, device=self.device).expand(n, blocks)
        index = self._index.view(n, 1).expand(n, blocks)
        counter = [index & _MASK, (index >> 32) & _MASK, position, torch.full_like(position, draw & _MASK)]
        return torch.stack(_philox(counter, self._key), dim=-1)


@cache
def quantile_tables() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return the normal quantiles at i / 4096 (4,097 values, the ends unused) and of the lower tail (4,096 values)."""
    from scipy.special import ndtri

    middle = ndtri(np.arange(4097) / 4096.0)
    middle[0], middle[-1] = middle[1], middle[-2]
    tail = ndtri((np.arange(4096) + 0.5) * 2.0**-24)
    return middle.astype(np.float32), tail.astype(np.float32)


def _philox(counter: list[torch.Tensor], key: tuple[int, int]) -> list[torch.Tensor]:
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(_ROUNDS):
        # The product wraps in int64; its high half is right once the sign's copies are masked away.
        first, second = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        c0, c1, c2, c3 = (
            ((second >> 32) & _MASK) ^ c1 ^ k0,
            second & _MASK,
            ((first >> 32) & _MASK) ^ c3 ^ k1,
            first & _MASK,
        )
        k0, k1 = (k0 + _WEYL[0]) & _MASK, (k1 + _WEYL[1]) & _MASK
    return [c0, c1, c2, c3]
