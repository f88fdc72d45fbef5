"""Images as people have them (arrays, PIL images, tensors of other shapes and types), to batches of uint8 and back."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from robench.errors import RobenchError

Back = Callable[[torch.Tensor], Any]
_ROUNDING = 1e-3  # beyond [0, 1] that interpolation may leave


@dataclass(frozen=True)
class Batch:
    """Images as corruptions take them.

    Args:
        images: uint8 (N, 3, H, W).
        back: from corrupted images of this shape to what was given: same class, shape, type and device.
    """

    images: torch.Tensor
    back: Back


def batch_of(given: Any) -> Batch:
    """Return images of any form as a batch.

    Args:
        given: a PIL image of 8 bits (modes other than RGB are converted to it); a uint8 array (H, W, 3), (H, W) or
            (N, H, W, 3); a tensor (..., 3, H, W) or (..., 1, H, W), uint8 or float in [0, 1].

    Raises:
        RobenchError: another form; the message says what was found and what to do.

    >>> batch_of(np.zeros((5, 4, 3), np.uint8)).images.shape
    torch.Size([1, 3, 5, 4])
    """
    if isinstance(given, Image.Image):
        if given.mode.startswith(("I", "F")):  # conversion would clip them at 255
            raise RobenchError(
                f"PIL images have 8 bits per channel; found the mode '{given.mode}'.",
                hint="Scale its values to 0..255 first: Image.fromarray(values.astype('uint8')).",
            )
        pixels = np.array(given.convert("RGB"))
        return Batch(_from_rows(pixels[None]), lambda made: Image.fromarray(_to_rows(made)[0]))
    if isinstance(given, np.ndarray):
        return _of_array(given)
    if isinstance(given, torch.Tensor):
        return _of_tensor(given)
    raise RobenchError(
        f"Images are arrays, tensors or PIL images; found {type(given).__name__}.", hint="Convert it: numpy.asarray(x)."
    )


def _of_array(given: np.ndarray) -> Batch:
    if given.dtype != np.uint8:
        raise RobenchError(
            f"Arrays of images hold uint8; found {given.dtype}.",
            hint="Scale what is in [0, 1]: (x * 255).round().astype('uint8'). Transforms take float tensors, too.",
        )
    if given.ndim == 2:  # as imagecorruptions does: three equal channels, and a colour image back
        return _of_array(np.repeat(given[..., None], 3, axis=-1))
    if given.ndim not in (3, 4) or given.shape[-1] != 3:
        raise RobenchError(
            f"Arrays of images have the shape (H, W, 3), (H, W) or (N, H, W, 3); found {given.shape}.",
            hint="Put channels last, and drop the alpha channel; tensors have channels before rows.",
        )
    rows = given[None] if given.ndim == 3 else given
    return Batch(_from_rows(rows), lambda made: _to_rows(made).reshape(given.shape))


def _of_tensor(given: torch.Tensor) -> Batch:
    if given.ndim < 3 or given.shape[-3] not in (1, 3):
        raise RobenchError(
            f"Tensors of images have the shape (..., 3, H, W); found {tuple(given.shape)}.",
            hint="Put channels before rows: x.permute(2, 0, 1); arrays have channels last.",
        )
    plain = given.as_subclass(torch.Tensor) if type(given) is not torch.Tensor else given
    pixels = _to_bytes(plain)
    channels = given.shape[-3]
    wide = pixels.reshape(-1, channels, *given.shape[-2:]).expand(-1, 3, -1, -1)

    def back(made: torch.Tensor) -> torch.Tensor:
        # A grey image that got colour (snow, frost) is grey again: the mean of its channels.
        one = made if channels == 3 else made.float().mean(dim=1, keepdim=True).to(torch.uint8)
        shaped = one.reshape(given.shape)
        return shaped if not given.is_floating_point() else shaped.to(given.dtype) / 255

    return Batch(wide.contiguous(), back)


def _to_bytes(given: torch.Tensor) -> torch.Tensor:
    if given.dtype == torch.uint8:
        return given
    if not given.is_floating_point():
        raise RobenchError(f"Images are uint8 or float; found {given.dtype}.", hint="Convert them: x.to(torch.uint8).")
    low, high = (float(given.min()), float(given.max())) if given.numel() else (0.0, 0.0)
    if not (low >= -_ROUNDING and high <= 1 + _ROUNDING):
        raise RobenchError(
            f"Float images lie in [0, 1]; found values from {low:.3g} to {high:.3g}.",
            hint="Corrupt before normalising, and divide values up to 255 by 255.",
        )
    return (given.clamp(0, 1) * 255).round().to(torch.uint8)


def _from_rows(pixels: np.ndarray) -> torch.Tensor:
    # A copy: arrays of PIL images cannot be written to, and corruptions get memory that they may keep.
    return torch.from_numpy(np.array(pixels)).permute(0, 3, 1, 2)


def _to_rows(images: torch.Tensor) -> np.ndarray:
    return np.ascontiguousarray(images.permute(0, 2, 3, 1).cpu().numpy())


def content_index(images: torch.Tensor) -> torch.Tensor:
    """Return a number for each image that depends on its pixels alone: int64 (N,), at least 0.

    It stands for an image's number in its data set where that is not known: an image is corrupted the same way
    whenever it is met.

    Args:
        images: uint8 (N, 3, H, W).

    >>> black, white = torch.zeros(1, 3, 2, 2, dtype=torch.uint8), torch.full((1, 3, 2, 2), 255, dtype=torch.uint8)
    >>> content_index(torch.cat([black, white, black])).unique().numel()
    2
    """
    rows = images.cpu().contiguous().numpy()
    shape = f"{tuple(images.shape[1:])}".encode()
    digests = [hashlib.blake2b(shape + row.tobytes(), digest_size=8).digest() for row in rows]
    return torch.tensor([int.from_bytes(one, "little") >> 1 for one in digests], dtype=torch.int64)
