"""``robench report``: one page of one or several runs, to open, send or print."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from robench.errors import RobenchError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from robench.results.comparing import Comparison
    from robench.results.schema import Result

HELP = """\
Write a report of one or several runs of a suite: figures with intervals, pictures, protocol, and what to run next.

The HTML page holds everything inside and needs no network; `--out NAME.md` writes Markdown, with the pictures as
SVG files beside it. Two run folders of the same protocol are also compared image by image.

**Examples**

    robench report runs/digits-c/augmix-1a2b3c4d runs/digits-c/standard-5e6f7a8b

    robench report RUN --out report.md
"""
Picture = tuple[str, str, bytes]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("report", help=HELP)(report)


def report(
    runs: list[Path] = typer.Argument(..., metavar="RUN...", help="Run folders or result.json files."),
    out: Path = typer.Option(Path("report.html"), "--out", "-o", help="The page: .html, or .md for Markdown."),
    compare: bool = typer.Option(True, help="Compare two runs on the same images, where their predictions are there."),
) -> int:
    """Write the page; see HELP."""
    from robench.files import atomic_write
    from robench.results.loading import load
    from robench.tables.report import render_html, render_markdown

    if out.suffix not in (".html", ".htm", ".md"):
        raise RobenchError(f"A report cannot be written as '{out.name}'.", hint="Use --out NAME.html or NAME.md.")
    results = [load(run) for run in runs]
    comparison = _comparison(runs) if compare else None
    figures = figures_for(results)
    if out.suffix == ".md":
        text = render_markdown(results, _beside(out, figures), comparison)
    else:
        text = render_html(results, figures, comparison)
    with atomic_write(out) as file:
        file.write(text.encode())
    print(out)
    return 0


def figures_for(results: Sequence[Result]) -> dict[str, Picture]:
    """Draw the pictures that these results have something for: key -> (title, caption, SVG bytes)."""
    from robench import plots

    pictures: dict[str, Picture] = {}
    for key, draw, title, caption in _wanted(results):
        try:
            pictures[key] = (title, caption, plots.to_bytes(draw(), "svg"))
        except RobenchError:  # this kind of suite has no such figures
            continue
    return pictures


def _wanted(results: Sequence[Result]) -> list[tuple[str, Callable[[], Figure], str, str]]:
    """Return key, drawing, title and caption of every picture that a report may hold; a phone shows each in full."""
    from robench import plots

    bands = "The bands are 95 % intervals over images."
    diagram = (
        "On the dashed line a model is right as often as it says; below it, it is too sure of itself. "
        "Larger marks stand for more images, the steps underneath show how many."
    )
    return [
        ("severity-error", lambda: plots.severity(results, ("error",)), "Error against severity",
         f"The lower and the flatter, the more robust. {bands}"),
        ("severity-calibration", lambda: plots.severity(results, ("rms_calibration_error",)),
         "Calibration error against severity",
         f"How far confidence is from being right. A model that notices hard images stays low and flat. {bands}"),
        ("reliability-clean", lambda: plots.reliability(results, ("clean",)), "Reliability on clean images", diagram),
        ("reliability-severity-5", lambda: plots.reliability(results, ("severity/5",)), "Reliability at severity 5",
         diagram),
        ("corruptions", lambda: plots.corruptions(results), "Error under each condition",
         "A mark for each model; left is better, the line through it is the 95 % interval. Models whose lines lie "
         "far apart differ in that condition."),
        ("severity-brier", lambda: plots.severity(results, ("brier",)), "Brier score against severity",
         f"Being wrong and not knowing it, in one figure: 0 is perfect. {bands}"),
        ("flips", lambda: plots.flips(results), "Flips along each perturbation",
         "How often the answer changes between frames that hardly differ; left is steadier."),
    ]  # fmt: skip


def _comparison(runs: Sequence[Path]) -> Comparison | None:
    """Return the paired comparison of two run folders, or None where there are no two with predictions."""
    from robench.predictions import RunFolder
    from robench.results.comparing import compare_runs

    if len(runs) != 2 or not all(run.is_dir() for run in runs):
        return None
    try:  # a folder with a result.json alone can be reported, not compared; nor can runs on other images
        return compare_runs(*[RunFolder.open(run) for run in runs])
    except RobenchError:
        return None


def _beside(out: Path, figures: dict[str, Picture]) -> dict[str, tuple[str, str, str]]:
    """Write the pictures into a folder named after the report, and return their addresses from it."""
    from robench.files import atomic_write

    addresses = {}
    for key, (title, caption, content) in figures.items():
        path = out.parent / f"{out.stem}-plots" / f"{key}.svg"
        with atomic_write(path) as file:
            file.write(content)
        addresses[key] = (title, caption, f"{path.parent.name}/{path.name}")
    return addresses
