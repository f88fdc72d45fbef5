"""The same augmentation as ``kernels_cpu`` in batched tensor operations, for an accelerator without ``kernels_gpu``.

The images of a step are sorted by what their operation is (table, warp, blend), so that each kind runs once
over its own images. How many there are of each kind decides what is started: operations that were drawn on the host are
counted there, and those on the device are read back once per call. Warps are in float64, as Pillow's.
"""

from __future__ import annotations

import torch

from robench.corruptions._gpu import upload
from robench.training.ops import operations as op

_TABLE, _WARP, _BLEND = 1, 2, 3
_KIND = [0] * (len(op.NAMES) + 1)
for _number in range(len(op.NAMES)):
    _KIND[_number + 1] = _BLEND
for _number in (op.AUTOCONTRAST, op.EQUALIZE, op.POSTERIZE, op.SOLARIZE, op.INVERT):
    _KIND[_number + 1] = _TABLE
for _number in op.WARP_OPERATIONS:
    _KIND[_number + 1] = _WARP


def apply(images: torch.Tensor, ops: torch.Tensor, values: torch.Tensor, fill: int = 0) -> torch.Tensor:
    """Apply to every image its own chain, or several chains each to the image as it is; see ``kernels_cpu.apply``."""
    kinds = torch.tensor(_KIND, device=ops.device)[ops + 1]
    order = kinds.argsort(dim=0)
    counts = torch.stack([(kinds == kind).sum(dim=0) for kind in range(4)], dim=1).tolist()
    order, ops, values = (upload(part, images.device) for part in (order, ops, values))
    images = images.repeat_interleave(len(ops) // max(1, len(images)), dim=0)
    for depth in range(ops.shape[1]):
        start = counts[depth][0]
        for kind, run in ((_TABLE, _tables), (_WARP, _warp), (_BLEND, _enhance)):
            stop = start + counts[depth][kind]
            if stop > start:
                where = order[start:stop, depth]
                part = images[where]
                images[where] = run(part, ops[where, depth], values[where, depth], fill)
            start = stop
    return images


def mix(
    images: torch.Tensor,
    ops: torch.Tensor,
    values: torch.Tensor,
    weights: torch.Tensor,
    m: torch.Tensor,
    fill: int = 0,
) -> torch.Tensor:
    """Augment in chains and mix; see ``augment.mix``."""
    n, width, depth = ops.shape
    weights, m = upload(weights, images.device), upload(m, images.device)
    flat = apply(images, ops.reshape(-1, depth), values.reshape(-1, depth), fill)
    chains = flat.view(n, width, *images.shape[1:])
    share = m.view(n, 1, 1, 1)
    mixed = (1.0 - share) * images.float()
    for k in range(width):
        mixed += share * weights[:, k].view(n, 1, 1, 1) * chains[:, k].float()
    return mixed.div_(255.0)


def _tables(images: torch.Tensor, ops: torch.Tensor, values: torch.Tensor, fill: int) -> torch.Tensor:
    """Point operations: a 256-entry table for every channel of every image, then one lookup."""
    n, channels = images.shape[:2]
    flat = images.reshape(n, channels, -1).long()
    histogram = torch.zeros(n, channels, 256, dtype=torch.long, device=images.device)
    histogram.scatter_add_(2, flat, torch.ones_like(flat))
    level = torch.arange(256, device=images.device).expand(n, channels, 256)
    number = ops.view(n, 1, 1)
    whole = values.long().view(n, 1, 1)
    bits = (8 - whole).clamp(0, 8)
    solarized = torch.where(level < whole, level, 255 - level)
    table = torch.where(number == op.POSTERIZE, (level >> bits) << bits, level)
    table = torch.where(number == op.SOLARIZE, solarized, table)
    table = torch.where(number == op.INVERT, 255 - level, table)
    table = torch.where(number == op.AUTOCONTRAST, _autocontrast_tables(histogram, level), table)
    table = torch.where(number == op.EQUALIZE, _equalize_tables(histogram, level), table)
    return table.gather(2, flat).to(torch.uint8).view_as(images)


def _autocontrast_tables(histogram: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
    present = histogram > 0
    low = present.int().argmax(dim=2, keepdim=True)
    high = 255 - present.flip(2).int().argmax(dim=2, keepdim=True)
    span = (high - low).clamp(min=1).double()
    # A true division: "255.0 / span" would multiply by the reciprocal, and round differently from Pillow.
    scale = torch.full_like(span, 255.0) / span
    table = (level * scale + -low * scale).trunc().clamp(0, 255).long()
    return torch.where(high > low, table, level)


def _equalize_tables(histogram: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
    present = histogram > 0
    last = 255 - present.flip(2).int().argmax(dim=2, keepdim=True)
    total = histogram.sum(dim=2, keepdim=True)
    step = (total - histogram.gather(2, last)) // 255
    before = histogram.cumsum(dim=2) - histogram
    table = ((step // 2 + before) // step.clamp(min=1)).clamp(max=255)
    return torch.where((step > 0) & (present.sum(dim=2, keepdim=True) > 1), table, level)


def _matrices(ops: torch.Tensor, values: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Return (n, 6) float64: output pixel centres to input coordinates."""
    zero, one = torch.zeros_like(values), torch.ones_like(values)
    angle = -torch.deg2rad(values.remainder(360.0))
    turned = ops == op.ROTATE
    cosine, sine = torch.where(turned, angle.cos(), one), torch.where(turned, angle.sin(), zero)
    cx, cy = width / 2.0, height / 2.0
    b = torch.where(ops == op.SHEAR_X, values, sine)
    d = torch.where(ops == op.SHEAR_Y, values, -sine)
    c = torch.where(turned, cosine * -cx + sine * -cy + cx, torch.where(ops == op.TRANSLATE_X, values, zero))
    f = torch.where(turned, sine * cx + cosine * -cy + cy, torch.where(ops == op.TRANSLATE_Y, values, zero))
    return torch.stack([cosine, b, c, d, cosine, f], dim=1)


def _warp(images: torch.Tensor, ops: torch.Tensor, values: torch.Tensor, fill: int) -> torch.Tensor:
    n, channels, height, width = images.shape
    a, b, c, d, e, f = _matrices(ops, values, height, width).view(n, 6, 1, 1).unbind(dim=1)
    y = torch.arange(height, device=images.device, dtype=torch.float64).view(1, height, 1) + 0.5
    x = torch.arange(width, device=images.device, dtype=torch.float64).view(1, 1, width) + 0.5
    xin, yin = a * x + b * y + c, d * x + e * y + f
    outside = (xin < 0) | (xin >= width) | (yin < 0) | (yin >= height)
    left, upper = (xin - 0.5).floor(), (yin - 0.5).floor()
    dx, dy = (xin - 0.5 - left).unsqueeze(1), (yin - 0.5 - upper).unsqueeze(1)
    x0, x1 = left.long().clamp(0, width - 1), (left.long() + 1).clamp(0, width - 1)
    y0, y1 = upper.long().clamp(0, height - 1), (upper.long() + 1).clamp(0, height - 1)
    flat = images.reshape(n, channels, height * width)

    def at(row: torch.Tensor, column: torch.Tensor) -> torch.Tensor:
        place = (row * width + column).view(n, 1, -1).expand(n, channels, -1)
        return flat.gather(2, place).view(n, channels, height, width).double()

    top = torch.lerp(at(y0, x0), at(y0, x1), dx)
    bottom = torch.lerp(at(y1, x0), at(y1, x1), dx)
    warped = torch.lerp(top, bottom, dy).to(torch.uint8)
    return torch.where(outside.unsqueeze(1), torch.full_like(warped, fill), warped)


def _enhance(images: torch.Tensor, ops: torch.Tensor, values: torch.Tensor, fill: int) -> torch.Tensor:
    """Blend with a degenerate image (grey, mean grey, black or smoothed), as Pillow's enhancers."""
    n = len(images)
    wide = images.long()
    grey = (wide[:, 0] * 19595 + wide[:, 1] * 38470 + wide[:, 2] * 7471 + 0x8000) >> 16
    mean = (grey.double().mean(dim=(1, 2)) + 0.5).floor().long()
    number = ops.view(n, 1, 1, 1)
    base = torch.where(number == op.COLOR, grey.unsqueeze(1), torch.zeros_like(wide))
    base = torch.where(number == op.CONTRAST, mean.view(n, 1, 1, 1), base)
    base = torch.where(number == op.SHARPNESS, _smoothed(wide), base)
    factor = values.float().view(n, 1, 1, 1)
    blended = base.float() + factor * (wide - base).float()
    return blended.clamp(0, 255).to(torch.uint8)


def _smoothed(images: torch.Tensor) -> torch.Tensor:
    n, channels, height, width = images.shape
    kernel = torch.ones(1, 1, 3, 3, dtype=torch.float64, device=images.device)
    kernel[0, 0, 1, 1] = 5.0
    flat = images.double().view(n * channels, 1, height, width)
    inner = (torch.nn.functional.conv2d(flat, kernel) / 13.0 + 0.5).floor().long()
    result = images.clone()
    result[:, :, 1:-1, 1:-1] = inner.view(n, channels, height - 2, width - 2)
    return result
