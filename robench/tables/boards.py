"""Boards: the rows that may stand in one table, because they were measured by one protocol on the same images."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from robench.results.schema import Result, Value
from robench.tables.living import CellAccuracies, robustbench, timm

# key -> (title, factor, lower is better); the first that a board has ranks it
COLUMNS: dict[str, tuple[str, float, bool]] = {
    "mce": ("mCE", 100, True),
    "mean_error": ("Corruption error, %", 100, True),
    "mfr": ("mFR", 100, True),
    "mfp": ("Flip probability, %", 100, True),
    "mean_ood_error": ("OOD error, %", 100, True),
    "mean_ood_weighted_pr_auc": ("OOD mAP, % (higher is better)", 100, False),
    "worst_case_error": ("Worst-case error, %", 100, True),
    "error": ("Error, %", 100, True),
    "gap_error": ("Gap to clean, points", 100, True),
    "clean_error": ("Clean error, %", 100, True),
    "iid_weighted_pr_auc": ("IID mAP, % (higher is better)", 100, False),
    "average_case_error": ("Average-case error, %", 100, True),
    "mean_rms_calibration_error": ("RMS calibration, %", 100, True),
    "mean_ece": ("ECE, %", 100, True),
    "mean_brier": ("Brier (0-2)", 1, True),
    "mean_nll": ("NLL, nats", 1, True),
    "matching_error": ("Error on the matching clean images, %", 100, True),
}
# what a recipe's name says after its method; the longer of two that begin alike comes first
_DATA_SETS = ("tiny-imagenet", "imagenet", "cifar100", "cifar10", "digits")


def digits(key: str) -> int:
    """Return how many decimals a column shows: two of percent, three of what lies around 1."""
    return 2 if COLUMNS[key][1] == 100 else 3


@dataclass
class Row:
    """One model on a board; ``figures`` are in the column's unit as (value, low, high)."""

    id: str
    name: str
    kind: str
    method: str
    architecture: str
    source: str
    figures: Mapping[str, tuple[float, float | None, float | None]]
    link: str = ""
    page: str = ""
    rank: tuple[int, int] | None = None
    curve: list[float | None] = field(default_factory=list)
    conditions: dict[str, float] = field(default_factory=dict)


@dataclass
class Board:
    """One table: rows of one protocol."""

    id: str
    title: str
    protocol: str
    rows: list[Row]
    columns: list[str] = field(default_factory=list)

    @property
    def key(self) -> str:
        """The column that ranks."""
        return self.columns[0]


def make_boards(results: Mapping[Path, Result], *, living: bool = True) -> list[Board]:
    """Return all boards: measured results first, then what others publish; equal protocols share one.

    A result that has none of the figures in :data:`COLUMNS` is left out.
    """
    boards: dict[str, Board] = {}
    for result in results.values():
        if all(key not in COLUMNS or figure.value is None for key, figure in result.summary.items()):
            continue
        size = max((cell.images for cell in result.cells), default=0)
        kind = f"{result.suite.source} images, {size:,} a cell"
        if not result.suite.complete:
            kind += f", only a part of the suite: {len(result.cells)} cells"
        protocol = _slug(f"{result.suite.name}-{result.suite.source}-{size}-{_data_key(result)}")
        board = boards.setdefault(protocol, Board(protocol, result.suite.name, f"{result.suite.title}: {kind}", []))
        board.rows.append(measured_row(result, protocol))
    if living:
        for suite in ("imagenet-c", "cifar10-c", "cifar100-c"):
            cells = robustbench(suite)
            protocol = _slug(f"{suite}-published-{cells.about['images']}-")
            board = boards.setdefault(protocol, Board(protocol, suite, cells.about["protocol"], []))
            board.rows += _published_rows(cells)
        for board in _timm_boards():
            boards[board.id] = board
    for board in boards.values():
        _finish(board)
    return list(boards.values())


def _data_key(result: Result) -> str:
    """Return what tells apart images of one suite and size; the published files of a benchmark are the same for all.

    A part of a suite (fewer images or cells) has a key of its own, as its means are not the suite's; so has a set of
    the user's (any data set on ``clean``, a manifest's splits), and every difficulty of the sequences.
    """
    from robench.files import digest

    protocol = result.suite.protocol
    part = "" if result.suite.complete else f"part-{digest([protocol.get('limit'), *_names(result)])[:8]}"
    if result.suite.source == "published":
        own = ("checksum", "split", "definition", "sets")
        kept: dict[str, Any] = {key: value for key, value in protocol.items() if key in own}
        if protocol.get("difficulty", 1) != 1:
            kept["difficulty"] = protocol["difficulty"]
        return f"{digest(kept)[:8] if kept else ''}-{part}"
    kept = {key: value for key, value in protocol.items() if key != "limit"}
    return f"v{result.suite.version}-{digest(kept)[:8]}-{part}"


def _names(result: Result) -> list[str]:
    return sorted(cell.name for cell in result.cells)


