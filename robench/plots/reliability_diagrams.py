"""Reliability diagrams: accuracy against confidence, and the share of images at each confidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from robench.errors import RobenchError
from robench.plots.common import Array, drawn_names, interval_words, provenance, same_suite
from robench.plots.fitting import grid_of
from robench.plots.registry import Option, Plot
from robench.plots.style import COLUMN, INK, MUTED, PAGE, axes_or_new, finish, look, new_figure, style, wide
from robench.results.labels import sentence
from robench.results.schema import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FEW = 10  # a bin of fewer images is drawn pale, and no line leads to it


@dataclass(frozen=True)
class ReliabilityCurves:
    """Accuracy against confidence at one level, one curve per model.

    Args:
        level: ``clean`` or ``severity/1`` to ``severity/5`` (benchmark corruptions pooled).
        names: the models.
        confidence, accuracy, low, high: float64 (models, bins) in per cent; NaN where a bin is empty.
        share: float64 (models, bins): per cent of the images in the bin.
        images: int (models,).
    """

    level: str
    names: tuple[str, ...]
    confidence: Array
    accuracy: Array
    low: Array
    high: Array
    share: Array
    images: tuple[int, ...]

    @classmethod
    def from_results(cls, results: Sequence[Result], level: str = "clean") -> ReliabilityCurves:
        """Take the bins out of results of one suite.

        Raises:
            RobenchError: the results are of different protocols, or none has bins at this level.
        """
        same_suite(results)
        bins = max((len(r.reliability.get(level, [])) for r in results), default=0)
        if bins == 0:
            has = sorted({name for r in results for name in r.reliability})
            raise RobenchError(
                f"None of these results has a reliability diagram at '{level}'.",
                hint=f"They have: {', '.join(has)}." if has else "Only classification suites have such diagrams.",
            )
        parts: dict[str, list[Array]] = {key: [] for key in ("count", "confidence", "accuracy", "low", "high")}
        for result in results:
            rows = result.reliability.get(level, [])
            for key, kept in parts.items():
                numbers = [getattr(row, key) for row in rows] or [None] * bins
                kept.append(np.array([np.nan if one is None else one for one in numbers], float))
        arrays = {key: np.stack(kept) for key, kept in parts.items()}
        count = np.nan_to_num(arrays.pop("count"))
        images = count.sum(axis=1)
        share = np.divide(100 * count, images[:, None], out=np.full_like(count, np.nan), where=images[:, None] > 0)
        percent = {key: 100 * array for key, array in arrays.items()}
        return cls(
            level=level,
            names=tuple(drawn_names(results)),
            share=share,
            images=tuple(int(n) for n in images),
            **percent,
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw accuracy against confidence on ``ax`` and return it; marks grow with the images in the bin."""
        with style():
            ax = axes_or_new(ax, COLUMN, COLUMN)
            ax.plot([0, 100], [0, 100], color=INK, linewidth=0.7, linestyle=(0, (2, 2)), zorder=1)
            ax.text(97, 4, "overconfident", ha="right", color=MUTED, fontsize=6.5)
            ax.text(3, 93, "underconfident", color=MUTED, fontsize=6.5)
            for i, name in enumerate(self.names):
                self._draw_model(ax, i, name)
            ax.set(xlim=(0, 100), ylim=(0, 100), xlabel="confidence, %", ylabel="accuracy, %")
            ax.set_xticks(range(0, 101, 20))
            ax.set_yticks(range(0, 101, 20))
            ax.set_title(level_title(self.level))
        return ax

    def plot_shares(self, ax: Axes) -> Axes:
        """Draw the share of images at each confidence, as steps, on ``ax`` and return it."""
        with style():
            bins = self.share.shape[1]
            edges = np.linspace(0, 100, bins + 1)
            for i in range(len(self.names)):
                if np.isfinite(self.share[i]).any():
                    seen = look(i)
                    ax.stairs(self.share[i], edges, color=seen.color, linestyle=seen.linestyle, linewidth=1.1)
            ax.set(xlim=(0, 100), xlabel="confidence, %", ylabel="images, %")
            ax.set_ylim(bottom=0)
            ax.grid(axis="x", visible=False)
        return ax

    def legend_names(self) -> list[str]:
        """Return the models' names, marked where a model has no image here."""
        return [name if n else f"{name}: not measured" for name, n in zip(self.names, self.images, strict=True)]

    def _draw_model(self, ax: Axes, i: int, name: str) -> None:
        seen = look(i)
        ax.plot([], [], label=self.legend_names()[i], markeredgewidth=0, **seen._asdict())
        counts = np.nan_to_num(self.share[i]) * self.images[i] / 100
        filled = np.isfinite(self.accuracy[i])
        for inside, alpha in ((filled & (counts >= FEW - 0.5), 1.0), (filled & (counts < FEW - 0.5), 0.3)):
            x, y = self.confidence[i][inside], self.accuracy[i][inside]
            if not len(x):
                continue
            size = 6 + 40 * np.sqrt(self.share[i][inside] / 100)
            ax.scatter(x, y, size, seen.color, marker=seen.marker, linewidths=0, alpha=alpha, zorder=4, clip_on=False)
            if alpha < 1:
                continue
            ax.plot(x, y, color=seen.color, linestyle=seen.linestyle, linewidth=1.0, zorder=3)
            if len(self.names) <= 3:
                spread = np.stack([y - self.low[i][inside], self.high[i][inside] - y]).clip(0)
                ax.errorbar(x, y, spread, fmt="none", ecolor=seen.color, elinewidth=0.7, alpha=0.7, zorder=2)


