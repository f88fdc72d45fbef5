"""From logits to probabilities, and to confidences that do not saturate."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from robench.errors import RobenchError
from robench.metrics.arrays import checked, floats

Array = npt.NDArray[np.float64]


def softmax(logits: npt.ArrayLike) -> Array:
    """Return softmax probabilities (n, K) in float64 of logits of any float type.

    Args:
        logits: (n, K).

    Raises:
        RobenchError: another shape.

    >>> softmax([[0.0, 0.0]]).tolist()
    [[0.5, 0.5]]
    """
    z = checked(floats(logits), 2, "logits (n, K)")
    p = z - z.max(axis=1, keepdims=True)
    np.exp(p, out=p)
    p /= p.sum(axis=1, keepdims=True)
    return np.asarray(p)


def log_complement(logits: npt.ArrayLike) -> Array:
    """Return log(1 - confidence) in nats, float64 (n,): the confidence is the largest softmax probability.

    It tells apart what rounds to a confidence of 1. It is -inf where all but one logit are.

    Args:
        logits: (n, K), K from 2.

    Raises:
        RobenchError: another shape.

    >>> np.round(log_complement([[0.0, 0.0], [800.0, 0.0]]), 4).tolist()
    [-0.6931, -800.0]
    """
    z = np.sort(checked(floats(logits), 2, "logits (n, K)"), axis=1)[:, ::-1]
    if z.shape[1] < 2:
        raise RobenchError("A confidence needs two classes or more; found one.", hint="Give logits (n, K), K from 2.")
    top, second = z[:, 0], z[:, 1]
    others = np.exp(z[:, 1:] - np.maximum(second, np.finfo(np.float64).min)[:, None]).sum(axis=1)
    others = np.where(np.isneginf(second), 1.0, others)
    odds = others * np.exp(second - top)  # of the others against the largest
    return np.asarray(np.log(others) + (second - top) - np.log1p(odds))
