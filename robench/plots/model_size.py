"""The size of models against a summary value: one mark per model (Many Faces, Figure 6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from robench.catalogue import row
from robench.errors import RobenchError
from robench.plots.common import Array, drawn_names, ends, interval_words, no_values, provenance, same_suite
from robench.plots.registry import Plot, metric_option
from robench.plots.style import COLUMN, axes_or_new, finish, look, new_figure, style
from robench.results.labels import sentence
from robench.results.schema import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MILLION = 1e6


@dataclass(frozen=True)
class ModelSizes:
    """One summary value against the number of parameters.

    Args:
        metric: name of the summary value.
        names: the models.
        millions: float64 (models,): parameters in millions.
        values, low, high: float64 (models,) in the unit that is drawn.
    """

    metric: str
    names: tuple[str, ...]
    millions: Array
    values: Array
    low: Array
    high: Array

    @classmethod
    def from_results(cls, results: Sequence[Result], metric: str = "") -> ModelSizes:
        """Take the points out of results of one suite; without a metric, its headline value.

        Raises:
            RobenchError: different protocols, a card without the number of parameters, or no such summary value.
        """
        from robench.results.protocols import protocol_of

        same_suite(results)
        metric = metric or protocol_of(results[0]).headline
        values, low, high = ends([result.summary.get(metric) for result in results], row(metric))
        if not np.isfinite(values).any():
            summaries = [result.summary for result in results]
            raise no_values(metric, summaries, "in its summary", "Measure more of the suite.")
        millions = np.array([_parameters(result) / MILLION for result in results])
        return cls(metric, tuple(drawn_names(results)), millions, values, low, high)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the models, sizes on a logarithmic scale, on ``ax`` and return it."""
        with style():
            ax = axes_or_new(ax)
            for i, name in enumerate(self.names):
                seen = look(i)
                ax.plot(self.millions[i], self.values[i], linestyle="", marker=seen.marker, color=seen.color,
                        markeredgewidth=0, markersize=5, label=name, zorder=3)  # fmt: skip
                ax.vlines(self.millions[i], self.low[i], self.high[i], color=seen.color, linewidth=0.9, alpha=0.7)
            ax.set_xscale("log")
            self._mark_sizes(ax)
            ax.margins(y=0.15)
            ax.set_xlabel("parameters, millions")
            ax.set_ylabel(row(self.metric).axis)
            ax.set_title(f"{sentence(row(self.metric).short or row(self.metric).title)} by size")
        return ax

    def _mark_sizes(self, ax: Axes) -> None:
        """Begin and end at round numbers, and mark those between; a short logarithmic axis has no power of ten."""
        from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

        low, high = float(self.millions.min()), float(self.millions.max())
        round_ones = [step * 10.0**power for power in range(-6, 5) for step in (1, 2, 5)]
        first = max((one for one in round_ones if one <= low / 1.1), default=low)
        last = min((one for one in round_ones if one >= high * 1.1), default=high)
        ax.set_xlim(first, last)
        ticks = [one for one in round_ones if first <= one <= last]
        ticks = ticks if len(ticks) <= 10 else [one for one in ticks if f"{one:e}".startswith("1")]
        ax.xaxis.set_major_locator(FixedLocator(ticks))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def size(results: Sequence[Result], metric: str = "") -> Figure:
    """Draw one mark per model: its size to the right, its value upwards.

    Raises:
        RobenchError: as :meth:`ModelSizes.from_results`.
    """
    points = ModelSizes.from_results(results, metric)
    with style():
        figure, axes = new_figure(COLUMN, 2.5)
        points.plot(axes[0, 0])
        finish(figure, axes[0, 0], points.names, provenance(results, interval_words(results, "lines", points.low)))
    return figure


def _parameters(result: Result) -> int:
    found = result.model.card.get("parameters")
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise RobenchError(
            f"The result of {result.model.name} does not say how many parameters the model has.",
            hint="Evaluate the model again; results now have the number.",
        )
    return found


PLOT = Plot(
    "size",
    "The size of models against a summary value, one mark per model.",
    size,
    options=(metric_option("", "The summary value to plot (default: the suite's headline)."),),
)
