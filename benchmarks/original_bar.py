"""Runs the published generator of ImageNet-C-bar and CIFAR-10-C-bar on today's packages, with draws of ours.

The checkout is facebookresearch/augmentation-corruption. Its transforms draw their parameters in one method and apply
them in another, so that both sides can be given the same: what robench draws for an image is turned into the original's
parameters here, and the numbers that the original draws while it works are replayed from robench's. Nothing of the
original is kept in this repository.
"""

from __future__ import annotations

import importlib
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt
import torch

from robench.corruptions.cubic import ORDERS
from robench.corruptions.perlin import DRAWS, LATTICE
from robench.corruptions.random import Stream
from robench.corruptions.registered import parameters
from robench.corruptions.severities import table_size
from robench.corruptions.sparkles import RAYS, STARS, ray_counts

Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]
FOLDER = "imagenet_c_bar"
ANGLE = 2 * math.pi


@dataclass
class Drawn:
    """What robench draws for one image, in the original's terms.

    Args:
        parameters: those that ``sample_parameters`` returns, but for seeds and constants.
        uniform, normal: what the original draws while it works, in order, in [0, 1) or standard normal.
    """

    parameters: dict[str, Any]
    uniform: Floats = field(default_factory=lambda: np.empty(0))
    normal: Floats = field(default_factory=lambda: np.empty(0))


class Replayed:
    """A random state that gives numbers from lists."""

    def __init__(self, drawn: Drawn) -> None:
        self._uniform: Iterator[float] = iter(drawn.uniform)
        self._normal: Iterator[float] = iter(drawn.normal)

    def uniform(self, low: float = 0.0, high: float = 1.0, size: Any = None) -> Any:
        """Return the next numbers."""
        if size is None:
            return low + (high - low) * next(self._uniform)
        return low + (high - low) * np.array([next(self._uniform) for _ in range(math.prod(size))]).reshape(size)

    def randint(self, low: int = 0, high: int = 1, size: Any = None) -> Any:
        """Return the next whole numbers."""
        found = self.uniform(low, high, None if size is None else (size,))
        return int(found) if size is None else found.astype(np.int64)

    def randn(self) -> float:
        """Return the next normal number."""
        return next(self._normal)


class Generator:
    """The published transforms at one image size.

    Args:
        checkout: of facebookresearch/augmentation-corruption.
        side: in pixels, 32 or 224.

    Raises:
        SystemExit: the code is not there.
    """

    def __init__(self, checkout: Path, side: int) -> None:
        folder = checkout / FOLDER
        if not (folder / "corrupt.py").is_file():
            raise SystemExit(f"{folder} is missing: {checkout} is no checkout of augmentation-corruption.")
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
        np.int = int  # type: ignore[attr-defined]  # an alias that NumPy has dropped since
        self.transforms: dict[str, Any] = importlib.import_module("transform_finder").transform_dict
        self.side = side

    def transform(self, name: str, severity: int) -> Any:
        """Return the original's transform of a corruption at one severity, 1 to 5."""
        (strength,) = parameters(name, severity, table_size(self.side, self.side))
        return self.transforms[name](severity=strength, im_size=self.side)

    def images(self, name: str, images: Bytes, severity: int, seed: int) -> Bytes:
        """Return the original's images, uint8 (N, H, W, 3), with what robench draws for indices 0 to N - 1."""
        transform = self.transform(name, severity)
        found = []
        for row, image in enumerate(images):
            drawn = draws(name, severity, row, seed, self.side)
            usual = {key: value for key, value in transform.sample_parameters().items() if key not in drawn.parameters}
            with mock.patch.object(np.random, "RandomState", lambda seed, drawn=drawn: Replayed(drawn)):
                found.append(transform.transform(image, **usual, **drawn.parameters))
        return np.stack(found)


def draws(name: str, severity: int, row: int, seed: int, side: int) -> Drawn:
    """Return what robench draws for the image of this index."""
    stream = Stream(seed, "corrupt", name, severity, index=torch.tensor([row]))

    def uniform(count: int, draw: int = 0) -> Floats:
        return stream.uniform(draw, (count,))[0].double().numpy()

    if name in _BY_STRENGTH:
        (strength,) = parameters(name, severity, table_size(side, side))
        return _BY_STRENGTH[name](uniform, side, strength)
    return _DRAWS[name](uniform, stream, side)


Uniform = Callable[..., Floats]


def _single_frequency(uniform: Uniform, stream: Stream, side: int) -> Drawn:
    u = uniform(4)
    first = (2 * u[0] - 1) * math.pi
    second = (2 * u[1] - 1) * abs(first)
    frequencies = [second, first] if u[2] < 0.5 else [first, second]
    return Drawn({"freq": np.array(frequencies), "phase": ANGLE * u[3]})


def _rings(uniform: Uniform, stream: Stream, side: int) -> Drawn:
    u = uniform(5)
    ring = {"amplitude": side / 10 * u[3], "ring_width": side / 10 * (1 - u[4])}
    return Drawn({"offset": side * u[:2], "freq": 10 * u[2], **ring})


