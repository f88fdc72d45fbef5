"""What :func:`robench.calibrate` is made of: images to fit on, images to measure on, and metrics with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from robench.catalogue import METRICS, row
from robench.errors import RobenchError
from robench.metrics.cells import compute, mean_over_cells
from robench.metrics.statistics import bootstrap_cells
from robench.predictions import RunFolder
from robench.results.protocols import averaged, protocol_of_run
from robench.results.schema import Value
from robench.results.values import with_interval
from robench.suites import Cell, Suite

Columns = dict[str, Any]

SHIFTED = "mean under shift"
# Resampling the class-wise error reads every logit once per resample; beyond this many it takes over ten minutes.
_MOST_READS = 10**12


def shown_metrics() -> tuple[str, ...]:
    """Return the metrics that are computed before and after: what a scaling of the logits can change, and the error."""
    rows = [METRICS.get(name) for name in METRICS]
    chosen = [row.name for row in rows if row.family in ("calibration", "likelihood") and "classification" in row.tasks]
    return ("error", *chosen, "aurc")


def fit_folder(own: RunFolder, path: Path) -> RunFolder:
    """Return another run of the same model to fit on.

    Raises:
        RobenchError: it is the run itself, or one of another model.
    """
    if path.resolve() == own.path.resolve():
        raise RobenchError(
            "`fit_run` is the run itself: its images would be on both sides.",
            hint="Omit `fit_run` to split the run's images, or give a run on held-out images.",
        )
    other = RunFolder.open(path)
    models = [folder.record.model for folder in (own, other)]
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


def columns_of(folder: RunFolder, cell: str, parity: int | None) -> Columns:
    """Return a cell's columns, of images of even (0) or odd (1) index only where a parity is given.

    Raises:
        RobenchError: the cell has no logits, or not one label per image.
    """
    columns: Columns = dict(folder.read(cell).columns())
    if "logits" not in columns or "targets" in columns or "frame" in columns or bool(np.any(columns["target"] < 0)):
        raise RobenchError(
            f"Cell '{cell}' of {folder.path} has no logits with one label per image.",
            hint="Evaluate a classification suite into a new folder, `robench.evaluate(logits='yes')`.",
        )
    rows = slice(None) if parity is None else columns["index"] % 2 == parity
    return {name: column[rows] for name, column in columns.items()}


def notes_of(fitted: Columns) -> list[str]:
    """Return why a calibration may be of no use, from the columns of its fit after it."""
    classes = fitted["logits"].shape[1]
    if (fitted["predicted"] == fitted["target"]).all():
        return [
            "Every image of the fit is classified correctly, so its loss falls as the logits grow: the fitted scale is"
            " arbitrary. Fit on more or harder images."
        ]
    if fitted["nll"].mean() > 0.99 * np.log(classes):
        return ["On the images of the fit the model is no better than chance, so the calibration flattens its outputs."]
    return []


def without(columns: Columns, index: Any, fit_run: Path) -> Columns:
    """Return the columns of the images that the fit has not seen.

    Raises:
        RobenchError: there is none.
    """
    rows = ~np.isin(columns["index"], index)
    if not rows.any():
        raise RobenchError(
            f"{fit_run} has every image of the run: nothing is left that the calibration was not fitted on.",
            hint="Omit `fit_run` to split the run's images, or give a run on held-out images.",
        )
    return {name: column[rows] for name, column in columns.items()}


def shifted_cells(suite: Suite, names: Sequence[str], fit_on: str) -> list[int]:
    """Return the positions of the cells that a result's means are over, without the one that was fitted on."""
    conditions = averaged(suite, map(Cell.parse, names))
    return [i for i, name in enumerate(names) if name != fit_on and Cell.parse(name).condition in conditions]


def figures_of(
    run: RunFolder, cells: dict[str, Columns], fit_on: str, resamples: int, seed: int
) -> dict[str, dict[str, Value]]:
    """Return metrics with intervals of every cell, and of the mean over the shifted ones."""
    names, metrics = list(cells), shown_metrics()
    values = {m: np.array([compute(m, cells[name]) for name in names]) for m in metrics}
    reads = resamples * sum(columns["logits"].size for columns in cells.values())
    resampled = [m for m in metrics if m != "classwise_ece" or reads <= _MOST_READS]
    replicates = bootstrap_cells(list(cells.values()), resampled, resamples=resamples, seed=seed)
    shifted = shifted_cells(protocol_of_run(run.record.suite), names, fit_on)
    groups = {name: [i] for i, name in enumerate(names)} | ({SHIFTED: shifted} if shifted else {})

    def of_group(metric: str, positions: list[int]) -> Value:
        value = float(mean_over_cells(metric, values[metric][positions]))
        if metric not in replicates:
            return Value(value=value, note="no interval: too many logits to resample")
        images = min(len(cells[names[i]]["target"]) for i in positions) if row(metric).share else None
        return with_interval(value, mean_over_cells(metric, replicates[metric][:, positions]), metric, images=images)

    return {group: {m: of_group(m, positions) for m in metrics} for group, positions in groups.items()}
