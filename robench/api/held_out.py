"""Which run a calibration is fitted on, and which images remain to be measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from robench.errors import RobenchError
from robench.predictions import RunFolder

Columns = dict[str, npt.NDArray[Any]]  # a cell's, (n, ...) each


def fit_folder(own: RunFolder, path: Path) -> RunFolder:
    """Return another run of the same model to fit on.

    Raises:
        RobenchError: it is the run itself, or one of another model.
    """
    if path.resolve() == own.path.resolve():
        raise RobenchError(
            "`fit_run` is the run itself: calibration must be evaluated on other images than it was fitted on.",
            hint="Omit `fit_run` to split the run's images, or give a run on held-out images.",
        )
    other = RunFolder.open(path)
    models = [folder.record.model for folder in (own, other)]
    orders = [str(model.card.get("class_order", "as the model's")) for model in models]
    if models[0].name == models[1].name and orders[0] != orders[1]:
        raise RobenchError(
            f"The classes of {path} are in another order than those of {own.path}: {orders[1]}; {orders[0]}.",
            hint="Evaluate the model on held-out images whose classes have the same order.",
        )
    if models[0].hash != models[1].hash:
        raise RobenchError(
            f"{path} is a run of another model ({models[1].name}) than {own.path} ({models[0].name}).",
            hint="A calibration holds for the model it was fitted on; evaluate this model on held-out images.",
        )
    return other


def check(fitted: RunFolder, cell: str) -> None:
    """Refuse a damaged run, and a cell that is not finished.

    Raises:
        RobenchError: it is one or the other.
    """
    fitted.refuse_damaged()
    if cell not in (there := fitted.done()):
        raise RobenchError(
            f"{fitted.path} has no finished cell '{cell}' to fit on.", hint=f"It has: {', '.join(there) or 'none'}."
        )


def without(columns: Columns, index: Any, fit_run: Path) -> Columns:
    """Return the columns of the images that the fit has not seen.

    Raises:
        RobenchError: there is none.
    """
    rows = ~np.isin(columns["index"], index)
    if not rows.any():
        raise RobenchError(
            f"{fit_run} has every image of the run: no image is left to evaluate the calibration on.",
            hint="Omit `fit_run` to split the run's images, or give a run on held-out images.",
        )
    return chosen(columns, rows)


def chosen(columns: Columns, rows: Any) -> Columns:
    """Return some rows of all columns."""
    return {name: column[rows] for name, column in columns.items()}
