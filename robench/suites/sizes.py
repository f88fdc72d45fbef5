"""What is said of sets that have another number of images than the published ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from robench.suites.base import Cell, Source, Suite


def size_remarks(suite: Suite, source: Source, total: Callable[[Cell], int]) -> Iterator[str]:
    """Yield what is to be said of cells that have another number of images than the published ones.

    Args:
        suite: the protocol, with the cells that were found.
        source: whether the images are published files or generated.
        total: gives a cell's number of images.
    """
    unlike: dict[tuple[int, int], list[str]] = {}
    for cell in suite.cells:
        expected = suite.published_images(cell.condition)
        if expected is not None and (found := total(cell)) != expected:
            unlike.setdefault((found, expected), []).append(cell.name)
    noun = suite.unit
    whole = "are published" if source == "published" else f"can be made of {suite.dataset}'s test set"
    parts = []
    for (found, expected), cells in unlike.items():
        where = f"{cells[0]}: " if len(cells) == 1 else ""
        each = "" if len(cells) == 1 else " per cell"
        parts.append(f"{where}{found:,} {noun}{'' if found == 1 else 's'}{each} found, {expected:,} {whole}")
    if parts:
        yield f"{'; '.join(parts)}. Results on other images are not comparable with the suite's."
