"""Grey over parts of the image: ``checkerboard_cutout`` and ``lines``.

Source: facebookresearch/augmentation-corruption, ``imagenet_c_bar/corrupt.py`` (Mintun et al. 2021, MIT). Lines are
antialiased as by Zingl, "A Rasterizing Algorithm for Drawing Curves" (2012), which scikit-image's ``line_aa`` follows.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from robench.compiled import compiled
from robench.corruptions._drawn import drawn
from robench.corruptions._pool import Image, map_images
from robench.corruptions.random import Stream

GREY = 128
FIELDS = 40  # most fields along a side of the board: 4 sides of the image over the smallest field, a tenth of it


def checkerboard_cutout(images: torch.Tensor, params: tuple[float], stream: Stream) -> torch.Tensor:
    """Make some of the black fields of a turned chessboard grey.

    Args:
        images: uint8 (N, 3, H, W).
        params: (strength,): a tenth of it is the share of black fields that become grey.
        stream: draw 0: the board's angle, and the side of a field (0.1 to 0.25 of the image's); draw 1: the fields.

    Returns:
        uint8 (N, 3, H, W).
    """
    height, width = images.shape[-2:]
    side = min(height, width)
    u = drawn(stream, 0, 2)
    share = params[0] / 10

    def cut(image: Image, row: int) -> Image:
        angle, field = 2 * math.pi * u[row, 0], max((0.1 + 0.15 * u[row, 1]) * side, 1.0)
        # As many fields as there; more only where an image is far from square.
        count = max(int(4 * side // field), math.ceil(2 * math.hypot(height, width) / field))
        grey = stream.row_uniform(row, 1, (count, count)) < share
        out = image.copy()
        _cut_fields(math.cos(angle), math.sin(angle), field, grey, out)
        return out

    return map_images(cut, images)


def lines(images: torch.Tensor, params: tuple[float], stream: Stream) -> torch.Tensor:
    """Draw grey lines across the image.

    Args:
        images: uint8 (N, 3, H, W).
        params: (strength,): a tenth of it times the side is the number of lines.
        stream: draw 0: the mean angle, and the range of angles (0.1 to 1 turns); draw 1: each line's middle (row,
            column) and angle.

    Returns:
        uint8 (N, 3, H, W), truncated after every line.
    """
    height, width = images.shape[-2:]
    side = min(height, width)
    number = int(params[0] / 10 * side)
    u = drawn(stream, 0, 2)

    def draw(image: Image, row: int) -> Image:
        mean, spread = 2 * math.pi * u[row, 0], 0.1 + 0.9 * u[row, 1]
        out = image.copy()
        for middle_y, middle_x, turn in stream.row_uniform(row, 1, (number, 3)).astype(np.float64).tolist():
            angle = mean + 2 * math.pi * spread * (turn - 0.5)
            y, x = height * middle_y, width * middle_x
            dy, dx = math.cos(angle) * side, math.sin(angle) * side
            _draw_line(int(y - dy), int(x - dx), int(y + dy), int(x + dx), out)
        return out

    return map_images(draw, images)


@compiled(nogil=True)
def _cut_fields(cosine: Any, sine: Any, field: Any, grey: Any, out: Any) -> None:
    height, width, channels = out.shape
    count = len(grey)
    for y in range(height):
        for x in range(width):
            down, across = (cosine * y + sine * x) / field, (cosine * x - sine * y) / field
            # Truncated as published: the fields on both sides of an axis share a number, and negative ones count
            # from the end.
            if int(down % 2) == int(across % 2) and grey[int(down) % count, int(across) % count]:
                for channel in range(channels):
                    out[y, x, channel] = GREY


@compiled(nogil=True)
def _draw_line(y: Any, x: Any, last_y: Any, last_x: Any, out: Any) -> None:
    dy, dx = abs(last_y - y), abs(last_x - x)
    step_y, step_x = (1 if last_y > y else -1), (1 if last_x > x else -1)
    length = math.sqrt(dy * dy + dx * dx) if dy + dx else 1.0
    # Places are noted first: one that is met twice is drawn once, over what was there before the line.
    places, shades, count = np.empty((4 * (dy + dx) + 4, 2), np.int64), np.empty(4 * (dy + dx) + 4), 0
    off = dx - dy
    while True:
        places[count, 0], places[count, 1] = y, x
        shades[count] = 1 - abs(off - dx + dy) / length
        count += 1
        before, column = off, x
        if 2 * before >= -dx:
            if x == last_x:
                break
            if before + dy < length:
                places[count, 0], places[count, 1] = y + step_y, x
                shades[count] = 1 - abs(before + dy) / length
                count += 1
            off -= dy
            x += step_x
        if 2 * before <= dy:
            if y == last_y:
                break
            if dx - before < length:
                places[count, 0], places[count, 1] = y, column + step_x
                shades[count] = 1 - abs(dx - before) / length
                count += 1
            off += dx
            y += step_y
    _shade(places[:count], shades[:count], out)


@compiled(nogil=True)
def _shade(places: Any, shades: Any, out: Any) -> None:
    height, width, channels = out.shape
    values = np.empty((len(places), channels), np.uint8)
    for i in range(len(places)):
        y, x = places[i, 0], places[i, 1]
        if 0 <= y < height and 0 <= x < width:
            for channel in range(channels):
                values[i, channel] = np.uint8((1.0 - shades[i]) * out[y, x, channel] + shades[i] * GREY)
    for i in range(len(places)):
        y, x = places[i, 0], places[i, 1]
        if 0 <= y < height and 0 <= x < width:
            for channel in range(channels):
                out[y, x, channel] = values[i, channel]
