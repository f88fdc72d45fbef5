"""The error under low-pass filters: how much of a model's accuracy depends on low frequencies."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from robench.errors import RobenchError
from robench.evaluation.fourier_basis import centred_range
from robench.evaluation.fourier_classifier import Classifier
from robench.evaluation.fourier_options import FourierOptions, check_images
from robench.models.base import Model

_OF_THE_MAP = ("norm", "window", "signs", "seed")


def low_pass_curve(
    model: Model,
    images: torch.Tensor,
    target: npt.NDArray[np.int64],
    bandwidths: list[int],
    options: FourierOptions,
) -> dict[str, Any]:
    """Return the error on images of which only the centred B x B square of the spectrum is left, for every B.

    The result of the inverse transform is clipped to [0, 1]; an even B reaches one frequency further below zero
    than above, and the real part is taken.

    Args:
        model: the model.
        images: uint8, shape (n, 3, H, W).
        target: int64 labels, shape (n,).
        bandwidths: values of B, at least 1.
        options: device, precision, batch size.

    Returns:
        ``kind`` robench-lowpass, ``model``, ``bandwidths``, ``error`` (fractions), ``images``, ``options``.

    Raises:
        RobenchError: no images, a bandwidth below 1, or a model that fails on the images.

    Source: the split-BatchNorm paper, figure 5.
    """
    check_images(images, target, options)
    classify, labels = Classifier(model, options), torch.as_tensor(target).to(options.device)
    error = []
    for bandwidth in bandwidths:
        wrong = 0
        for start in range(0, len(images), options.images_at_a_time):
            x = images[start : start + options.images_at_a_time].to(options.device).float() / 255.0
            predicted = classify(low_pass(x, bandwidth))
            wrong += int((predicted != labels[start : start + len(x)]).sum())
        error.append(wrong / len(images))
    return {
        "kind": "robench-lowpass",
        "model": model.name,
        "bandwidths": list(bandwidths),
        "error": error,
        "images": len(images),
        "options": {name: value for name, value in classify.options.items() if name not in _OF_THE_MAP},
    }


def low_pass(x: torch.Tensor, bandwidth: int) -> torch.Tensor:
    """Return float images (n, 3, H, W) in [0, 1] without the frequencies outside the centred square of this side.

    Raises:
        RobenchError: the side is not positive.

    >>> checks = torch.tensor([[0.0, 1.0], [1.0, 0.0]]).expand(1, 3, 2, 2)
    >>> low_pass(checks, 1)[0, 0]
    tensor([[0.5000, 0.5000],
            [0.5000, 0.5000]])
    """
    if bandwidth < 1:
        raise RobenchError(f"A bandwidth must be at least 1; found {bandwidth}.", hint="Give sides like 4,8,16.")
    height, width = x.shape[2:]
    spectrum = torch.fft.fftshift(torch.fft.fft2(x), dim=(2, 3))
    mask = torch.zeros(height, width, device=x.device)
    rows, columns = centred_range(height, bandwidth), centred_range(width, bandwidth)
    mask[rows.start : rows.stop, columns.start : columns.stop] = 1
    return torch.fft.ifft2(torch.fft.ifftshift(spectrum * mask, dim=(2, 3))).real.clamp(0, 1)
