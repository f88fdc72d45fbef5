"""How many pictures the published sets have, and what is said of copies that have another number."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from robench.suites.clips import OpenedClips
    from robench.suites.opened import OpenedSuite

PICTURES = {
    "digits": 599,
    "cifar10": 10_000,
    "cifar100": 10_000,
    "tiny-imagenet": 10_000,
    "imagenet": 50_000,
    "imagenet-r": 30_000,
    "imagenet-200": 10_000,
    "imagenet-a": 7_500,
    "imagenet-v2": 10_000,
    "imagenet-sketch": 50_889,
    "real-blurry": 1_000,
    "cifar10.1": 2_000,
}
"""Suite, or data set that its cells are made of -> pictures a cell (a -P suite: clips)."""


def size_remarks(opened: OpenedSuite | OpenedClips) -> Iterator[str]:
    """Yield a sentence where the cells of a -C or -P suite have another number of pictures than the published ones.

    The other suites' cells differ in size, and are looked at where they are found.
    """
    suite, limit = opened.suite, opened.options.limit
    cells = [cell for cell in suite.cells if cell.severity is not None or suite.task == "perturbation"]
    expected = PICTURES.get(suite.dataset)
    if not cells or expected is None:
        return
    found = opened.length(cells[0])
    if found in (expected, limit):  # a sample says nothing of what it was drawn from
        return
    noun = "clips" if suite.task == "perturbation" else "pictures"
    whole = "are published" if opened.source == "published" else f"can be made of {suite.dataset}'s test set"
    yield f"{found:,} {noun} a cell were found, {expected:,} {whole}. Figures on other pictures are not the suite's."
