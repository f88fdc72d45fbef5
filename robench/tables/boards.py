"""Boards: the rows that may stand in one table, because they were measured by one protocol on the same images."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from robench.catalogue import headlines, metric_of, row
from robench.results.labels import sampled_whole, sentence
from robench.results.protocols import counted, protocol_of
from robench.results.schema import Result, Value
from robench.suites.copies import copy_of
from robench.tables.living import TIMM_MATCHING, CellAccuracies, robustbench, timm
from robench.tables.row_names import facts_of, told_apart

# what a recipe's name says after its method; the longer of two that begin alike comes first
_DATA_SETS = ("tiny-imagenet", "imagenet", "cifar100", "cifar10", "digits")


def title(name: str) -> str:
    """Return the head of a column; it says so where higher is better.

    >>> title("clean_error"), title("mean_ood_weighted_pr_auc")
    ('Clean error, %', 'Mean OOD weighted PR AUC, % (higher is better)')
    """
    about = row(name)
    return sentence(about.head) + (" (higher is better)" if about.lower_is_better is False else "")


@dataclass
class Row:
    """One model on a board.

    Args:
        id: of the row, unique on all boards.
        name, method, architecture: of the model.
        kind: ``measured`` or ``published``.
        source: who measured it.
        values: summary values by name, as stored.
        link: address of the source.
        page: address of the model's page, relative to the leaderboard's.
        sampled: how much of the suite was measured, where that is a sample; it ranks by its interval as others do.
        rank: first and last rank that its interval allows.
        curve: error in percent, clean and at severities 1 to 5.
        conditions: condition -> mean error, as stored, with its interval where it is measured.
    """

    id: str
    name: str
    kind: str
    method: str
    architecture: str
    source: str
    values: Mapping[str, Value]
    link: str = ""
    page: str = ""
    sampled: str = ""
    rank: tuple[int, int] | None = None
    curve: list[float | None] = field(default_factory=list)
    conditions: dict[str, Value] = field(default_factory=dict)


@dataclass
class Board:
    """One table: rows of one protocol.

    Args:
        id: unique.
        title: the suite.
        protocol: what was measured, in words.
        rows: sorted, the best first.
        columns: summary values; the first ranks.
        facts: what may tell it from other boards of the suite, in few words each.
        tab: the title and those facts that it takes to be unlike every other board's.
    """

    id: str
    title: str
    protocol: str
    rows: list[Row]
    columns: list[str] = field(default_factory=list)
    facts: tuple[str, ...] = ()
    tab: str = ""

    @property
    def key(self) -> str:
        """The column that ranks."""
        return self.columns[0]


def make_boards(results: Mapping[Path, Result], *, living: bool = True) -> list[Board]:
    """Return all boards: measured results first, most models first, then what others publish.

    Equal protocols share a board.

    A result without an error or a flip probability, by which boards rank, is omitted.
    """
    boards: dict[str, Board] = {}
    facts_by_row: dict[str, list[Mapping[str, str]]] = {}
    for result in results.values():
        if not _ranking(result):
            continue
        size = result.images
        facts: tuple[str, ...] = (f"{result.suite.source} images", f"{_size(result, size)} per cell")
        if result.suite.dataset == copy_of(protocol_of(result).dataset):
            facts = (f"images of {result.suite.dataset}", *facts)
        kind = ", ".join(facts)
        if not _is_whole(result):
            kind += f", partial: {len(result.cells)} cells"
            facts = (*facts, "partial", f"{len(result.cells)} cells")
        protocol = _slug(f"{result.suite.name}-{result.suite.source}-{size}-{_data_key(result)}")
        made = Board(protocol, result.suite.name, f"{result.suite.title}: {kind}", [], facts=facts)
        board = boards.setdefault(protocol, made)
        board.rows.append(measured_row(result, protocol))
        facts_by_row.setdefault(protocol, []).append(facts_of(result))
    for protocol, told in facts_by_row.items():
        rows = boards[protocol].rows
        for one, name in zip(rows, told_apart([one.name for one in rows], told), strict=True):
            one.name = name
    boards = dict(sorted(boards.items(), key=lambda item: -len(item[1].rows)))
    if living:
        for suite in ("imagenet-c", "cifar10-c", "cifar100-c"):
            cells = robustbench(suite)
            protocol = _slug(f"{suite}-published-{cells.about['images']}-")
            facts = ("published images", f"{cells.about['images']:,} per cell")
            board = boards.setdefault(protocol, Board(protocol, suite, cells.about["protocol"], [], facts=facts))
            board.rows += _published_rows(cells)
        for board in _timm_boards():
            boards[board.id] = board
    for board in boards.values():
        _finish(board)
    _name_tabs(list(boards.values()))
    return list(boards.values())


def _name_tabs(boards: list[Board]) -> None:
    """Give every board a name of its own: the suite, and the first facts that it takes; else a number."""
    for board in boards:
        others = [other for other in boards if other.title == board.title and other is not board]
        told: list[str] = []
        for fact in board.facts:
            left = [other for other in others if fact in other.facts]
            if len(left) < len(others):
                told, others = [*told, fact], left
        if others and told != list(board.facts):  # some have only more to say, as what is partial has
            told = list(board.facts)
        board.tab = f"{board.title} ({', '.join(told)})" if told else board.title
    seen: dict[str, int] = {}
    for board in boards:
        seen[board.tab] = seen.get(board.tab, 0) + 1
        if seen[board.tab] > 1:
            board.tab = f"{board.tab} #{seen[board.tab]}"


def _is_whole(result: Result) -> bool:
    """Return whether a result is of the whole suite, measured on all images or on a sample of them."""
    return result.suite.complete or sampled_whole(result)


def _size(result: Result, size: int) -> str:
    """Return a cell's size; a suite of sequences counts clips."""
    noun = counted(protocol_of(result).task)
    return f"{size:,}" if noun == "images" else f"{size:,} {noun}"