def reliability(results: Sequence[Result], levels: Sequence[str] = ("clean", "severity/5")) -> Figure:
    """Draw one diagram per level, with the share of images below each.

    Raises:
        RobenchError: the results are of different protocols, or none has one of the levels.
    """
    curves = [ReliabilityCurves.from_results(results, level) for level in levels]
    with style():
        width = wide(COLUMN if len(curves) == 1 else PAGE)
        rows, columns = grid_of(len(curves), width, 2.1)
        options: dict[str, Any] = {"sharex": "col", "height_ratios": (4, 1) * rows}
        figure, axes = new_figure(width, rows * width / columns * 1.26, 2 * rows, columns, **options)
        for i, ax in enumerate(axes.flat):
            ax.set_axis_off() if i // columns // 2 * columns + i % columns >= len(curves) else None
        for i, curve in enumerate(curves):
            above, below = axes[i // columns * 2, i % columns], axes[i // columns * 2 + 1, i % columns]
            curve.plot(above).set_xlabel("")
            curve.plot_shares(below).tick_params(labelbottom=True)
            if width / columns < 2.6 and curve.level.startswith("severity/"):
                above.set_title(sentence(curve.level.replace("/", " ")))
            if i % columns:
                above.set_ylabel("")
                below.set_ylabel("")
        few = len(results) <= 3
        said = provenance(
            results,
            f"{curves[0].share.shape[1]} equal bins of confidence",
            "dashed: perfect calibration",
            "larger marks: more images" + (f", pale ones: under {FEW} images" if any(map(_pale, curves)) else ""),
            interval_words(results, "bars", *(c.low for c in curves)) if few else "no intervals with over 3 models",
        )
        finish(figure, axes[0, 0], curves[0].legend_names(), said)
    return figure


def _pale(curve: ReliabilityCurves) -> bool:
    """Return whether a bin that is drawn has few images."""
    counts = np.nan_to_num(curve.share) * np.array(curve.images)[:, None] / 100
    return bool((np.isfinite(curve.accuracy) & (counts < FEW - 0.5)).any())


def level_title(level: str) -> str:
    """Return ``Clean images`` or ``Corrupted images, severity 5``."""
    _, _, number = level.partition("/")
    return f"Corrupted images, severity {number}" if number else f"{level[:1].upper()}{level[1:]} images"


PLOT = Plot(
    "reliability",
    "Accuracy against confidence, and the number of images at each confidence.",
    reliability,
    options=(
        Option(
            "levels",
            "clean, or severity/1 to severity/5: a panel for each.",
            ("clean", "severity/5"),
            ("--level", "-l"),
        ),
    ),
)
