"""DeepAugment's random distortions of EDSR: its weights, and the signal within it.

The list is that of ``EDSR_distort_imagenet.py`` in hendrycks/imagenet-r, with two of its defects kept because the
published images were made with them: a channel "swap" copies one channel over the other, and when blocks are skipped
only the last one that is not skipped acts. Block numbers are for 16 blocks; a shorter network takes them modulo.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional

from robench.training.networks.edsr import BODY_SPLIT, EDSR

Weights = dict[str, torch.Tensor]
_LAPLACIAN = ((0.0, 1.0, 0.0), (1.0, -4.0, 1.0), (0.0, 1.0, 0.0))
_SHARP = ((-1.0, -1.0, -1.0), (-1.0, 8.0, -1.0), (-1.0, -1.0, -1.0))


class WeightDistortion:
    """One set of distorted weights: three of the seventeen options, drawn with replacement.

    Args:
        weights: the network's parameters; copied.
        blocks: residual blocks of the network.
        random: numpy generator; everything drawn comes from it.
    """

    COUNT = 17

    def __init__(self, weights: Weights, blocks: int, random: np.random.Generator) -> None:
        self.weights = {name: value.clone() for name, value in weights.items()}
        self._blocks, self._random = blocks, random
        self._options: tuple[Callable[[], None], ...] = (
            self._flip_filters, self._negate, self._zero, self._gelu, self._laplacian, self._sharpen,
            self._scale, self._mirror, self._shift_taps, self._noise_kernels, self._dirichlet_kernels,
            self._add_noise, self._rotate, self._sign_mask, self._keep_mask, self._negate_filters, self._largest_tap,
        )  # fmt: skip

    def apply(self, option: int) -> None:
        """Distort by one option, 0 to 16."""
        self._options[option]()

    def draw(self) -> Weights:
        """Distort by three random options and return the weights."""
        for option in self._random.integers(0, self.COUNT, 3):
            self.apply(int(option))
        return self.weights

    def _block(self, numbers: range) -> int:
        return int(self._random.choice(list(numbers))) % self._blocks

    def _name(self, block: int, conv: int, kind: str = "weight") -> str:
        return f"body.{block}.body.{2 * (conv - 1)}.{kind}"

    def _change(self, name: str, change: Callable[[torch.Tensor], torch.Tensor]) -> None:
        self.weights[name] = change(self.weights[name])

    def _rand(self, like: torch.Tensor) -> torch.Tensor:
        numbers = self._random.random(tuple(like.shape), dtype=np.float32)
        return torch.from_numpy(numbers).to(like.device)

    def _flip_filters(self) -> None:
        block = self._block(range(0, 10, 3))
        for conv in (1, 2):
            for kind in ("weight", "bias"):
                self._change(self._name(block, conv, kind), lambda w: w.flip(0))

    def _negate(self) -> None:
        block = self._block(range(1, 10, 3))
        for kind in ("weight", "bias"):
            self._change(self._name(block, 1, kind), torch.neg)

    def _zero(self) -> None:
        block = self._block(range(0, 10, 3))
        for kind in ("weight", "bias"):
            self._change(self._name(block, 1, kind), torch.zeros_like)

    def _gelu(self) -> None:
        block = self._block(range(0, 10, 3))
        for conv in (1, 2):
            self._change(self._name(block, conv), lambda w: -functional.gelu(w))

    def _times(self, kernel: tuple[tuple[float, ...], ...]) -> None:
        name = self._name(self._block(range(0, 10, 3)), 1)
        self._change(name, lambda w: w * torch.tensor(kernel, device=w.device).view(1, 1, 3, 3))

    def _laplacian(self) -> None:
        self._times(_LAPLACIAN)

    def _sharpen(self) -> None:
        self._times(_SHARP)

    def _scale(self) -> None:
        name = self._name(self._block(range(0, 10, 3)), 2)
        u = float(self._random.random())
        self._change(name, lambda w: w * (1.0 + 2.0 * u * 2.0 * self._rand(w)))

    def _mirror(self) -> None:
        block = self._block(range(0, 10, 3))
        self._change(self._name(block, 1), lambda w: w.flip(-1))
        self._change(self._name(block, 2), torch.neg)

    def _shift_taps(self) -> None:
        name = self._name(self._block(range(1, 13, 4)), 1)
        kernel = torch.zeros_like(self.weights[name])
        for channel in range(kernel.shape[0]):
            y, x = self._random.integers(0, 3, 2)
            kernel[:, channel, y, x] = float(self._random.choice([1.0, -1.0]))
        self._change(name, lambda w: functional.conv2d(w, kernel, padding=1))

    def _noise_kernels(self) -> None:
        name = self._name(self._block(range(0, 10, 3)), 1)
        u = float(self._random.random())
        kernel = (2.0 * self._rand(self.weights[name]) * u - 1.0) / 6.0
        self._change(name, lambda w: functional.conv2d(w, kernel, padding=1))

    def _dirichlet_kernels(self) -> None:
        name = self._name(self._block(range(1, 12, 4)), 2)
        shape = self.weights[name].shape
        drawn = self._random.dirichlet([0.1] * 9, (shape[0], shape[1])).astype(np.float32)
        kernel = torch.from_numpy(drawn).view(shape).to(self.weights[name].device)
        self._change(name, lambda w: functional.conv2d(w, kernel, padding=1))

    def _add_noise(self) -> None:
        self._change(self._name(self._block(range(15)), 2), lambda w: w + self._rand(w) - 0.5)

    def _rotate(self) -> None:
        for _ in range(5):
            name = self._name(self._block(range(15)), int(self._random.integers(1, 3)))
            turns = int(self._random.integers(1, 4))
            axes = (2, 3) if self._random.random() < 0.5 else (0, 1)
            self._change(name, lambda w, k=turns, d=axes: torch.rot90(w, k, d))  # type: ignore[misc]

    def _sign_mask(self) -> None:
        for _ in range(5):
            self._change(self._name(self._block(range(15)), 1), lambda w: w * (self._rand(w).round() * 2 - 1))

    def _keep_mask(self) -> None:
        for _ in range(5):
            self._change(self._name(self._block(range(15)), 1), lambda w: w * self._rand(w).round())

    def _negate_filters(self) -> None:
        for _ in range(5):
            name = self._name(self._block(range(15)), 1)
            filters = np.unique(self._random.integers(0, len(self.weights[name]), 32))
            self.weights[name][torch.from_numpy(filters)] *= -1.0

    def _largest_tap(self) -> None:
        for _ in range(5):
            name = self._name(self._block(range(15)), int(self._random.integers(1, 3)))
            self._change(name, _keep_largest_tap)


def _keep_largest_tap(weight: torch.Tensor) -> torch.Tensor:
    flat = weight.flatten(2)
    top = flat.topk(1, dim=2)
    return torch.zeros_like(flat).scatter(2, top.indices, top.values).view_as(weight)


def distorted_forward(
    net: EDSR, x: torch.Tensor, random: np.random.Generator, early: int | None = None, middle: int | None = None
) -> torch.Tensor:
    """Run EDSR with one distortion after the head and one in the middle of the body.

    Args:
        net: with distorted weights already.
        x: images in [0, 1].
        random: numpy generator.
        early: 1 channel copies, 2 zero mask, 3 sign mask, 4 nothing; None: drawn.
        middle: 1 negate, 2 activation, 3 flips, 4 skipped blocks, 5 nothing; None: drawn.

    Returns:
        images ``scale`` times as large, clamped to [0, 1].
    """
    early = int(random.integers(1, 5)) if early is None else early
    middle = int(random.integers(1, 6)) if middle is None else middle
    features = _early(net.encode(x), early, random)
    residual = _middle(net, features, middle, random)
    return net.decode(features + residual).clamp(0.0, 1.0)


def _early(features: torch.Tensor, option: int, random: np.random.Generator) -> torch.Tensor:
    if option == 1:
        features = features.clone()
        for first, second in random.integers(0, features.shape[1], (5, 2)):
            features[:, int(first)] = features[:, int(second)]
    elif option in (2, 3):
        numbers = torch.from_numpy(random.random(tuple(features.shape), dtype=np.float32)).to(features.device)
        features = features * ((numbers + 0.45).round() if option == 2 else (numbers + 0.475).round() * 2 - 1)
    return features


def _middle(net: EDSR, features: torch.Tensor, option: int, random: np.random.Generator) -> torch.Tensor:
    if option == 4:
        skipped = set(random.integers(2, 17, 3).tolist())
        kept = [part for number, part in enumerate(net.body) if number not in skipped]
        return kept[-1](features)
    first, rest = net.body[:BODY_SPLIT], net.body[BODY_SPLIT:]
    residual = first(features)
    chance = random.random() < 1.0 / 3.0
    if option == 1:
        residual = -residual
    elif option == 2:
        residual = residual.relu() if chance else functional.gelu(residual)
    elif option == 3:
        residual = residual.flip([1, 2] if chance else [1, 3])
    return rest(residual)
