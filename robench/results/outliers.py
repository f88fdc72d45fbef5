"""Out-of-distribution detection joins two cells: the images of a model's classes, and foreign ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from robench.predictions import Predictions
from robench.suites.base import Cell

Columns = dict[str, npt.NDArray[Any]]
_JOINED = ("confidence", "log_complement", "logsumexp", "max_logit", "second_logit", "entropy", "predicted", "target")


def with_outliers(predictions: Mapping[str, Predictions], clean: str = "clean") -> list[Columns]:
    """Return the columns of every cell, those of foreign images with the clean cell's rows before their own.

    ``outlier`` says which rows are foreign. The images of different cells keep apart: their indices do not meet.

    Args:
        predictions: of a run's cells.
        clean: the condition with images of the model's classes; where it is missing, cells stand alone.
    """
    own = next((rows for name, rows in predictions.items() if Cell.parse(name).condition == clean), None)
    found: list[Columns] = []
    after = 0 if own is None else int(own.index.max(initial=-1)) + 1
    for name, rows in predictions.items():
        foreign = Cell.parse(name).condition != clean
        columns = joined(own, rows, after) if foreign else marked(rows, 0)
        if foreign:
            after += int(rows.index.max(initial=-1)) + 1
        found.append(columns | {"cell": np.array(name)})
    return found


def marked(rows: Predictions, outlier: int) -> Columns:
    """Return the columns with ``outlier``, uint8 (n,), the same for all rows."""
    return dict(rows.columns()) | {"outlier": np.full(len(rows), outlier, np.uint8)}


def joined(own: Predictions | None, foreign: Predictions, after: int) -> Columns:
    """Return the rows of both, the foreign ones' indices moved by ``after``."""
    columns = marked(foreign, 1)
    columns["index"] = columns["index"] + after
    if own is None:
        return columns
    first = marked(own, 0)
    names = ("index", "outlier", *(name for name in _JOINED if name in first and name in columns))
    return {name: np.concatenate([first[name], columns[name]]) for name in names}
