"""The plots that there are: one file each, with a row that says what it reads, its options and what draws it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robench.registry import Registry

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Option:
    """An option of a plot.

    Args:
        name: the keyword of the drawing function.
        help: one sentence.
        default: what it is without being given; a tuple: the option may be repeated, and gives a tuple.
        flags: on the command line.
    """

    name: str
    help: str
    default: str | tuple[str, ...]
    flags: tuple[str, ...]

    @property
    def repeated(self) -> bool:
        """Whether it may be given several times."""
        return isinstance(self.default, tuple)


@dataclass(frozen=True)
class Plot:
    """One plot.

    Args:
        name: what users type after ``robench plot``.
        help: one sentence.
        draw: from a sequence of what ``read`` returns, and the options as keywords, to a matplotlib ``Figure``.
        read: from a path to one input; by default a result, from its file or its run's folder.
        inputs: what the command line calls an input.
        inputs_help: what the inputs are.
        options: of the drawing function.
    """

    name: str
    help: str
    draw: Callable[..., Figure]
    read: Callable[[Path], Any] | None = None
    inputs: str = "RUN"
    inputs_help: str = "Run folders or result.json files."
    options: tuple[Option, ...] = ()

    def figure(
        self,
        paths: Sequence[str | Path],
        *,
        title: str | None = None,
        width: float | None = None,
        labels: str | Sequence[str] | None = None,
        **options: Any,
    ) -> Figure:
        """Read the inputs and draw them.

        Args:
            paths: of the inputs.
            title, width, labels: as in :meth:`drawn`.
            options: by the names of :attr:`options`.

        Raises:
            RobenchError: an input cannot be read or drawn, or as :meth:`drawn`.
        """
        from robench.results.loading import load

        read = self.read or load
        found = [read(Path(path)) for path in paths]
        return self.drawn(found, title=title, width=width, labels=labels, **options)

    def drawn(
        self,
        items: Sequence[Any],
        *,
        title: str | None = None,
        width: float | None = None,
        labels: str | Sequence[str] | None = None,
        **options: Any,
    ) -> Figure:
        """Draw what :attr:`read` returned.

        Args:
            items: the inputs.
            title: instead of the plot's own; "" for none.
            width: in inches, from 2 to 40; by default that of a paper's column (3.4) or page (6.9). The height and
                the size of the text stay.
            labels: names of the models, one per input; a text is split at its commas.
            options: by the names of :attr:`options`.

        Raises:
            RobenchError: the inputs cannot be drawn, the width is out of range, or not one label per input.
        """
        from robench.plots.wishes import renamed, wanted

        with wanted(title, width):
            return self.draw(items if labels is None else renamed(items, labels), **options)


PLOTS: Registry[Plot] = Registry(
    "plot",
    {
        "severity": "robench.plots.severity_curves:PLOT",
        "trio": "robench.plots.error_and_calibration:PLOT",
        "reliability": "robench.plots.reliability_diagrams:PLOT",
        "corruptions": "robench.plots.condition_rows:PLOT",
        "flips": "robench.plots.flip_rows:PLOT",
        "scatter": "robench.plots.shift_points:PLOT",
        "tradeoff": "robench.plots.trade_off:PLOT",
        "coverage": "robench.plots.coverage_curves:PLOT",
        "ood": "robench.plots.outlier_rows:PLOT",
        "fourier": "robench.plots.fourier_maps:PLOT",
        "lowpass": "robench.plots.lowpass_curves:PLOT",
        "methods": "robench.plots.method_bars:PLOT",
        "ablation": "robench.plots.ablation_curves:PLOT",
        "size": "robench.plots.model_size:PLOT",
        "labels": "robench.plots.learned_labels:PLOT",
    },
    group="robench.plots",
)


def metric_option(default: str, help: str = "The metric to plot.") -> Option:
    """Return the option ``metric`` of a plot of one metric."""
    return Option("metric", help, default, ("--metric", "-m"))
