"""``robench.api.list_suites()`` and ``describe_suite(name)``: which protocols there are, and what each measures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from robench.api.words import spelled_out

if TYPE_CHECKING:
    from robench.suites import Cell, Suite


@dataclass(frozen=True)
class SuiteDescription:
    """What a suite measures, what it takes, and how its images are obtained.

    Args:
        suite: its row: cells, classes, geometry, normaliser, summary values, paper.
        conditions: names of what is measured, in order.
        passes: forward passes of a whole run on the published number of images; None: as many as there are images.
        usual_passes: the same without the held-out conditions, which a run on generated images measures on request.
        to_get: how the images are obtained: ``embedded``, a command, or what to give.
        columns: of a metadata split, the columns that its manifest must have.
        first_label: of a metadata split, the number of the first class.
        classes: of a metadata split, the classes by name.
        sets: of a metadata split, set -> attribute -> its value or values.
    """

    suite: Suite
    conditions: tuple[str, ...]
    passes: int | None
    to_get: str
    columns: tuple[str, ...] = ()
    first_label: int = 0
    classes: tuple[str, ...] = ()
    sets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    usual_passes: int | None = None

    def record(self) -> dict[str, Any]:
        """Return the suite's row as a JSON-able document."""
        document: dict[str, Any] = asdict(self.suite)
        document["cells"] = [cell.name for cell in self.suite.cells]
        return document


@spelled_out()
def list_suites() -> tuple[SuiteDescription, ...]:
    """Return all suites, built-in ones and those of installed packages.

    >>> [one.suite.name for one in list_suites()][:2]
    ['digits-c', 'digits-p']
    """
    from robench.suites import names

    return tuple(describe_suite(name) for name in names())


@spelled_out()
def describe_suite(name: str) -> SuiteDescription:
    """Return what a suite measures.

    Raises:
        RobenchError: no such suite; the message suggests the nearest names.

    >>> found = describe_suite("digits-c")
    >>> found.conditions[:2], found.passes, found.to_get
    (('clean', 'gaussian_noise'), 45524, 'embedded')
    """
    from robench.suites import get

    suite = get(name)
    conditions = tuple(dict.fromkeys(cell.condition for cell in suite.cells))
    usual = tuple(cell for cell in suite.cells if cell.condition not in suite.held_out)
    return SuiteDescription(
        suite,
        conditions,
        _passes(suite.cells, suite),
        _to_get(suite),
        usual_passes=_passes(usual, suite),
        **_of_split(suite),
    )


def _of_split(suite: Suite) -> dict[str, Any]:
    """Return what the manifest of a metadata split must hold, and what each set is."""
    from robench.suites.splits import has_definition, load_definition

    if not has_definition(suite.name):
        return {}
    definition = load_definition(suite.name)
    return {
        "columns": ("file", "label", *definition.attributes()),
        "first_label": definition.first_label,
        "classes": tuple(definition.classes),
        "sets": definition.rules(),
    }


def _passes(cells: tuple[Cell, ...], suite: Suite) -> int | None:
    counts = [suite.published_images(cell.condition) for cell in cells]
    if None in counts:
        return None
    frames = [suite.frame_count(cell.condition) for cell in cells]
    return sum((images or 0) * each for images, each in zip(counts, frames, strict=True))


def _to_get(suite: Suite) -> str:
    from robench.data.catalogue import catalogue

    if suite.embedded:
        return "embedded"
    if suite.name in catalogue():
        return f"robench data download {suite.name}"
    if "generated" in suite.sources and suite.dataset in catalogue():
        return f"robench data download {suite.dataset} (generated from it)"
    return "give `data`" if suite.takes("definition") or not suite.url else "see the source; then give `data`"
