"""One image under every corruption and severity, as in the papers' first figures."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from robench.errors import RobenchError
from robench.plots.style import PAGE, style, wide
from robench.plots.wishes import now
from robench.results.labels import words

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Images = npt.NDArray[np.uint8]
_MARGIN = 0.95
"""Inches left of the images, for the names of the corruptions."""
_TOP, _TITLE = 0.25, 0.25
"""Inches above the images, and for a title."""


def gallery(grid: Mapping[str, Images], *, titles: bool | Sequence[str] = True, in_words: bool = True) -> Figure:
    """Draw one row per corruption and one column per severity; ``clean`` stands alone at the top.

    Args:
        grid: corruption -> uint8 (5, H, W, 3), severities 1 to 5, drawn in the given order; ``clean`` -> (1, H, W, 3)
            may be omitted. The same for recipes and views of training, and for operations and their levels.
        titles: of the columns; True: the severities.
        in_words: whether the rows are corruptions or operations, named in words; recipes keep their names.

    Raises:
        RobenchError: nothing to draw, or images of other shapes.
    """
    rows = {name: _checked(name, images) for name, images in grid.items()}
    if not rows:
        raise RobenchError("There is no image to plot.", hint="Give at least one corruption.")
    columns = max(len(images) for images in rows.values())
    height, width = next(iter(rows.values())).shape[1:3]
    page, title = wide(PAGE), now().title
    top = _TOP + (_TITLE if title else 0.0)
    cell = (page - _MARGIN) / columns
    with style():
        from matplotlib.figure import Figure

        # One image below another with hairlines between them: the eye compares along rows and columns.
        tall = cell * height / width * len(rows) + top
        figure = Figure(figsize=(page, tall))
        if title:
            figure.suptitle(title, x=0.02, y=1 - 0.05 / tall, ha="left", va="top", fontsize=8.5, fontweight="bold")
        places = figure.add_gridspec(
            len(rows),
            columns,
            left=_MARGIN / page,
            right=1.0,
            top=1 - top / tall,
            bottom=0.0,
            hspace=0.03,
            wspace=0.03,
        )
        for row, (name, images) in enumerate(rows.items()):
            for column, image in enumerate(images):
                axes = figure.add_subplot(places[row, column])
                axes.imshow(image, interpolation="nearest")
                axes.set_axis_off()
                if column == 0:
                    axes.text(-0.04, 0.5, _label(name, in_words), transform=axes.transAxes, ha="right", va="center")
                if titles and len(images) > 1 and row == _first_full(rows):
                    title = f"severity {column + 1}" if titles is True else titles[column]
                    axes.set_title(title, loc="center", fontweight="normal", pad=3)
    return figure


def _label(name: str, in_words: bool) -> str:
    """Return a row's name; a long one of a recipe in lines that fit beside the images."""
    if in_words:
        return words(name)
    return name if len(name) <= 18 else "\n".join(textwrap.wrap(name.replace("-", "- "), 18)).replace("- ", "-")


def _first_full(rows: Mapping[str, Images]) -> int:
    """Return the first row with several severities: its images carry the columns' titles."""
    return next((i for i, images in enumerate(rows.values()) if len(images) > 1), 0)


def _checked(name: str, images: Images) -> Images:
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8:
        raise RobenchError(
            f"The images of '{name}' must be uint8 of shape (severities, H, W, 3); "
            f"found {images.dtype} of shape {images.shape}."
        )
    return images
