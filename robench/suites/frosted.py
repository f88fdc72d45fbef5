"""Which frost images a suite overlays: what a result records of them, and what it says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from robench.suites.base import Cell, OpenOptions, Suite


def frost_record(suite: Suite, options: OpenOptions) -> dict[str, Any]:
    """Return which frost images are overlaid: robench's, with their version, or the user's, with their checksums.

    Nothing of a suite without frost.
    """
    if "frost" not in suite.conditions:
        return {}
    from robench.corruptions.frost import describe  # late: it imports torch

    return {"frost": describe(options.frost_dir)}


def with_frost(suite: Suite, options: OpenOptions) -> OpenOptions:
    """Return the options with the frost that a suite's protocol says where none is given.

    The embedded digits keep the first built-in textures, so that their measured results stay comparable.
    """
    from robench.corruptions.frost import FIRST  # late: it imports torch

    return replace(options, frost_dir=FIRST) if suite.dataset == "digits" and options.frost_dir is None else options


def frost_remarks(cells: Sequence[Cell], options: OpenOptions) -> tuple[str, ...]:
    """Return what a reader must know where built-in textures stand in for the original frost images.

    Nothing of the embedded digits: their protocol has no other frost.
    """
    if options.frost_dir is not None or all(cell.condition != "frost" for cell in cells):
        return ()
    return (
        "frost: built-in textures stand in for the original generator's frost images; they are made to be about as hard"
        " (docs/fidelity.md). Use the originals to compare with published results.",
    )


def marked_frost_remarks(cells: Sequence[Cell], mark: Mapping[str, Any]) -> tuple[str, ...]:
    """Return :func:`frost_remarks` of files that robench has written, by their mark; early marks have no textures."""
    record = mark.get("frost")
    stand_in = record is None or (isinstance(record, Mapping) and record.get("pictures") == "robench")
    return frost_remarks(cells, OpenOptions(frost_dir=None if stand_in else "the originals"))
