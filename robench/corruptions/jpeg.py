"""JPEG as libjpeg makes it by default: 4:2:0, the accurate integer DCT ("islow"), smooth chroma upsampling.

Two paths give the same pixels. On the CPU libjpeg-turbo encodes and decodes, one image at a time in a pool of threads.
On other devices :func:`roundtrip_tensor` does the arithmetic of both directions in integers for the whole batch; it
omits the entropy coding, which is lossless. Formulas: ITU-T T.81, Annexes A and K; C. Loeffler et al., ICASSP
1989 (the DCT).
"""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import numpy.typing as npt
import torch

from robench.corruptions import _device, _gpu
from robench.corruptions._pool import map_images
from robench.corruptions.jpeg_dct import forward_dct, inverse_dct
from robench.corruptions.random import Stream
from robench.errors import RobenchError

_NARROW = 4  # pixels, up to which chroma is doubled by repetition; not worth a kernel
# ITU-T T.81, tables K.1 and K.2.
LUMINANCE = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56,
    14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip
CHROMINANCE = (
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99,
    47, 66, 99, 99, 99, 99, 99, 99, *([99] * 32),
)  # fmt: skip


def jpeg_compression(images: torch.Tensor, params: tuple[float, ...], stream: Stream) -> torch.Tensor:
    """Compress images as JPEG and decode them.

    Args:
        images: uint8 (N, 3, H, W).
        params: the quality, 1 to 100.
        stream: not used; compression draws nothing.

    Returns:
        uint8 (N, 3, H, W) on the same device.
    """
    return roundtrip(images, int(params[0]))


def roundtrip(images: torch.Tensor, quality: int) -> torch.Tensor:
    """Return images after encoding and decoding as JPEG: by a coder on the CPU, by tensor arithmetic elsewhere.

    Args:
        images: uint8 (N, 3, H, W), RGB.
        quality: 1 to 100, libjpeg's scale.

    Returns:
        uint8 (N, 3, H, W) on the same device.

    Raises:
        RobenchError: the quality is out of range.
    """
    _check(quality)
    if _device.has_loops(images.device):
        return roundtrip_coder(images, quality)
    if images.shape[-1] > _NARROW and len(images):
        made: torch.Tensor | None = _gpu.attempt(images.device, "jpeg.roundtrip", images, quality)
        if made is not None:
            return made
    return roundtrip_tensor(images, quality)


def roundtrip_coder(images: torch.Tensor, quality: int) -> torch.Tensor:
    """Return what the JPEG coder makes of CPU images, uint8 (N, 3, H, W), at this quality.

    OpenCV's coder is called rather than Pillow's: both are libjpeg-turbo with the same defaults and give the same
    pixels, but it lets go of Python's lock and has less to do around a small image.
    """

    def code(image: npt.NDArray[np.uint8], row: int) -> npt.NDArray[np.uint8]:
        bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        _, data = cv2.imencode(".jpg", bgr, (cv2.IMWRITE_JPEG_QUALITY, quality))
        return np.asarray(cv2.cvtColor(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR)), cv2.COLOR_BGR2RGB), np.uint8)

    return map_images(code, images)


def roundtrip_tensor(images: torch.Tensor, quality: int) -> torch.Tensor:
    """Return the same for images on any device, by integer arithmetic on the whole batch."""
    _check(quality)
    height, width = images.shape[-2:]
    y, cb, cr = _to_ycc(images.to(torch.int32))
    y = _code(_pad(y, 8), LUMINANCE, quality)[..., :height, :width]
    chroma = torch.stack([cb, cr], dim=1)
    rows, columns = (height + 1) // 2, (width + 1) // 2
    chroma = _code(_pad(_downsample(chroma), 8), CHROMINANCE, quality)[..., :rows, :columns]
    chroma = _upsample(chroma)[..., :height, :width]
    return _to_rgb(y, chroma[:, 0], chroma[:, 1])


