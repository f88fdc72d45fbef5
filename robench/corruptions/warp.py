"""Warps with one matrix for a whole batch: Pillow's affine and OpenCV's perspective, pixel rules included."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from robench.compiled import compiled, prange
from robench.corruptions import _device

Matrix = npt.NDArray[np.float64]
_SUBPIXELS = 32
_LIFT = 1e-3


def affine_matrix(size: tuple[int, int], *, angle: float = 0.0, scale: float = 1.0, shear: float = 0.0) -> Matrix:
    """Return the 2 x 3 matrix from output to input coordinates that turns, scales and shears about the centre.

    Angles are in degrees, as ``torchvision.transforms.functional.affine`` takes them (its centre, half of the sides,
    too; the release that the published files were made with had it half a pixel further).
    """
    height, width = size
    turn, slant = math.radians(angle), math.radians(shear)
    rotation = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    back = np.linalg.inv(scale * rotation @ np.array([[1.0, -math.tan(slant)], [0.0, 1.0]]))
    centre = np.array([width * 0.5, height * 0.5])
    return np.column_stack([back, centre - back @ centre])


def affine(images: torch.Tensor, matrix: Matrix) -> torch.Tensor:
    """Warp uint8 images (N, C, H, W) by Pillow's bilinear rule: black outside, edges clamped within, truncated.

    Args:
        images: uint8 (N, C, H, W).
        matrix: 2 x 3, from output to input coordinates; pixel centres lie at halves.
    """
    # Pillow truncates; a flat area must keep its grey level although float32 weights do not quite sum to 1.
    return _blend(images, *_affine_places(images, matrix), _LIFT)


def affine_mean(images: torch.Tensor, matrix: Matrix, total: torch.Tensor, count: int) -> torch.Tensor:
    """Add warped images to a sum, and return the mean.

    Args:
        images: uint8 (N, C, H, W).
        matrix: as of :func:`affine`.
        total: float32 (N, C, H, W), the sum so far of images in [0, 1]; it is changed.
        count: of images in the new sum.

    Returns:
        uint8 (N, C, H, W), truncated.
    """
    places, weights = _affine_places(images, matrix)
    if not _device.has_loops(images.device):
        total += _blend(images, places, weights, _LIFT).float().div_(255)
        return (total / count).clamp_(0, 1).mul_(255).to(torch.uint8)
    place, weight = _stacked(places, weights)
    source, sums = images.reshape(-1, place.shape[0]).numpy(), total.view(-1, place.shape[0]).numpy()
    out = np.empty(source.shape, np.uint8)
    _blend_mean_cpu(source, place, weight, np.float32(_LIFT), sums, np.float32(count), out)
    return torch.from_numpy(out).view(images.shape)


def _affine_places(
    images: torch.Tensor, matrix: Matrix
) -> tuple[list[npt.NDArray[np.float64]], list[npt.NDArray[np.float64]]]:
    """Return the four pixels that each output pixel reads, and their weights."""
    height, width = images.shape[-2:]
    y, x = np.mgrid[:height, :width] + 0.5
    source_x = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2]
    source_y = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2]
    inside = (source_x >= 0) & (source_x < width) & (source_y >= 0) & (source_y < height)
    source_x, source_y = source_x - 0.5, source_y - 0.5
    left, top = np.floor(source_x), np.floor(source_y)
    dx, dy = (source_x - left) * inside, (source_y - top) * inside
    rows = [np.clip(top + step, 0, height - 1) for step in (0, 1)]
    columns = [np.clip(left + step, 0, width - 1) for step in (0, 1)]
    places = [(row * width + column) for row in rows for column in columns]
    return places, [(1 - dy) * (1 - dx) * inside, (1 - dy) * dx, dy * (1 - dx), dy * dx]


def perspective(images: torch.Tensor, matrix: Matrix) -> torch.Tensor:
    """Warp uint8 images (N, C, H, W) by OpenCV's bilinear rule: positions to 1/32 pixel, black outside, rounded.

    Args:
        images: uint8 (N, C, H, W).
        matrix: 3 x 3, from input to output coordinates; pixel centres lie at whole numbers.
    """
    height, width = images.shape[-2:]
    y, x = np.mgrid[:height, :width].astype(np.float64)
    back = np.linalg.inv(matrix)
    u, v, w = (row[0] * x + row[1] * y + row[2] for row in back)
    place_x, place_y = np.rint(u / w * _SUBPIXELS), np.rint(v / w * _SUBPIXELS)
    left, top = np.floor(place_x / _SUBPIXELS), np.floor(place_y / _SUBPIXELS)
    dx, dy = place_x / _SUBPIXELS - left, place_y / _SUBPIXELS - top
    places, weights = [], []
    for row, column, weight in (
        (top, left, (1 - dy) * (1 - dx)),
        (top, left + 1, (1 - dy) * dx),
        (top + 1, left, dy * (1 - dx)),
        (top + 1, left + 1, dy * dx),
    ):
        within = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        places.append(np.clip(row, 0, height - 1) * width + np.clip(column, 0, width - 1))
        weights.append(weight * within)
    return _blend(images, places, weights, 0.5)


def shift_right(images: torch.Tensor, pixels: int) -> torch.Tensor:
    """Move images (N, C, H, W) to the right by whole pixels (to the left where negative); black moves in."""
    width = images.shape[-1]
    if _device.has_loops(images.device):
        shifted = torch.empty(images.shape, dtype=images.dtype)
        _shift_cpu(_device.planes(images), pixels, shifted.numpy())
        return shifted
    out = torch.zeros_like(images)
    if pixels >= 0:
        out[..., pixels:] = images[..., : max(width - pixels, 0)]
    else:
        out[..., :pixels] = images[..., -pixels:]
    return out


def centre_crop(images: torch.Tensor, size: int) -> torch.Tensor:
    """Return the central square of this side, placed as torchvision's ``CenterCrop`` places it."""
    height, width = images.shape[-2:]
    top, left = round((height - size) / 2.0), round((width - size) / 2.0)
    return images[..., top : top + size, left : left + size]


