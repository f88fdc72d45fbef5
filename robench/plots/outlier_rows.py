"""How well foreign images are told from a model's own: a row per set, dots with intervals.

The document is the one that ``robench ood`` writes; only :func:`read_outliers` knows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from robench.catalogue import row
from robench.catalogue_detection import named_by_score
from robench.errors import RobenchError, did_you_mean
from robench.plots.common import Array
from robench.plots.fourier_maps import of_kind
from robench.plots.registry import Option, Plot
from robench.plots.style import FAINT, MUTED, axes_or_new, finish, look, panels, style
from robench.results.labels import sentence

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANELS = ("AUROC", "FPR at 95 % TPR")
_COMMAND = "robench.ood(run, near=..., far=...)"
# score -> title of the panel -> name of the metric; the score without a name is the maximum softmax probability
_METRICS = {by: dict(named) for by, named in named_by_score("ood")}
SCORES = {
    (metrics["AUROC"].removeprefix("ood_auroc").lstrip("_") or "confidence"): by for by, metrics in _METRICS.items()
}
_LANES = 0.62  # of a row's height


@dataclass(frozen=True)
class Outliers:
    """One model's detection of foreign images.

    Args:
        model: its name.
        cell, images: of its own images.
        groups: ``near`` and ``far``, where there are such sets: names of the sets.
        values: metric -> set, or ``mean of near`` -> float64 (3,): value, low and high, in the unit shown.
    """

    model: str
    cell: str
    images: int
    groups: dict[str, tuple[str, ...]]
    values: dict[str, dict[str, Array]]

    @property
    def rows(self) -> list[str]:
        """The sets by group, each group with several sets followed by its mean."""
        found = []
        for group, names in self.groups.items():
            found += [*names, *([f"mean of {group}"] if len(names) > 1 else [])]
        return found


@dataclass(frozen=True)
class Dots:
    """What is drawn in one colour: one model by one score."""

    name: str
    found: Outliers
    score: str

    def values(self, panel: str, rows: Sequence[str]) -> Array:
        """Return float64 (rows, 3), NaN where a set was not measured."""
        known = self.found.values[_METRICS[SCORES[self.score]][panel]]
        return np.array([known.get(name, np.full(3, np.nan)) for name in rows])

    def plot(self, ax: Axes | None = None, panel: str = PANELS[0], *, number: int = 0, of: int = 1) -> Axes:
        """Draw a panel's values on ``ax`` as the ``number``-th of ``of`` and return the axes."""
        with style():
            ax = axes_or_new(ax)
            rows = self.found.rows
            seen, found = look(number), self.values(panel, rows)
            spread = min(_LANES, 0.22 * (of - 1))
            places = np.arange(len(rows)) + spread * (number / max(1, of - 1) - 0.5)
            ax.hlines(places, found[:, 1], found[:, 2], color=seen.color, linewidth=1.0, alpha=0.75, zorder=3)
            ax.plot(found[:, 0], places, label=self.name, linestyle="", marker=seen.marker, color=seen.color,
                    markeredgewidth=0, zorder=4)  # fmt: skip
        return ax


