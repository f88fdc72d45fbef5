"""Brings a drawn texture to the statistics of a photograph: colours, histogram, spectrum, and how contrast varies.

A photograph of frost is described by a few hundred numbers (``frost_statistics.json``), from which no pixel of it can
be restored; a drawing is then changed until its numbers are the same. In turns:

* **contrast**: the local contrast at three scales gets the photograph's quantiles;
* **spectrum**: every octave of spatial frequency, in three directions, gets its power, in each of three colours that
  vary independently;
* **histogram**: every channel gets its quantiles.

Pixels in the middle count more, by how often a random square crop of half the height covers them, since that is how
frost is laid over images. After Heeger and Bergen 1995 (histograms of bands) and Portilla and Simoncelli 2000 (local
energies), much simplified.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

ROUNDS = 4
DIRECTIONS = 3
_EDGES = np.array([0.0, *(2.0**-k for k in range(9, 0, -1)), 1.0])  # of the octaves, in cycles per pixel
_OCTAVES = len(_EDGES) - 1
# Where an octave's gain holds exactly, as a power of two; between two of them it is interpolated.
_CENTRES = np.array([-9.6, *(np.log2(_EDGES[1:-2] * _EDGES[2:-1]) / 2), -0.75])
_QUANTILES = (0, 0.5, 2, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 98, 99.5, 100)
_CONTRAST_QUANTILES = (1, 5, 15, 30, 50, 70, 85, 95, 99)
_SCALES = (1, 3, 9)  # by which the image is shrunk before its local contrast is taken
_BLUR = 3.0
_SAMPLES = 20_000  # pixels that quantiles are taken of


@dataclass(frozen=True)
class Statistics:
    """What is known of a photograph.

    Attributes:
        size: height and width.
        mean: of the channels, float64 (3,).
        basis: colours that vary independently, as columns, the strongest first, float64 (3, 3).
        power: root of each octave's power in each direction, float64 (3 colours, octaves x directions).
        histogram: quantiles of the channels, float64 (3, 17).
        contrast: quantiles of the local contrast of the first colour, float64 (3 scales, 9).
    """

    size: tuple[int, int]
    mean: Floats
    basis: Floats
    power: Floats
    histogram: Floats
    contrast: Floats

    def document(self) -> dict[str, Any]:
        """Return the numbers, rounded to what matters, as a JSON-able document."""
        numbers = {name: getattr(self, name) for name in ("mean", "basis", "power", "histogram", "contrast")}
        rounded = {name: np.round(value, 4 if name == "basis" else 2).tolist() for name, value in numbers.items()}
        return {"size": list(self.size), **rounded}


@cache
def known() -> tuple[Statistics, ...]:
    """Return the statistics of the original generator's four different frost images."""
    text = (files("robench.corruptions") / "frost_statistics.json").read_text(encoding="utf-8")
    return tuple(
        Statistics(tuple(row.pop("size")), **{name: np.array(value) for name, value in row.items()})
        for row in json.loads(text)
    )


def measure(image: npt.NDArray[np.uint8]) -> Statistics:
    """Return the statistics of an image, uint8 (H, W, 3)."""
    height, width = image.shape[:2]
    weight = _weight(height, width)
    mean = np.tensordot(weight, image, axes=2).astype(np.float64)
    apart = image - mean
    _, vectors = np.linalg.eigh(np.einsum("hw,hwc,hwd->cd", weight, apart, apart))
    basis = vectors[:, ::-1] * np.where(vectors[:, ::-1].sum(axis=0) < 0, -1.0, 1.0)
    planes = [(apart @ basis[:, k]).astype(np.float32) for k in range(3)]
    power = np.stack([_power(plane) for plane in planes])
    histogram = np.stack([_quantiles(image[..., c].astype(np.float32), _QUANTILES) for c in range(3)])
    contrast = [_quantiles(_local_contrast(planes[0], scale)[1], _CONTRAST_QUANTILES) for scale in _SCALES]
    return Statistics((height, width), mean, basis, power, histogram, np.stack(contrast))


def match(planes: list[Plane], wanted: Statistics) -> npt.NDArray[np.uint8]:
    """Return an image with these statistics.

    Args:
        planes: three drawings, float32 (H, W) of the wanted size, one for each independent colour.
        wanted: the statistics.

    Returns:
        uint8 (H, W, 3), RGB.
    """
    basis, mean = wanted.basis.astype(np.float32), wanted.mean.astype(np.float32)
    image = np.empty((*wanted.size, 3), np.float32)
    for _ in range(ROUNDS):
        planes = [_with_contrast(planes[0], wanted.contrast), *planes[1:]]
        planes = [_with_power(plane, power) for plane, power in zip(planes, wanted.power, strict=True)]
        image = np.stack(planes, axis=-1) @ basis.T + mean
        for c in range(3):
            own = _quantiles(image[..., c], _QUANTILES) + 1e-4 * np.arange(len(_QUANTILES))
            image[..., c] = np.interp(image[..., c], own, wanted.histogram[c])
        planes = list(np.moveaxis((image - mean) @ basis, -1, 0))
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


