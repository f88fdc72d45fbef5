"""What :func:`robench.calibrate` is made of: images to fit on, images to measure on, and metrics with intervals."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from robench.api.calibration import Calibration
from robench.api.held_out import Columns, Seen, check, chosen, fit_folder
from robench.api.options import Place, SavedArray
from robench.api.saved_logits import needed_logits
from robench.catalogue import METRICS, row
from robench.errors import RobenchError
from robench.metrics.cells import compute, mean_over_cells
from robench.metrics.statistics import Bootstrap, images_of
from robench.metrics.temperature import FITS, Scaling, scaled_columns
from robench.predictions import RunFolder
from robench.results.halves import fit_half, fit_half_of
from robench.results.own_images import images_apart
from robench.results.protocols import averaged, protocol_of_run
from robench.results.same_images import cells_like, unchecked
from robench.results.schema import Value
from robench.results.values import with_interval
from robench.suites import Cell, Suite

if TYPE_CHECKING:
    from robench.evaluation import Progress

_VECTOR_IMAGES = 10  # of the fit per class, below which vector scaling fits their noise


@dataclass(frozen=True)
class Source:
    """Images to fit on and images to measure on.

    Attributes:
        model: the model's name.
        run, cell: what the fit is on.
        held_out: columns of the images of the fit.
        images: which image each of the others' rows is of, per cell; equal only for the same image.
        read: from a cell's name to the columns of these images; logits of many cells do not fit into memory together.
        shifted: positions of the cells under shift, whose mean is taken.
        notes: what was chosen.
    """

    model: str
    run: str
    cell: str
    held_out: Columns
    images: dict[str, npt.NDArray[np.int64]]
    read: Callable[[str], Columns]
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
    names = folder.done()
    for one, cell in [(fitted, fit_on), *((folder, name) for name in names)]:
        _refuse_unfit(one, cell)
    held_out: Columns = dict(fitted.read(fit_on).columns())
    half = fit_half_of(folder, cells_like(folder, fit_on)) if fit_run is None else None
    held_out = held_out if half is None else chosen(held_out, np.isin(held_out["index"], half))
    seen = Seen.of(folder, fitted, fit_on, half)

    def left(cell: str, optional: Collection[str] | None = None) -> Columns:
        return seen.left(cell, dict(folder.read(cell, optional).columns()))

    suite = protocol_of_run(folder.record.suite)
    indices, prints = {}, {}
    for cell in names:
        columns = left(cell, ("fingerprint",))
        indices[cell], prints[cell] = columns["index"], columns.get("fingerprint")
    images = images_apart(indices, suite, prints)

    def read(cell: str) -> Columns:
        return left(cell) | {"index": images[cell]}

    shifted = shifted_cells(suite, names, fit_on)
    name = folder.record.model.name
    notes = () if fit_run is None else tuple(unchecked(folder, fitted))
    return Source(name, str(path if fit_run is None else fit_run), fit_on, held_out, images, read, shifted, notes)


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
        half = np.isin(columns["index"], fit_half(columns["index"], saved.labels))
        return _of_arrays(named, named, "logits", chosen(columns, half), chosen(columns, ~half), notes)
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
    return _of_arrays(named, fit.sources[0], "fit_logits", fit.columns(), columns, noted)


def _of_arrays(
    named: str, fitted: str, cell: str, held_out: Columns, columns: Columns, notes: tuple[str, ...]
) -> Source:
    return Source(named, fitted, cell, held_out, {"logits": columns["index"]}, lambda _: columns, [], notes)


def scored(
    source: Source, method: str, resamples: int, seed: int, path: Path | None, progress: Progress | None = None
) -> Calibration:
    """Return the calibration fitted on a source's held-out images, and its metrics before and after.

    Args:
        source: what is fitted and measured on.
        method: a key of :data:`robench.metrics.temperature.FITS`.
        resamples, seed: of the bootstrap.
        path: where the calibration is going to be written.
        progress: told of every cell; it is not entered here.
    """
    scaling = FITS[method](source.held_out["logits"], source.held_out["target"])
    notes = [*source.notes, *notes_of(scaled_columns(source.held_out, scaling), method), *_few_images(source)]
    before, after = _figures(source, scaling, resamples, seed, progress)
    return Calibration(
        model=source.model,
        method=method,
        temperature=scaling.temperature if method == "temperature" else None,
        scale=scaling.scale.reshape(-1).tolist(),
        bias=scaling.bias.tolist(),
        run=source.run,
        cell=source.cell,
        fit_images=len(source.held_out["target"]),
        notes=notes,
        images={name: len(index) for name, index in source.images.items()},
        resamples=resamples,
        seed=seed,
        before=before,
        after=after,
        path=path,
    )


def _few_images(source: Source) -> list[str]:
    unbiased = METRICS.get("ece").sampled_images
    if min(len(index) for index in source.images.values()) >= unbiased:
        return []
    return [
        f"Binned calibration errors of fewer than {unbiased:,} images come out larger than those of many; "
        "compare the debiased ones with other results."
    ]


SHIFTED = "mean under shift"


def shown_metrics() -> tuple[str, ...]:
    """Return the metrics that are computed before and after: what a scaling of the logits can change, and the error."""
    rows = [METRICS.get(name) for name in METRICS]
    chosen = [row.name for row in rows if row.family in ("calibration", "likelihood") and "classification" in row.tasks]
    return ("error", *chosen, "aurc")


def _refuse_unfit(folder: RunFolder, cell: str) -> None:
    """Refuse a cell without logits or one label per image.

    Raises:
        RobenchError: it is one.
    """
    names = folder.column_names(cell)
    if "logits" not in names or {"targets", "frame"} & set(names) or bool(np.any(folder.read(cell, ()).target < 0)):
        raise RobenchError(
            f"Cell '{cell}' of {folder.path} has no logits with one label per image.",
            hint="Evaluate a classification suite into a new folder, `robench.evaluate(keep_logits='yes')`.",
        )


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


def shifted_cells(suite: Suite, names: Sequence[str], fit_on: str) -> list[int]:
    """Return the positions of the cells that a result's means are over, without the one that was fitted on."""
    conditions = averaged(suite, map(Cell.parse, names))
    return [i for i, name in enumerate(names) if name != fit_on and Cell.parse(name).condition in conditions]