def _plasma(uniform: Uniform, stream: Stream, side: int) -> Drawn:
    u = uniform(4)
    scale = (0.075 + 0.125 * u[3]) * side
    return Drawn(
        {"time": 3 * ANGLE * u[0], "iterations": 4 + int(3 * u[1]), "sharpness": 0.5 + u[2] / 2, "scale": scale}
    )


def _sparkles(uniform: Uniform, stream: Stream, side: int) -> Drawn:
    u = uniform(3 * STARS)
    rays = ray_counts(u[2 * STARS :])
    noise = stream.row_normal(0, 1, (STARS, RAYS[1] - 1)).astype(np.float64)
    lengths = np.concatenate([star[:count] for star, count in zip(noise, rays, strict=True)])
    return Drawn({"centers": u[: 2 * STARS].reshape(STARS, 2) * side, "nrays": rays}, normal=lengths)


def _inverse_sparkles(uniform: Uniform, stream: Stream, side: int) -> Drawn:
    u = uniform(3)
    noise = stream.row_normal(0, 1, (1, RAYS[1] - 1)).astype(np.float64)[0]
    return Drawn({"center": (0.25 + 0.5 * u[:2]) * side, "rays": int(ray_counts(u[2:])[0])}, normal=noise)


def _perlin(uniform: Uniform, stream: Stream, side: int) -> Drawn:
    u = stream.row_uniform(0, 0, (DRAWS,)).astype(np.float64)
    # Pairs of whole numbers below 2**31 whose remainders by 512 are ours; of 514, all but 256 are overwritten.
    unused = np.full(2 * (LATTICE + 2), 0.25)
    remainders = np.floor(u[: 2 * LATTICE] * 2 * LATTICE)
    exchanged = np.floor(u[2 * LATTICE :] * LATTICE)
    return Drawn({}, uniform=np.concatenate([(remainders + 0.5) / 2**31, unused, (exchanged + 0.5) / 2**31]))


def _spectrum(layers: int) -> Callable[[Uniform, Stream, int], Drawn]:
    def drawn(uniform: Uniform, stream: Stream, side: int) -> Drawn:
        count = side * (side // 2)
        return Drawn({}, uniform=np.concatenate([stream.row_uniform(0, draw, (count,)) for draw in range(layers)]))

    return drawn


def _board(uniform: Uniform, stream: Stream, side: int) -> Drawn:
    u = uniform(2)
    field = max((0.1 + 0.15 * u[1]) * side, 1.0)
    count = int(4 * side // field)
    grid = stream.row_uniform(0, 1, (count, count)).astype(np.float64).ravel()
    return Drawn({"angle": ANGLE * u[0], "scales": (field, field)}, uniform=grid)


def _lines(uniform: Uniform, stream: Stream, side: int) -> Drawn:
    u = uniform(2)
    each = stream.row_uniform(0, 1, (side, 3)).astype(np.float64).ravel()
    return Drawn({"angle": ANGLE * u[0], "angle_variation": 0.1 + 0.9 * u[1]}, uniform=each)


def _caustic(uniform: Uniform, stream: Stream, side: int) -> Drawn:
    u = uniform(2)
    return Drawn({"time": 0.5 + 1.5 * u[0], "size": (0.75 + 0.5 * u[1]) * side})


def _ripple(uniform: Uniform, stream: Stream, side: int) -> Drawn:
    u = uniform(4)
    return Drawn({"wavelengths": (0.1 + 0.2 * u[:2]) * side, "phases": ANGLE * u[2:]})


def _twirl(uniform: Uniform, side: int, strength: float) -> Drawn:
    along = 5 if side == 224 else 3
    signs = np.where(uniform(along * along) < 0.5, 1.0, -1.0).reshape(along, along)
    return Drawn({"angles": signs * (strength * (math.pi / 2) / 10)})


def _chromatic(uniform: Uniform, side: int, strength: float) -> Drawn:
    scale = strength * 0.5 / 10
    order = ORDERS[int(len(ORDERS) * uniform(1)[0])]
    return Drawn({"scales": np.array([1.0, 1.0 + scale / 2, 1.0 + scale])[list(order)]})


def _nothing(uniform: Uniform, stream: Stream, side: int) -> Drawn:
    return Drawn({})


_DRAWS: dict[str, Callable[[Uniform, Stream, int], Drawn]] = {
    "single_frequency_greyscale": _single_frequency,
    "cocentric_sine_waves": _rings,
    "plasma_noise": _plasma,
    "sparkles": _sparkles,
    "inverse_sparkles": _inverse_sparkles,
    "perlin_noise": _perlin,
    "blue_noise_sample": _spectrum(1),
    "brownish_noise": _spectrum(3),
    "checkerboard_cutout": _board,
    "lines": _lines,
    "caustic_refraction": _caustic,
    "ripple": _ripple,
    "circular_motion_blur": _nothing,
}
_BY_STRENGTH: dict[str, Callable[[Uniform, int, float], Drawn]] = {
    "pinch_and_twirl": _twirl,
    "transverse_chromatic_abberation": _chromatic,
}
