"""Elastic transform: a jittered affine map, then a smooth random displacement."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import numpy.typing as npt
import torch

from robench.corruptions import _device, _gpu
from robench.corruptions._pool import map_images
from robench.corruptions.random import Stream

Array = npt.NDArray[np.float32]


def elastic_transform(images: torch.Tensor, params: tuple[float, float, float], stream: Stream) -> torch.Tensor:
    """Warp by a jittered affine map and a smooth random displacement.

    Three points (the centre and two corners of a square around it) are moved by up to the jitter and the image
    follows, bilinearly, mirrored at the edges; then every pixel reads at a place displaced by alpha times Gaussian-
    smoothed U(-1, 1) noise.

    Source: ``elastic_transform`` of the published generator (after Simard et al. 2003).

    Args:
        images: uint8 (N, 3, H, W).
        params: (alpha, sigma, affine jitter), all in pixels.
        stream: draw 0 the jitter, draw 1 the displacement.

    Returns:
        uint8 (N, 3, H, W), truncated.
    """
    alpha, sigma, jitter = params
    height, width = images.shape[2:]
    moved = (stream.on_host().uniform(0, (3, 2)).double().cpu().numpy() * 2.0 - 1.0) * jitter
    if not _device.has_loops(images.device):
        noise = stream.uniform(1, (2, height, width)).mul_(2.0).sub_(1.0)
        return _warp_on_device(images, moved, noise, alpha, sigma)
    smooth = _smoother(height, width, sigma)

    def warp(image: npt.NDArray[np.uint8], row: int) -> npt.NDArray[np.uint8]:
        import cv2

        from robench.corruptions._kernels import sample_reflected

        matrix = affine_matrix(height, width, moved[row])
        # For float64 OpenCV still places pixels in steps of 1/32, as the version that made the published files did.
        straight = image.astype(np.float64)
        turned = cv2.warpAffine(straight, matrix, (width, height), borderMode=cv2.BORDER_REFLECT_101)
        turned = turned.astype(np.float32)
        fields = stream.row_uniform(row, 1, (2, height, width)) * np.float32(2.0) - np.float32(1.0)
        dx, dy = (alpha * smooth(field) for field in fields)
        out = np.empty_like(image)
        sample_reflected(turned, dx, dy, out)
        return out

    return map_images(warp, images)


def affine_matrix(height: int, width: int, moved: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the 2 x 3 matrix that takes the three points to where they were moved, (x, y) each, as cv2 has it."""
    import cv2

    points = _points(height, width)
    return np.asarray(cv2.getAffineTransform(points, points + moved.astype(np.float32)), np.float64)


