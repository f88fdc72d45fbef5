"""Several runs on the images that all of them have measured, and how much each cell counts in a summary value."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from robench.catalogue import metric_of
from robench.cpu import in_threads
from robench.errors import RobenchError
from robench.predictions import Predictions, RunFolder
from robench.results.protocols import of_images
from robench.results.summaries import CellArrays, summarise
from robench.suites.base import Cell, Suite

Array = npt.NDArray[np.float64]
_STEP = 1e-6


def refuse_unlike(runs: Sequence[RunFolder]) -> None:
    """Refuse runs of different protocols, and damaged ones.

    Raises:
        RobenchError: there are some; the message says in what they differ.
    """
    first = runs[0]
    for other in runs[1:]:
        there, here = (of_images(run.record.identity.protocol) for run in (first, other))
        if there != here:
            keys = [key for key in sorted({*there, *here}) if there.get(key) != here.get(key)]
            raise RobenchError(
                f"{first.path} and {other.path} are not of the same protocol; they differ in {', '.join(keys)}.",
                hint="Only runs on the same images can be compared: evaluate all models on the same suite and `data`.",
            )
    for run in runs:
        run.refuse_damaged()


def on_common_images(
    runs: Sequence[RunFolder],
    optional: Collection[str],
    chosen: Mapping[str, npt.NDArray[np.int64]] | None = None,
) -> dict[str, tuple[Predictions, ...]]:
    """Return each common cell's predictions of every run, on the images that all of them have measured.

    Args:
        runs: of one protocol.
        optional: columns to read; see :func:`robench.predictions.parquet.read`.
        chosen: cell -> the images that are wanted; None: all of all cells.

    Raises:
        RobenchError: no cell, or in one of them no image, in common.
    """
    others = [set(run.done()) for run in runs[1:]]
    names = [name for name in runs[0].done() if all(name in done for done in others)]
    if chosen is not None:
        names = [name for name in names if name in chosen]
    if not names:
        raise RobenchError(f"{_places(runs)} have no finished cell in common.", hint="Finish the runs first.")

    def read(name: str) -> tuple[Predictions, ...]:
        rows = _common(tuple(run.read(name, optional) for run in runs), None if chosen is None else chosen[name])
        if not len(rows[0]):
            raise RobenchError(
                f"Cell '{name}' of {_places(runs)} was measured on different images.",
                hint="Evaluate all of them with the same data.",
            )
        return rows

    return dict(zip(names, in_threads(read, names), strict=True))


def _common(rows: tuple[Predictions, ...], chosen: npt.NDArray[np.int64] | None) -> tuple[Predictions, ...]:
    """Return the rows of the images that all runs have drawn; the smaller sample is part of the larger."""
    if chosen is None and all(np.array_equal(rows[0].index, other.index) for other in rows[1:]):
        return rows
    images = rows[0].index if chosen is None else np.intersect1d(rows[0].index, chosen)
    for other in rows[1:]:
        images = np.intersect1d(images, other.index)
    few = [one.notes.sample for one in rows if one.notes is not None and one.notes.sample is not None]
    sample = min(few, key=lambda one: one.drawn, default=None)
    return tuple(one.rows(np.isin(one.index, images)).of_sample(sample) for one in rows)


def _places(runs: Sequence[RunFolder]) -> str:
    paths: list[Path] = [run.path for run in runs]
    return f"{', '.join(map(str, paths[:-1]))} and {paths[-1]}"


def slopes(name: str, cells: tuple[Cell, ...], computed: Mapping[str, Array], suite: Suite) -> Array | None:
    """Return the derivatives of a summary value by the cells of its metric, (cells,); None where they are not known.

    Args:
        name: of the summary value.
        cells: the measured cells.
        computed: metric -> float64 (cells,).
        suite: the protocol.
    """
    of = metric_of(name)
    if of is None or of.name not in computed or not np.isfinite(computed[of.name]).all():
        return None
    values, at = computed[of.name], np.arange(len(cells))
    step = _STEP * np.maximum(np.abs(values), 1e-2)
    moved = np.tile(values, (2 * len(cells), 1))
    moved[at, at] += step
    moved[len(cells) + at, at] -= step
    every: dict[str, Any] = {key: np.broadcast_to(one, moved.shape) for key, one in computed.items()}
    found = summarise(CellArrays(cells, every | {of.name: moved}, suite)).get(name)
    if found is None or not np.isfinite(found).all():
        return None
    slope = (found[: len(cells)] - found[len(cells) :]) / (2 * step)
    return np.where(np.abs(slope) < 1e-7, 0.0, slope)
