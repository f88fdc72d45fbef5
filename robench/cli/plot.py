"""``robench plot``: pictures of results, several models in one, as PNG, SVG or PDF."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from robench.results.schema import Result

HELP = """\
Draw results: RUN is a run folder or a result.json; several models go into one picture.

Writes a PNG and an SVG named after the plot, or what `--out` says.

**Examples**

    robench plot severity runs/digits-c/augmix-1a2b3c4d runs/digits-c/standard-5e6f7a8b

    robench plot reliability RUN --level clean --level severity/3 --out figures/reliability.pdf

    robench plot corruptions RUN... --metric rms_calibration_error
"""
RUNS = typer.Argument(..., metavar="RUN...", help="Run folders or result.json files.")
OUT = typer.Option(
    None, "--out", "-o", help="Where to write: a .png, .svg or .pdf; without a suffix, a PNG and an SVG of that name."
)


def register(app: typer.Typer) -> None:
    """Add the verb and its kinds of pictures."""
    verb = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode="markdown")
    verb.command("severity")(severity)
    verb.command("trio")(trio)
    verb.command("reliability")(reliability)
    verb.command("corruptions")(corruptions)
    verb.command("flips")(flips)
    verb.command("scatter")(scatter)
    verb.command("tradeoff")(tradeoff)
    verb.command("fourier")(fourier)
    verb.command("lowpass")(lowpass)
    if find_spec("robench.plots.gallery") is not None:
        verb.command("corruptions-gallery")(gallery)
    app.add_typer(verb, name="plot")


def severity(
    runs: list[Path] = RUNS,
    metric: list[str] = typer.Option(
        ["error", "rms_calibration_error"], "--metric", "-m", help="A panel each; repeat the option for several."
    ),
    out: Path | None = OUT,
) -> int:
    """Metrics against severity, with bands of the intervals."""
    from robench import plots

    return _write(plots.severity(_load(runs), metric), out, "severity")


def trio(runs: list[Path] = RUNS, out: Path | None = OUT) -> int:
    """Error, RMS calibration error and Brier score against severity, as in Figure 7 of AugMix."""
    from robench import plots

    return _write(plots.trio(_load(runs)), out, "trio")


def reliability(
    runs: list[Path] = RUNS,
    level: list[str] = typer.Option(
        ["clean", "severity/5"], "--level", "-l", help="`clean`, or `severity/1` to `severity/5`; repeat for several."
    ),
    out: Path | None = OUT,
) -> int:
    """Accuracy against confidence, and how many images have which confidence."""
    from robench import plots

    return _write(plots.reliability(_load(runs), level), out, "reliability")


def corruptions(
    runs: list[Path] = RUNS,
    metric: str = typer.Option("error", "--metric", "-m", help="The metric to draw."),
    out: Path | None = OUT,
) -> int:
    """A metric under each corruption, in the benchmark's groups."""
    from robench import plots

    return _write(plots.corruptions(_load(runs), metric), out, "corruptions")


def flips(
    runs: list[Path] = RUNS,
    metric: str = typer.Option("flip_probability", "--metric", "-m", help="`flip_probability` or `top5_distance`."),
    out: Path | None = OUT,
) -> int:
    """How often the answer flips along each perturbation of a -P suite."""
    from robench import plots

    return _write(plots.flips(_load(runs), metric), out, "flips")


def scatter(
    runs: list[Path] = RUNS,
    metric: str = typer.Option("error", "--metric", "-m", help="The metric to draw."),
    out: Path | None = OUT,
) -> int:
    """Each model's figure on clean (or IID) images against its figure on shifted ones."""
    from robench import plots

    return _write(plots.scatter(_load(runs), metric), out, "scatter")


def tradeoff(runs: list[Path] = RUNS, out: Path | None = OUT) -> int:
    """Clean and corruption error against the weight lambda of the second BatchNorm; the models' cards name lambda."""
    from robench import plots

    return _write(plots.tradeoff(_load(runs)), out, "tradeoff")


def fourier(
    maps: list[Path] = typer.Argument(..., metavar="MAP...", help="Documents that `robench fourier` wrote."),
    out: Path | None = OUT,
) -> int:
    """Fourier heat maps in a row, with one scale for all."""
    from robench import plots

    return _write(plots.fourier([plots.read_fourier(path) for path in maps]), out, "fourier")


def lowpass(
    curves: list[Path] = typer.Argument(..., metavar="CURVE...", help="Documents that `robench fourier` wrote."),
    out: Path | None = OUT,
) -> int:
    """Accuracy against the bandwidth of a low-pass filter."""
    from robench import plots

    return _write(plots.lowpass([plots.read_lowpass(path) for path in curves]), out, "lowpass")


def gallery(
    image: Path | None = typer.Option(None, help="A picture of yours; without it, a digit that robench carries."),
    size: int | None = typer.Option(
        None, min=32, help="Resize the shorter side to this and crop the centre; without it, 224, or 32 for the digit."
    ),
    index: int = typer.Option(0, min=0, help="The image's number, which the randomness depends on; also which digit."),
    seed: int = typer.Option(0, help="Seed of the corruptions."),
    out: Path | None = OUT,
) -> int:
    """All corruptions at all severities on one picture."""
    from robench.cli.picture import corrupted_grid
    from robench.plots.gallery import gallery as draw

    return _write(draw(corrupted_grid(image, size=size, index=index, seed=seed)), out, "corruptions-gallery")


def _load(runs: list[Path]) -> list[Result]:
    from robench.results.loading import load

    return [load(run) for run in runs]


def _write(figure: Figure, out: Path | None, name: str) -> int:
    from robench import plots

    out = out if out is not None else Path(name)
    for path in [out] if out.suffix else [out.with_name(f"{out.name}.{suffix}") for suffix in ("png", "svg")]:
        print(plots.save(figure, path))
    return 0
