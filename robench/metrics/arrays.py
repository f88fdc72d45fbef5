"""What is taken as an array: numpy arrays, lists, and torch tensors by their methods, without importing torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from robench.errors import RobenchError


def as_array(values: Any) -> npt.NDArray[Any]:
    """Return a numpy array; a torch tensor is detached and brought to the host, brain floats become float32."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        return np.asarray((values.float() if str(values.dtype) == "torch.bfloat16" else values).numpy())
    return np.asarray(values)


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
            hint="Leave out images without a label, and give labels in the order of the columns.",
        )
    dtype = np.float64 if rows.dtype == np.float64 else np.float32
    return np.ascontiguousarray(rows, dtype), labels.astype(np.int64)
