"""Published rows of the protocol of the user's results: those of the papers, RobustBench's and timm's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from robench.errors import RobenchError
from robench.results.labels import sampled_whole
from robench.results.schema import Result
from robench.suites import get
from robench.tables.living import ROBUSTBENCH, TIMM_MATCHING, robustbench
from robench.tables.own import Line
from robench.tables.own_columns import Column
from robench.tables.own_living import robustbench_lines, timm_lines
from robench.tables.own_papers import leads, papers_lines

SOURCES = ("papers", "robustbench", "timm")


@dataclass(frozen=True)
class Published:
    """Published rows of one protocol.

    Args:
        lines: a row per model, in the order of the sources.
        notes: what was left out, and where it is.
    """

    lines: tuple[Line, ...]
    notes: tuple[str, ...] = ()


def published_lines(
    results: Sequence[Result], columns: Sequence[Column], sources: Sequence[str] = SOURCES
) -> Published:
    """Return published rows of the same suite, version and images that have a value in the leading column.

    The leading column is the first of summary values; in a table by corruption, severity or group a row needs a third
    of the columns. A published number is shown with the decimals that its source prints.

    Args:
        results: the table's.
        columns: of the table.
        sources: of :data:`SOURCES`.

    Raises:
        RobenchError: the results are not of all published images, or nothing is published of this suite.
    """
    result = results[0]
    _check(result)
    lines: list[Line] = []
    notes: list[str] = []
    if "papers" in sources and _whole_files(result):
        found, said = papers_lines(result, columns)
        lines += found
        notes += said
    if "robustbench" in sources and result.suite.name in ROBUSTBENCH:
        cells = robustbench(result.suite.name)
        if result.images == cells.about["images"]:
            lines += robustbench_lines(cells, columns)
        else:
            notes.append(
                f"RobustBench's rows of {result.suite.name} are of {cells.about['images']:,} images, another protocol."
            )
    if "timm" in sources and result.suite.name in TIMM_MATCHING:
        found, said = timm_lines(results, columns)
        lines += found
        notes += said
    kept = tuple(line for line in lines if leads(line, columns))
    if not kept:
        raise RobenchError(
            f"No published row of {result.suite.name} has these columns.",
            hint=" ".join([*notes, "`robench table list` names the papers' tables."]),
        )
    return Published(kept, tuple(notes))


def _check(result: Result) -> None:
    suite = result.suite
    if suite.source != "published":
        raise RobenchError(
            f"These results are of {suite.source} images; published rows are of the published files.",
            hint="Measure the published files, or omit `with_published`.",
        )
    if suite.version != get(suite.name).version:
        raise RobenchError(
            f"These results are of version {suite.version} of {suite.name}; published rows go with version "
            f"{get(suite.name).version}.",
            hint="Measure again.",
        )
    if not (suite.complete or sampled_whole(result)):
        raise RobenchError(
            f"These results are of a part of {suite.name}; published rows are of the whole suite.",
            hint="Measure the whole suite, or a sample of every cell (`within=0.5`).",
        )


def _whole_files(result: Result) -> bool:
    """Whether the cells are as large as the published ones."""
    images = get(result.suite.name).images
    return images is None or result.images == images
