"""What the corruptions of C-bar share: an image's few random numbers in float64, and how they are used."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from robench.compiled import compiled
from robench.corruptions.random import Stream

Floats = npt.NDArray[np.float64]


def drawn(stream: Stream, draw: int, count: int) -> Floats:
    """Return float64 (N, count) in [0, 1), on the host."""
    return np.asarray(stream.uniform(draw, (count,)).double().cpu().numpy())


@compiled(inline="always")
def to_byte(value: Any) -> Any:
    """Return a float as uint8: clipped to 0..255 and truncated."""
    return np.uint8(min(max(value, 0.0), 255.0))
