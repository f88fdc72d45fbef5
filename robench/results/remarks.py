"""What a reader of a result should know beside its figures, found in the run alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from robench.results.schema import CellResult

_RMS_IMAGES = 200  # below, the published error has no bin but the one that it leaves out


def remarks(
    suite: Mapping[str, Any], cells: Sequence[CellResult], log: Mapping[str, list[dict[str, Any]]]
) -> list[str]:
    """Return sentences: what was left out, what is missing for the whole suite, what has too few images.

    Args:
        suite: the run's record of its suite.
        cells: those of the result.
        log: cell -> lines of the run's log.
    """
    return [*_left_out(log), *_part(suite, {cell.name for cell in cells}), *_few_images(cells)]


def other_environments(info: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence where a run was stopped and taken up by other code or on another device."""
    earlier = [
        f"robench {found.get('robench')}, torch {found.get('torch')}, {found.get('device')}"
        for found in info.get("earlier", [])
    ]
    if earlier:
        yield f"The record names what measured last; some cells were measured earlier with {'; '.join(earlier)}."


def _left_out(log: Mapping[str, list[dict[str, Any]]]) -> Iterator[str]:
    for cell, lines in log.items():
        count = sum(line.get("unreadable", 0) for line in lines)
        if count:
            first = next(line["unreadable_first"][0] for line in lines if line.get("unreadable"))
            noun = "picture" if count == 1 else "pictures"
            yield f"{cell}: {count:,} {noun} could not be read and were left out; the first: {first}"


def _part(suite: Mapping[str, Any], measured: set[str]) -> Iterator[str]:
    whole = suite.get("whole", suite["cells"])
    limit = suite["protocol"].get("limit")
    if limit is not None or not set(whole) <= measured:
        yield (
            f"Only a part of {suite['name']}: {sum(name in measured for name in whole)} of {len(whole)} cells"
            f"{f', at most {limit:,} images of each' if limit is not None else ''}. Means over it are not the suite's."
        )


def _few_images(cells: Sequence[CellResult]) -> Iterator[str]:
    if any(cell.images < _RMS_IMAGES and "rms_calibration_error" in cell.metrics for cell in cells):
        yield (
            f"Cells of fewer than {_RMS_IMAGES} images have no RMS calibration error by the published code, which bins "
            "by 100 and leaves the last bin out: 0 says nothing there. rms_calibration_error_all_bins sums every bin."
        )