def _blend(
    images: torch.Tensor, places: list[npt.NDArray[np.float64]], weights: list[npt.NDArray[np.float64]], lift: float
) -> torch.Tensor:
    """Return the weighted sum of four pixels, plus ``lift``, truncated, for every pixel of (N, C, H, W).

    Args:
        images: uint8 (N, C, H, W).
        places: four arrays (H, W) of positions within a plane.
        weights: four arrays (H, W).
        lift: added before the truncation.
    """
    place, weight = _stacked(places, weights)
    planes = images.reshape(-1, place.shape[0])
    if _device.has_loops(images.device):
        out = np.empty(tuple(planes.shape), np.uint8)
        _blend_cpu(planes.numpy(), place, weight, np.float32(lift), out)
        return torch.from_numpy(out).view(images.shape)
    total = torch.full(planes.shape, lift, dtype=torch.float32, device=images.device)
    for corner in range(4):
        here = torch.from_numpy(place[:, corner]).to(images.device)
        total += planes.index_select(1, here) * torch.from_numpy(weight[:, corner]).to(images.device)
    return total.clamp_(0, 255).to(torch.uint8).view(images.shape)


def _stacked(
    places: list[npt.NDArray[np.float64]], weights: list[npt.NDArray[np.float64]]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    place = np.stack([one.ravel() for one in places], axis=1).astype(np.int64)
    return place, np.stack([one.ravel() for one in weights], axis=1).astype(np.float32)


@compiled(inline="always")
def _blended(source: Any, place: Any, weight: Any, lift: Any, pixel: Any) -> Any:
    total = lift
    for corner in range(4):
        total += weight[pixel, corner] * np.float32(source[place[pixel, corner]])
    return np.uint8(min(total, np.float32(255)))


@compiled(parallel=True, nogil=True)
def _blend_cpu(planes: Any, place: Any, weight: Any, lift: Any, out: Any) -> None:
    for row in prange(len(planes)):
        source, target = planes[row], out[row]
        for pixel in range(len(place)):
            target[pixel] = _blended(source, place, weight, lift, pixel)


@compiled(parallel=True, nogil=True)
def _blend_mean_cpu(planes: Any, place: Any, weight: Any, lift: Any, sums: Any, count: Any, out: Any) -> None:
    full = np.float32(255)
    for row in prange(len(planes)):
        source = planes[row]
        for pixel in range(len(place)):
            total = sums[row, pixel] + np.float32(_blended(source, place, weight, lift, pixel)) / full
            sums[row, pixel] = total
            value = min(max(total / count, np.float32(0)), np.float32(1))
            out[row, pixel] = np.uint8(value * full)


@compiled(parallel=True, nogil=True)
def _shift_cpu(images: Any, pixels: Any, out: Any) -> None:
    n_images, channels, height, width = images.shape
    for n in prange(n_images):
        for c in range(channels):
            for y in range(height):
                for x in range(width):
                    source = x - pixels
                    out[n, c, y, x] = images[n, c, y, source] if 0 <= source < width else np.uint8(0)
