"""Which images of a run another run has too: by their pixels, and by their index where the data are the same."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from robench.predictions import RunFolder

Index = npt.NDArray[np.int64]


def shared_images(run: RunFolder, other: RunFolder, index: Index) -> Index:
    """Return the indices within ``run`` of those images that ``other`` has under ``index``.

    Two images are the same where they have the same fingerprint in a cell that both runs have, whatever else differs
    between the protocols (frost textures, seed, a larger folder): a corrupted image has the index of its clean one.
    Where the protocols differ in the limit alone, an index means the same image in both; runs of version 1, which have
    no fingerprints, can be compared only so.

    Args:
        run, other: the runs.
        index: int64, shape (n,), of images of ``other``.

    Returns:
        int64, rising.
    """
    shared = [np.unique(index)] if _same_data(run, other) else []
    there = set(other.done())
    for cell in run.done():
        if cell in there:
            mine, theirs = (one.read(cell, ("fingerprint",)) for one in (run, other))
            if mine.fingerprint is not None and theirs.fingerprint is not None:
                asked = theirs.fingerprint[np.isin(theirs.index, index)]
                shared.append(mine.index[np.isin(mine.fingerprint, asked)])
    return np.unique(np.concatenate(shared)).astype(np.int64) if shared else np.empty(0, np.int64)


def _same_data(run: RunFolder, other: RunFolder) -> bool:
    protocols = [one.record.identity.protocol for one in (run, other)]
    mine, theirs = ({key: value for key, value in protocol.items() if key != "limit"} for protocol in protocols)
    return bool(mine == theirs)