def affine_matrices(height: int, width: int, moved: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return :func:`affine_matrix` of every image, float64 (N, 2, 3), for points moved by (N, 3, 2)."""
    points = _points(height, width)
    system = np.concatenate([points, np.ones((3, 1), np.float32)], axis=1).astype(np.float64)
    targets = (points + moved.astype(np.float32)).astype(np.float64)
    found = np.linalg.solve(system, targets.transpose(1, 0, 2).reshape(3, -1)).reshape(3, -1, 2)
    return np.asarray(found.transpose(1, 2, 0), np.float64)


def _points(height: int, width: int) -> npt.NDArray[np.float32]:
    """Return the three points that are moved, (3, 2)."""
    centre = np.array([height // 2, width // 2], np.float32)
    reach = min(height, width) // 3
    return np.array([centre + reach, [centre[0] + reach, centre[1] - reach], centre - reach], dtype=np.float32)


def _smoother(height: int, width: int, sigma: float) -> Callable[[Array], Array]:
    """Return the Gaussian filter of a field (H, W), mirrored at the edges, truncated at 3 sigma."""
    import cv2

    radius = int(3.0 * sigma + 0.5)
    if radius < min(height, width):
        offsets = np.arange(-radius, radius + 1)
        taps = np.exp(-0.5 * (offsets / max(sigma, 1e-12)) ** 2)
        taps = (taps / taps.sum()).astype(np.float32)

        def filtered(field: Array) -> Array:
            return np.asarray(cv2.sepFilter2D(field, cv2.CV_32F, taps, taps, borderType=cv2.BORDER_REFLECT), np.float32)

        return filtered
    # A kernel wider than the image leaves only its few slowest cosines.
    rows, columns = _low_rank(height, sigma), _low_rank(width, sigma)

    across, down = (rows[0] * rows[1]).T.copy(), columns[0] * columns[1]
    back = columns[0].T.copy()

    def smooth(field: Array) -> Array:
        # einsum stays out of BLAS, whose threads would fight with the pool's.
        inner = np.einsum("kw,wc->kc", np.einsum("kh,hw->kw", across, field), down)
        return np.einsum("hk,kw->hw", rows[0], np.einsum("kc,cw->kw", inner, back))

    return smooth


@cache
def _low_rank(side: int, sigma: float) -> tuple[Array, Array]:
    """Return the eigenvectors (side, r) and eigenvalues (r,) of the filter that are larger than 1e-6."""
    values, vectors = np.linalg.eigh(smoothing_matrix(side, sigma).astype(np.float64))
    kept = np.abs(values) > 1e-6
    return vectors[:, kept].astype(np.float32), values[kept].astype(np.float32)


@cache
def smoothing_matrix(side: int, sigma: float) -> Array:
    """Return scipy's Gaussian filter (mode ``reflect``, truncate 3) along one axis as a matrix (side, side)."""
    radius = int(3.0 * sigma + 0.5)
    offsets = np.arange(-radius, radius + 1)
    taps = np.exp(-0.5 * (offsets / max(sigma, 1e-12)) ** 2)
    taps /= taps.sum()
    matrix = np.zeros((side, side))
    for i in range(side):
        place = (i + offsets) % (2 * side)
        np.add.at(matrix[i], np.where(place < side, place, 2 * side - 1 - place), taps)
    return matrix.astype(np.float32)


def _smoothing(side: int, sigma: float) -> torch.Tensor:
    return torch.from_numpy(smoothing_matrix(side, sigma)).double()


def _warp_on_device(
    images: torch.Tensor, moved: npt.NDArray[np.float64], noise: torch.Tensor, alpha: float, sigma: float
) -> torch.Tensor:
    height, width = images.shape[2:]
    device = images.device
    # In float64, so that float32 keeps nothing of the order of the sums, which depends on how many images there are.
    rows, columns = (_gpu.kept(device, ("smoothing", side, sigma), _smoothing, side, sigma) for side in (height, width))
    shift = (alpha * (rows @ noise.double() @ columns.T)).float()
    across, down = _shares(affine_matrices(height, width, moved), height, width)
    made: torch.Tensor | None = _gpu.attempt(device, "warp.elastic", images, across, down, shift)
    if made is not None:
        return made
    sx, sy = (
        (torch.from_numpy((down[:, axis, :, None] + across[:, axis, None, :] + 16) >> 5).to(device).float() / 32.0)
        for axis in (0, 1)
    )
    turned = _sample(images.float(), sy, sx, edge_twice=False)
    y, x = torch.meshgrid(torch.arange(height, device=device), torch.arange(width, device=device), indexing="ij")
    found = _sample(turned, y + shift[:, 1], x + shift[:, 0], edge_twice=True)
    return (found + 5e-5).clamp_(0, 255).to(torch.uint8)


def _shares(
    matrices: npt.NDArray[np.float64], height: int, width: int
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Return the columns' shares of the places (x, y) at which OpenCV's ``warpAffine`` reads, (N, 2, W), and the rows'.

    They are int32 in 1/1024 pixel; their sum is rounded to 1/32.
    """
    inverse = np.linalg.inv(np.concatenate([matrices, np.broadcast_to([[[0.0, 0.0, 1.0]]], (len(matrices), 1, 3))], 1))
    across = np.rint(inverse[:, :2, 0, None] * np.arange(width) * 1024.0).astype(np.int32)
    down = np.rint((inverse[:, :2, 1, None] * np.arange(height) + inverse[:, :2, 2, None]) * 1024.0).astype(np.int32)
    return across, down


def _sample(x: torch.Tensor, sy: torch.Tensor, sx: torch.Tensor, *, edge_twice: bool) -> torch.Tensor:
    """Sample float images (N, C, H, W) bilinearly at (N, H, W) places; mirrored, the edge pixel read twice or once."""
    n, channels, height, width = x.shape
    flat = x.reshape(n, channels, -1)
    y0, x0 = torch.floor(sy), torch.floor(sx)
    wy, wx = (sy - y0).unsqueeze(1), (sx - x0).unsqueeze(1)
    corners = []
    for dy in (0, 1):
        for dx in (0, 1):
            row = _mirror(y0.long() + dy, height, edge_twice)
            column = _mirror(x0.long() + dx, width, edge_twice)
            place = (row * width + column).reshape(n, 1, -1).expand(-1, channels, -1)
            corners.append(flat.gather(2, place).reshape(n, channels, height, width))
    top = corners[0] + wx * (corners[1] - corners[0])
    bottom = corners[2] + wx * (corners[3] - corners[2])
    return top + wy * (bottom - top)


def _mirror(i: torch.Tensor, n: int, edge_twice: bool) -> torch.Tensor:
    if edge_twice:
        i = i % (2 * n)
        return torch.where(i < n, i, 2 * n - 1 - i)
    i = i % (2 * n - 2)
    return torch.where(i < n, i, 2 * n - 2 - i)
