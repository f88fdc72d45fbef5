"""The trade-off between accuracy and robustness over the weight lambda of the second BatchNorm (Split BN, Figure 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from robench.catalogue import row
from robench.errors import RobenchError
from robench.plots.common import Array, ends, interval_words, provenance, same_suite
from robench.plots.registry import Plot
from robench.plots.style import axes_or_new, finish, look, panels, style
from robench.results.labels import sentence
from robench.results.schema import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FIGURES = ("clean_error", "mean_error")


@dataclass(frozen=True)
class TradeOff:
    """One summary value against lambda, one curve per method.

    Args:
        name: the summary value.
        curves: method -> float64 (points, 4): lambda, value, low, high, lambda rising, in the unit that is drawn.
    """

    name: str
    curves: dict[str, Array]

    @classmethod
    def from_results(cls, results: Sequence[Result], name: str = "clean_error") -> TradeOff:
        """Take the curves out of results of one suite whose models' cards have ``lambda`` (0: main BN, 1: auxiliary).

        A card that names a branch and no lambda is an end point. Results of one ``method`` (of the card) make one
        curve; results with no method make one together.

        Raises:
            RobenchError: different protocols, a card without lambda, or the same method and lambda twice.
        """
        same_suite(results)
        rows: dict[str, dict[float, Array]] = {}
        for result in results:
            method, weight = str(result.model.card.get("method") or "models"), _weight(result)
            if weight in rows.setdefault(method, {}):
                raise RobenchError(
                    f"Two results of method '{method}' have lambda {weight:g}; one is of {result.model.name}.",
                    hint="Give one result for each lambda, or name different methods in the models' cards.",
                )
            rows[method][weight] = np.concatenate([[weight], *ends([result.summary.get(name)], row(name))])
        return cls(name, {method: np.stack([found[w] for w in sorted(found)]) for method, found in rows.items()})

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the curves with bands on ``ax`` and return it."""
        with style():
            ax = axes_or_new(ax)
            for i, (method, points) in enumerate(self.curves.items()):
                seen = look(i)
                ax.fill_between(points[:, 0], points[:, 2], points[:, 3], color=seen.color, alpha=0.16, linewidth=0)
                ax.plot(points[:, 0], points[:, 1], label=method, markeredgewidth=0, **seen._asdict())
            ax.set_xlim(-0.03, 1.03)
            ax.set_xlabel("λ (0: main BatchNorm, 1: auxiliary)")
            ax.set_ylabel(row(self.name).axis)
            ax.set_title(sentence(row(self.name).title))
        return ax


def tradeoff(results: Sequence[Result], names: Sequence[str] = FIGURES) -> Figure:
    """Draw one panel per summary value, lambda to the right.

    Raises:
        RobenchError: as :meth:`TradeOff.from_results`.
    """
    drawn = [TradeOff.from_results(results, name) for name in names]
    with style():
        figure, axes = panels(len(drawn), 2.5)
        for ax, panel in zip(axes.flat, drawn, strict=False):
            panel.plot(ax)
        lows = [points[:, 2] for panel in drawn for points in panel.curves.values()]
        said = provenance(
            results, "lower is better in both" if len(drawn) == 2 else "", interval_words(results, "bands", *lows)
        )
        finish(figure, axes[0, 0], list(drawn[0].curves), said)
    return figure


def _weight(result: Result) -> float:
    ends_ = {"main": 0, "auxiliary": 1}
    weight = result.model.card.get("lambda", ends_.get(str(result.model.card.get("bn"))))
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight <= 1:
        raise RobenchError(
            f"The card of {result.model.name} has no lambda between 0 and 1 (found {weight!r}).",
            hint="Evaluate a model of two BatchNorms at several lambdas; its card then names lambda.",
        )
    return float(weight)


PLOT = Plot(
    "tradeoff",
    "Clean and corruption error against the weight lambda of the second BatchNorm; the models' cards name lambda.",
    tradeoff,
)
