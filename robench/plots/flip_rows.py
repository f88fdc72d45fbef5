"""How steady predictions are along each perturbation of a -P suite: one row per perturbation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from robench.plots.condition_rows import ConditionRows, draw_rows
from robench.plots.registry import Plot, metric_option
from robench.results.schema import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def flips(results: Sequence[Result], metric: str = "flip_probability") -> Figure:
    """Draw how often the prediction changes from frame to frame, for each perturbation of a -P suite.

    Args:
        results: one or several results of one -P suite.
        metric: ``flip_probability`` or ``top5_distance``.

    Raises:
        RobenchError: the results are of different protocols, or none has this metric.
    """
    title = "How often the prediction flips" if metric == "flip_probability" else "How far the top five classes move"
    return draw_rows(ConditionRows.from_results(results, metric), results, title, "between frames of a sequence")


PLOT = Plot(
    "flips",
    "How often the prediction flips along each perturbation of a -P suite.",
    flips,
    options=(metric_option("flip_probability", "flip_probability or top5_distance."),),
)