@lru_cache(maxsize=4)
def _weight(height: int, width: int) -> Floats:
    """Return how often a random square crop of half the height covers each pixel, float64 (H, W), summing to 1."""
    crop = height // 2

    def covered(side: int) -> Floats:
        place = np.arange(side)
        count = np.minimum(np.minimum(place + 1, side - place), min(crop, side - crop + 1))
        return count / count.sum()

    return np.outer(covered(height), covered(width))


@lru_cache(maxsize=4)
def _bands(height: int, width: int) -> tuple[npt.NDArray[np.int64], Plane]:
    """Return each cosine's octave and direction as one number, int64 (H, W), and its frequency as a power of two."""
    down, across = np.arange(height)[:, None] / (2 * height), np.arange(width)[None, :] / (2 * width)
    frequency = np.hypot(down, across)
    octave = np.clip(np.searchsorted(_EDGES, frequency, side="right") - 1, 0, _OCTAVES - 1)
    direction = np.minimum((np.arctan2(down, across) * (DIRECTIONS / (np.pi / 2))).astype(np.int64), DIRECTIONS - 1)
    return octave * DIRECTIONS + direction, np.log2(np.maximum(frequency, 1e-4)).astype(np.float32)


def _power(plane: Plane) -> Floats:
    """Return the root of the power in every octave and direction, of the weighted plane."""
    from scipy.fft import dctn

    weight = _weight(*plane.shape)
    centred = (plane - (plane * weight).sum()) * np.sqrt(weight)
    power = dctn(centred.astype(np.float32), norm="ortho") ** 2
    return np.sqrt(np.bincount(_bands(*plane.shape)[0].ravel(), power.ravel(), _OCTAVES * DIRECTIONS))


def _with_power(plane: Plane, wanted: Floats) -> Plane:
    """Return the plane with these powers and a weighted mean of 0."""
    from scipy.fft import dctn, idctn

    band, frequency = _bands(*plane.shape)
    gain = np.clip(wanted / np.maximum(_power(plane), 1e-6), 1e-3, 20.0)
    curve = np.log(gain).reshape(_OCTAVES, DIRECTIONS)
    gains = np.empty(plane.shape, np.float32)
    for direction in range(DIRECTIONS):
        here = band % DIRECTIONS == direction
        gains[here] = np.exp(np.interp(frequency[here], _CENTRES, curve[:, direction]))
    shaped = idctn(dctn(plane - plane.mean(), norm="ortho") * gains, norm="ortho").astype(np.float32)
    return np.asarray(shaped - (shaped * _weight(*plane.shape)).sum(), np.float32)


def _local_contrast(plane: Plane, scale: int) -> tuple[Plane, Plane]:
    """Return the plane's soft part at a scale, and the root mean square of the rest around each pixel."""
    soft = _softened(plane, scale)
    rest = plane - soft
    return soft, np.sqrt(np.maximum(_softened(rest * rest, scale), 0)) + np.float32(1e-3)


def _softened(plane: Plane, scale: int) -> Plane:
    """Blur by three pixels of the image shrunk ``scale`` times."""
    height, width = plane.shape
    if scale == 1:
        return np.asarray(cv2.GaussianBlur(plane, (0, 0), _BLUR), np.float32)
    shrunk = cv2.resize(plane, (-(-width // scale), -(-height // scale)), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(cv2.GaussianBlur(shrunk, (0, 0), _BLUR), (width, height)), np.float32)


def _with_contrast(plane: Plane, wanted: Floats) -> Plane:
    """Return the plane with these quantiles of its local contrast, at one scale after the other."""
    for scale, quantiles in zip(_SCALES, wanted, strict=True):
        soft, contrast = _local_contrast(plane, scale)
        own = _quantiles(contrast, _CONTRAST_QUANTILES) + 1e-5 * np.arange(len(_CONTRAST_QUANTILES))
        gain = np.clip(np.interp(contrast, own, quantiles) / contrast, 0.3, 3.0)
        plane = (soft + (plane - soft) * gain).astype(np.float32)
    return plane


def _quantiles(plane: Plane, percent: tuple[float, ...]) -> Floats:
    """Return weighted quantiles of a plane, taken of a grid of its pixels."""
    step = max(1, round(np.sqrt(plane.size / _SAMPLES)))
    values, weight = plane[::step, ::step].ravel(), _weight(*plane.shape)[::step, ::step].ravel()
    order = np.argsort(values, kind="stable")
    cumulative = np.cumsum(weight[order])
    place = np.searchsorted(cumulative, np.array(percent) / 100 * cumulative[-1])
    return values[order][np.minimum(place, len(values) - 1)].astype(np.float64)
