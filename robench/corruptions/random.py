"""Random numbers by counter: what is drawn for an image depends on nothing but its own names and number.

Philox-4x32-10 (Salmon et al. 2011): the key is a digest of the seed and labels, the counter is (image index, draw,
position). The same numbers come out in every batch, order, process and on every device.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np
import numpy.typing as npt
import torch

_MASK = 0xFFFFFFFF
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10


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
        index = torch.as_tensor(index, dtype=torch.int64)
        self.device = torch.device(device) if device is not None else index.device
        self._index = index.to(self.device)
        text = "\x1f".join(f"{type(part).__name__}:{part}" for part in (seed, *labels))
        hashed = hashlib.blake2b(text.encode(), digest_size=8).digest()
        self._key = (int.from_bytes(hashed[:4], "little"), int.from_bytes(hashed[4:], "little"))

    def uniform(self, draw: int, shape: tuple[int, ...] = ()) -> torch.Tensor:
        """Return float32 (N, *shape) in [0, 1), multiples of 2**-24."""
        return (self._bits(draw, shape) >> 8).float() * 2.0**-24

    def normal(self, draw: int, shape: tuple[int, ...] = ()) -> torch.Tensor:
        """Return standard normal float32 (N, *shape) by Box and Muller's method."""
        words = self._words(draw, math.prod(shape), pairs=True)
        radius = (-2.0 * torch.log(((words[..., 0] >> 8).double() + 1.0) * 2.0**-24)).sqrt()
        angle = (words[..., 1] >> 8).double() * (2.0 * math.pi * 2.0**-24)
        both = torch.stack([radius * angle.cos(), radius * angle.sin()], dim=-1).float()
        flat = both.reshape(len(self._index), -1)[:, : math.prod(shape)]
        return flat.reshape(len(self._index), *shape)

    def integers(self, draw: int, low: int, high: int, shape: tuple[int, ...] = ()) -> torch.Tensor:
        """Return int64 (N, *shape) in [low, high); the bias is below (high - low) / 2**32."""
        return low + ((self._bits(draw, shape) * (high - low)) >> 32)

    def _bits(self, draw: int, shape: tuple[int, ...]) -> torch.Tensor:
        count = math.prod(shape)
        words = self._words(draw, count, pairs=False)
        return words.reshape(len(self._index), -1)[:, :count].reshape(len(self._index), *shape)

    def _words(self, draw: int, count: int, *, pairs: bool) -> torch.Tensor:
        """Return 32-bit words as int64: (N, blocks, 4), or (N, 2 * blocks, 2) for pairs."""
        blocks = -(-count // 4)
        n = len(self._index)
        position = torch.arange(blocks, device=self.device).expand(n, blocks)
        index = self._index.view(n, 1).expand(n, blocks)
        counter = [index & _MASK, (index >> 32) & _MASK, position, torch.full_like(position, draw & _MASK)]
        words = torch.stack(_philox(counter, self._key), dim=-1)
        return words.reshape(n, 2 * blocks, 2) if pairs else words


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
