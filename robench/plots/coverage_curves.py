"""Coverage and size of conformal sets against severity: what is left of a promised coverage under shift.

The document is the one that ``robench conformal`` writes; only :func:`read_coverage` knows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from robench.catalogue import row
from robench.errors import RobenchError
from robench.plots.common import Array
from robench.plots.fourier_maps import of_kind
from robench.plots.registry import Option, Plot
from robench.plots.severity_curves import SEVERITIES
from robench.plots.style import MUTED, axes_or_new, finish, look, panels, style
from robench.results.labels import sentence

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANELS = ("conformal_coverage", "conformal_set_size")
_COMMAND = "robench.conformal(run)"
_ALL = "all"


@dataclass(frozen=True)
class CoverageCurve:
    """One model's sets by one method.

    Args:
        model, method: their names.
        alpha: share of sets that may miss the right class.
        values: metric -> float64 (6, 3): value, low and high on clean images and at severities 1 to 5, in the unit
            shown; NaN where it is not known.
    """

    model: str
    method: str
    alpha: float
    values: dict[str, Array]

    @property
    def name(self) -> str:
        """What the legend calls it."""
        return f"{self.model}, {self.method.upper()} {100 * (1 - self.alpha):g} %"

    def plot(self, ax: Axes | None = None, metric: str = PANELS[0], *, number: int = 0) -> Axes:
        """Draw a metric on ``ax`` as the ``number``-th curve and return the axes."""
        with style():
            ax = axes_or_new(ax)
            seen, found, x = look(number), self.values[metric], np.array(SEVERITIES, float)
            ax.fill_between(x, found[:, 1], found[:, 2], color=seen.color, alpha=0.16, linewidth=0)
            ax.plot(x, found[:, 0], label=self.name, markeredgewidth=0, clip_on=False, zorder=3, **seen._asdict())
            if metric == PANELS[0]:
                ax.axhline(100 * (1 - self.alpha), color=MUTED, linewidth=0.8, linestyle="--", zorder=1)
            ax.set_xticks(x, ["clean", *map(str, SEVERITIES[1:])])
            ax.set_xlim(-0.15, 5.15)
            ax.set_ylim(bottom=0.0, auto=None)  # the top stays free for the curves to come
            ax.grid(axis="x", visible=False)
            ax.set_xlabel("severity of the corruption")
            ax.set_ylabel(row(metric).axis)
            ax.set_title(sentence(row(metric).title))
        return ax


def coverage(found: Sequence[Sequence[CoverageCurve] | CoverageCurve], method: str = _ALL) -> Figure:
    """Draw coverage, and set size where it is known, against severity.

    Args:
        found: curves, or several curves of each run.
        method: ``lac``, ``aps`` or ``raps``; ``all`` draws whatever there is.

    Raises:
        RobenchError: no curve, none of this method, or none with severities.
    """
    curves = [curve for one in found for curve in ([one] if isinstance(one, CoverageCurve) else one)]
    chosen = [curve for curve in curves if method in (_ALL, curve.method)]
    if not chosen:
        there = ", ".join(dict.fromkeys(curve.method for curve in curves)) or "none"
        raise RobenchError(
            f"None of these has conformal sets by '{method}'; found {there}.",
            hint=f"Compute them with `robench.conformal(run, method={method!r})`.",
        )
    if not any(np.isfinite(curve.values[PANELS[0]][1:, 0]).any() for curve in chosen):
        raise RobenchError(
            "None of these runs has severities to plot coverage against.",
            hint="`robench conformal RUN` prints the coverage of every cell.",
        )
    shown = [name for name in PANELS if any(np.isfinite(curve.values[name][:, 0]).any() for curve in chosen)]
    with style():
        figure, axes = panels(len(shown), 2.4)
        for ax, name in zip(axes.flat, shown, strict=False):
            for number, curve in enumerate(chosen):
                curve.plot(ax, name, number=number)
        promised = ", ".join(f"{100 * (1 - alpha):g} %" for alpha in dict.fromkeys(curve.alpha for curve in chosen))
        said = f"dashed: coverage promised for images like the calibration's, {promised}"
        if any(np.isfinite(curve.values[name][:, 1]).any() for curve in chosen for name in shown):
            said += " · bands: 95 % intervals"
        finish(figure, axes.flat[0], [curve.name for curve in chosen], said)
    return figure


def read_coverage(path: str | Path) -> tuple[CoverageCurve, ...]:
    """Read what ``robench conformal`` wrote: a document, or all those in a run's folder.

    Of documents whose curves have one name, such as those of two penalties, the newest counts.

    Raises:
        RobenchError: nothing there, or not such a document.
    """
    place = Path(path)
    files = list(place.glob("conformal-*.json")) if place.is_dir() else [place]
    if not files:
        raise RobenchError(f"{path} has no conformal sets.", hint=f"Compute them with `{_COMMAND}`.")
    found = {curve.name: curve for curve in map(_read, sorted(files, key=lambda file: file.stat().st_mtime))}
    return tuple(found[name] for name in sorted(found))


def _read(path: Path) -> CoverageCurve:
    document = of_kind(path, "robench-conformal", _COMMAND)
    try:
        groups: dict[str, Any] = document["values"]
        levels = [_unshifted(groups, document["fitted_on"]), *(groups.get(f"severity/{s}") for s in SEVERITIES[1:])]
        values = {name: np.array([_numbers(level, name) for level in levels], float) for name in PANELS}
        return CoverageCurve(str(document["model"]), str(document["method"]), float(document["alpha"]), values)
    except (KeyError, TypeError, ValueError, AttributeError) as problem:
        raise RobenchError(
            f"{path} is not a complete document of conformal sets: {problem!r}.", hint=f"Write it again: `{_COMMAND}`."
        ) from problem


def _unshifted(groups: dict[str, Any], fitted: dict[str, Any]) -> dict[str, Any] | None:
    """Return the values on clean images: the cell of the fit where that is one without a severity."""
    cell = str(fitted["cell"])
    found: dict[str, Any] | None = groups.get("clean", None if "/" in cell else groups.get(cell))
    return found


def _numbers(level: dict[str, Any] | None, name: str) -> list[float]:
    found = (level or {}).get(name, {})
    numbers = [found.get(key) for key in ("value", "low", "high")]
    return [np.nan if one is None else row(name).factor * float(one) for one in numbers]


PLOT = Plot(
    "coverage",
    "Coverage and size of conformal sets against severity.",
    coverage,
    read=read_coverage,
    inputs="RUN",
    inputs_help="Run folders with conformal sets, or files that `robench conformal` wrote.",
    options=(Option("method", "lac, aps or raps (default: all that there are).", _ALL, ("--method",)),),
)