def _method(card: Mapping[str, Any]) -> str:
    """Return the method in a recipe's name, ``patch-uniform`` of ``patch-uniform-cifar10-wrn40-2``."""
    found = re.match(rf"(.+?)-(?:{'|'.join(_DATA_SETS)})(?:-|$)", str(card.get("recipe") or ""))
    return found[1] if found else str(card.get("recipe") or "")


def measured_row(result: Result, board: str) -> Row:
    """Return the row of a measured result."""
    card = result.model.card
    figures = {
        key: _scaled(result.summary[key], factor)
        for key, (_, factor, _) in COLUMNS.items()
        if key in result.summary and result.summary[key].value is not None
    }
    name = str(card.get("name") or result.model.name)
    # The same model in another precision, say, is another row.
    identity = _slug(f"{board}-{name[:60]}-{result.model.hash[:8]}-{(result.run.identity or '')[:8]}")
    severities = [result.severities.get(str(s), {}).get("error") for s in range(6)]
    return Row(
        id=identity,
        name=name,
        kind="measured",
        method=_method(card),
        architecture=str(card.get("architecture") or ""),
        source="robench",
        figures=figures,
        page=f"models/{identity}.html",
        curve=[None if one is None or one.value is None else 100 * one.value for one in severities],
        conditions={
            name: 100 * one["error"].value
            for name, one in result.conditions.items()
            if "error" in one and one["error"].value is not None
        },
    )


def _scaled(figure: Value, factor: float) -> tuple[float, float | None, float | None]:
    low = None if figure.low is None else factor * figure.low
    high = None if figure.high is None else factor * figure.high
    return factor * float(figure.value or 0.0), low, high


def _published_rows(cells: CellAccuracies) -> Iterable[Row]:
    from robench.corruptions.severities import BENCHMARK

    for model, entry in cells.about["models"].items():
        errors = cells.cells[model]
        figures: dict[str, tuple[float, float | None, float | None]] = {
            "mean_error": (100 * cells.mean_error(model), None, None),
            "clean_error": (100 * (1 - cells.clean[model]), None, None),
        }
        if "AlexNet" in cells.cells:
            figures["mce"] = (100 * cells.mce(model), None, None)
        curve = [100 - 100 * sum(errors[f"{c}/{s}"] for c in BENCHMARK) / len(BENCHMARK) for s in range(1, 6)]
        yield Row(
            id=_slug(f"{cells.about['suite']}-robustbench-{model}"),
            name=model,
            kind="published",
            method="",  # their names are of authors; the paper is the link
            architecture=entry["architecture"],
            source=cells.about["source"],
            figures=figures,
            link=entry["link"],
            curve=[100 * (1 - cells.clean[model]), *curve],
            conditions={"clean": 100 * (1 - cells.clean[model])}
            | {c: 100 * cells.mean_error(model, c) for c in BENCHMARK},
        )


def _timm_boards() -> Iterable[Board]:
    """Yield a board for each shifted set; the matching clean accuracy has a column of its own."""
    about, lines = timm()
    pairs = {
        "imagenet-a": "imagenet-a-clean",
        "imagenet-r": "imagenet-r-clean",
        "imagenet-v2": "imagenet",
        "imagenet-sketch": "imagenet",
    }
    for name, matching in pairs.items():
        rows = []
        for line in lines:
            if line[name] is None:
                continue
            figures = {"error": (100 * (1 - line[name]), None, None)}
            if line[matching] is not None:
                figures["matching_error"] = (100 * (1 - line[matching]), None, None)
            model, _, tag = line["model"].partition(".")
            rows.append(
                Row(
                    id=_slug(f"{name}-{line['model']}-{line['image_size']}"),
                    name=f"{line['model']} at {line['image_size']}",
                    kind="published",
                    method=tag,
                    architecture=model,
                    source="timm",
                    figures=figures,
                )
            )
        protocol = f"{about['sets'][name]}; {about['protocol']}"
        yield Board(f"{name}-timm", name, protocol, rows)


def _finish(board: Board) -> None:
    """Choose the columns, sort by the first, and give measured rows the interval of their rank."""
    board.columns = [key for key in COLUMNS if any(key in row.figures for row in board.rows)]
    sign = 1.0 if COLUMNS[board.key][2] else -1.0

    def standing(row: Row) -> tuple[float, float, float]:
        """Return (low, value, high) of what ranks, turned so that less is better; last where there is no figure."""
        value, low, high = row.figures.get(board.key, (sign * float("inf"), None, None))
        ends = [sign * (value if end is None else end) for end in (low, high)]
        return min(ends), sign * value, max(ends)

    board.rows.sort(key=lambda row: standing(row)[1])
    bounds = [(low, high) for low, _, high in map(standing, board.rows)]
    for row, (low, high) in zip(board.rows, bounds, strict=True):
        if row.figures.get(board.key, (0.0, None, None))[1] is not None:
            row.rank = (1 + sum(h < low for _, h in bounds), sum(lo <= high for lo, _ in bounds))


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-")
