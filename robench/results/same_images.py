"""Which images of a run another run has too: by their pixels, and by their index where the data are the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from robench.predictions import Predictions, RunFolder
from robench.results.own_images import own_set
from robench.results.protocols import of_images, protocol_of_run

Index = npt.NDArray[np.int64]


def of_same_images(one: Predictions, other: Predictions) -> bool:
    """Return whether two cells are of the same images: their labels agree wherever they have an index in common.

    Those of a corruption are; ImageNet-R and its clean counterpart, or the sets of a metadata split, are not, though
    each counts its images from 0.
    """
    _, mine, theirs = np.intersect1d(one.index, other.index, return_indices=True)
    return bool((one.target[mine] == other.target[theirs]).all())


def cells_like(run: RunFolder, cell: str) -> list[str]:
    """Return the run's finished cells of the same images as one of its cells; all where it lacks that one."""
    there = run.done()
    if cell not in there:
        return there
    suite, rows = protocol_of_run(run.record.suite), run.read(cell, ())
    like = [name for name in there if own_set(name, suite) == own_set(cell, suite)]
    return [name for name in like if name == cell or of_same_images(rows, run.read(name, ()))]


def shared_images(run: RunFolder, other: RunFolder, index: Index, cell: str) -> Index:
    """Return the indices within ``run`` of those images that ``other`` has under ``index`` in a cell.

    Two images are the same where they have the same fingerprint in a cell that both runs have, whatever else differs
    between the protocols (frost textures, seed, a larger folder): a corrupted image has the index of its clean one.
    Where both runs are of the same clean images, or differ in limit, resize and crop alone, an index means the same
    image in both, whatever became of its pixels; runs of version 1, without fingerprints, can be compared only so.

    Args:
        run, other: the runs.
        index: int64, shape (n,), of images of ``other``.
        cell: of ``other``, that the images are of.

    Returns:
        int64, rising; of images in the cells of ``run`` that :func:`cells_like` names.
    """
    shared = [np.unique(index)] if _same_data(run, other) else []
    there = set(cells_like(other, cell))
    for name in run.done():
        if name in there:
            mine, theirs = (one.read(name, ("fingerprint",)) for one in (run, other))
            if mine.fingerprint is not None and theirs.fingerprint is not None:
                asked = theirs.fingerprint[np.isin(theirs.index, index)]
                shared.append(mine.index[np.isin(mine.fingerprint, asked)])
    return np.unique(np.concatenate(shared)).astype(np.int64) if shared else np.empty(0, np.int64)


def unchecked(run: RunFolder, other: RunFolder) -> list[str]:
    """Return a sentence where it cannot be told whether two runs share images, as their pixels cannot be compared."""
    common = set(run.done()) & set(other.done())
    if _same_data(run, other) or (common and prepared(run) == prepared(other)):
        return []
    why = "were resized and cropped differently" if common else "have no cell in common"
    return [
        f"The run of the fit and this run {why}: whether they share images could not be checked. On images that the fit"
        " has seen, values are too good."
    ]


def prepared(run: RunFolder) -> str:
    """Return how a run's images were resized and cropped, in words."""
    identity = run.record.identity
    geometry = identity.scaled_to or identity.protocol.get("geometry") or identity.preprocessing.get("geometry") or {}
    sides = [f"{key} {geometry[key]}" for key in ("resize", "crop") if geometry.get(key) is not None]
    return ", ".join([*sides, str(geometry.get("interpolation"))]) if sides else "at their own size"


def _same_data(run: RunFolder, other: RunFolder) -> bool:
    protocols = [one.record.identity.protocol for one in (run, other)]
    mine, theirs = (_clean_images(protocol) for protocol in protocols)
    if mine is not None and mine == theirs:
        return True
    alike = [of_images(protocol) | {"limit": None} for protocol in protocols]
    return bool(alike[0] == alike[1])


def _clean_images(protocol: Mapping[str, Any]) -> str | None:
    """Return the checksum of the images that all cells are made of, where a suite's record has one."""
    found = protocol.get("clean", protocol.get("checksum"))
    return found if isinstance(found, str) else None
