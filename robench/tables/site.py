"""The leaderboard's page: a folder that opens from disk, with no server, no network and nothing from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robench._version import __version__
from robench.catalogue import row as catalogue_row
from robench.files import atomic_write
from robench.results.labels import interval_text, minus, sentence, show
from robench.results.schema import Result, Value
from robench.tables.boards import Board, Row, make_boards, measured_row, title
from robench.tables.curves import bars, reliability_diagram, severity_curve
from robench.tables.locations import leaderboards
from robench.tables.measured import find_results
from robench.tables.paper_tables import render
from robench.tables.published import addresses, load_table

if TYPE_CHECKING:
    from jinja2 import Environment

CURVES = ("error", "rms_calibration_error", "brier")
LEVELS = ("clean", "severity/1", "severity/3", "severity/5")


def measured_results() -> dict[Path, Result]:
    """Return the measured results of the leaderboards folder, none where there are none."""
    folder = leaderboards() / "measured"
    return find_results(folder) if folder.is_dir() and any(folder.rglob("*.json")) else {}


def build_site(out: str | Path, results: Mapping[Path, Result] | None = None) -> Path:
    """Write the page and return its ``index.html``.

    Args:
        out: folder to write into; its own files are replaced, others are left.
        results: measured results by path; None: those of ``leaderboards/measured``.
    """
    out = Path(out)
    results = measured_results() if results is None else results
    boards = make_boards(results)
    environment = _environment()
    _write(out / "index.html", environment.get_template("board.html.jinja").render(**_index(boards)))
    pages = {row.id: (board, row) for board in boards for row in board.rows if row.page}
    for result in results.values():
        for identity, (board, row) in pages.items():
            if identity == measured_row(result, board.id).id and result.suite.name == board.title:
                text = environment.get_template("model.html.jinja").render(**_model(result, board, row.name))
                _write(out / row.page, text)
    papers = [(address, _safe(render(load_table(address), None, "html"))) for address in addresses()]
    _write(
        out / "papers.html", environment.get_template("papers.html.jinja").render(papers=papers, version=__version__)
    )
    return out / "index.html"


def _index(boards: list[Board]) -> dict[str, Any]:
    names = dict.fromkeys(name for board in boards for name in board.columns)
    data = {
        "columns": {
            name: {"title": title(name), "lower": catalogue_row(name).lower_is_better is not False} for name in names
        },
        "boards": [_short(board) for board in boards],
    }
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    # Inside a script element only "</" and "<!--" could end it; JSON allows the escape.
    return {"data": _safe(text.replace("<", "\\u003c")), "boards": boards, "version": __version__}


def _short(board: Board) -> dict[str, Any]:
    """Return what the script needs of a board: texts are rounded here, once, from the stored values."""
    document = {name: getattr(board, name) for name in ("id", "tab", "protocol", "columns")}
    return document | {"rows": [_short_row(one) for one in board.rows]}


def _short_row(one: Row) -> dict[str, Any]:
    document = {field.name: getattr(one, field.name) for field in fields(one)}
    document["values"] = {name: _short_value(stored, name) for name, stored in one.values.items()}
    document["curve"] = [None if value is None else round(value, 3) for value in one.curve]
    document["conditions"] = {name: _short_value(stored, "error") for name, stored in one.conditions.items()}
    return {name: value for name, value in document.items() if value not in ("", None, [], {})}


def _short_value(stored: Value, name: str) -> list[Any]:
    """Return [value, low, high] in the unit that is shown, to sort and draw by, and the texts that are printed."""
    factor = catalogue_row(name).factor
    numbers = [None if end is None else round(factor * end, 4) for end in (stored.value, stored.low, stored.high)]
    return [*numbers, minus(show(stored, name)), minus(interval_text(stored, name))]


def _model(result: Result, board: Board, name: str) -> dict[str, Any]:
    levels = {metric: [result.severities.get(str(s), {}).get(metric) for s in range(6)] for metric in CURVES}
    curves = [(axis, _safe(_curve(axis, name, levels[m], m))) for m in CURVES if any(levels[m]) and (axis := _axis(m))]
    conditions = [
        (condition, named["error"])
        for condition, named in result.conditions.items()
        if "error" in named and named["error"].value is not None
    ]
    reliability = [
        (level, _safe(reliability_diagram(f"Reliability of {name}, {level}", bins)))
        for level, bins in result.reliability.items()
        if level in LEVELS
    ]
    values = measured_row(result, board.id).values
    return {
        "name": name,
        "result": result,
        "board": board,
        "values": [
            (title(key), minus(show(value, key)), minus(interval_text(value, key))) for key, value in values.items()
        ],
        "curves": curves,
        "bars": _safe(bars(f"Error of {name} by condition, in percent", conditions)) if conditions else "",
        "reliability": reliability,
        "card": json.dumps(result.model.card, indent=2, ensure_ascii=False),
        "protocol": json.dumps(result.suite.protocol, indent=2, ensure_ascii=False),
        "command": result.run.command or "",
        "version": __version__,
    }


def _axis(metric: str) -> str:
    return sentence(catalogue_row(metric).axis)


def _curve(axis: str, name: str, levels: list[Value | None], metric: str) -> str:
    return severity_curve(f"{axis} of {name} by severity", levels, catalogue_row(metric).factor)


def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("robench.tables", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _safe(text: str) -> Any:
    from markupsafe import Markup

    return Markup(text)


def _write(path: Path, text: str) -> None:
    with atomic_write(path, own=True) as file:
        file.write(text.encode())