Figures = dict[str, dict[str, Value]]


def _figures(
    source: Source, scaling: Scaling, resamples: int, seed: int, progress: Progress | None
) -> tuple[Figures, Figures]:
    """Return metrics with intervals before and after, of every cell, and of the mean over the cells under shift."""
    metrics, bootstrap = (
        shown_metrics(),
        Bootstrap(images_of(list(source.images.values())), resamples=resamples, seed=seed),
    )
    values = {m: np.empty((2, len(source.images))) for m in metrics}
    drawn = {m: np.empty((2, resamples, len(source.images))) for m in metrics}
    for i, name in enumerate(source.images):
        columns = source.read(name)
        for j, cell in enumerate((columns, scaled_columns(columns, scaling))):
            replicates = bootstrap.replicates([cell], metrics)
            for m in metrics:
                values[m][j, i], drawn[m][j, :, i] = compute(m, cell), replicates[m][:, 0]
        if progress is not None:
            progress.advance(1, name)
    groups = {name: [i] for i, name in enumerate(source.images)} | ({SHIFTED: source.shifted} if source.shifted else {})
    images = [len(index) for index in source.images.values()]

    def of_group(metric: str, j: int, positions: list[int]) -> Value:
        value = float(mean_over_cells(metric, values[metric][j, positions]))
        least = min(images[i] for i in positions) if row(metric).share else None
        return with_interval(value, mean_over_cells(metric, drawn[metric][j][:, positions]), metric, trials=least)

    before, after = ({group: {m: of_group(m, j, at) for m in metrics} for group, at in groups.items()} for j in (0, 1))
    return before, after
