"""From logits to probabilities."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from robench.metrics.arrays import floats

Array = npt.NDArray[np.float64]


def softmax(logits: npt.ArrayLike) -> Array:
    """Return softmax probabilities (n, K) in float64 of logits of any float type.

    Args:
        logits: (n, K).

    >>> softmax([[0.0, 0.0]]).tolist()
    [[0.5, 0.5]]
    """
    z = floats(logits)
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))
