"""Bars by method: one summary value of each model side by side (AugMix, Figures 5 and 6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import TYPE_CHECKING

import numpy as np

from robench.catalogue import row
from robench.plots.common import (
    Array,
    drawn_names,
    ends,
    interval_words,
    least,
    mark,
    no_values,
    provenance,
    same_suite,
)
from robench.plots.registry import Option, Plot
from robench.plots.style import COLUMN, INK, axes_or_new, finish, look, new_figure, style
from robench.results.labels import answer_words, refuse_unlike_seeds, sentence, shorten, training_of
from robench.results.schema import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class MethodBars:
    """One summary value by method.

    Args:
        metric: name of the summary value.
        names: the models, in the order in which they were given; the runs of several seeds are one.
        values, low, high: float64 (models,) in the unit that is drawn; NaN where nothing was measured.
        seeds: how many runs each is the mean of; then the ends are one standard deviation away.
    """

    metric: str
    names: tuple[str, ...]
    values: Array
    low: Array
    high: Array
    seeds: tuple[int, ...]

    @classmethod
    def from_results(cls, results: Sequence[Result], metric: str = "mean_error") -> MethodBars:
        """Take the bars out of results of one suite; runs of one recipe, by its digest, make one bar.

        Raises:
            RobenchError: the results are of different protocols, none has this summary value, or those of several seeds
                have no mean.
        """
        same_suite(results)
        values, low, high = ends([result.summary.get(metric) for result in results], row(metric))
        if not np.isfinite(values).any():
            summaries = [result.summary for result in results]
            raise no_values(metric, summaries, "in its summary", "Measure more of the suite.")
        groups: dict[object, list[int]] = {}
        for i, result in enumerate(results):
            groups.setdefault(training_of(result) if "recipe_digest" in result.model.card else i, []).append(i)
        names = drawn_names(results)
        for of in groups.values():
            refuse_unlike_seeds([results[i] for i in of], [names[i] for i in of])
        bars = [_bar(of, values, low, high) for of in groups.values()]
        middle, lower, upper = (np.array(column, float) for column in zip(*bars, strict=True))
        shown = tuple(names[of[0]] if len(of) == 1 else _recipe([results[i] for i in of]) for of in groups.values())
        return cls(metric, shown, middle, lower, upper, tuple(len(of) for of in groups.values()))

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the bars with their intervals and numbers on ``ax`` and return it; the first stands at the top."""
        with style():
            ax = axes_or_new(ax)
            about, places = row(self.metric), np.arange(len(self.names))
            ax.barh(places, self.values, height=0.62, color=look(0).color, alpha=0.85, linewidth=0)
            ax.hlines(places, self.low, self.high, color=INK, linewidth=0.9, zorder=3)
            right = np.fmax(np.nan_to_num(self.high), np.nan_to_num(self.values)).clip(0)  # of a bar below 0, its foot
            left = least(self.values, self.low)
            reach = (float(right.max()) - left) or 1.0
            for place, value, end in zip(places, self.values, right, strict=True):
                text = "not measured" if np.isnan(value) else f"{value:.{min(about.decimals, 1)}f}"
                ax.text(float(end) + 0.015 * reach, float(place), text, va="center", fontsize=6.5)
            ax.set_yticks(places, [shorten(name, 30) for name in self.names])
            ax.set_ylim(len(self.names) - 0.5, -0.5)
            ax.set_xlim(left, float(right.max()) + 0.14 * reach)
            ax.grid(axis="y", visible=False)
            ax.tick_params(axis="y", length=0)
            ax.set_xlabel(about.axis)
            ax.set_title(sentence(about.title))
        return ax


def methods(results: Sequence[Result], metrics: Sequence[str] = ("mean_error",)) -> Figure:
    """Draw one panel per summary value, models in rows.

    Raises:
        RobenchError: as :meth:`MethodBars.from_results`.
    """
    panels = [MethodBars.from_results(results, metric) for metric in metrics]
    rows = len(panels[0].names)
    with style():
        width = COLUMN + 0.6 + 2.4 * (len(panels) - 1)
        figure, axes = new_figure(width, 0.62 + 0.2 * rows, 1, len(panels), sharey=True)
        for ax, panel in zip(axes.flat, panels, strict=True):
            panel.plot(ax)
        several = any(count > 1 for panel in panels for count in panel.seeds)
        spread = "lines: one standard deviation over several seeds; intervals of single runs"
        said = spread if several else interval_words(results, "lines", *(panel.low for panel in panels))
        finish(figure, axes[0, 0], (), provenance(results, said))
    return figure


def _bar(members: Sequence[int], values: Array, low: Array, high: Array) -> tuple[float, float, float]:
    """Return value, low and high of one bar."""
    if len(members) == 1:
        return float(values[members[0]]), float(low[members[0]]), float(high[members[0]])
    known = [float(values[i]) for i in members if np.isfinite(values[i])]
    if len(known) < 2:
        return (known[0] if known else np.nan), np.nan, np.nan
    middle, spread = fmean(known), stdev(known)
    return middle, middle - spread, middle + spread


def _recipe(results: Sequence[Result]) -> str:
    """Return the recipe of several seeds, marked where one of their runs lacks cells or images."""
    card = results[0].model.card
    name, said = str(card.get("recipe") or results[0].model.name), answer_words(card)
    return (f"{name} ({said})" if said else name) + next(filter(None, map(mark, results)), "")


PLOT = Plot(
    "methods",
    "Bars by method: a summary value of every model; the runs of several seeds are one bar.",
    methods,
    options=(Option("metrics", "One panel per summary value.", ("mean_error",), ("--metric", "-m")),),
)
