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
_OF_LOGITS = ("max_logit", "second_logit", "logsumexp", "target_rank", "target_tail")
_PART = 1 << 16  # logits that are worked on at a time
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

    The NLL is convex in 1 / T, so its minimum is the one root of its derivative: T from 0.01 to 100 standard deviations
    of the logits about their image's mean, so that their scale does not matter (a network may put out cosines, or sums
    in the thousands). Where every image is right the NLL falls towards 0 without end, and T is small and meaningless;
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
    from scipy.optimize import brentq

    z, y = _fit_input(logits, target)
    spread = _spread(z)
    if spread == 0.0:  # every T gives the same
        return Scaling(np.array(1.0), np.zeros(1))

    def slope(log_scale: float) -> float:
        """The NLL's derivative by the scale: the mean logit under the softmax, minus the label's."""
        scale, total = float(np.exp(log_scale)) / spread, 0.0
        for part in _parts(z):
            e, centred, norm = _exponentials(z[part] * np.float64(scale))
            own = centred[np.arange(len(e)), y[part]]
            total += float((np.einsum("ik,ik->i", e, centred) / norm - own).sum())
        return total

    low, high = float(np.log(1 / _HIGHEST)), float(np.log(1 / _LOWEST))
    if slope(low) >= 0:
        best = low
    elif slope(high) <= 0:
        best = high
    else:
        best = float(brentq(slope, low, high, xtol=1e-12))
    return Scaling(np.array(np.exp(best) / spread), np.zeros(1))


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
    mean, deviation = z.mean(axis=0, dtype=np.float64), z.std(axis=0, dtype=np.float64)
    deviation[deviation == 0] = 1.0
    start = np.concatenate([factor * deviation, factor * mean])

    def loss(parameters: Array) -> tuple[float, Array]:
        scale, bias = parameters[:classes], parameters[classes:]
        total, by_scale, by_bias = 0.0, np.zeros(classes), np.zeros(classes)
        for part in _parts(z):
            standard = (z[part] - mean) / deviation
            e, centred, norm = _exponentials(standard * scale + bias)
            rows = np.arange(len(e))
            total += float((np.log(norm) - centred[rows, y[part]]).sum())
            residual = e / norm[:, None]
            residual[rows, y[part]] -= 1.0
            by_scale += np.einsum("ik,ik->k", residual, standard)
            by_bias += residual.sum(axis=0)
        return total / n, np.concatenate([by_scale, by_bias]) / n

    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 1000})
    best = found.x if found.fun <= loss(start)[0] else start
    scale = best[:classes] / deviation
    return Scaling(scale, best[classes:] - scale * mean)


FITS = {"temperature": fit_temperature, "vector": fit_vector}


def scaled_columns(columns: dict[str, npt.NDArray[Any]], scaling: Scaling) -> dict[str, npt.NDArray[Any]]:
    """Return a cell's columns as if the model put out calibrated logits; ``logits`` and ``target`` are needed.

    Columns of the logits that are not computed again, such as ``max_logit``, are left out.
    """
    columns = {name: column for name, column in columns.items() if name not in _OF_LOGITS}
    given, target = np.asarray(columns["logits"]), np.asarray(columns["target"])
    parts = [_of_part(given[part], target[part], scaling) for part in _parts(given)]
    parts = parts or [_of_part(given, target, scaling)]
    return columns | {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _of_part(given: npt.NDArray[Any], target: npt.NDArray[Any], scaling: Scaling) -> dict[str, npt.NDArray[Any]]:
    """Return the columns that scaling changes, of some rows."""
    logits = given.astype(np.float64) * scaling.scale + scaling.bias
    e, centred, norm = _exponentials(logits)
    log_p, p, rows = centred - np.log(norm)[:, None], e / norm[:, None], np.arange(len(logits))
    order = _largest(logits, 5)
    predicted, own = order[:, 0], p[rows, target]
    e[rows, predicted] = 0.0
    with np.errstate(divide="ignore"):
        rest = np.log(e.sum(axis=1)) - np.log(norm)
    return {
        "logits": logits,
        "predicted": predicted.astype(np.int32),
        "confidence": p[rows, predicted],
        "log_complement": rest,
        "target_probability": own,
        "nll": -log_p[rows, target],
        "brier": np.einsum("ik,ik->i", p, p) - 2.0 * own + 1.0,
        "entropy": -np.einsum("ik,ik->i", p, np.where(p > 0, log_p, 0.0)),
        "top5": np.pad(order, ((0, 0), (0, 5 - order.shape[1])), constant_values=-1).astype(np.int32),
    }


def _largest(logits: Array, k: int) -> npt.NDArray[np.intp]:
    """Return the classes of the k largest logits, (n, min(k, K)), the lower class first on ties."""
    classes = logits.shape[1]
    if classes <= 4 * k:
        return np.asarray(np.argsort(-logits, axis=1, kind="stable")[:, :k])
    some = np.sort(np.argpartition(-logits, k, axis=1)[:, : k + 1], axis=1)
    values = np.take_along_axis(logits, some, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    ordered = np.take_along_axis(values, order, axis=1)
    found = np.take_along_axis(some, order, axis=1)[:, :k]
    # Which of equal logits a partition chooses is not defined where they reach beyond the k-th.
    tied = ordered[:, k - 1] == ordered[:, k]
    found[tied] = np.argsort(-logits[tied], axis=1, kind="stable")[:, :k]
    return np.asarray(found)


def _parts(logits: npt.NDArray[Any]) -> list[slice]:
    """Return parts of the rows that stay in the cache, so that no temporary array is as large as the logits."""
    rows = max(1, _PART // logits.shape[1])
    return [slice(start, start + rows) for start in range(0, len(logits), rows)]


def _exponentials(logits: Array) -> tuple[Array, Array, Array]:
    """Return exp(z), z = logits less their maximum, and the sums of exp(z): (n, K), (n, K) and (n,)."""
    centred = logits - logits.max(axis=1, keepdims=True)
    e = np.exp(centred)
    return e, centred, e.sum(axis=1)


def _spread(logits: npt.NDArray[Any]) -> float:
    """Return the standard deviation of the logits about their image's mean."""
    squares = 0.0
    for part in _parts(logits):
        some = logits[part].astype(np.float64)
        squares += float(np.square(some - some.mean(axis=1, keepdims=True)).sum())
    return float(np.sqrt(squares / logits.size))


def _fit_input(logits: Any, target: Any) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    rows, labels = class_rows(logits, target)
    if not len(rows):
        raise RobenchError("A calibration cannot be fitted without images.", hint="Give held-out clean predictions.")
    if not np.isfinite(rows).all():
        raise RobenchError("Logits to fit on are NaN or infinite.", hint="Check the model's output.")
    return rows, labels