def outliers(found: Sequence[Outliers], score: str = "") -> Figure:
    """Draw AUROC and FPR at 95 % TPR of every foreign set.

    Args:
        found: of one model, or of several on the same sets.
        score: ``confidence``, ``max_logit``, ``energy``, ``entropy`` or ``margin``; "": all of them of one model, the
            first of several.

    Raises:
        RobenchError: no such score, or models on different sets.
    """
    if score and score not in SCORES:
        raise RobenchError(f"There is no score '{score}'.", hint=did_you_mean(score, SCORES))
    rows = found[0].rows
    for other in found[1:]:
        if other.rows != rows:
            raise RobenchError(
                f"{other.model} was scored on {', '.join(other.rows)}, {found[0].model} on {', '.join(rows)}.",
                hint="Give models on the same sets under the same names, or plot each by itself.",
            )
    drawn = [Dots(one.model, one, score or "confidence") for one in found]
    if len(found) == 1 and not score:
        drawn = [Dots(sentence(by), found[0], name) for name, by in SCORES.items()]
    with style():
        height = 0.75 + (0.2 + 0.05 * max(0, len(drawn) - 2)) * len(rows)
        figure, axes = panels(len(PANELS), height, sharey=True)
        for ax, panel in zip(axes.flat, PANELS, strict=False):
            for number, dots in enumerate(drawn):
                dots.plot(ax, panel, number=number, of=len(drawn))
            _dress(ax, panel, [_title(found[0], name) for name in rows])
        own = found[0]
        said = [f"foreign images against {own.images:,} of '{own.cell}'"]
        if any(np.isfinite(dots.values(panel, rows)[:, 1]).any() for dots in drawn for panel in PANELS):
            said.append("lines: 95 % intervals")
        said += [f"model: {own.model}"] if len(found) == 1 else [f"score: {SCORES[score or 'confidence']}"]
        finish(figure, axes.flat[0], [dots.name for dots in drawn], " · ".join([*said, "dashed: chance"]))
    return figure


def _title(found: Outliers, name: str) -> str:
    group = next((group for group, names in found.groups.items() if name in names), None)
    return sentence(name) if group is None else f"{name} ({group})"


def _dress(ax: Axes, panel: str, rows: Sequence[str]) -> None:
    ax.set_yticks(range(len(rows)), rows)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    for place in range(0, len(rows), 2):
        ax.axhspan(place - 0.5, place + 0.5, color=FAINT, alpha=0.28, linewidth=0, zorder=0)
    ax.grid(axis="y", visible=False)
    ax.set_xlim(-2.0, 102.0)
    ax.axvline(50.0 if panel == PANELS[0] else 95.0, color=MUTED, linewidth=0.8, linestyle="--", zorder=1)
    metric = row(_METRICS[SCORES["confidence"]][panel])
    ax.set_xlabel(f"{panel}, %" if metric.factor == 100 else panel)
    ax.set_title(f"{panel} ({'lower' if metric.lower_is_better else 'higher'} is better)")


def read_outliers(path: str | Path) -> Outliers:
    """Read what ``robench ood`` wrote: a document, or that in a run's folder.

    Raises:
        RobenchError: nothing there, or not such a document.
    """
    place = Path(path)
    file = place / "ood.json" if place.is_dir() else place
    if not file.exists():
        raise RobenchError(f"{path} has no scores of foreign images.", hint=f"Compute them with `{_COMMAND}`.")
    document = of_kind(file, "robench-ood", _COMMAND)
    try:
        return _outliers(document)
    except (KeyError, TypeError, ValueError, AttributeError) as problem:
        raise RobenchError(
            f"{file} is not a complete document of foreign images: {problem!r}.", hint=f"Write it again: `{_COMMAND}`."
        ) from problem


def _outliers(document: dict[str, Any]) -> Outliers:
    sets, means = document["sets"], document["groups"]
    groups = {group: tuple(name for name, one in sets.items() if one["group"] == group) for group in means}
    known = {name: one["values"] for name, one in sets.items()}
    known |= {f"mean of {group}": values for group, values in means.items()}
    values = {
        metric: {name: _numbers(found[metric], metric) for name, found in known.items()}
        for metrics in _METRICS.values()
        for panel, metric in metrics.items()
        if panel in PANELS
    }
    return Outliers(str(document["model"]), str(document["cell"]), int(document["images"]), groups, values)


def _numbers(value: dict[str, Any], metric: str) -> Array:
    numbers = [value["value"], value.get("low"), value.get("high")]
    return np.array([np.nan if one is None else row(metric).factor * float(one) for one in numbers])


PLOT = Plot(
    "ood",
    "How well foreign images are told from a model's own, set by set.",
    outliers,
    read=read_outliers,
    inputs="RUN",
    inputs_help="Run folders that `robench ood` has scored, or files that it wrote.",
    options=(
        Option("score", f"{', '.join(SCORES)} (default: all of one model, confidence of several).", "", ("--score",)),
    ),
)