def _ranking(result: Result) -> list[str]:
    """Return the summary values of a result that a board may be ranked by."""
    known = [name for name, value in result.summary.items() if value.value is not None]
    families = {name: of.family for name in headlines(known, main=True) if (of := metric_of(name)) is not None}
    return [name for name, family in families.items() if family in ("error", "stability")]


def _data_key(result: Result) -> str:
    """Return what distinguishes images of one suite and size; the published files of a benchmark are the same for all.

    A part of a suite (fewer images or cells) has its own key, as its means are not the suite's; so has a set of
    the user's (any data set on ``clean``, a manifest's splits), and every difficulty of the sequences. Which branch of
    a dual network is attacked is the model's affair.
    """
    from robench.files import digest

    protocol = result.suite.protocol
    part = "" if _is_whole(result) else f"part-{digest([protocol.get('limit'), *_names(result)])[:8]}"
    if result.suite.source == "published":
        own = ("checksum", "split", "definition", "sets")
        kept: dict[str, Any] = {key: value for key, value in protocol.items() if key in own}
        if protocol.get("difficulty", 1) != 1:
            kept["difficulty"] = protocol["difficulty"]
        return f"{digest(kept)[:8] if kept else ''}-{part}"
    kept = {key: value for key, value in protocol.items() if key not in ("limit", "branch")}
    return f"v{result.suite.version}-{digest(kept)[:8]}-{part}"


def _names(result: Result) -> list[str]:
    return sorted(cell.name for cell in result.cells)


def method_of(card: Mapping[str, Any]) -> str:
    """Return the method in a recipe's name, ``patch-uniform`` of ``patch-uniform-cifar10-wrn40-2``."""
    found = re.match(rf"(.+?)-(?:{'|'.join(_DATA_SETS)})(?:-|$)", str(card.get("recipe") or ""))
    return found[1] if found else str(card.get("recipe") or "")


