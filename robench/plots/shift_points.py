"""A metric in distribution against out of it: one mark per model, and the line of equal values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from robench.catalogue import means_of, row
from robench.plots.common import Array, drawn_names, ends, interval_words, least, no_values, provenance, same_suite
from robench.plots.registry import Plot, metric_option
from robench.plots.style import COLUMN, INK, axes_or_new, finish, look, new_figure, style
from robench.results.protocols import clean_condition, protocol_of
from robench.results.schema import Result, Value

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DIAGONAL = "_no loss under shift"  # matplotlib leaves names with an underscore out of legends
SEEN = 0.25  # of a side: of the line of equal values no shorter piece is drawn; a scrap in a corner says nothing


@dataclass(frozen=True)
class ShiftPoints:
    """One metric on clean (or IID) images and on shifted ones, one point per model.

    Args:
        metric: name of the metric.
        names: the models.
        clean, shifted: float64 (models, 3): value, low and high in the unit that is drawn; NaN where unknown.
        axes: what the two axes say.
    """

    metric: str
    names: tuple[str, ...]
    clean: Array
    shifted: Array
    axes: tuple[str, str]

    @classmethod
    def from_results(cls, results: Sequence[Result], metric: str = "error") -> ShiftPoints:
        """Take the points out of results of one suite: clean and corrupted, IID and OOD, or matching clean and shifted.

        Raises:
            RobenchError: the results are of different protocols, or have no such pair of values.
        """
        same_suite(results)
        for x, y, words in (
            (f"iid_{metric}", f"mean_ood_{metric}", ("in distribution", "out of distribution")),
            (f"clean_{metric}", means_of(metric)[0], ("clean images", "corrupted images")),
            (None, metric, ("matching clean images", "shifted images")),
        ):
            clean = [_matching(result, metric) if x is None else result.summary.get(x) for result in results]
            shifted = [result.summary.get(y) for result in results]
            if any(map(_known, clean)) and any(map(_known, shifted)):
                return cls(
                    metric,
                    tuple(drawn_names(results)),
                    np.stack(ends(clean, row(metric)), axis=1),
                    np.stack(ends(shifted, row(metric)), axis=1),
                    words,
                )
        where = "both on clean (or IID) and on shifted images"
        raise no_values(metric, [result.summary for result in results], where, "Measure more of the suite.")

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the points, their intervals and the line of equal values on ``ax`` and return it."""
        with style():
            ax = axes_or_new(ax, COLUMN, COLUMN)
            about = row(self.metric)
            unit = f", {about.shown_unit}" if about.shown_unit else ""
            for i, name in enumerate(self.names):
                seen = look(i)
                (x, x_low, x_high), (y, y_low, y_high) = self.clean[i], self.shifted[i]
                missing = not (np.isfinite(x) and np.isfinite(y))
                ax.plot(x, y, linestyle="", marker=seen.marker, color=seen.color, markeredgewidth=0, markersize=5,
                        label=f"{name}: not measured" if missing else name, zorder=4)  # fmt: skip
                ax.hlines(y, x_low, x_high, color=seen.color, linewidth=0.8, alpha=0.7, zorder=3)
                ax.vlines(x, y_low, y_high, color=seen.color, linewidth=0.8, alpha=0.7, zorder=3)
            ax.margins(0.12)
            self._draw_diagonal(ax)
            ax.set_xlabel(f"{about.title} on {self.axes[0]}{unit}".replace(" on in ", " in "))
            ax.set_ylabel(f"{about.title} on {self.axes[1]}{unit}".replace(" on out ", " out "))
            ax.set_title(f"Cost of the shift: {about.title}")
        return ax

    def legend_names(self) -> list[str]:
        """Return the names as the legend has them."""
        known = np.isfinite(self.clean[:, 0] + self.shifted[:, 0])
        return [name if k else f"{name}: not measured" for name, k in zip(self.names, known, strict=True)]

    def _draw_diagonal(self, ax: Axes) -> None:
        """Draw y = x where it crosses the plot; the points keep their own scales, which may lie far apart."""
        (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
        # Of values that are not below 0 nothing is cut: the axis begins a little below it.
        left = max(left, -0.02 * right) if least(self.clean) == 0 else left
        bottom = max(bottom, -0.02 * top) if least(self.shifted) == 0 else bottom
        ax.set_xlim(left, right)
        ax.set_ylim(bottom, top)
        low, high = max(left, bottom), min(right, top)
        if np.hypot((high - low) / (right - left), (high - low) / (top - bottom)) > SEEN and high > low:
            ax.plot((low, high), (low, high), color=INK, linewidth=0.7, linestyle=(0, (2, 2)), zorder=1, label=DIAGONAL)


def scatter(results: Sequence[Result], metric: str = "error") -> Figure:
    """Draw one mark per model: clean or IID images to the right, shifted ones upwards.

    Raises:
        RobenchError: as :meth:`ShiftPoints.from_results`.
    """
    points = ShiftPoints.from_results(results, metric)
    with style():
        figure, axes = new_figure(COLUMN, 3.0)
        ax = points.plot(axes[0, 0])
        drawn = [str(line.get_label()) for line in ax.get_lines()]
        said = ["dashed: no loss under shift"] if DIAGONAL in drawn else []
        said.append(interval_words(results, "lines", points.clean[:, 1], points.shifted[:, 1]))
        finish(figure, ax, points.legend_names(), provenance(results, *said))
    return figure


def _matching(result: Result, metric: str) -> Value | None:
    """Return the value on the clean set that belongs to a shifted one: on ImageNet-200 for ImageNet-R."""
    name = clean_condition(protocol_of(result))
    return result.conditions[name].get(metric) if name in result.conditions and len(result.conditions) > 1 else None


def _known(figure: Value | None) -> bool:
    return figure is not None and figure.value is not None


PLOT = Plot(
    "scatter",
    "A metric on clean (or IID) images against the same metric on shifted ones, one point per model.",
    scatter,
    options=(metric_option("error"),),
)
