"""Fourier heat maps (Yin et al., 2019): the error under noise of each single frequency, models in a row, one scale.

The document is the one that ``robench fourier`` writes; only :func:`read_fourier` knows its form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from robench.errors import RobenchError
from robench.files import read_document
from robench.plots.common import Array
from robench.plots.registry import Plot
from robench.plots.style import PAGE, finish, new_figure, style, wide
from robench.results.labels import shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class FourierMap:
    """One model's heat map.

    Args:
        model: its name.
        error: float64 (H, W) in percent; the lowest frequency is in the middle.
        size: rows of the map; fewer than the images have where only low frequencies were measured.
        norm: L2 norm of the perturbation in each channel, images in [0, 1].
        images: of how many images it is, where the document says so.
        within: half-width in points to which every frequency of a sampled map is known; None: all images were measured.
    """

    model: str
    error: Array
    size: int
    norm: float
    images: int | None = None
    within: float | None = None

    def plot(self, ax: Axes, *, low: float = 0.0, high: float = 100.0) -> Any:
        """Draw the map on ``ax`` with the given ends of the scale and return the image, for a colour bar."""
        from matplotlib.ticker import MaxNLocator

        with style():
            height, width = self.error.shape
            # Frequency 0 stands at index n // 2; the map is labelled in cycles per image.
            extent = (-(width // 2) - 0.5, width - width // 2 - 0.5, height - height // 2 - 0.5, -(height // 2) - 0.5)
            image = ax.imshow(
                self.error, cmap="cividis", vmin=low, vmax=high, extent=extent, interpolation="nearest", aspect="equal"
            )
            ax.grid(visible=False)
            for axis in (ax.xaxis, ax.yaxis):
                axis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 5, 10]))
            ax.set_title(shorten(self.model, 26), fontsize=7.5)
        return image


def fourier(maps: Sequence[FourierMap]) -> Figure:
    """Draw the maps in rows of up to four with one scale for all, from 0 to the greatest error.

    Raises:
        RobenchError: no map, or maps of different image sizes or norms.
    """
    if not maps:
        raise RobenchError("There is no Fourier map to plot.", hint="Write one with `robench fourier`.")
    kinds = {(one.error.shape, one.size, one.norm) for one in maps}
    if len(kinds) > 1:
        found = "; ".join(
            f"{m.model}: norm {m.norm:g}, {m.error.shape[0]} by {m.error.shape[1]} frequencies" for m in maps
        )
        raise RobenchError(
            f"These maps cannot share a scale: {found}.", hint="Plot maps of one norm and one size together."
        )
    columns = min(4, len(maps))
    rows = -(-len(maps) // columns)
    high = max(float(np.nanmax(one.error)) for one in maps)
    with style():
        width = wide(min(PAGE, 2.0 * columns + 0.9))
        figure, axes = new_figure(
            width, rows * ((width - 0.9) / columns + 0.42), rows, columns, sharex=True, sharey=True
        )
        for ax in axes.flat[len(maps) :]:
            ax.set_axis_off()
        for ax, one in zip(axes.flat, maps, strict=False):
            image = one.plot(ax, high=high)
        for ax in axes.flat[max(0, len(maps) - columns) : len(maps)]:  # the lowest of each column
            ax.set_xlabel("cycles per image")
            ax.tick_params(labelbottom=True)
        for ax in axes[:, 0]:
            ax.set_ylabel("cycles per image")
        figure.colorbar(image, ax=axes, shrink=0.9 / rows if rows > 1 else 0.85, label="error, %", pad=0.02)
        counts = sorted({one.images for one in maps if one.images is not None})
        widths = [one.within for one in maps if one.within is not None]
        said = (
            f"error under noise of one frequency, L2 norm {maps[0].norm:g} per channel"
            f"{' · ' + ' or '.join(f'{n:,}' for n in counts) + ' images' if counts else ''}"
            f"{' · sampled: each frequency to ±' + f'{max(widths):g} points' if widths else ''}"
            f" · low frequencies in the middle{' · one scale for all' if len(maps) > 1 else ''}"
        )
        finish(figure, axes[0, 0], (), said)
    return figure


def read_fourier(path: str | Path) -> FourierMap:
    """Read a document of ``robench fourier``: ``kind``, ``size``, ``norm``, ``error`` (rows of fractions), ``model``.

    Raises:
        RobenchError: no such file, or not such a document.
    """
    document = of_kind(path, "robench-fourier", "robench fourier")
    try:
        error = np.array(document["error"], float)
        images = None if document.get("images") is None else int(document["images"])
        within = None if document.get("within") is None else 100 * float(document["within"])
        norm = float(document["norm"])
        found = FourierMap(str(document["model"]), 100 * error, int(document["size"]), norm, images, within)
    except (KeyError, TypeError, ValueError) as problem:
        raise RobenchError(
            f"{path} is not a complete Fourier map: {problem}.", hint="Write it again with `robench fourier`."
        ) from problem
    if error.ndim != 2 or not error.size or not np.nanmin(error) >= 0 or not np.nanmax(error) <= 1:
        raise RobenchError(
            f"{path}: 'error' must be rows of fractions from 0 to 1; found shape {error.shape}.",
            hint="Write it again with `robench fourier`.",
        )
    return found


def of_kind(path: str | Path, kind: str, command: str) -> dict[str, Any]:
    """Read a JSON document of a kind.

    Raises:
        RobenchError: no such file, not JSON, or of another kind.
    """
    hint = f"Write it with `{command}`."
    document: dict[str, Any] = read_document(path, f"{kind} document", hint=hint)
    if document.get("kind") != kind:
        raise RobenchError(f"{path} is of kind {document.get('kind')!r}; expected '{kind}'.", hint=hint)
    return document


PLOT = Plot(
    "fourier",
    "Fourier heat maps in a row, with one scale for all.",
    fourier,
    read=read_fourier,
    inputs="FILE",
    inputs_help="Maps that `robench fourier` wrote.",
)
