"""Which run a calibration is fitted on, and which images remain to be measured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from robench.errors import RobenchError
from robench.predictions import RunFolder
from robench.results.halves import Index
from robench.results.protocols import protocol_of_run
from robench.results.same_images import cells_like, shared_images

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


@dataclass(frozen=True)
class Seen:
    """The images that a fit has seen, as the cells of a run have them.

    Args:
        index: int64 (n,), rising; in the cells ``like``.
        like: the cells whose indices mean images of the fit's set.
        pixels: int64 (m,), the fingerprints by which the images of other sets are known: ImageNetV2's three sets share
            a third of their images and more. Empty: no other set has one.
        fitted: folder of the run that was fitted on.
    """

    index: Index
    like: tuple[str, ...]
    pixels: Index
    fitted: Path

    @classmethod
    def of(cls, folder: RunFolder, fitted: RunFolder, fit_on: str, half: Index | None) -> Seen:
        """Return what a fit on a cell of ``fitted`` has seen of a run's images.

        Args:
            folder: the run that is measured.
            fitted: the run that is fitted on.
            fit_on: its cell.
            half: the images of that cell that are fitted on, by index; None: all.
        """
        rows = fitted.read(fit_on, ("fingerprint",))
        rows = rows if half is None else rows.rows(np.isin(rows.index, half))
        index = half if half is not None else shared_images(folder, fitted, rows.index, fit_on)
        pixels = rows.fingerprint if protocol_of_run(folder.record.suite).own_images else None
        known = np.empty(0, np.int64) if pixels is None else pixels
        return cls(index, tuple(cells_like(folder, fit_on)), known, fitted.path)

    def left(self, cell: str, columns: Columns) -> Columns:
        """Return the columns of a cell's images that the fit has not seen.

        Raises:
            RobenchError: there is none.
        """
        rows = np.ones(len(columns["index"]), bool)
        if cell in self.like:
            rows &= ~np.isin(columns["index"], self.index)
        if "fingerprint" in columns:
            rows &= ~np.isin(columns["fingerprint"], self.pixels)
        if not rows.any():
            raise RobenchError(
                f"{self.fitted} has every image of the run: no image is left to evaluate the calibration on.",
                hint="Omit `fit_run` to split the run's images, or give a run on held-out images.",
            )
        return chosen(columns, rows)


def chosen(columns: Columns, rows: Any) -> Columns:
    """Return some rows of all columns."""
    return {name: column[rows] for name, column in columns.items()}
