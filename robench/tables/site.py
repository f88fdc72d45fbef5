"""The leaderboard's page: a folder that opens from disk, with no server, no network and nothing from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robench._version import __version__
from robench.files import atomic_write
from robench.results.schema import Result
from robench.tables.boards import COLUMNS, Board, digits, make_boards, measured_row
from robench.tables.curves import bars, reliability_diagram, severity_curve
from robench.tables.locations import leaderboards
from robench.tables.measured import find_results
from robench.tables.paper_tables import render
from robench.tables.published import addresses, load_table

if TYPE_CHECKING:
    from jinja2 import Environment

CURVES = {
    "error": ("Error, %", 100.0),
    "rms_calibration_error": ("RMS calibration error, %", 100.0),
    "brier": ("Brier score (0 to 2)", 1.0),
}


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
    data = {
        "columns": {
            key: {"title": title, "lower": lower, "digits": digits(key)} for key, (title, _, lower) in COLUMNS.items()
        },
        "boards": [_short(board) for board in boards],
    }
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    # Inside a script element only "</" and "<!--" could end it; JSON allows the escape.
    return {"data": _safe(text.replace("<", "\\u003c")), "boards": boards, "version": __version__}


def _short(board: Board) -> dict[str, Any]:
    document = asdict(board)
    for row in document["rows"]:
        row["figures"] = {
            key: [None if value is None else round(value, 4) for value in figure]
            for key, figure in row["figures"].items()
        }
        row["curve"] = [None if value is None else round(value, 3) for value in row["curve"]]
        row["conditions"] = {key: round(value, 3) for key, value in row["conditions"].items()}
        for key in [key for key, value in row.items() if value in ("", None, [], {})]:
            del row[key]
    return document


def _model(result: Result, board: Board, name: str) -> dict[str, Any]:
    levels = {metric: [result.severities.get(str(s), {}).get(metric) for s in range(6)] for metric in CURVES}
    curves = [
        (title, _safe(severity_curve(f"{title} of {name} by severity", levels[metric], factor)))
        for metric, (title, factor) in CURVES.items()
        if any(levels[metric])
    ]
    conditions = [
        (condition, figures["error"])
        for condition, figures in result.conditions.items()
        if "error" in figures and figures["error"].value is not None
    ]
    reliability = [
        (level, _safe(reliability_diagram(f"Reliability of {name}, {level}", bins)))
        for level, bins in result.reliability.items()
        if level in ("clean", "severity/1", "severity/3", "severity/5")
    ]
    return {
        "name": name,
        "result": result,
        "board": board,
        "columns": COLUMNS,
        "row": measured_row(result, board.id),
        "curves": curves,
        "bars": _safe(bars(f"Error of {name} by condition, in percent", conditions)) if conditions else "",
        "reliability": reliability,
        "card": json.dumps(result.model.card, indent=2, ensure_ascii=False),
        "protocol": json.dumps(result.suite.protocol, indent=2, ensure_ascii=False),
        "command": result.run.command or "",
        "version": __version__,
    }


def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("robench.tables", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["decimals"] = lambda value, key: f"{value:.{digits(key)}f}"
    return environment


def _safe(text: str) -> Any:
    from markupsafe import Markup

    return Markup(text)


def _write(path: Path, text: str) -> None:
    with atomic_write(path) as file:
        file.write(text.encode())
