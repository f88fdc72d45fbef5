"""The rows of RobustBench and of timm that go with the user's results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from robench.results.protocols import protocol_of, shifted
from robench.results.schema import Result, Value
from robench.suites import get
from robench.tables.living import TIMM_MATCHING, CellAccuracies, timm
from robench.tables.own import Cell, Line
from robench.tables.own_columns import Column

_TIMM_BEST, _TIMM_SAME = 3, 12


def robustbench_lines(cells: CellAccuracies, columns: Sequence[Column]) -> Iterator[Line]:
    """Yield a row per model of RobustBench's list."""
    about = cells.about
    heading = f"{about['source']} ({about['date']})"
    for model in about["models"]:
        found = tuple(_robustbench_cell(cells, model, column) for column in columns)
        yield Line(model, heading, found, published=True)


def _robustbench_cell(cells: CellAccuracies, model: str, column: Column) -> Cell:
    clean = 1 - cells.clean[model]
    known = {"mean_error": lambda: cells.mean_error(model), "clean_error": lambda: clean}
    if "AlexNet" in cells.cells:
        known["mce"] = lambda: cells.mce(model)
    groups = {f"mean_error_{title}": members for title, members in get(cells.about["suite"]).groups}
    if column.of == "summary" and column.key in known:
        return Cell(Value(value=known[column.key]()))
    if column.key in groups and set(groups[column.key]) <= set(cells.conditions):
        means = [cells.mean_error(model, name) for name in groups[column.key]]
        return Cell(Value(value=sum(means) / len(means)))
    if column.name != "error" or column.of == "summary":
        return Cell(None)
    if column.key in ("0", "clean"):
        return Cell(Value(value=clean))
    if column.of == "severity":
        return Cell(Value(value=cells.error_at(model, int(column.key))))
    members = column.key.split(",")
    if not set(members) <= set(cells.conditions):
        return Cell(None)
    means = [cells.mean_error(model, name) for name in members]
    return Cell(Value(value=sum(means) / len(means)))


def timm_lines(results: Sequence[Result], columns: Sequence[Column]) -> tuple[list[Line], list[str]]:
    """Return timm's rows of the models' own architectures and the best ones, and a note that says so."""
    suite = results[0].suite.name
    alone = len(shifted(protocol_of(results[0]), results[0].conditions)) == 1
    about, rows = timm()
    rows = [row for row in rows if row[suite] is not None]
    own = {str(result.model.card.get("architecture") or "").partition(".")[0] for result in results} - {""}
    every = [row for row in rows if row["model"].partition(".")[0] in own]
    same = every[:_TIMM_SAME]
    best = sorted(rows, key=lambda row: -row[suite])[:_TIMM_BEST]
    chosen = [*same, *(row for row in best if row not in same)]
    heading = f"timm's results ({about['date']})"
    lines = []
    for row in chosen:
        cells = tuple(_timm_cell(row, suite, column, alone) for column in columns)
        lines.append(Line(f"{row['model']} at {row['image_size']}", heading, cells, published=True))
    those = "those" if len(same) == len(every) else f"the first {len(same)}, by name, of the {len(every)}"
    return lines, [
        f"timm publishes {len(rows):,} rows of {suite}; shown are {those} of the same architectures and the best ones."
    ]


def _timm_cell(row: dict[str, object], suite: str, column: Column, alone: bool) -> Cell:
    """Return timm's value in a column; ``alone``: its set is the suite's only one, so that it is the suite's error."""
    matching = TIMM_MATCHING[suite]
    places = {"error": suite} if alone else {}
    conditions = {suite: suite, "matched-frequency": suite}
    if matching is not None:
        places["matching_error"] = conditions["clean"] = conditions["imagenet-200"] = matching
    if column.of == "summary" and column.key in places:
        accuracy = row[places[column.key]]
    elif column.of == "corruption" and column.name == "error" and column.key in conditions:
        accuracy = row[conditions[column.key]]
    else:
        return Cell(None)
    return Cell(Value(value=1 - accuracy) if isinstance(accuracy, float) else None)
