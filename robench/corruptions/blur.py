"""Gaussian, defocus and motion blur."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from robench.corruptions import _device, _gpu
from robench.corruptions._pool import Image, map_images
from robench.corruptions.motion import motion_blur as blur_along
from robench.corruptions.random import Stream

Array = npt.NDArray[np.float32]
_DIRECT = 5  # side of the largest kernel that OpenCV is quicker to apply tap by tap to all channels at once


def gaussian_blur(images: torch.Tensor, params: tuple[float], stream: Stream) -> torch.Tensor:
    """Blur with a Gaussian; edges are repeated, the kernel ends at 4 sigma.

    Args:
        images: uint8 (N, 3, H, W).
        params: (sigma,) in pixels.
        stream: not used: nothing is drawn.

    Returns:
        uint8 (N, 3, H, W), truncated.
    """
    return gaussian_smooth(images, params[0])


def gaussian_smooth(images: torch.Tensor, sigma: float, truncate_at: float = 4.0) -> torch.Tensor:
    """Return images blurred as scikit-image's ``gaussian`` does (float, edges repeated), truncated to bytes.

    Args:
        images: uint8 (N, 3, H, W).
        sigma: in pixels.
        truncate_at: where the kernel ends, in sigmas.
    """
    if _device.has_loops(images.device):
        smooth = smoother(sigma, truncate_at)
        return map_images(lambda image, row: smooth(image), images)
    taps = gaussian_taps(sigma, truncate_at)
    if len(taps) == 1:
        return images.clone()
    made: torch.Tensor | None = _gpu.attempt(images.device, "warp.smooth", images, taps)
    if made is not None:
        return made
    reach = len(taps) // 2
    down = _filter(images.float(), taps[:, None], (0, 0, reach, reach), "replicate")
    return _truncate(_filter(down, taps[None, :], (reach, reach, 0, 0), "replicate"))


def smoother(sigma: float, truncate_at: float = 4.0) -> Callable[[Image], Image]:
    """Return the function that :func:`gaussian_smooth` applies to each image, uint8 (H, W, 3)."""
    import cv2

    taps = gaussian_taps(sigma, truncate_at)

    def blur(image: Image) -> Image:
        if len(taps) == 1:
            return image
        return truncate(cv2.sepFilter2D(image, cv2.CV_32F, taps, taps, borderType=cv2.BORDER_REPLICATE))

    return blur


def gaussian_taps(sigma: float, truncate_at: float = 4.0) -> Array:
    """Return the float32 taps of scipy's Gaussian filter: radius int(truncate * sigma + 0.5), sum 1.

    >>> taps = gaussian_taps(0.5)
    >>> len(taps), round(float(taps.sum()), 6), taps.argmax().item()
    (5, 1.0, 2)
    """
    radius = int(truncate_at * sigma + 0.5)
    x = np.arange(-radius, radius + 1)
    taps = np.exp(-0.5 * (x / max(sigma, 1e-12)) ** 2)
    return (taps / taps.sum()).astype(np.float32)


def truncate(x: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Return values in 0..255 as bytes, truncated.

    A sum of taps over equal pixels falls short of their value by float32's rounding; the published generator sums
    in float64 and hardly ever does, so what is within 5e-5 of a whole number is taken for it.
    """
    return np.clip(x + np.float32(5e-5), 0, 255).astype(np.uint8)


def defocus_blur(images: torch.Tensor, params: tuple[float, float], stream: Stream) -> torch.Tensor:
    """Blur with an antialiased disk.

    Args:
        images: uint8 (N, 3, H, W).
        params: (radius, sigma of the antialiasing) in pixels.
        stream: not used: nothing is drawn.

    Returns:
        uint8 (N, 3, H, W), truncated.
    """
    kernel = disk_kernel(*params)
    if not _device.has_loops(images.device):
        kernel = _trim(kernel)
        made: torch.Tensor | None = _gpu.attempt(images.device, "warp.correlate", images, kernel)
        if made is not None:
            return made
        reach = kernel.shape[0] // 2
        return _truncate(_filter(images.float(), kernel, (reach,) * 4, "reflect"))
    import cv2

    trimmed = _without_denormals(_trim(kernel))

    def blur(image: Image, row: int) -> Image:
        if len(trimmed) <= _DIRECT:
            return truncate(cv2.filter2D(image, cv2.CV_32F, trimmed))
        # Larger kernels go by way of Fourier transforms, which cost several times more for three channels of bytes.
        planes = [cv2.filter2D(plane.astype(np.float32), cv2.CV_32F, trimmed) for plane in cv2.split(image)]
        return truncate(cv2.merge(planes))

    return map_images(blur, images)


def disk_kernel(radius: float, alias: float) -> Array:
    """Return the float32 kernel: a disk of 1, normalised, smoothed by cv2's 3 x 3 (5 x 5 beyond radius 8) Gaussian.

    Source: ``disk`` of the published generator.
    """
    import cv2

    reach, side = (8, 3) if radius <= 8 else (int(radius), 5)
    axis = np.arange(-reach, reach + 1)
    inside = axis[:, None] ** 2 + axis[None, :] ** 2 <= radius**2
    disk = inside.astype(np.float32) / np.float32(inside.sum())
    kernel: Array = np.asarray(cv2.GaussianBlur(disk, ksize=(side, side), sigmaX=alias), np.float32)
    return kernel


def _trim(kernel: Array) -> Array:
    """Cut away the zero border of a kernel; the sums stay the same."""
    reach = kernel.shape[0] // 2
    while reach > 0 and not (kernel[0].any() or kernel[:, 0].any()):
        kernel, reach = kernel[1:-1, 1:-1], reach - 1
    return np.ascontiguousarray(kernel)


def _without_denormals(kernel: Array) -> Array:
    """Set taps to zero that are too small for a float32 of full precision.

    A processor computes with such numbers up to a hundred times more slowly, and a slightly antialiased disk has some
    at its rim. Against the smallest other tap they are below the rounding of a sum, so that no byte changes.
    """
    return np.where(np.abs(kernel) < np.finfo(np.float32).tiny, np.float32(0.0), kernel)


def motion_blur(images: torch.Tensor, params: tuple[float, float], stream: Stream) -> torch.Tensor:
    """Blur along a line at an angle drawn from -45 to 45 degrees.

    Args:
        images: uint8 (N, 3, H, W).
        params: (radius, sigma) in pixels.
        stream: draw 0 the angle.

    Returns:
        uint8 (N, 3, H, W), truncated.
    """
    angles = stream.on_host().uniform(0) * 90.0 - 45.0
    return blur_along(images, *params, angles)


def _filter(x: torch.Tensor, kernel: Array, margins: tuple[int, ...], edges: str) -> torch.Tensor:
    """Correlate every channel of float images (N, 3, H, W) with a kernel, after margins (left, right, top, bottom).

    With a group per channel, PyTorch runs its own kernel on a GPU: full float32, and sums in the same order for any
    number of images. The library that it else calls does neither.
    """
    channels = x.shape[1]
    weight = torch.from_numpy(kernel).to(x.device).expand(channels, 1, -1, -1)
    return functional.conv2d(functional.pad(x, margins, mode=edges), weight, groups=channels)


def _truncate(x: torch.Tensor) -> torch.Tensor:
    """Do what :func:`truncate` does."""
    return (x + 5e-5).clamp_(0, 255).to(torch.uint8)
