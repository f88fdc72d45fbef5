"""Frost images: built-in textures, or the original generator's six from a folder of the user's.

The original (hendrycks/robustness) draws ``randint(5)``, so that its sixth frost image is never laid over an image; the
same holds here. They are scaled by 0.2 for the parameters of 32 pixels and by 0.3 for those of 64.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from os import PathLike
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch

from robench import cpu
from robench.corruptions import frost_first, frost_textures
from robench.corruptions.perturbations import preset
from robench.corruptions.random import Stream
from robench.errors import RobenchError

FILES = {
    "frost1.png": "ff9f9078",
    "frost2.png": "fe211a89",
    "frost3.png": "2d0d50b4",
    "frost4.jpg": "3f8b91ca",
    "frost5.jpg": "5fc6a19d",
}
"""The images that the original draws from, with the first eight digits of their SHA-256."""

FIRST = "robench:1"
"""In place of a folder: the first built-in textures, which the embedded digits keep."""

SCALES = {32: 0.2, 64: 0.3, 224: 1.0}
Frost = npt.NDArray[np.uint8]


def overlays(stream: Stream, size: tuple[int, int], folder: str | PathLike[str] | None = None) -> torch.Tensor:
    """Return a crop of a frost image for every image, uint8 (N, 3, H, W), on the host.

    Args:
        stream: draw 0 the frost image, draw 1 the place of the crop.
        size: height and width of the crop.
        folder: with the original's images; None: built-in textures, :data:`FIRST`: the first of them.

    Raises:
        RobenchError: an image is missing or another one, or ``size`` is larger than the frost images.
    """
    height, width = size
    flat, places = crops(stream, size, folder)
    layer = np.empty((len(places), 3, height, width), np.uint8)
    for row, (start, step, plane) in enumerate(places.tolist()):  # one slice per image
        shape, strides = (3, height, width), (plane, step, 1)
        layer[row] = np.lib.stride_tricks.as_strided(flat[start:], shape, strides, writeable=False)
    return torch.from_numpy(layer)


def crops(
    stream: Stream, size: tuple[int, int], folder: str | PathLike[str] | None = None
) -> tuple[Frost, npt.NDArray[np.int64]]:
    """Return where the crop for every image lies.

    Args:
        stream: draw 0 the frost image, draw 1 the place of the crop.
        size: height and width of the crop.
        folder: with the original's images; None: built-in textures, :data:`FIRST`: the first of them.

    Returns:
        uint8, all frost images (3, H, W) one after another in one row; int64 (N, 3): where an image's crop begins in
        it, and how far its rows and planes are apart.

    Raises:
        RobenchError: as :func:`overlays`.
    """
    height, width = size
    flat, shapes, starts = _larger_than(size, None if folder is None else str(folder))
    drawn = stream.on_host()
    chosen = drawn.integers(0, 0, len(shapes)).numpy()
    place = drawn.uniform(1, (2,)).double().numpy()
    rows, columns = shapes[chosen].T
    top, left = (place[:, 0] * (rows - height)).astype(np.int64), (place[:, 1] * (columns - width)).astype(np.int64)
    return flat, np.stack([starts[chosen] + top * columns + left, columns, rows * columns], axis=1)


def _larger_than(
    size: tuple[int, int], folder: str | None
) -> tuple[Frost, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the frost images at the scale of this size; built-in ones at the next one where they would be too small.

    Raises:
        RobenchError: the image is not smaller than the frost images.
    """
    usual = SCALES[preset(max(size))]
    for scale in [usual] if folder is not None else sorted(one for one in SCALES.values() if one >= usual):
        found = load(folder, scale)
        smallest = found[1].min(axis=0)
        if smallest[0] > size[0] and smallest[1] > size[1]:
            return found
    raise RobenchError(
        f"frost takes images smaller than the frost images ({smallest[0]} x {smallest[1]} at this scale); "
        f"found {size[0]} x {size[1]}.",
        hint="Resize and crop the images to 224 first.",
    )


@lru_cache(maxsize=8)
def load(folder: str | None, scale: float) -> tuple[Frost, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the five frost images, RGB, scaled bilinearly by OpenCV.

    Returns:
        uint8, all images (3, H, W) one after another in one row; int64 (5, 2): their heights and widths; int64 (5,):
        where each begins.
    """
    if folder is None or folder == FIRST:
        textures = frost_textures if folder is None else frost_first
        with ThreadPoolExecutor(cpu.threads()) as pool:  # up to two seconds each
            found = list(pool.map(textures.texture, range(textures.COUNT)))
    else:
        found = _original(folder)
    if scale != 1.0:
        found = [cv2.resize(one, (0, 0), fx=scale, fy=scale).astype(np.uint8) for one in found]
    shapes = np.array([one.shape[:2] for one in found], np.int64)
    lengths = 3 * shapes.prod(axis=1)
    flat = np.concatenate([one.transpose(2, 0, 1).ravel() for one in found])
    return flat, shapes, np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64)


def describe(frost: str | PathLike[str] | None = None) -> dict[str, Any]:
    """Return a JSON-able record of which frost images ``frost`` stands for.

    Raises:
        RobenchError: the folder lacks an image or holds another one under its name.
    """
    if frost is None or frost == FIRST:
        return {"pictures": "robench", "version": (frost_textures if frost is None else frost_first).VERSION}
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in _files(str(frost))}
    return {"pictures": "hendrycks/robustness", "sha256": digests}


def _files(folder: str) -> list[Path]:
    """Return the five images' paths after checking that they are the original's."""
    paths = [Path(folder) / name for name in FILES]
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise RobenchError(
            f"{folder} lacks {', '.join(missing)} of the original's frost images.",
            hint="They lie in ImageNet-C/create_c of github.com/hendrycks/robustness; or omit the folder.",
        )
    for path in paths:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if not found.startswith(FILES[path.name]):
            raise RobenchError(
                f"{path} is not the original's image: expected SHA-256 {FILES[path.name]}..., found {found[:8]}...",
                hint="Get it again from ImageNet-C/create_c of github.com/hendrycks/robustness.",
            )
    return paths


def _original(folder: str) -> list[Frost]:
    found = []
    for path in _files(folder):
        image = cv2.imread(str(path))
        if image is None:
            raise RobenchError(f"{path} cannot be decoded.", hint="Get it again.")
        found.append(image[..., ::-1].astype(np.uint8))
    return found
