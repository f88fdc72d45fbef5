"""A summary value against a setting of the recipe (AugMix, Figure 8)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from robench.catalogue import row
from robench.errors import RobenchError, did_you_mean
from robench.plots.common import Array, ends, interval_words, provenance, same_suite
from robench.plots.registry import Option, Plot, metric_option
from robench.plots.style import COLUMN, axes_or_new, finish, look, new_figure, style
from robench.results.labels import sentence
from robench.results.schema import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class AblationCurve:
    """One summary value against one setting; the runs of several seeds have a point each and a common mean.

    Args:
        metric: name of the summary value.
        setting: of the recipe, ``options.severity``.
        levels: the setting's values as text: numbers rising, words in the order in which they were given.
        positions: float64 (levels,): the numbers themselves, or 0, 1, 2 where they are words.
        runs: float64 (runs, 4): position, value, low, high, in the unit that is drawn.
    """

    metric: str
    setting: str
    levels: tuple[str, ...]
    positions: Array
    runs: Array

    @classmethod
    def from_results(cls, results: Sequence[Result], setting: str, metric: str = "mean_error") -> AblationCurve:
        """Take the curve out of results of one suite, whose models' cards hold the settings of their recipes.

        Raises:
            RobenchError: different protocols, a card without settings, a setting that it has not or that is the same in
                all, or settings beside it that differ.
        """
        same_suite(results)
        found = [_setting(result, setting) for result in results]
        _refuse_others(results, setting)
        levels = sorted(
            dict.fromkeys(map(_text, found)), key=lambda text: (_number(text) is None, _number(text) or 0.0)
        )
        if len(levels) < 2:
            raise RobenchError(f"All of these models have {setting} = {levels[0]}.", hint="Give runs where it differs.")
        numbers = [_number(text) for text in levels]
        known = [number for number in numbers if number is not None]
        places = np.array(known if len(known) == len(levels) else range(len(levels)), float)
        values, low, high = ends([result.summary.get(metric) for result in results], row(metric))
        if not np.isfinite(values).any():
            raise RobenchError(f"None of these results has '{metric}'.", hint="See the result's summary for its names.")
        at = np.array([places[levels.index(_text(one))] for one in found])
        return cls(metric, setting, tuple(levels), places, np.stack([at, values, low, high], axis=1))

    @property
    def means(self) -> Array:
        """The mean value of the runs at every level, float64 (levels,)."""
        return np.array([self.runs[self.runs[:, 0] == place, 1].mean() for place in self.positions])

    @property
    def of_numbers(self) -> bool:
        """Whether the setting's values are numbers."""
        return all(_number(text) is not None for text in self.levels)

    @property
    def uneven(self) -> bool:
        """Whether the values need a logarithmic scale: all positive, and two of them too near for their labels."""
        range_ = float(self.positions[-1] - self.positions[0])
        return self.of_numbers and self.positions[0] > 0 and float(np.diff(self.positions).min()) < 0.06 * range_

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the runs with their intervals and the line of the means on ``ax`` and return it."""
        with style():
            ax = axes_or_new(ax)
            seen = look(0)
            if self.of_numbers:  # nothing lies between two words
                ax.plot(self.positions, self.means, color=seen.color, linewidth=1.2, zorder=2)
            ax.vlines(self.runs[:, 0], self.runs[:, 2], self.runs[:, 3], color=seen.color, linewidth=0.9, alpha=0.7)
            ax.plot(self.runs[:, 0], self.runs[:, 1], linestyle="", marker=seen.marker, color=seen.color,
                    markeredgewidth=0, zorder=3)  # fmt: skip
            if self.uneven:
                ax.set_xscale("log")
                ax.minorticks_off()
            ax.set_xticks(self.positions, self.levels)
            ax.margins(x=0.08, y=0.15)
            ax.grid(axis="x", visible=False)
            ax.set_xlabel(self.setting)
            ax.set_ylabel(row(self.metric).axis)
            ax.set_title(f"{sentence(row(self.metric).title)} by {self.setting.rpartition('.')[2]}")
        return ax


def ablation(results: Sequence[Result], setting: str = "", metric: str = "mean_error") -> Figure:
    """Draw a summary value against a setting.

    Raises:
        RobenchError: as :meth:`AblationCurve.from_results`.
    """
    curve = AblationCurve.from_results(results, setting, metric)
    with style():
        figure, axes = new_figure(COLUMN, 2.3)
        curve.plot(axes[0, 0])
        seen = interval_words(results, "lines", curve.runs[:, 2])
        several = "line: their mean" if curve.of_numbers and len(curve.runs) > len(curve.levels) else ""
        finish(figure, axes[0, 0], (), provenance(results, seen, "one mark per run", several))
    return figure


def _settings(result: Result) -> dict[str, Any]:
    settings = result.model.card.get("settings")
    if not isinstance(settings, dict):
        raise RobenchError(
            f"The card of {result.model.name} has no settings of its recipe.",
            hint="Models that robench trains from now on have them; train it again.",
        )
    return settings


def _setting(result: Result, setting: str) -> Any:
    settings = _settings(result)
    if setting not in settings:
        hint = (
            did_you_mean(setting, settings) if setting else f"For example `setting='{next(iter(settings), 'epochs')}'`."
        )
        raise RobenchError(f"The recipe of {result.model.name} has no setting '{setting}'.", hint=hint)
    return settings[setting]


def _refuse_others(results: Sequence[Result], setting: str) -> None:
    """Refuse models that differ in more than the setting (seeds may)."""
    first = _settings(results[0])
    for result in results[1:]:
        other = _settings(result)
        apart = [name for name in {**first, **other} if name != setting and first.get(name) != other.get(name)]
        if apart:
            name = apart[0]
            raise RobenchError(
                f"{results[0].model.name} and {result.model.name} differ in {name} too"
                f" ({first.get(name)} and {other.get(name)}).",
                hint=f"Give runs that differ in {setting} alone.",
            )


def _text(value: Any) -> str:
    """Return a value as text: 12 and 12.0 are one level, 0.12345678 and 0.12345679 two."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return repr(float(value)).removesuffix(".0") if number else str(value)


def _number(text: str) -> float | None:
    """Return the number that a text is; None: a word, or one that has no place on an axis (``inf``, ``nan``)."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


PLOT = Plot(
    "ablation",
    "A summary value against a setting of the recipe, one mark per run.",
    ablation,
    options=(
        Option("setting", "The setting: options.severity, optimiser.lr, epochs...", "", ("--setting", "-s")),
        metric_option("mean_error", "The summary value to plot."),
    ),
)
