"""``robench.report(runs)``: one page of one or several runs, to open, send or print."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from robench.api.options import Place
from robench.api.words import place, spelled_out
from robench.errors import RobenchError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from robench.results.comparing import Comparison
    from robench.results.comparing_many import ManyComparison
    from robench.results.schema import Result

Plot = tuple[str, str, bytes]
SUFFIXES = (".html", ".htm", ".md")


@spelled_out()
def report(
    runs: Place | Result | Sequence[Place | Result], *, out: Place = "report.html", compare: bool = True
) -> Path:
    """Write a report: results with intervals, plots, protocol, and what to run next.

    Args:
        runs: run folders, ``result.json`` files or results, of one suite.
        out: the page: ``.html``, which holds everything and needs no network, or ``.md`` for Markdown with the plots
            as SVG files beside it.
        compare: compare two or more runs on the same images, where their predictions are there.

    Returns:
        ``out``.

    Raises:
        RobenchError: no result, results of several protocols, or another kind of page.

    >>> import tempfile, robench
    >>> few = {"corruption": "contrast", "severity": 5, "limit": 100, "device": "cpu", "resamples": 0, "quiet": True}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     result = robench.evaluate("reference:digits/standard", "digits-c", out=folder, **few)
    ...     robench.report(result, out=f"{folder}/report.html").stat().st_size > 10_000
    True
    """
    from robench.files import atomic_write
    from robench.results.loading import load
    from robench.results.schema import Result
    from robench.tables.report import render_html, render_markdown

    page = place("out", out)
    if page.suffix not in SUFFIXES:
        raise RobenchError(
            f"A report cannot be written as '{page.name}'.", hint="Set `out` to a name that ends in .html or .md."
        )
    given = [runs] if isinstance(runs, (str, Path, Result)) else list(runs)
    results = [one if isinstance(one, Result) else load(place("runs", one)) for one in given]
    folders = [found for one in results if (found := one.folder) is not None]
    comparison, many = _compared(folders, len(given) if compare else 0)
    plots = plots_for(results) | _coverage(folders)
    if page.suffix == ".md":
        text = render_markdown(results, _beside(page, plots), comparison, many)
    else:
        text = render_html(results, plots, comparison, many)
    with atomic_write(page) as file:
        file.write(text.encode())
    return page


def plots_for(results: Sequence[Result]) -> dict[str, Plot]:
    """Draw the plots that these results have something for: key -> (title, caption, SVG bytes)."""
    from robench import plots

    drawn: dict[str, Plot] = {}
    for key, draw, title, caption in _wanted(results):
        try:
            drawn[key] = (title, caption, plots.to_bytes(draw(), "svg"))
        except RobenchError:  # this kind of suite has no such values
            continue
    return drawn


def _coverage(places: Sequence[Path]) -> dict[str, Plot]:
    """Draw the conformal sets that ``robench conformal`` left in the runs' folders, where it did."""
    from robench import plots
    from robench.plots.style import COLUMN
    from robench.plots.wishes import wanted

    found = [plots.read_coverage(place) for place in places if place.is_dir() and any(place.glob("conformal-*.json"))]
    if not found:
        return {}
    try:
        with wanted(width=COLUMN):  # one panel below the other, as wide as the page's other plots
            drawn = plots.to_bytes(plots.coverage(found), "svg")
    except RobenchError:  # a suite without severities
        return {}
    caption = (
        "How often a set of classes that should hold the right one still does. Below the dashed line the promise is"
        " broken; a model that knows that an image is hard gives larger sets instead."
    )
    return {"coverage": ("Coverage of conformal sets under shift", caption, drawn)}


def _wanted(results: Sequence[Result]) -> list[tuple[str, Callable[[], Figure], str, str]]:
    """Return key, drawing, title and caption of every plot that a report may hold; a phone shows each in full."""
    from robench import plots

    bands = "The bands are 95 % intervals over images."
    diagram = (
        "On the dashed line confidence equals accuracy (perfect calibration); below it the model is overconfident. "
        "Larger marks stand for more images, the steps underneath show how many."
    )
    return [
        ("severity-error", lambda: plots.severity(results, ("error",)), "Error against severity",
         f"Lower and flatter is more robust. {bands}"),
        ("severity-calibration", lambda: plots.severity(results, ("rms_calibration_error",)),
         "Calibration error against severity",
         f"The gap between confidence and accuracy. A model that recognises hard images stays low and flat. {bands}"),
        ("reliability-clean", lambda: plots.reliability(results, ("clean",)), "Reliability on clean images", diagram),
        ("reliability-severity-5", lambda: plots.reliability(results, ("severity/5",)), "Reliability at severity 5",
         diagram),
        ("corruptions", lambda: plots.corruptions(results), "Error under each condition",
         "One mark per model; left is better, and the line through it is the 95 % interval. Models whose lines are "
         "far apart differ in that condition."),
        ("severity-brier", lambda: plots.severity(results, ("brier",)), "Brier score against severity",
         f"Errors and misplaced confidence in one number: 0 is perfect. {bands}"),
        ("flips", lambda: plots.flips(results), "Flips along each perturbation",
         "How often the prediction changes between frames that hardly differ; left is more stable."),
    ]  # fmt: skip


def _compared(runs: Sequence[Path], wanted: int) -> tuple[Comparison | None, ManyComparison | None]:
    """Return the paired comparison of two run folders, or of more; None where they cannot be compared.

    Args:
        runs: the folders.
        wanted: how many are reported; 0: no comparison is wanted.
    """
    from robench.predictions import RunFolder
    from robench.results.comparing import compare_runs
    from robench.results.comparing_many import compare_many

    if wanted < 2 or len(runs) != wanted or not all(run.is_dir() for run in runs):
        return None, None
    try:  # a folder with a result.json alone can be reported, not compared; nor can runs on other images
        opened = [RunFolder.open(run) for run in runs]
        return (compare_runs(*opened), None) if wanted == 2 else (None, compare_many(opened))
    except RobenchError:
        return None, None


def _beside(page: Path, plots: dict[str, Plot]) -> dict[str, tuple[str, str, str]]:
    """Write the plots into a folder named after the report, and return their addresses from it."""
    from robench.files import atomic_write

    addresses = {}
    for key, (title, caption, content) in plots.items():
        path = page.parent / f"{page.stem}-plots" / f"{key}.svg"
        with atomic_write(path) as file:
            file.write(content)
        addresses[key] = (title, caption, f"{path.parent.name}/{path.name}")
    return addresses
