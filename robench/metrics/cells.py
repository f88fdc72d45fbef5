"""Metrics of a cell by their names in :mod:`robench.catalogue`, built-in and installed ones alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import cast

import numpy as np
import numpy.typing as npt

from robench.catalogue import metric
from robench.errors import RobenchError
from robench.metrics.debiased import signed_root
from robench.metrics.weighted import AnyKernel, Array, Columns, correct

__all__ = ["compute", "correct", "defined", "kernel", "mean_over_cells", "whole_columns"]


def kernel(name: str) -> AnyKernel:
    """Return what computes a metric: a kernel, or a plain function of columns.

    Raises:
        RobenchError: unknown name, or its kernel cannot be imported.
    """
    target = metric(name).kernel
    module, _, attribute = target.partition(":")
    try:
        return cast(AnyKernel, getattr(import_module(module), attribute))
    except (ImportError, AttributeError, ValueError) as error:
        raise RobenchError(
            f"Could not load the kernel of the metric '{name}' from '{target}': {error}",
            hint="A metric's row names its kernel as 'package.module:attribute'.",
        ) from error


def defined(name: str, columns: Columns) -> bool:
    """Return whether a cell has as many images as a metric needs, by its row in the catalogue."""
    least = metric(name).minimum_images
    return least <= 1 or next(len(column) for column in columns.values() if np.ndim(column) > 0) >= least


@contextmanager
def whole_columns(names: Sequence[str], columns: Columns) -> Iterator[None]:
    """Say what is wrong with columns that these metrics cannot be computed on.

    Raises:
        RobenchError: a column that a metric needs is missing, or columns have different numbers of rows.
    """
    rows = {name: len(column) for name, column in columns.items() if np.ndim(column) > 0}
    if len(set(rows.values())) > 1:
        said = ", ".join(f"{name} {count:,}" for name, count in rows.items())
        raise RobenchError(f"Columns have different numbers of rows: {said}.", hint="Give one row per image in each.")
    try:
        yield
    except KeyError as error:
        for name in names:
            if lacking := [column for column in metric(name).needs if column not in columns]:
                known = ", ".join(columns) or "none"
                raise RobenchError(
                    f"The metric '{name}' needs the columns {', '.join(lacking)}; found {known}.",
                    hint="Give one array for each column, with one row per image.",
                ) from error
        raise


def compute(name: str, columns: Columns) -> float:
    """Return a metric of a cell's columns; NaN where it is undefined, as with too few images.

    Args:
        name: of the metric.
        columns: the columns that its row in the catalogue needs, (n, ...) each.

    Raises:
        RobenchError: as :func:`kernel`, or as :func:`whole_columns`.

    >>> import numpy as np
    >>> compute("error", {"predicted": np.array([1, 2]), "target": np.array([1, 1])})
    0.5
    """
    found = kernel(name)
    with whole_columns([name], columns):
        if not defined(name, columns):
            return float("nan")
        return float(found(columns)) if callable(found) else float(found.value(columns))


def mean_over_cells(name: str, values: npt.ArrayLike) -> Array:
    """Return the mean over cells, the last axis, of a metric's values or replicates.

    For most metrics it is the plain mean. Where the catalogue's row says ``root mean square`` (debiased RMS errors,
    whose squares are unbiased), it is the root of the mean of the squares, both with their signs.

    Args:
        name: of the metric.
        values: (..., cells).

    >>> float(mean_over_cells("error", [0.25, 0.75]))
    0.5
    >>> round(float(mean_over_cells("rms_calibration_error_debiased", [0.5, -0.1])), 4)
    0.3464
    """
    found = np.asarray(values, np.float64)
    if metric(name).over_cells == "mean":
        return np.asarray(found.mean(axis=-1))
    return signed_root((found * np.abs(found)).mean(axis=-1))
