"""Post-hoc calibration: temperature and vector scaling of logits, fitted on held-out images.

Both minimise the mean negative log-likelihood over (n, K) logits and (n,) labels. Temperature scaling leaves the
predicted class as it is; vector scaling may change it.

Source: Guo et al. 2017, section 4.2.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from robench.errors import RobenchError
from robench.metrics.arrays import class_rows

Array = npt.NDArray[np.float64]
_LOWEST, _HIGHEST = 1e-2, 1e2  # of T, in standard deviations of the logits about their image's mean


class Scaling(NamedTuple):
    """Calibrated logits are ``scale * logits + bias``; scale is a number or (K,), bias (K,) or 0."""

    scale: Array
    bias: Array

    @property
    def temperature(self) -> float:
        """One over the mean scale: the temperature of temperature scaling."""
        return float(1.0 / np.mean(self.scale))


def apply_scaling(scaling: Scaling, logits: Any) -> Array:
    """Return the calibrated logits, float64 (n, K).

    Args:
        scaling: as from :func:`fit_temperature` or :func:`fit_vector`.
        logits: (n, K).

    >>> apply_scaling(Scaling(np.array(0.5), np.zeros(1)), [[2.0, 4.0]]).tolist()
    [[1.0, 2.0]]
    """
    rows, _ = class_rows(logits, np.zeros(len(logits), np.int64))
    return rows.astype(np.float64) * scaling.scale + scaling.bias


def fit_temperature(logits: Any, target: Any) -> Scaling:
    """Return the temperature scaling of least NLL.

    The NLL is convex in 1 / T, so a bounded search finds the one minimum: T from 0.01 to 100 standard deviations of
    the logits about their image's mean, so that their scale does not matter (a network may put out cosines, or sums in
    the thousands). Where every image is right the NLL falls towards 0 without end, and T is small and meaningless;
    logits that are no better than chance end at the largest T, equal ones have T = 1.

    Raises:
        RobenchError: no images, shapes that do not match, or a target out of range.

    Args:
        logits: (n, K).
        target: int (n,).

    >>> logits, target = np.tile([2.0, 0.0], (4, 1)), [0, 0, 0, 1]
    >>> round(fit_temperature(logits, target).temperature, 3)  # softmax of log(3) is 3 : 1
    1.82
    """
    from scipy.optimize import minimize_scalar

    z, y = _fit_input(logits, target)
    spread = float((z - z.mean(axis=1, keepdims=True)).std())
    if spread == 0.0:  # every T gives the same
        return Scaling(np.array(1.0), np.zeros(1))
    z = z / spread
    found = minimize_scalar(
        lambda log_scale: _nll(z * np.exp(log_scale), y),
        bounds=(np.log(1 / _HIGHEST), np.log(1 / _LOWEST)),
        method="bounded",
        options={"xatol": 1e-10, "maxiter": 500},
    )
    return Scaling(np.array(np.exp(found.x) / spread), np.zeros(1))


def fit_vector(logits: Any, target: Any) -> Scaling:
    """Return the vector scaling of least NLL: one factor and one bias per class (2 K numbers), from L-BFGS.

    It starts from temperature scaling, so its NLL on the images of the fit is not above that. Every class's logits are
    standardised for the search, which else stops early where their scales differ.

    Raises:
        RobenchError: as :func:`fit_temperature`.

    Args:
        logits: (n, K).
        target: int (n,).

    >>> fit_vector(np.tile([2.0, 0.0], (4, 1)), [0, 0, 0, 1]).bias.shape
    (2,)
    """
    from scipy.optimize import minimize

    z, y = _fit_input(logits, target)
    n, classes = z.shape
    factor = float(fit_temperature(z, y).scale)
    mean, deviation = z.mean(axis=0), z.std(axis=0)
    deviation[deviation == 0] = 1.0
    z = (z - mean) / deviation
    start = np.concatenate([factor * deviation, factor * mean])

    def loss(parameters: Array) -> tuple[float, Array]:
        scale, bias = parameters[:classes], parameters[classes:]
        log_p = _log_softmax(z * scale + bias)
        residual = np.exp(log_p)
        residual[np.arange(n), y] -= 1.0
        gradient = np.concatenate([(residual * z).mean(axis=0), residual.mean(axis=0)])
        return float(-log_p[np.arange(n), y].mean()), gradient

    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 1000})
    best = found.x if found.fun <= loss(start)[0] else start
    scale = best[:classes] / deviation
    return Scaling(scale, best[classes:] - scale * mean)


FITS = {"temperature": fit_temperature, "vector": fit_vector}


def scaled_columns(columns: dict[str, npt.NDArray[Any]], scaling: Scaling) -> dict[str, npt.NDArray[Any]]:
    """Return a cell's columns as if the model put out calibrated logits; ``logits`` and ``target`` are needed."""
    logits = apply_scaling(scaling, columns["logits"])
    log_p = _log_softmax(logits)
    p, rows, target = np.exp(log_p), np.arange(len(logits)), np.asarray(columns["target"])
    predicted = logits.argmax(axis=1)
    own = p[rows, target]
    order = np.argsort(-logits, axis=1, kind="stable")[:, :5]
    return columns | {
        "logits": logits,
        "predicted": predicted.astype(np.int32),
        "confidence": p[rows, predicted],
        "target_probability": own,
        "nll": -log_p[rows, target],
        "brier": (p * p).sum(axis=1) - 2.0 * own + 1.0,
        "entropy": -(p * np.where(p > 0, log_p, 0.0)).sum(axis=1),
        "top5": np.pad(order, ((0, 0), (0, 5 - order.shape[1])), constant_values=-1).astype(np.int32),
    }


def _fit_input(logits: Any, target: Any) -> tuple[Array, npt.NDArray[np.int64]]:
    rows, labels = class_rows(logits, target)
    if not len(rows):
        raise RobenchError("A calibration cannot be fitted without images.", hint="Give held-out clean predictions.")
    if not np.isfinite(rows).all():
        raise RobenchError("Logits to fit on are NaN or infinite.", hint="Check the model's output.")
    return rows.astype(np.float64), labels


def _log_softmax(logits: Array) -> Array:
    z = logits - logits.max(axis=1, keepdims=True)
    return np.asarray(z - np.log(np.exp(z).sum(axis=1, keepdims=True)))


def _nll(logits: Array, target: npt.NDArray[np.int64]) -> float:
    return float(-_log_softmax(logits)[np.arange(len(target)), target].mean())
