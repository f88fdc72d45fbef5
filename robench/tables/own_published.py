"""Published rows of the protocol of the user's results: those of the papers, RobustBench's and timm's."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from robench.errors import RobenchError
from robench.results.labels import sampled_whole
from robench.results.protocols import clean_condition, protocol_of, shifted
from robench.results.schema import Result, Value
from robench.suites import get
from robench.tables.living import CellAccuracies, robustbench, timm
from robench.tables.own import Cell, Line
from robench.tables.own_columns import Column
from robench.tables.published import Meaning, PaperTable, addresses, load_table

SOURCES = ("papers", "robustbench", "timm")
_ROBUSTBENCH = ("cifar10-c", "cifar100-c", "imagenet-c")
_TIMM = {
    "imagenet-a": "imagenet-a-clean",
    "imagenet-r": "imagenet-r-clean",
    "imagenet-v2": "imagenet",
    "imagenet-sketch": "imagenet",
}
_TIMM_BEST, _TIMM_SAME = 3, 12
_NAMES = {
    "augmix": "AugMix",
    "augmax": "AugMax",
    "many-faces": "Many Faces",
    "autolabel": "AutoLabel",
    "split-bn": "Split BatchNorms",
}


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
        found, said = _of_papers(result, columns)
        lines += found
        notes += said
    if "robustbench" in sources and result.suite.name in _ROBUSTBENCH:
        cells = robustbench(result.suite.name)
        if result.images == cells.about["images"]:
            lines += _of_robustbench(cells, columns)
        else:
            notes.append(
                f"RobustBench's rows of {result.suite.name} are of {cells.about['images']:,} images, another protocol."
            )
    if "timm" in sources and result.suite.name in _TIMM:
        found, said = _of_timm(results, columns)
        lines += found
        notes += said
    kept = tuple(line for line in lines if _leads(line, columns))
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


def _leads(line: Line, columns: Sequence[Column]) -> bool:
    there = [cell.value is not None for cell in line.cells]
    by = any(column.of != "summary" for column in columns) or columns[0].key.startswith("mean_error_")
    return 3 * sum(there) >= len(there) if by else there[0]


@dataclass
class _Model:
    """The published numbers of one model of one paper."""

    label: str
    tables: list[str]
    cells: dict[int, Cell] = field(default_factory=dict)


def _of_papers(result: Result, columns: Sequence[Column]) -> tuple[list[Line], list[str]]:
    """Return a row per model of each paper, and what the papers are.

    Numbers of one model stand in one row, whatever table of the paper prints them.
    """
    wanted = _wanted(result, columns)
    papers: dict[str, dict[tuple[str, ...], _Model]] = {}
    sources: dict[str, str] = {}
    for table in map(load_table, addresses()):
        source, _, number = table.source.rpartition(", Table ")
        sources[table.paper] = _short(source)
        for i, c, meaning in _cells(table, result.suite.name):
            places = wanted.get((meaning.metric or "").removeprefix("1-"), ())
            if not places:
                continue
            identity = meaning.recipe or meaning.weights
            key = (identity, meaning.branch) if identity else (table.table, table.labels()[i], c)
            model = papers.setdefault(table.paper, {}).setdefault(key, _Model(_label(table, i, c), []))
            for k in places:
                if k not in model.cells:
                    model.cells[k] = _printed(table, i, c, meaning)
                    model.tables += [number] * (number not in model.tables)
    lines, said = [], []
    for paper, models in papers.items():
        kept = [model for model in models.values() if _leads(_line(model, columns, ""), columns)]
        numbers = sorted({number for model in kept for number in model.tables}, key=int)
        heading = f"{_NAMES[paper]}, {'Table' if len(numbers) == 1 else 'Tables'} {', '.join(numbers)}"
        lines += [_line(model, columns, heading) for model in kept]
        said += [f"{_NAMES[paper]}: {sources[paper]}".rstrip("?") + "."] * bool(kept)
    return lines, said


def _wanted(result: Result, columns: Sequence[Column]) -> dict[str, list[int]]:
    """Return the names that papers' tables give the columns -> their places."""
    suite = protocol_of(result)
    alone = shifted(suite, result.conditions)
    found: dict[str, list[int]] = {}
    for k, column in enumerate(columns):
        names = [column.key] if column.of == "summary" else []
        if column.of == "corruption":
            names.append(f"{column.name}@{column.key}")
        if column.of == "corruption" and column.key == clean_condition(suite):
            names.append(f"clean_{column.name}")
        if column.of == "severity" and column.key == "0":
            names.append(f"clean_{column.name}")
        if column.key == "error" and len(alone) == 1:
            names.append(f"error@{alone[0]}")
        if column.key == "matching_error":
            names.append(f"error@{clean_condition(suite)}")
        for name in names:
            found.setdefault(name, []).append(k)
    return found


