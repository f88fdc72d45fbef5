"""Accuracy against the bandwidth of a low-pass filter (Split BN, Figure 5): which frequencies a model uses.

The document is the one that ``robench fourier`` writes for the low-pass analysis; only :func:`read_lowpass` knows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from robench.errors import RobenchError
from robench.plots.common import Array
from robench.plots.fourier_maps import of_kind
from robench.plots.registry import Plot
from robench.plots.style import COLUMN, axes_or_new, finish, look, new_figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class LowPassCurve:
    """One model's curve.

    Args:
        model: its name.
        bandwidths: float64 (points,), rising: side in pixels of the square of frequencies that are kept.
        accuracy: float64 (points,) in percent.
    """

    model: str
    bandwidths: Array
    accuracy: Array

    def plot(self, ax: Axes | None = None, *, number: int = 0) -> Axes:
        """Draw the curve on ``ax`` as the ``number``-th model and return the axes."""
        with style():
            ax = axes_or_new(ax)
            ax.plot(
                self.bandwidths,
                self.accuracy,
                label=self.model,
                markeredgewidth=0,
                clip_on=False,
                **look(number)._asdict(),
            )
            ax.set_ylim(0, 100)
            ax.set_xlabel("bandwidth of the low-pass filter, pixels")
            ax.set_ylabel("accuracy, %")
            ax.set_title("Accuracy with low frequencies only")
        return ax


def lowpass(curves: Sequence[LowPassCurve]) -> Figure:
    """Draw one curve per model.

    Raises:
        RobenchError: no curve.
    """
    if not curves:
        raise RobenchError(
            "There is no low-pass curve to plot.", hint="Write one with `robench.fourier(model, lowpass='4,8,16')`."
        )
    with style():
        figure, axes = new_figure(COLUMN, 2.4)
        for number, curve in enumerate(curves):
            curve.plot(axes[0, 0], number=number)
        said = "frequencies outside a centred square of this width are removed"
        finish(figure, axes[0, 0], [curve.model for curve in curves], said)
    return figure


def read_lowpass(path: str | Path) -> LowPassCurve:
    """Read a document: ``kind`` robench-lowpass, ``model``, ``bandwidths``, and ``error`` (fractions).

    Raises:
        RobenchError: no such file, or not such a document.
    """
    document = of_kind(path, "robench-lowpass", "robench.fourier(model, lowpass='4,8,16')")
    try:
        bandwidths, error = np.array(document["bandwidths"], float), np.array(document["error"], float)
        model = str(document["model"])
    except (KeyError, TypeError, ValueError) as problem:
        raise RobenchError(
            f"{path} is not a complete low-pass curve: {problem}.",
            hint="Write it again with `robench.fourier(model, lowpass='4,8,16')`.",
        ) from problem
    if bandwidths.ndim != 1 or bandwidths.shape != error.shape or not len(error):
        raise RobenchError(
            f"{path}: 'bandwidths' and 'error' must be lists of one length, "
            f"found {bandwidths.shape} and {error.shape}.",
            hint="Write it again with `robench.fourier(model, lowpass='4,8,16')`.",
        )
    order = np.argsort(bandwidths, kind="stable")
    return LowPassCurve(model, bandwidths[order], 100 * (1 - error[order]))


PLOT = Plot(
    "lowpass",
    "Accuracy against the bandwidth of a low-pass filter.",
    lowpass,
    read=read_lowpass,
    inputs="FILE",
    inputs_help="Curves that `robench fourier` wrote.",
)
