"""A metric for every condition: dots with intervals in rows, grouped, with the mean at the top."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from robench.catalogue import means_of, row
from robench.plots.common import Array, drawn_names, ends, interval_words, least, no_values, provenance, same_suite
from robench.plots.registry import Plot, metric_option
from robench.plots.style import COLUMN, FAINT, axes_or_new, finish, look, new_figure, style
from robench.results import protocols
from robench.results.labels import sentence, words
from robench.results.schema import Result
from robench.suites.base import Suite

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_HEAD = 0.19  # height of a group's title in inches
_LANE = 0.045  # least height of a model's marks in inches
_SPREAD = 0.74  # greatest distance of the first and the last model's marks, in heights of a row


@dataclass(frozen=True)
class ConditionRows:
    """One metric for every condition (mean over its severities), one mark per model.

    Args:
        metric: name of the metric.
        names: the models.
        groups: (title, conditions) in the published order; the first is the mean over the benchmark's conditions.
        values, low, high: float64 (models, conditions) in the unit that is drawn; NaN where nothing was measured.
    """

    metric: str
    names: tuple[str, ...]
    groups: tuple[tuple[str, tuple[str, ...]], ...]
    values: Array
    low: Array
    high: Array

    @property
    def conditions(self) -> tuple[str, ...]:
        """All conditions, in the order of the columns of ``values``."""
        return tuple(name for _, members in self.groups for name in members)

    @classmethod
    def from_results(cls, results: Sequence[Result], metric: str = "error") -> ConditionRows:
        """Take the values out of results of one suite.

        Raises:
            RobenchError: the results are of different protocols, or none has this metric.
        """
        same_suite(results)
        measured = list(dict.fromkeys(name for r in results for name in r.conditions))
        suite = protocols.protocol_of(results[0])
        groups = grouped(suite, protocols.shifted(suite, measured))  # the clean images are not in the mean
        rows = []
        for result in results:
            stored = [result.conditions.get(name, {}).get(metric) for _, members in groups for name in members]
            means = means_of(metric)
            stored.insert(0, next((result.summary[name] for name in means if name in result.summary), None))
            rows.append(ends(stored, row(metric)))
        values, low, high = (np.stack(part) for part in zip(*rows, strict=True))
        if not np.isfinite(values).any():
            conditions = [stored for r in results for stored in r.conditions.values()]
            raise no_values(metric, conditions, "by condition", "Measure more than the clean images.")
        return cls(metric, tuple(drawn_names(results)), (("", ("mean",)), *groups), values, low, high)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the rows on ``ax`` (or on a new figure's) and return it."""
        with style():
            ax = axes_or_new(ax, COLUMN, self.height())
            places, ticks = self._places()
            spread = spread_of(len(self.names))
            for i, name in enumerate(self.names):
                shift = spread * (i / max(1, len(self.names) - 1) - 0.5)
                self._draw_model(ax, i, name, places + shift)
            for place, text, heading in ticks:
                ax.text(
                    -0.02,
                    place,
                    text,
                    transform=ax.get_yaxis_transform(),
                    ha="right",
                    va="center",
                    fontsize=7,
                    fontweight="bold" if heading else "normal",
                )
                if not heading:
                    ax.axhspan(place - 0.44, place + 0.44, color=FAINT, alpha=0.28, linewidth=0)
            ax.set_yticks([])
            ax.grid(axis="y", visible=False)
            ax.set_ylim(max(place for place, _, _ in ticks) + 0.6, -0.6)
            ax.set_xlim(left=least(self.values, self.low))
            ax.set_xlabel(row(self.metric).axis)
        return ax

    def height(self) -> float:
        """Return the height in inches that the rows need."""
        return 0.8 + self._row() * len(self.conditions) + _HEAD * (len(self.groups) - 1) + 0.03 * len(self.groups)

    def _row(self) -> float:
        """Return the height of one condition in inches: every model has its own lane."""
        lanes = len(self.names) - 1
        return max(0.17 if lanes == 0 else 0.2, _LANE * lanes / spread_of(len(self.names)) if lanes else 0.0)

    def _places(self) -> tuple[Array, list[tuple[float, str, bool]]]:
        """Return the y of every condition, and all texts at the left: (y, text, whether it heads a group)."""
        places, ticks, y = [], [], 0.0
        head = _HEAD / self._row()
        for title, members in self.groups:
            if title:
                ticks.append((y - 0.5 + 0.55 * head, title, True))
                y += head
            for name in members:
                places.append(y)
                ticks.append((y, words(name) if title else "Mean", False))
                y += 1.0
            y += 0.03 / self._row()
        return np.array(places), ticks

    def _draw_model(self, ax: Axes, i: int, name: str, places: Array) -> None:
        seen = look(i)
        ax.hlines(places, self.low[i], self.high[i], color=seen.color, linewidth=1.0, alpha=0.75, zorder=3)
        ax.plot(
            self.values[i],
            places,
            label=name,
            linestyle="",
            marker=seen.marker,
            color=seen.color,
            markeredgewidth=0,
            markersize=4 if len(self.names) <= 4 else 3.2,
            clip_on=False,
            zorder=4,
        )
        self._mark_missing(ax, places, seen.color, ~np.isfinite(self.values[i]))

    def _mark_missing(self, ax: Axes, places: Array, color: str, missing: Array) -> None:
        """Put a cross at the left end of the row, in the lane of the model, where nothing was measured."""
        ax.plot(
            np.full(int(missing.sum()), 0.012),
            places[missing],
            linestyle="",
            marker="x",
            markersize=3.5,
            color=color,
            transform=ax.get_yaxis_transform(),
            zorder=4,
        )