def measured_row(result: Result, board: str) -> Row:
    """Return the row of a measured result."""
    card = result.model.card
    values = {
        name: value
        for name in headlines(result.summary, main=True)
        if (value := result.summary[name]).value is not None
    }
    name = str(card.get("name") or result.model.name)
    # The same model in another precision, say, is another row.
    identity = _slug(f"{board}-{name[:60]}-{result.model.hash[:8]}-{(result.run.identity or '')[:8]}")
    severities = [result.severities.get(str(s), {}).get("error") for s in range(6)]
    return Row(
        id=identity,
        name=name,
        kind="measured",
        method=method_of(card),
        architecture=str(card.get("architecture") or ""),
        source="robench",
        sampled=result.suite.sampled.text if result.suite.sampled is not None else "",
        values=values,
        page=f"models/{identity}.html",
        curve=[None if one is None or one.value is None else 100 * one.value for one in severities],
        conditions={
            name: one["error"]
            for name, one in result.conditions.items()
            if "error" in one and one["error"].value is not None
        },
    )


def _published_rows(cells: CellAccuracies) -> Iterable[Row]:
    for model, entry in cells.about["models"].items():
        values = {
            "mean_error": Value(value=cells.mean_error(model)),
            "clean_error": Value(value=1 - cells.clean[model]),
        }
        if "AlexNet" in cells.cells:
            values["mce"] = Value(value=cells.mce(model))
        clean = 1 - cells.clean[model]
        yield Row(
            id=_slug(f"{cells.about['suite']}-robustbench-{model}"),
            name=model,
            kind="published",
            method="",  # their names are of authors; the paper is the link
            architecture=entry["architecture"],
            source=cells.about["source"],
            values=values,
            link=entry["link"],
            curve=[100 * clean, *(100 * cells.error_at(model, severity) for severity in range(1, 6))],
            conditions={"clean": Value(value=clean)}
            | {name: Value(value=cells.mean_error(model, name)) for name in cells.conditions},
        )


def _timm_boards() -> Iterable[Board]:
    """Yield a board for each shifted set; the matching clean accuracy has its own column."""
    about, lines = timm()
    for name, matching in TIMM_MATCHING.items():
        rows = []
        for line in lines:
            if line[name] is None:
                continue
            values = {"error": Value(value=1 - line[name])}
            if matching is not None and line[matching] is not None:
                values["matching_error"] = Value(value=1 - line[matching])
            model, _, tag = line["model"].partition(".")
            rows.append(
                Row(
                    id=_slug(f"{name}-{line['model']}-{line['image_size']}"),
                    name=f"{line['model']} at {line['image_size']}",
                    kind="published",
                    method=tag,
                    architecture=model,
                    source="timm",
                    values=values,
                )
            )
        protocol = f"{about['sets'][name]}; {about['protocol']}"
        yield Board(f"{name}-timm", name, protocol, rows, facts=("timm",))


def _finish(board: Board) -> None:
    """Choose the columns, sort by the first, and give measured rows the interval of their rank."""
    board.columns = headlines((name for entry in board.rows for name in entry.values), main=True)
    sign = -1.0 if row(board.key).lower_is_better is False else 1.0

    def standing(entry: Row) -> tuple[float, float, float]:
        """Return (low, value, high) of what ranks, turned so that less is better; last where there is none."""
        value = entry.values.get(board.key)
        if value is None or value.value is None:
            return (float("inf"),) * 3
        ends = [sign * (value.value if end is None else end) for end in (value.low, value.high)]
        return min(ends), sign * value.value, max(ends)

    board.rows.sort(key=lambda entry: standing(entry)[1])
    bounds = [(low, high) for low, _, high in map(standing, board.rows)]
    for entry, (low, high) in zip(board.rows, bounds, strict=True):
        if (value := entry.values.get(board.key)) is not None and value.low is not None:
            entry.rank = (1 + sum(h < low for _, h in bounds), sum(lo <= high for lo, _ in bounds))


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-")
