"""Models trained under one budget (``robench train --all cifar10``) in one table, beside what the papers print.

Their network, budget and images are not the papers': the printed rows stand below, and fill nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from robench.catalogue import row
from robench.errors import RobenchError
from robench.files import read_document
from robench.results.labels import refuse_unlike_cells, sentence
from robench.results.schema import Result, Value
from robench.tables.locations import leaderboards
from robench.tables.measured import find_results
from robench.tables.own import Cell, Line, OwnTable, mean_cell
from robench.tables.own_columns import Column
from robench.tables.published import load_table

ADDRESS = "cifar10-reference"
_SUITE = "cifar10-c"
_VALUES = {
    "clean_error": _SUITE,
    "mean_error": _SUITE,
    "mean_rms_calibration_error": _SUITE,
    "mean_ece_debiased": _SUITE,
    "mean_brier": _SUITE,
    "mfp": "cifar10-p",
}
"""The columns, and the suite that each is measured on."""


def reference_table(folder: Path | None = None) -> OwnTable:
    """Return the table of a set's models, the fewest errors under corruption first, and the printed rows below.

    Args:
        folder: with the results of ``robench train --all cifar10``; None: those that come with robench.

    Raises:
        RobenchError: no such result there, or seeds of one recipe that were measured on unlike cells or images.
    """
    place = leaderboards() / "measured" / "cifar10-jpeg" if folder is None else folder
    results = list(find_results(place).values()) if place.is_dir() else []
    models = _by_model(result for result in results if result.suite.name in _VALUES.values())
    lines = [_line(name, found) for name, found in models.items() if _SUITE in found]
    if not lines:
        raise RobenchError(
            f"No result on {_SUITE} in {place}.",
            hint="Train and measure the set cifar10, and give its folder: `results`.",
        )
    lines.sort(key=lambda line: _number(line.cells[list(_VALUES).index("mean_error")]))
    columns = tuple(Column(sentence(row(name).head), name, name) for name in _VALUES)
    about = "Passes: forward and backward passes per training image and epoch; a forward pass alone counts as a third."
    return OwnTable(_caption(results), columns, (*lines, *_printed()), "", (about,))


def _by_model(results: Iterator[Result]) -> dict[str, dict[str, list[Result]]]:
    """Return model -> suite -> its results, one per seed."""
    found: dict[str, dict[str, list[Result]]] = {}
    for result in results:
        name = result.model.name.partition("-seed")[0]
        found.setdefault(name, {}).setdefault(result.suite.name, []).append(result)
    for of_suites in found.values():
        for seeds in of_suites.values():
            refuse_unlike_cells(seeds, [result.model.name for result in seeds])
    return found


def _line(name: str, found: Mapping[str, list[Result]]) -> Line:
    trained = found[_SUITE][0].model.card.get("trained_with") or {}
    seeds = len(found[_SUITE])
    facts = [_counted(trained["passes"], "pass", "passes")] if "passes" in trained else []
    facts += [f"{seeds} seeds"] if seeds > 1 else []
    label = f"{name} ({', '.join(facts)})" if facts else name
    cells = [
        # Of a suite that fewer seeds were measured on there is no mean of as many as the row says.
        mean_cell(found[suite], Column("", value, value)) if len(found.get(suite, ())) == seeds else Cell(None)
        for value, suite in _VALUES.items()
    ]
    sampled = any(result.suite.sampled is not None for result in found[_SUITE])
    partial = any(not result.suite.complete and result.suite.sampled is None for result in found[_SUITE])
    return Line(label, "Measured", tuple(cells), sampled=sampled, partial=partial)


def _counted(number: float, one: str, many: str) -> str:
    return f"{f'{number:,.1f}'.removesuffix('.0')} {one if number == 1 else many}"


def _number(cell: Cell) -> float:
    return float("inf") if cell.value is None or cell.value.value is None else cell.value.value


def _caption(results: list[Result]) -> str:
    first = next(result for result in results if result.suite.name == _SUITE)
    card, trained = first.model.card, first.model.card.get("trained_with") or {}
    budget = [str(card.get("architecture", "one network"))]
    budget += [_counted(trained["epochs"], "epoch", "epochs")] if "epochs" in trained else []
    return f"Methods under one budget ({', '.join(budget)}) on {first.suite.dataset}, {first.suite.source} images"


def _printed() -> Iterator[Line]:
    for group, block in read_document(leaderboards() / "published" / "beside.yaml", "printed rows").items():
        for label, column in block["rows"].items():
            cells = [_cell(block["values"].get(name), column, name) for name in _VALUES]
            yield Line(label, group, tuple(cells), published=True)


def _cell(place: Mapping[str, Any] | None, column: str, value: str) -> Cell:
    """Return a printed number, as it is stored and with its decimals; nothing where none is printed."""
    if place is None:
        return Cell(None)
    table = load_table(place["table"])
    number = table.number(table.labels().index(place["row"]), column)
    if number is None:
        return Cell(None)
    text = table.cells[table.labels().index(place["row"])][list(table.columns).index(column)]
    shown = 100 - number if place.get("accuracy") else number
    return Cell(Value(value=shown / row(value).factor), decimals=len(text.partition(".")[2]))
