"""From logits to probabilities, and to confidences that do not saturate."""

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
    p = z - z.max(axis=1, keepdims=True)
    np.exp(p, out=p)
    p /= p.sum(axis=1, keepdims=True)
    return np.asarray(p)


def log_complement(logits: npt.ArrayLike) -> Array:
    """Return log(1 - confidence) in nats, float64 (n,): the confidence is the largest softmax probability.

    It tells apart what rounds to a confidence of 1. It is -inf where all but one logit are.

    Args:
        logits: (n, K), K from 2.

    >>> np.round(log_complement([[0.0, 0.0], [800.0, 0.0]]), 4).tolist()
    [-0.6931, -800.0]
    """
    z = np.sort(floats(logits), axis=1)[:, ::-1]
    top, second = z[:, 0], z[:, 1]
    others = np.exp(z[:, 1:] - second[:, None]).sum(axis=1)
    odds = others * np.exp(second - top)  # of the others against the largest
    return np.asarray(np.log(others) + (second - top) - np.log1p(odds))