def _cells(table: PaperTable, suite: str) -> Iterator[tuple[int, str, Meaning]]:
    """Yield (row, column, meaning) of the cells that print a value of this suite, not a difference or a spread."""
    if table.unit != "%":
        return
    gains = {check.column for check in table.checks if check.difference}
    gains = {column for column in gains if column in table.columns and table.columns[column].metric is None}
    for i in range(len(table.rows)):
        for c in table.columns:
            meaning = table.meaning(i, c)
            if meaning.suite != suite or c in gains or meaning.minus or meaning.sd_of or table.number(i, c) is None:
                continue
            yield i, c, meaning


def _printed(table: PaperTable, row: int, column: str, meaning: Meaning) -> Cell:
    text = table.cells[row][list(table.columns).index(column)]
    share = (table.number(row, column) or 0.0) / 100
    value = 1 - share if (meaning.metric or "").startswith("1-") else share
    return Cell(Value(value=value), decimals=len(text.partition(".")[2]))


def _label(table: PaperTable, row: int, column: str) -> str:
    """Return a model's name: the row's, the column's, or both, without what says only the data set or the metric.

    Of rows that differ in the metric alone (SA and RA of one network) the titles are no part of the model's name.
    """
    ours, theirs = table.rows[row], table.columns[column]
    twins = [
        one
        for one in table.rows
        if one is not ours
        and (one.group, one.arch, one.dataset, one.suite, one.recipe, one.weights, one.method)
        == (ours.group, ours.arch, ours.dataset, ours.suite, ours.recipe, ours.weights, ours.method)
        and None not in (one.metric, ours.metric)
        and one.metric != ours.metric
    ]
    parts = [] if _plain(ours.group).startswith(_plain(ours.dataset or "imagenet")) else [ours.group]
    parts.append((ours.arch or "" if not any(parts) else "") if twins else ours.title)
    if theirs.metric is None:
        parts.append(theirs.title)
    return ", ".join(filter(None, parts)) or ours.label


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower()) or "-"


def _short(source: str) -> str:
    """Return a source with no more than one author.

    >>> _short("Hendrycks, Mu, Cubuk: AugMix, ICLR 2020"), _short("AutoLabel, submission to ICLR 2021")
    ('Hendrycks et al.: AugMix, ICLR 2020', 'AutoLabel, submission to ICLR 2021')
    """
    authors, colon, rest = source.partition(": ")
    return f"{authors.partition(',')[0]} et al.: {rest}" if colon and "," in authors else source


def _line(model: _Model, columns: Sequence[Column], group: str) -> Line:
    cells = tuple(model.cells.get(k, Cell(None)) for k in range(len(columns)))
    return Line(model.label, group, cells, published=True)


def _of_robustbench(cells: CellAccuracies, columns: Sequence[Column]) -> Iterator[Line]:
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


def _of_timm(results: Sequence[Result], columns: Sequence[Column]) -> tuple[list[Line], list[str]]:
    """Return timm's rows of the models' own architectures and the best ones, and a note that says so."""
    suite = results[0].suite.name
    alone = len(shifted(protocol_of(results[0]), results[0].conditions)) == 1
    about, rows = timm()
    rows = [row for row in rows if row[suite] is not None]
    own = {str(result.model.card.get("architecture") or "").partition(".")[0] for result in results} - {""}
    same = [row for row in rows if row["model"].partition(".")[0] in own][:_TIMM_SAME]
    best = sorted(rows, key=lambda row: -row[suite])[:_TIMM_BEST]
    chosen = [*same, *(row for row in best if row not in same)]
    heading = f"timm's results ({about['date']})"
    lines = []
    for row in chosen:
        cells = tuple(_timm_cell(row, suite, column, alone) for column in columns)
        lines.append(Line(f"{row['model']} at {row['image_size']}", heading, cells, published=True))
    said = f"timm publishes {len(rows):,} rows of {suite}; shown are those of the same architectures and the best ones."
    return lines, [said]


def _timm_cell(row: dict[str, object], suite: str, column: Column, alone: bool) -> Cell:
    """Return timm's value in a column; ``alone``: its set is the suite's only one, so that it is the suite's error."""
    matching = _TIMM[suite]
    places = {"matching_error": matching} | ({"error": suite} if alone else {})
    conditions = {suite: suite, "matched-frequency": suite, "clean": matching, "imagenet-200": matching}
    if column.of == "summary" and column.key in places:
        accuracy = row[places[column.key]]
    elif column.of == "corruption" and column.name == "error" and column.key in conditions:
        accuracy = row[conditions[column.key]]
    else:
        return Cell(None)
    return Cell(Value(value=1 - accuracy) if isinstance(accuracy, float) else None)
