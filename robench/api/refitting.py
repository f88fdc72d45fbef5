"""What :func:`robench.calibrate` is made of: images to fit on, images to measure on, and metrics with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from robench.api.calibration import Calibration
from robench.api.options import Place, SavedArray
from robench.api.saved_logits import needed_logits
from robench.catalogue import METRICS, row
from robench.errors import RobenchError
from robench.metrics.cells import compute, mean_over_cells
from robench.metrics.statistics import bootstrap_cells
from robench.metrics.temperature import FITS, scaled_columns
from robench.predictions import RunFolder
from robench.results.protocols import averaged, protocol_of_run
from robench.results.same_images import shared_images, unchecked
from robench.results.schema import Value
from robench.results.values import with_interval
from robench.suites import Cell, Suite

Columns = dict[str, Any]
_VECTOR_IMAGES = 10  # of the fit per class, below which vector scaling fits their noise


@dataclass(frozen=True)
class Source:
    """Images to fit on and images to measure on.

    Attributes:
        model: the model's name.
        run, cell: what the fit is on.
        held_out: columns of the images of the fit.
        cells: columns of the others, per cell.
        shifted: positions of the cells under shift, whose mean is taken.
        notes: what was chosen.
    """

    model: str
    run: str
    cell: str
    held_out: Columns
    cells: dict[str, Columns]
    shifted: list[int]
    notes: tuple[str, ...] = ()


def of_run(path: Path, fit_on: str, fit_run: Path | None) -> Source:
    """Return what a run is fitted and measured on.

    Raises:
        RobenchError: as :func:`robench.calibrate`.
    """
    folder = RunFolder.open(path)
    fitted = folder if fit_run is None else fit_folder(folder, fit_run)
    folder.refuse_damaged()
    check(fitted, fit_on)
    held_out = columns_of(fitted, fit_on, parity=0 if fit_run is None else None)
    cells = {name: columns_of(folder, name, parity=1 if fit_run is None else None) for name in folder.done()}
    if fit_run is not None and len(seen := shared_images(folder, fitted, held_out["index"])):
        cells = {name: without(columns, seen, fitted.path) for name, columns in cells.items()}
    shifted = shifted_cells(protocol_of_run(folder.record.suite), list(cells), fit_on)
    name = folder.record.model.name
    notes = () if fit_run is None else tuple(unchecked(folder, fitted))
    return Source(name, str(path if fit_run is None else fit_run), fit_on, held_out, cells, shifted, notes)


def of_logits(
    logits: Place | SavedArray | None,
    labels: Place | SavedArray | None,
    fit_logits: Place | SavedArray | None,
    fit_labels: Place | SavedArray | None,
    *,
    probabilities: bool,
    classes: Place | Sequence[str] | None,
) -> Source:
    """Return what saved logits are fitted and measured on.

    Raises:
        RobenchError: as :func:`robench.api.saved_logits.saved_logits`, other classes to fit on, or a single image.
    """
    saved = needed_logits(logits, labels, probabilities, classes)
    columns, named, notes = saved.columns(), saved.sources[0], saved.notes
    if fit_logits is None and fit_labels is None:
        if len(saved.labels) < 2:
            raise RobenchError(f"{named}: one image cannot be split.", hint="Give more, or `fit_logits`.")
        even, odd = ({name: column[k::2] for name, column in columns.items()} for k in (0, 1))
        return Source(named, named, "logits", even, {"logits": odd}, [], notes)
    words = ("fit_logits", "fit_labels")
    fit = needed_logits(fit_logits, fit_labels, probabilities, classes, words)
    if fit.logits.shape[1] != saved.logits.shape[1]:
        raise RobenchError(
            f"{fit.sources[0]} has {fit.logits.shape[1]} classes; {named} has {saved.logits.shape[1]}.",
            hint="Fit on outputs of the same model.",
        )
    if fit.logits.shape == saved.logits.shape and np.array_equal(fit.logits, saved.logits):
        raise RobenchError(
            "`fit_logits` and `logits` are the same: "
            "calibration must be evaluated on other images than it was fitted on.",
            hint="Omit `fit_logits` to split the images, or give logits of held-out images.",
        )
    noted = tuple(dict.fromkeys((*notes, *fit.notes)))
    return Source(named, fit.sources[0], "fit_logits", fit.columns(), {"logits": columns}, [], noted)


def scored(source: Source, method: str, resamples: int, seed: int, path: Path | None) -> Calibration:
    """Return the calibration fitted on a source's held-out images, and its metrics before and after."""
    held_out, cells = source.held_out, source.cells
    scaling = FITS[method](held_out["logits"], held_out["target"])
    scaled = {name: scaled_columns(columns, scaling) for name, columns in cells.items()}
    return Calibration(
        model=source.model,
        method=method,
        temperature=scaling.temperature if method == "temperature" else None,
        scale=scaling.scale.reshape(-1).tolist(),
        bias=scaling.bias.tolist(),
        run=source.run,
        cell=source.cell,
        fit_images=len(held_out["target"]),
        notes=[*source.notes, *notes_of(scaled_columns(held_out, scaling), method)],
        images={name: len(columns["target"]) for name, columns in cells.items()},
        resamples=resamples,
        seed=seed,
        before=figures_of(cells, source.shifted, resamples, seed),
        after=figures_of(scaled, source.shifted, resamples, seed),
        path=path,
    )


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


