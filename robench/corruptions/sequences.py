"""Perturbation sequences as generators of frames (hendrycks/robustness, ``ImageNet-P/create_p``)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import torch

from robench.corruptions import noise
from robench.corruptions import perturbations as tables
from robench.corruptions import spatter as drops
from robench.corruptions.blur import gaussian_smooth
from robench.corruptions.colour import adjust_hsv
from robench.corruptions.motion import motion_blur
from robench.corruptions.random import Stream
from robench.corruptions.warp import affine, affine_matrix, affine_mean, centre_crop, perspective, shift_right
from robench.corruptions.weather import lay_snow, snow_flakes
from robench.errors import RobenchError

Frames = Iterator[torch.Tensor]
Streams = Callable[[int], Stream]
Maker = Callable[[torch.Tensor, int, Streams, int], Frames]
_MIDDLE = 15  # the frame at which brightness, turn, tilt and shear leave the image as it was
_INTENSITY = 0.6


def perturb(
    images: torch.Tensor,
    name: str,
    *,
    index: torch.Tensor | npt.NDArray[np.int64],
    seed: int = 0,
    difficulty: int = 1,
    size: int | None = None,
) -> Frames:
    """Yield the frames of a perturbation sequence; no more than a few are held at once.

    Photometric sequences act on the central crop; geometric ones (and zoom_blur) on the whole image, which is then
    cropped: give ImageNet's images with the shorter side at 256 and ``size=224``, as published. Noise sequences begin
    with the clean frame.

    Args:
        images: uint8 (N, 3, H, W).
        name: one of :data:`robench.corruptions.perturbations.ALL_PERTURBATIONS`.
        index: int64 (N,), the images' numbers in their data set; they choose the random numbers.
        seed: of the run.
        difficulty: 1, 2 or 3; it changes the noises only, and published figures have 1.
        size: side of the frames; None: frames as large as the images.

    Yields:
        uint8 (N, 3, size, size), :func:`robench.corruptions.perturbations.frame_count` times.

    Raises:
        RobenchError: unknown name, wrong images, indices, difficulty or size.
    """
    tables.check_name(name)
    _check(images, len(index), difficulty, size)
    preset = tables.preset(size or min(images.shape[-2:]))
    if name not in tables.GEOMETRIC and size is not None:
        images = centre_crop(images, size)

    def streams(frame: int) -> Stream:
        return Stream(seed, "perturb", name, difficulty, frame, index=index, device=images.device)

    frames = _MAKERS[name](images, preset, streams, difficulty)
    if name in tables.GEOMETRIC and size is not None:
        return (centre_crop(frame, size) for frame in frames)
    return frames


def _check(images: torch.Tensor, indices: int, difficulty: int, size: int | None) -> None:
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3 or images.numel() == 0:
        raise RobenchError(
            f"perturb takes uint8 images of shape (N, 3, H, W); found {images.dtype} of shape {tuple(images.shape)}.",
            hint="Convert grey or RGBA images to RGB, and pass them before they are normalised.",
        )
    if indices != len(images):
        raise RobenchError(f"{len(images)} images have {indices} indices.", hint="Give one index for every image.")
    if difficulty not in tables.DIFFICULTIES:
        raise RobenchError(f"Difficulty is 1, 2 or 3; found {difficulty}.", hint="Published figures have difficulty 1.")
    if size is not None and not 1 <= size <= min(images.shape[-2:]):
        raise RobenchError(
            f"Frames of side {size} cannot be cut from images of {images.shape[-2]} x {images.shape[-1]}.",
            hint="Resize the images first; ImageNet-P has the shorter side at 256 and crops 224.",
        )


def _noisy(function: Callable[[torch.Tensor, tuple[float], Stream], torch.Tensor], name: str) -> Maker:
    """Return the maker of a sequence of independent draws of one noise, after the clean frame."""

    def frames(images: torch.Tensor, preset: int, streams: Streams, difficulty: int) -> Frames:
        strength = tables.LEVELS[name][preset][difficulty - 1]
        yield images.clone()
        for i in range(1, tables.frame_count(name, preset)):
            yield function(images, (strength,), streams(i))

    return frames


def _motion_blur(images: torch.Tensor, preset: int, streams: Streams, difficulty: int) -> Frames:
    # The Tiny ImageNet script blurs images of full size by its radius of 14 and then resizes; images that are 64
    # already are blurred by as much, for want of the large ones.
    radius, sigma, step, last = tables.MOTION[preset]
    for i in range(tables.frame_count("motion_blur", preset)):
        angle = torch.full((len(images),), float((i - last) * step), dtype=torch.float64)
        yield motion_blur(images, radius, sigma, angle)


def _zoom_blur(images: torch.Tensor, preset: int, streams: Streams, difficulty: int) -> Frames:
    total = images.contiguous().float().div_(255)
    yield images.clone()
    for i in range(1, tables.frame_count("zoom_blur", preset)):
        matrix = affine_matrix(_size(images), scale=1 + tables.ZOOM_STEP * i)
        yield affine_mean(images, matrix, total, i + 1)


def _snow(images: torch.Tensor, preset: int, streams: Streams, difficulty: int) -> Frames:
    mean, std, zoom, threshold, radius, sigma = tables.SNOW[preset]
    flakes = snow_flakes(streams(0), _size(images), mean, std, zoom, threshold)
    for i in range(tables.frame_count("snow", preset)):
        angles = torch.full((len(images),), 4.0 * i - 150, dtype=torch.float64)
        yield lay_snow(images, flakes, radius, sigma, angles, tables.SNOW_WEIGHT)


def _brightness(images: torch.Tensor, preset: int, streams: Streams, difficulty: int) -> Frames:
    for i in range(tables.frame_count("brightness", preset)):
        yield adjust_hsv(images, (1.0, 0.0), (i - _MIDDLE) * tables.BRIGHTNESS[preset])


def _translate(images: torch.Tensor, preset: int, streams: Streams, difficulty: int) -> Frames:
    frames = tables.frame_count("translate", preset)
    for i in range(frames):
        yield shift_right(images, i - (frames - 1) // 2)


def _turned(**steps: float) -> Maker:
    """Return the maker of a sequence whose affine arguments grow by these steps from frame to frame."""

    def frames(images: torch.Tensor, preset: int, streams: Streams, difficulty: int) -> Frames:
        for i in range(tables.frame_count("rotate", preset)):
            arguments = {name: (i - _MIDDLE) * step for name, step in steps.items()}
            yield affine(images, affine_matrix(_size(images), **arguments))

    return frames


def _scale(images: torch.Tensor, preset: int, streams: Streams, difficulty: int) -> Frames:
    first, step = tables.SCALE[preset]
    for i in range(tables.frame_count("scale", preset)):
        yield affine(images, affine_matrix(_size(images), scale=first + step * i))


def _tilt(images: torch.Tensor, preset: int, streams: Streams, difficulty: int) -> Frames:
    for i in range(tables.frame_count("tilt", preset)):
        yield perspective(images, tilt_matrix(_size(images), tables.TILT[preset] * (i - _MIDDLE)))


def tilt_matrix(size: tuple[int, int], degrees: float) -> npt.NDArray[np.float64]:
    """Return the 3 x 3 matrix of a pinhole camera before the image, turned by this angle about both its axes."""
    height, width = size
    turn, focal = math.radians(degrees), math.hypot(height, width)
    cos, sin = math.cos(turn), math.sin(turn)
    centre = np.array([[1, 0, -width / 2], [0, 1, -height / 2], [0, 0, 1], [0, 0, 1]])
    about_y = np.array([[cos, 0, -sin, 0], [0, 1, 0, 0], [sin, 0, cos, 0], [0, 0, 0, 1]])
    about_x = np.array([[1, 0, 0, 0], [0, cos, -sin, 0], [0, sin, cos, 0], [0, 0, 0, 1]])
    away = np.eye(4)
    away[2, 3] = focal
    project = np.array([[focal, 0, width / 2, 0], [0, focal, height / 2, 0], [0, 0, 1, 0]])
    return project @ away @ about_x @ about_y @ centre


def _gaussian_blur(images: torch.Tensor, preset: int, streams: Streams, difficulty: int) -> Frames:
    first, step, cut = tables.GAUSSIAN_BLUR[preset]
    for i in range(tables.frame_count("gaussian_blur", preset)):
        yield gaussian_smooth(images, first + step * i, cut)


def _spatter(images: torch.Tensor, preset: int, streams: Streams, difficulty: int) -> Frames:
    mean, std, sigma, threshold, drift = tables.SPATTER[preset]
    rain, size = streams(0), _size(images)
    layers = [np.empty(0, np.float32)] * len(images)

    def begin(row: int) -> npt.NDArray[np.float32]:
        noise = rain.row_normal(row, 0, size) * np.float32(std) + np.float32(mean)
        return drops.liquid(noise, sigma, threshold)

    def mask(row: int) -> npt.NDArray[np.float32]:
        layer = layers[row] if len(layers[row]) else begin(row)
        layers[row] = _run_down(layer, drift)
        return drops.water_mask(layer) * np.float32(_INTENSITY)

    for _ in range(tables.frame_count("spatter", preset)):
        yield drops.composed(images, mask, mud=False)


def _run_down(layer: npt.NDArray[np.float32], drift: tuple[float, ...]) -> npt.NDArray[np.float32]:
    """Convolve columns of (H, W) as ``numpy.convolve(..., mode="same")`` does."""
    reach = (len(drift) - 1) // 2
    height = layer.shape[0]
    padded = np.pad(layer, ((len(drift) - 1 - reach, reach), (0, 0)))
    taps = reversed(drift)
    total = sum(np.float32(tap) * padded[k : k + height] for k, tap in enumerate(taps))
    return np.asarray(total, np.float32)


def _size(images: torch.Tensor) -> tuple[int, int]:
    return images.shape[-2], images.shape[-1]


_MAKERS: dict[str, Maker] = {
    "gaussian_noise": _noisy(noise.gaussian_noise, "gaussian_noise"),
    "shot_noise": _noisy(noise.shot_noise, "shot_noise"),
    "motion_blur": _motion_blur,
    "zoom_blur": _zoom_blur,
    "snow": _snow,
    "brightness": _brightness,
    "translate": _translate,
    "rotate": _turned(angle=1.0),
    "tilt": _tilt,
    "scale": _scale,
    "speckle_noise": _noisy(noise.speckle_noise, "speckle_noise"),
    "gaussian_blur": _gaussian_blur,
    "spatter": _spatter,
    "shear": _turned(shear=1.0),
}
