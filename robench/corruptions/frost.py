"""Pictures of frost: textures of our own, or the original generator's six from a folder of the user's.

The original (hendrycks/robustness) draws ``randint(5)``, so that its sixth picture is never laid over an image; the
same holds here. Pictures are scaled by 0.2 for the parameters of 32 pixels and by 0.3 for those of 64.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from os import PathLike
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch

from robench.corruptions.frost_textures import VERSION, texture
from robench.corruptions.perturbations import preset
from robench.corruptions.random import Stream
from robench.errors import RobenchError

PICTURES = {
    "frost1.png": "ff9f9078",
    "frost2.png": "fe211a89",
    "frost3.png": "2d0d50b4",
    "frost4.jpg": "3f8b91ca",
    "frost5.jpg": "5fc6a19d",
}
"""The pictures that the original draws from, with the first eight digits of their SHA-256."""

SCALES = {32: 0.2, 64: 0.3, 224: 1.0}
Picture = npt.NDArray[np.uint8]


def overlays(stream: Stream, size: tuple[int, int], folder: str | PathLike[str] | None = None) -> torch.Tensor:
    """Return a crop of a picture of frost for every image, uint8 (N, 3, H, W), on the host.

    Args:
        stream: draw 0 the picture, draw 1 the place of the crop.
        size: height and width of the crop.
        folder: with the original's pictures; None: textures of our own.

    Raises:
        RobenchError: a picture is missing or another one, or ``size`` is larger than the pictures.
    """
    height, width = size
    scale = SCALES[preset(max(size))]
    pictures = load(None if folder is None else str(folder), scale)
    smallest = (min(p.shape[1] for p in pictures), min(p.shape[2] for p in pictures))
    if smallest[0] <= height or smallest[1] <= width:
        raise RobenchError(
            f"frost takes images smaller than its pictures ({smallest[0]} x {smallest[1]} at this scale); "
            f"found {height} x {width}.",
            hint="Resize and crop the images to 224 first.",
        )
    chosen = stream.integers(0, 0, len(pictures)).cpu().tolist()
    place = stream.uniform(1, (2,)).cpu().tolist()
    layer = np.empty((len(chosen), 3, height, width), np.uint8)
    for row, (number, (down, right)) in enumerate(zip(chosen, place, strict=True)):  # one slice an image
        picture = pictures[number]
        top, left = int(down * (picture.shape[1] - height)), int(right * (picture.shape[2] - width))
        layer[row] = picture[:, top : top + height, left : left + width]
    return torch.from_numpy(layer)


@lru_cache(maxsize=8)
def load(folder: str | None, scale: float) -> tuple[Picture, ...]:
    """Return the five pictures, uint8 (3, H, W) RGB, scaled as OpenCV does bilinearly."""
    pictures = [texture(i) for i in range(len(PICTURES))] if folder is None else _original(folder)
    if scale != 1.0:
        pictures = [cv2.resize(p, (0, 0), fx=scale, fy=scale).astype(np.uint8) for p in pictures]
    return tuple(np.ascontiguousarray(p.transpose(2, 0, 1)) for p in pictures)


def describe(frost: str | PathLike[str] | None = None) -> dict[str, Any]:
    """Return a JSON-able record of which pictures ``frost`` stands for.

    Raises:
        RobenchError: the folder lacks a picture or holds another one under its name.
    """
    if frost is None:
        return {"pictures": "robench", "version": VERSION}
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in _files(str(frost))}
    return {"pictures": "hendrycks/robustness", "sha256": digests}


def _files(folder: str) -> list[Path]:
    """Return the five pictures' paths after checking that they are the original's."""
    paths = [Path(folder) / name for name in PICTURES]
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise RobenchError(
            f"{folder} lacks {', '.join(missing)} of the original's frost pictures.",
            hint="They lie in ImageNet-C/create_c of github.com/hendrycks/robustness; or leave the folder out.",
        )
    for path in paths:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if not found.startswith(PICTURES[path.name]):
            raise RobenchError(
                f"{path} is not the original's picture: expected SHA-256 {PICTURES[path.name]}..., "
                f"found {found[:8]}...",
                hint="Fetch it again from ImageNet-C/create_c of github.com/hendrycks/robustness.",
            )
    return paths


def _original(folder: str) -> list[Picture]:
    pictures = []
    for path in _files(folder):
        picture = cv2.imread(str(path))
        if picture is None:
            raise RobenchError(f"{path} cannot be decoded.", hint="Fetch it again.")
        pictures.append(picture[..., ::-1].astype(np.uint8))
    return pictures
