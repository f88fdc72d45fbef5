"""Metrics against severity: how error and calibration change as the corruption grows (AugMix, Figure 7)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from robench.catalogue import row
from robench.plots.common import (
    Array,
    drawn_names,
    ends,
    interval_words,
    least,
    no_values,
    or_debiased,
    provenance,
    same_suite,
)
from robench.plots.registry import Option, Plot
from robench.plots.style import COLUMN, PAGE, axes_or_new, finish, look, new_figure, panels, style, wide
from robench.results.labels import sentence
from robench.results.protocols import averaged, protocol_of
from robench.results.schema import Result
from robench.suites.base import Cell

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SEVERITIES = (0, 1, 2, 3, 4, 5)
USUAL = ("error", "rms_calibration_error")


@dataclass(frozen=True)
class SeverityCurves:
    """One metric against severity, one curve per model.

    Args:
        metric: name of the metric.
        names: the models.
        values, low, high: float64 (models, 6), in the unit that is drawn (percent for fractions); the first column
            is the clean images, the others the mean over the benchmark corruptions at severities 1 to 5. NaN where
            nothing was measured.
    """

    metric: str
    names: tuple[str, ...]
    values: Array
    low: Array
    high: Array

    @classmethod
    def from_results(cls, results: Sequence[Result], metric: str = "error") -> SeverityCurves:
        """Take the curves out of results of one suite.

        Raises:
            RobenchError: the results are of different protocols, or none has this metric by severity.
        """
        same_suite(results)
        stored = [[r.severities.get(str(s), {}).get(metric) for s in SEVERITIES] for r in results]
        rows = [ends(values, row(metric)) for values in stored]
        values, low, high = (np.stack(part) for part in zip(*rows, strict=True))
        if not np.isfinite(values[:, 1:]).any():
            levels = [level for r in results for s, level in r.severities.items() if s != "0"]
            raise no_values(metric, levels, "by severity", "Only suites with severities have such curves.")
        return cls(metric, tuple(drawn_names(results)), values, low, high)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the curves with their bands on ``ax`` (or on a new figure's) and return it."""
        with style():
            ax = axes_or_new(ax)
            x = np.array(SEVERITIES, float)
            for i, name in enumerate(self.names):
                seen = look(i)
                ax.fill_between(x, self.low[i], self.high[i], color=seen.color, alpha=0.16, linewidth=0)
                alone = _alone(self.low[i])
                ax.vlines(x[alone], self.low[i][alone], self.high[i][alone], color=seen.color, alpha=0.5, linewidth=1.2)
                ax.plot(x, self.values[i], label=name, markeredgewidth=0, clip_on=False, zorder=3, **seen._asdict())
                missing = x[~np.isfinite(self.values[i])]
                if len(missing):
                    ax.plot(
                        missing,
                        np.full(len(missing), 0.03 + 0.05 * i),
                        linestyle="",
                        marker="x",
                        markersize=3.5,
                        color=seen.color,
                        transform=ax.get_xaxis_transform(),
                        zorder=4,
                    )
            ax.set_xticks(x, ["clean", *map(str, SEVERITIES[1:])])
            ax.set_xlim(-0.15, 5.15)
            ax.set_ylim(bottom=least(self.values, self.low))
            ax.margins(y=0.08)
            ax.grid(axis="x", visible=False)
            ax.set_xlabel("severity of the corruption")
            ax.set_ylabel(row(self.metric).axis)
            ax.set_title(f"{sentence(row(self.metric).title)} as corruption grows")
        return ax


def _alone(low: Array) -> npt.NDArray[np.bool_]:
    """Return which severities have an interval but no neighbour with one, where a band has no width."""
    there = np.pad(np.isfinite(low), 1)
    return np.asarray(there[1:-1] & ~there[:-2] & ~there[2:])


def severity(results: Sequence[Result], metrics: Sequence[str] = USUAL) -> Figure:
    """Draw one panel per metric, all models in each, with bands of the intervals.

    Of the usual metrics the RMS error is drawn in its debiased form, under its name, where a result has none as
    published, being of a sample or of too few images; where there is neither, the error alone is drawn.

    Raises:
        RobenchError: the results are of different protocols, or none has one of the metrics.
    """
    if tuple(metrics) == USUAL:
        metrics = _usual(results)
    curves = [SeverityCurves.from_results(results, metric) for metric in metrics]
    with style():
        alone = len(curves) == 1
        figure, axes = new_figure(COLUMN, 2.3) if alone else panels(len(curves), 2.3, least=2.2)
        for ax, curve in zip(axes.flat, curves, strict=False):
            curve.plot(ax)
            if wide(COLUMN if alone else PAGE) / axes.shape[1] < 3:  # the long title would run into the next panel
                ax.set_title(sentence(row(curve.metric).title))
        missing = any(not np.isfinite(curve.values).all() for curve in curves)
        said = provenance(
            results,
            f"mean over {corruptions_averaged(results)}",
            interval_words(results, "bands", *(curve.low for curve in curves)),
            *(["×: not measured"] if missing else []),
        )
        finish(figure, axes.flat[0], curves[0].names, said)
    return figure


def _usual(results: Sequence[Result]) -> list[str]:
    """Return the usual metrics that are defined at some severity of a result; all of them where none is."""
    wanted = [or_debiased(results, metric) for metric in USUAL]
    levels = [level for result in results for level in result.severities.values()]
    there = [m for m in wanted if any(m in level and level[m].value is not None for level in levels)]
    return there or wanted


def corruptions_averaged(results: Sequence[Result]) -> str:
    """Return how many corruptions the runs averaged, in words: ``15 corruptions``."""
    counts = {
        len(averaged(protocol_of(r), (Cell(cell.condition, cell.severity) for cell in r.cells if cell.severity)))
        for r in results
    }
    low, high = min(counts), max(counts)
    return f"{high} corruptions" if low == high else f"{low} to {high} corruptions (not all runs have all)"


PLOT = Plot(
    "severity",
    "Metrics against severity, with bands of the intervals.",
    severity,
    options=(
        Option(
            "metrics",
            "One panel per metric.",
            USUAL,
            ("--metric", "-m"),
        ),
    ),
)