@cache
def quantisation(table: tuple[int, ...], quality: int) -> torch.Tensor:
    """Return the table scaled to the quality as libjpeg does, int32 (8, 8), each 1 to 255."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return torch.tensor([min(max((base * scale + 50) // 100, 1), 255) for base in table], dtype=torch.int32).view(8, 8)


def _check(quality: int) -> None:
    if not 1 <= quality <= 100:
        raise RobenchError(f"JPEG quality is 1 to 100; found {quality}.", hint="ImageNet-C was saved at 85.")


def _to_ycc(rgb: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Convert by 16-bit fixed-point weights, as libjpeg rounds them."""
    red, green, blue = rgb.unbind(1)
    half, centre = 1 << 15, 128 << 16
    y = (19595 * red + 38470 * green + 7471 * blue + half) >> 16
    cb = (-11059 * red - 21709 * green + 32768 * blue + centre + half - 1) >> 16
    cr = (32768 * red - 27439 * green - 5329 * blue + centre + half - 1) >> 16
    return y, cb, cr


def _to_rgb(y: torch.Tensor, cb: torch.Tensor, cr: torch.Tensor) -> torch.Tensor:
    cb, cr, half = cb - 128, cr - 128, 1 << 15
    red = y + ((91881 * cr + half) >> 16)
    green = y + ((-22554 * cb - 46802 * cr + half) >> 16)
    blue = y + ((116130 * cb + half) >> 16)
    return torch.stack([red, green, blue], dim=1).clamp_(0, 255).to(torch.uint8)


def _pad(planes: torch.Tensor, multiple: int, dims: tuple[int, ...] = (-2, -1)) -> torch.Tensor:
    """Repeat the last row and column until the sides ``dims`` are multiples of ``multiple``."""
    for dim in dims:
        last = planes.narrow(dim, planes.shape[dim] - 1, 1)
        planes = torch.cat([planes, *[last] * (-planes.shape[dim] % multiple)], dim=dim)
    return planes


def _downsample(planes: torch.Tensor) -> torch.Tensor:
    """Average squares of four; the rounding alternates 1, 2, 1, 2 along a row so that it does not drift."""
    # Across, the encoder repeats the last pixel before it averages; down, only to complete a pair of rows.
    planes = _pad(_pad(planes, 2, dims=(-2,)), 16, dims=(-1,))
    total = planes[..., 0::2, 0::2] + planes[..., 0::2, 1::2] + planes[..., 1::2, 0::2] + planes[..., 1::2, 1::2]
    bias = torch.arange(total.shape[-1], device=planes.device, dtype=torch.int32) % 2 + 1
    return (total + bias) >> 2


def _upsample(planes: torch.Tensor) -> torch.Tensor:
    """Double both sides by libjpeg's triangle filter (3/4 near, 1/4 far); by repetition up to two columns."""
    if planes.shape[-1] <= 2:
        return planes.repeat_interleave(2, -1).repeat_interleave(2, -2)
    above = torch.cat([planes[..., :1, :], planes[..., :-1, :]], dim=-2)
    below = torch.cat([planes[..., 1:, :], planes[..., -1:, :]], dim=-2)
    rows = torch.stack([3 * planes + above, 3 * planes + below], dim=-2).flatten(-3, -2)
    left = torch.cat([rows[..., :1], rows[..., :-1]], dim=-1)
    right = torch.cat([rows[..., 1:], rows[..., -1:]], dim=-1)
    return torch.stack([(3 * rows + left + 8) >> 4, (3 * rows + right + 7) >> 4], dim=-1).flatten(-2)


def _code(planes: torch.Tensor, table: tuple[int, ...], quality: int) -> torch.Tensor:
    """Return planes (..., H, W), sides multiples of 8, after DCT, quantisation and back."""
    steps = quantisation(table, quality).to(planes.device)
    *lead, height, width = planes.shape
    blocks = (planes - 128).view(*lead, height // 8, 8, width // 8, 8).transpose(-3, -2)
    coefficients = forward_dct(blocks)  # eight times the DCT
    divisor = steps * 8
    levels = torch.div(coefficients.abs() + divisor // 2, divisor, rounding_mode="floor") * coefficients.sign()
    decoded = (inverse_dct(levels * steps) + 128).clamp_(0, 255)
    return decoded.transpose(-3, -2).reshape(planes.shape)
