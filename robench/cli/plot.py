"""``robench plot``: plots of results, several models in one, as PNG, SVG or PDF."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from robench.cli import options as o
from robench.cli.app import group
from robench.cli.help import Command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

    from robench.results.schema import Result

HELP = """\
RUN is a run folder or a result.json; several models go into one plot. Writes a PNG and an SVG named after the plot, \
or what --out says.

Examples:

    robench plot severity runs/digits-c/augmix-1a2b3c4d \\
        runs/digits-c/standard-5e6f7a8b
    robench plot reliability RUN --level clean --level severity/3 \\
        --out figures/reliability.pdf
    robench plot corruptions RUN... --metric rms_calibration_error
"""
Out = Annotated[
    str | None,
    typer.Option(
        "--out",
        "-o",
        metavar="FILE",
        help="A .png, .svg or .pdf; without a suffix, a PNG and an SVG of that name.",
        rich_help_panel=o.OUTPUT,
    ),
]
Metric = Annotated[str, typer.Option("--metric", "-m", metavar="NAME", help="The metric to plot.")]
app = group()


@app.command(cls=Command)
def severity(
    runs: o.Runs,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            "--metric",
            "-m",
            metavar="NAME",
            help="One panel each (repeatable; default: error and rms_calibration_error).",
        ),
    ] = None,
    out: Out = None,
) -> int:
    """Metrics against severity, with 95% bands."""
    from robench import plots

    return _write(plots.severity(_load(runs), metric or ["error", "rms_calibration_error"]), out, "severity")


@app.command(cls=Command)
def trio(runs: o.Runs, out: Out = None) -> int:
    """Error, RMS calibration error and Brier score against severity, as in Figure 7 of AugMix."""
    from robench import plots

    return _write(plots.trio(_load(runs)), out, "trio")


@app.command(cls=Command)
def reliability(
    runs: o.Runs,
    level: Annotated[
        list[str] | None,
        typer.Option(
            "--level",
            "-l",
            metavar="NAME",
            help="clean, or severity/1 to severity/5 (repeatable; default: clean and severity/5).",
        ),
    ] = None,
    out: Out = None,
) -> int:
    """Accuracy against confidence, and the number of images at each confidence."""
    from robench import plots

    return _write(plots.reliability(_load(runs), level or ["clean", "severity/5"]), out, "reliability")


@app.command(cls=Command)
def corruptions(runs: o.Runs, metric: Metric = "error", out: Out = None) -> int:
    """A metric under each corruption, in the benchmark's groups."""
    from robench import plots

    return _write(plots.corruptions(_load(runs), metric), out, "corruptions")


@app.command(cls=Command)
def flips(
    runs: o.Runs,
    metric: Annotated[
        str, typer.Option("--metric", "-m", metavar="NAME", help="flip_probability or top5_distance.")
    ] = "flip_probability",
    out: Out = None,
) -> int:
    """How often the prediction flips along each perturbation of a -P suite."""
    from robench import plots

    return _write(plots.flips(_load(runs), metric), out, "flips")


@app.command(cls=Command)
def scatter(runs: o.Runs, metric: Metric = "error", out: Out = None) -> int:
    """A metric on clean (or IID) images against the same metric on shifted ones, one point per model."""
    from robench import plots

    return _write(plots.scatter(_load(runs), metric), out, "scatter")


@app.command(cls=Command)
def tradeoff(runs: o.Runs, out: Out = None) -> int:
    """Clean and corruption error against the weight lambda of the second BatchNorm; the models' cards name lambda."""
    from robench import plots

    return _write(plots.tradeoff(_load(runs)), out, "tradeoff")


@app.command(cls=Command)
def fourier(
    maps: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Maps that `robench fourier` wrote.")],
    out: Out = None,
) -> int:
    """Fourier heat maps in a row, with one scale for all."""
    from robench import plots

    return _write(plots.fourier([plots.read_fourier(path) for path in maps]), out, "fourier")


@app.command(cls=Command)
def lowpass(
    curves: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Curves that `robench fourier --lowpass` wrote.")
    ],
    out: Out = None,
) -> int:
    """Accuracy against the bandwidth of a low-pass filter."""
    from robench import plots

    return _write(plots.lowpass([plots.read_lowpass(path) for path in curves]), out, "lowpass")


@app.command("corruptions-gallery", cls=Command)
def gallery(
    image: Annotated[str | None, typer.Option(metavar="FILE", help="Input image (default: a bundled digit).")] = None,
    size: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Resize the shorter side and crop the centre (default: 224, or 32 for the digit)."
        ),
    ] = None,
    index: Annotated[
        int, typer.Option(metavar="N", help="The image's index, which the randomness depends on; also which digit.")
    ] = 0,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of the corruptions.")] = 0,
    out: Out = None,
) -> int:
    """All corruptions at all severities on one image."""
    from robench import api

    return _write(api.gallery(image, size=size, index=index, seed=seed), out, "corruptions-gallery")


def _load(runs: Sequence[Path]) -> list[Result]:
    from robench.results.loading import load

    return [load(run) for run in runs]


def _write(figure: Figure, out: str | None, name: str) -> int:
    from robench import plots
    from robench.api.words import place

    path = place("out", out) if out is not None else Path(name)
    for one in [path] if path.suffix else [path.with_name(f"{path.name}.{suffix}") for suffix in ("png", "svg")]:
        print(plots.save(figure, one))
    return 0