def columns_of(folder: RunFolder, cell: str, parity: int | None) -> Columns:
    """Return a cell's columns, of images of even (0) or odd (1) index only where a parity is given.

    Raises:
        RobenchError: the cell has no logits, or not one label per image.
    """
    columns: Columns = dict(folder.read(cell).columns())
    if "logits" not in columns or "targets" in columns or "frame" in columns or bool(np.any(columns["target"] < 0)):
        raise RobenchError(
            f"Cell '{cell}' of {folder.path} has no logits with one label per image.",
            hint="Evaluate a classification suite into a new folder, `robench.evaluate(keep_logits='yes')`.",
        )
    rows = slice(None) if parity is None else columns["index"] % 2 == parity
    return {name: column[rows] for name, column in columns.items()}


def notes_of(fitted: Columns, method: str) -> list[str]:
    """Return why a calibration may be of no use, from the columns of its fit after it."""
    images, classes = fitted["logits"].shape
    few = []
    if method == "vector" and images < _VECTOR_IMAGES * classes:
        few = [
            f"Vector scaling fits {2 * classes:,} numbers, here to {images:,} images: with fewer than {_VECTOR_IMAGES}"
            " images per class it may do harm. Compare the metrics after it with those of `method=temperature`."
        ]
    if (fitted["predicted"] == fitted["target"]).all():
        return [
            *few,
            "Every image of the fit is classified correctly, so its loss falls as the logits grow: the fitted scale is"
            " arbitrary. Fit on more or harder images.",
        ]
    if fitted["nll"].mean() > 0.99 * np.log(classes):
        return [
            *few,
            "On the images of the fit the model is no better than chance, so the calibration flattens its outputs.",
        ]
    return few


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
    return {name: column[rows] for name, column in columns.items()}


def shifted_cells(suite: Suite, names: Sequence[str], fit_on: str) -> list[int]:
    """Return the positions of the cells that a result's means are over, without the one that was fitted on."""
    conditions = averaged(suite, map(Cell.parse, names))
    return [i for i, name in enumerate(names) if name != fit_on and Cell.parse(name).condition in conditions]


def figures_of(cells: dict[str, Columns], shifted: list[int], resamples: int, seed: int) -> dict[str, dict[str, Value]]:
    """Return metrics with intervals of every cell, and of the mean over the cells at the shifted positions."""
    names, metrics = list(cells), shown_metrics()
    values = {m: np.array([compute(m, cells[name]) for name in names]) for m in metrics}
    reads = resamples * sum(columns["logits"].size for columns in cells.values())
    resampled = [m for m in metrics if m != "classwise_ece" or reads <= _MOST_READS]
    replicates = bootstrap_cells(list(cells.values()), resampled, resamples=resamples, seed=seed)
    groups = {name: [i] for i, name in enumerate(names)} | ({SHIFTED: shifted} if shifted else {})

    def of_group(metric: str, positions: list[int]) -> Value:
        value = float(mean_over_cells(metric, values[metric][positions]))
        if metric not in replicates:
            return Value(value=value, note="no interval: too many logits to resample")
        images = min(len(cells[names[i]]["target"]) for i in positions) if row(metric).share else None
        return with_interval(value, mean_over_cells(metric, replicates[metric][:, positions]), metric, images=images)

    return {group: {m: of_group(m, positions) for m in metrics} for group, positions in groups.items()}
