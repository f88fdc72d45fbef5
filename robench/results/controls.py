"""Control variates of a sampled run: what is known of all images beforehand, and goes along with how the model does.

Two are known: how the model does on the images without a shift, where its clean cell is whole, and how another model
did on the very images of each cell (``robench.evaluate(with_run=...)``), of which ``controls.npz`` in the run's folder
keeps what is needed. If the drawn images are easier for these than all images are, the sample's means are corrected
by as much as the two go together (the regression estimator; Cochran 1977, chapter 7).
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from robench.errors import RobenchError
from robench.files import atomic_write
from robench.predictions import Predictions, RunFolder
from robench.results.protocols import clean_condition
from robench.suites.base import Suite

Floats = npt.NDArray[np.float64]
FILE = "controls.npz"
COLUMNS = 2  # of every control: whether an image is classified wrongly, and one minus the target's probability


@dataclass(frozen=True)
class Known:
    """What is known of all images of a cell, or of the clean images that it was made of.

    Args:
        index: int64 (N,), the images, rising.
        values: float64 (N, columns).
    """

    index: npt.NDArray[np.int64]
    values: Floats

    def of(self, index: npt.NDArray[np.int64]) -> Floats | None:
        """Return the values of some images, (n, columns); None where one of them is not known."""
        place = np.searchsorted(self.index, index)
        inside = np.minimum(place, len(self.index) - 1)
        return self.values[inside] if np.array_equal(self.index[inside], index) else None


@dataclass(frozen=True)
class ControlRun:
    """Another model's whole run, as a sampled run keeps it.

    Args:
        model: the other model's name.
        identity: hash of its run.
        cells: by the cell's name.
    """

    model: str
    identity: str
    cells: Mapping[str, Known]

    @property
    def text(self) -> str:
        """What notes call it."""
        return f"the full run of {self.model} ({self.identity[:8]})"


def known_of(rows: Predictions) -> Known | None:
    """Return what a cell's predictions say of its images; None where they say nothing, or of a part only."""
    if len(rows) == 0 or (rows.notes is not None and rows.notes.sample is not None):
        return None
    if rows.frame is not None:
        return _flips(rows)
    target_probability = np.asarray(rows.target_probability, np.float64)
    if not np.isfinite(target_probability).all() or len(np.unique(rows.index)) < len(rows):
        return None
    order = np.argsort(rows.index, kind="stable")
    wrong = (rows.predicted != rows.target).astype(np.float64)
    return Known(rows.index[order].astype(np.int64), np.stack([wrong, 1.0 - target_probability], axis=1)[order])


def _flips(rows: Predictions) -> Known | None:
    """Return the share of a clip's pairs of frames with different classes, of neighbours and with the first frame.

    At difficulty 2 and 3 neighbours are as many frames apart.
    """
    index, count = np.unique(rows.index, return_counts=True)
    if len(set(count.tolist())) != 1 or rows.frame is None:
        return None
    predicted = rows.predicted[np.lexsort((rows.frame, rows.index))].reshape(len(index), -1)
    apart = rows.difficulty
    before = (predicted[:, apart:] != predicted[:, :-apart]).mean(axis=1)
    first = (predicted[:, 1:] != predicted[:, :1]).mean(axis=1)
    return Known(index.astype(np.int64), np.stack([before, first], axis=1))


def clean_control(predictions: Mapping[str, Predictions], suite: Suite) -> Known | None:
    """Return how the model did on the whole clean cell; None where that was not measured whole."""
    rows = predictions.get(clean_condition(suite) or "")
    return None if rows is None or rows.frame is not None else known_of(rows)


def keep_control_run(run: Path, other: RunFolder, cells: tuple[str, ...]) -> None:
    """Keep in a run's folder what another model's whole run says of each image.

    Raises:
        RobenchError: the other run lacks a cell, or has a sample of it.
    """
    arrays: dict[str, npt.NDArray[np.generic]] = {}
    for cell in cells:
        found = known_of(other.read(cell, ("frame",))) if other.is_done(cell) else None
        if found is None:
            raise RobenchError(
                f"{other.path} does not have all images of '{cell}'.",
                hint="`with_run` takes a run of all the images that the new one draws from.",
            )
        arrays[f"index:{cell}"] = found.index.astype(np.int32)
        arrays[f"values:{cell}"] = found.values.astype(np.float32)
    arrays["about"] = np.array([other.record.model.name, other.record.hash])
    written = io.BytesIO()
    np.savez_compressed(written, **arrays)  # type: ignore[arg-type]
    with atomic_write(run / FILE, own=True) as file:
        file.write(written.getvalue())


def control_run(run: Path) -> ControlRun | None:
    """Return the other model's run that a run's folder keeps; None where there is none.

    Raises:
        RobenchError: the file is damaged.
    """
    path = run / FILE
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as arrays:
            model, identity = (str(text) for text in arrays["about"])
            names = [name.removeprefix("index:") for name in arrays.files if name.startswith("index:")]
            cells = {
                n: Known(arrays[f"index:{n}"].astype(np.int64), arrays[f"values:{n}"].astype(float)) for n in names
            }
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise RobenchError(f"{path} is damaged: {error}.", hint="Remove it, or give `with_run` again.") from error
    return ControlRun(model, identity, cells)
