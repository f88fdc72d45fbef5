"""Published rows of the protocol of the user's results: RobustBench's and those of the papers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from robench.errors import RobenchError
from robench.results.schema import Result, Value
from robench.suites import get
from robench.tables.living import robustbench
from robench.tables.own import Cell, Column, Line
from robench.tables.published import PaperTable, addresses, load_table

_ROBUSTBENCH = ("cifar10-c", "cifar100-c")  # its imagenet-c is of 5,000 images, another protocol


def published_lines(result: Result, columns: Sequence[Column], by: str | None) -> list[Line]:
    """Return published rows that have a value in one of the columns, the papers' first.

    Args:
        result: one of the table's.
        columns: of the table.
        by: as for the table.

    Raises:
        RobenchError: the results are of generated images, or nothing is published of this suite.
    """
    suite = result.suite
    if suite.source != "published":
        raise RobenchError(
            f"These results are of {suite.source} images; published rows are of the published files.",
            hint="Measure the published files, or leave published rows out.",
        )
    if suite.version != get(suite.name).version:
        raise RobenchError(
            f"These results are of version {suite.version} of {suite.name}; published rows go with version "
            f"{get(suite.name).version}.",
            hint="Measure again.",
        )
    lines = [line for address in addresses() for line in _of_paper(load_table(address), suite.name, columns, by)]
    if suite.name in _ROBUSTBENCH:
        lines += _of_robustbench(suite.name, columns, by)
    if not lines:
        raise RobenchError(
            f"No published row of {suite.name} has one of these columns.", hint="`robench table list` names the tables."
        )
    return lines


def _of_paper(table: PaperTable, suite: str, columns: Sequence[Column], by: str | None) -> Iterator[Line]:
    wanted = {_key(column, by): k for k, column in enumerate(columns)}
    for i, label in enumerate(table.labels()):
        meanings = {c: table.meaning(i, c) for c in table.columns}
        kept = {
            c: wanted[name]
            for c, meaning in meanings.items()
            if meaning.suite == suite
            and meaning.minus is None
            and table.unit == "%"
            and (name := (meaning.metric or "").removeprefix("1-")) in wanted
            and table.number(i, c) is not None
        }
        several = max(Counter(kept.values()).values(), default=0) > 1  # the columns are methods, not values
        rows: dict[str, dict[int, Value]] = {}
        for c, k in kept.items():
            number = table.number(i, c)
            share = (number or 0.0) / 100
            value = Value(value=1 - share if (meanings[c].metric or "").startswith("1-") else share)
            rows.setdefault(f"{label}, {table.columns[c].title}" if several else label, {})[k] = value
        for name, found in rows.items():
            yield Line(name, table.source, tuple(Cell(found.get(k)) for k in range(len(columns))))


def _key(column: Column, by: str | None) -> str:
    return column.key if by is None else f"{column.name}@{column.key}" if by == "corruption" else ""


def _of_robustbench(suite: str, columns: Sequence[Column], by: str | None) -> Iterator[Line]:
    cells = robustbench(suite)
    for model in cells.about["models"]:
        values = {"mean_error": cells.mean_error(model), "clean_error": 1 - cells.clean[model]}
        if by == "corruption":
            values = {name: cells.mean_error(model, name) for name in cells.conditions} | {
                "clean": values["clean_error"]
            }
        elif by == "severity":
            values = {"0": values["clean_error"]} | {str(s): cells.error_at(model, s) for s in range(1, 6)}
        elif by == "group":
            continue
        found = [values.get(c.key) if by is None or c.name == "error" else None for c in columns]
        if any(one is not None for one in found):
            yield Line(model, "RobustBench", tuple(Cell(None if one is None else Value(value=one)) for one in found))