def spread_of(models: int) -> float:
    """Return the distance of the first and the last model's marks, in heights of a row.

    What belongs together lies nearer together than the next row's marks do: rows are parted by two lanes or more.

    >>> [round(spread_of(models), 2) for models in (1, 2, 3, 8)]
    [0.0, 0.33, 0.5, 0.74]
    """
    return min(_SPREAD, (models - 1) / (models + 1))


def corruptions(results: Sequence[Result], metric: str = "error") -> Figure:
    """Draw a metric under each corruption, all models in each row.

    Raises:
        RobenchError: the results are of different protocols, or none has this metric.
    """
    title = sentence(row(metric).title)
    rows = ConditionRows.from_results(results, metric)
    severities = {tuple(sorted({cell.severity for cell in r.cells if cell.severity is not None})) for r in results}
    if not any(severities):  # a natural set has conditions, but neither corruptions nor severities
        return draw_rows(rows, results, f"{title} under each condition")
    fewest, *_, most = sorted(map(len, [*severities, *severities]))
    said = f"mean over {most} severities" if most > 1 else f"severity {next(filter(None, severities))[0]}"
    if len(severities) > 1:
        span = f"{fewest} to {most}" if fewest < most else str(most)
        said = f"mean over {span} severities, not of all runs the same"
    return draw_rows(rows, results, f"{title} under each corruption", said)


def draw_rows(rows: ConditionRows, results: Sequence[Result], title: str, *said: str) -> Figure:
    """Draw rows with their title, and what else they say in the line below."""
    with style():
        figure, axes = new_figure(COLUMN, rows.height() + 0.1)
        ax = rows.plot(axes[0, 0])
        figure.suptitle(title, x=0.02, ha="left", fontsize=8.5, fontweight="bold")
        seen = interval_words(results, "lines", rows.low)
        missing = [] if np.isfinite(rows.values).all() else ["×: not measured"]
        finish(figure, ax, rows.names, provenance(results, *said, seen, *missing))
    return figure


def grouped(suite: Suite, conditions: Sequence[str]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Sort conditions into the suite's groups, in the published order; others follow as they come."""
    found = protocols.grouped(suite, conditions)
    rest = "Other" if len(found) > 1 else "Conditions"
    return tuple((sentence(title) or rest, members) for title, members in found)


PLOT = Plot(
    "corruptions",
    "A metric under each corruption, in the benchmark's groups.",
    corruptions,
    options=(metric_option("error"),),
)
