"""What is taken as an array: numpy arrays, lists, and torch tensors by their methods, without importing torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from robench.errors import RobenchError

_HIGHEST = 1.001  # float16 sums of a softmax may pass 1 by a little


def as_array(values: Any) -> npt.NDArray[Any]:
    """Return a numpy array; a torch tensor is detached and brought to the host, brain floats become float32.

    Raises:
        RobenchError: rows of different lengths.
    """
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        return np.asarray((values.float() if str(values.dtype) == "torch.bfloat16" else values).numpy())
    try:
        return np.asarray(values)
    except ValueError as error:
        raise RobenchError(
            f"The values are not an array: {error}", hint="Give rows of one length, without other lists in them."
        ) from error


def floats(values: Any) -> npt.NDArray[np.float64]:
    """Return a float64 numpy array of numbers or booleans.

    Raises:
        RobenchError: other values, complex numbers among them, or rows of different lengths.
    """
    found = as_array(values)
    try:
        if found.dtype.kind != "c":
            return np.asarray(found, np.float64)
    except (TypeError, ValueError):
        pass
    raise RobenchError(f"Expected numbers; found values of type {found.dtype}.", hint="Give real numbers or booleans.")


def checked(found: npt.NDArray[Any], dimensions: int, what: str) -> npt.NDArray[Any]:
    """Return an array if it has so many dimensions.

    Args:
        found: the array.
        dimensions: how many it must have.
        what: is expected, with its shape, as the message says it.

    Raises:
        RobenchError: it has more or fewer.
    """
    if found.ndim != dimensions:
        raise RobenchError(f"Expected {what}; found shape {found.shape}.", hint="Check the array's dimensions.")
    return found


def inner_share(number: float, what: str) -> float:
    """Return a number if it lies between 0 and 1, both left out.

    Raises:
        RobenchError: it does not.
    """
    if not isinstance(number, (int, float, np.number)) or not 0.0 < number < 1.0:
        raise RobenchError(f"The {what} must lie between 0 and 1; found {number!r}.", hint="For 95 % give 0.95.")
    return float(number)


def answers(values: Any) -> npt.NDArray[np.bool_]:
    """Return whether images are right, booleans of any shape.

    Raises:
        RobenchError: other values than True and False, 1 and 0.
    """
    found = as_array(values)
    if not ((found == 0) | (found == 1)).all():
        raise RobenchError(
            "Whether an image is right must be True or False (1 or 0); found other numbers.",
            hint="Give predicted == target, not the predicted classes.",
        )
    return found.astype(bool)


def top_label(confidence: Any, correct: Any) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return confidences (n,) and whether each image is right, 1.0 or 0.0, (n,).

    Raises:
        RobenchError: shapes that do not match, a confidence outside [0, 1] or NaN, or answers that are not 0 or 1.
    """
    found, hit = floats(confidence), answers(correct).astype(np.float64)
    if found.ndim != 1 or hit.shape != found.shape:
        raise RobenchError(
            f"Expected confidences (n,) and as many answers; found shapes {found.shape} and {hit.shape}.",
            hint="Give the probability of the predicted class, and whether it is the target, for every image.",
        )
    if len(found) and not (found.min() >= 0 and found.max() <= _HIGHEST):
        raise RobenchError(
            f"Confidences must lie in [0, 1]; found {found.min()} to {found.max()}.",
            hint="Give probabilities, not logits or percentages; check the model's output for NaN.",
        )
    return found, hit


def class_rows(values: Any, target: Any) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    """Return (n, K) float32 or float64 rows in memory order and (n,) int64 targets; half floats become float32.

    Raises:
        RobenchError: shapes that do not match, no class, or a target outside 0..K-1.
    """
    rows, labels = as_array(values), as_array(target)
    if rows.ndim != 2 or rows.shape[1] == 0 or labels.shape != rows.shape[:1]:
        raise RobenchError(
            f"Expected rows (n, K) and targets (n,); found shapes {rows.shape} and {labels.shape}.",
            hint="Give one row of probabilities or logits, and one class index, for every image.",
        )
    if labels.dtype.kind not in "iu":
        raise RobenchError(f"Targets must be integers; found {labels.dtype}.", hint="Give class indices.")
    if len(labels) and (labels.min() < 0 or labels.max() >= rows.shape[1]):
        raise RobenchError(
            f"Targets must lie in 0..{rows.shape[1] - 1}; found {labels.min()} to {labels.max()}.",
            hint="Omit images without a label, and give labels in the order of the columns.",
        )
    dtype = np.float64 if rows.dtype == np.float64 else np.float32
    return np.ascontiguousarray(rows, dtype), labels.astype(np.int64)


def probability_rows(values: Any, target: Any) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Return (n, K) float64 probabilities and (n,) targets.

    Raises:
        RobenchError: as :func:`class_rows`, or a probability outside [0, 1] or NaN.
    """
    rows, labels = class_rows(values, target)
    if rows.size and not (rows.min() >= 0 and rows.max() <= _HIGHEST):
        raise RobenchError(
            f"Probabilities must lie in [0, 1]; found {rows.min()} to {rows.max()}.",
            hint="Take the softmax of logits first; check the model's output for NaN.",
        )
    return rows.astype(np.float64), labels


def distinct(index: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Return the different numbers of an index, rising; at once where it rises already, as that of most cells does.

    >>> distinct([3, 1, 3]).tolist()
    [1, 3]
    """
    found = np.asarray(index)
    return found if (found[1:] > found[:-1]).all() else np.unique(found)


def stable_order(values: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Return the order of rising values, (n,), equal ones in their given order.

    The sort that need not keep equal values in order uses the processor's wide instructions; where few are equal, it
    takes less time to put these right afterwards than to sort as ``kind="stable"`` does.

    >>> stable_order(np.array([0.5, 0.25, 0.5])).tolist()
    [1, 0, 2]
    """
    order = np.argsort(values)
    ordered = values[order]
    same = ordered[1:] == ordered[:-1]
    if 8 * np.count_nonzero(same) > len(values) or not (ordered[-1:] == ordered[-1:]).all():  # many, or NaN at the end
        return np.argsort(values, kind="stable")
    tied = np.flatnonzero(np.r_[same, False] | np.r_[False, same])
    order[tied] = order[tied][np.lexsort((order[tied], ordered[tied]))]
    return order


def positive(number: int, what: str, usual: int) -> int:
    """Return ``number`` if it is a whole number, at least 1.

    Raises:
        RobenchError: it is not.
    """
    if isinstance(number, bool) or not isinstance(number, (int, np.integer)) or number < 1:
        raise RobenchError(
            f"The number of {what} must be a whole number, at least 1; found {number!r}.",
            hint=f"The usual number is {usual}.",
        )
    return int(number)
