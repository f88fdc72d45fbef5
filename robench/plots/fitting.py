"""What fits into a plot: columns of a legend, lines of a note, titles above their panels, panels side by side."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

_LINE = 1.25  # heights of the text
_EDGE = 0.03  # inches that stay free at the edge of a plot and between titles


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """Return the width in inches of one line in the font of all plots, ``size`` points high."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(family="DejaVu Sans", size=size, weight="bold" if bold else "normal")
    measure: Any = text_to_path.get_text_width_height_descent
    return float(measure(text, font, False)[0]) / 72 if text else 0.0


def legend_columns(names: Sequence[str], room: float, size: float, *, around: float, between: float) -> int:
    """Return the most columns of a legend that fit, none of them empty.

    Args:
        names: in the legend.
        room: width in inches.
        size: of the text, in points.
        around: width of the mark and what parts it from its name, in sizes of the text.
        between: of two columns, in sizes of the text.
    """
    widths = np.array([text_width(name, size) + around * size / 72 for name in names])
    for columns in range(len(names), 1, -1):
        if -(-len(names) // -(-len(names) // columns)) != columns:  # so many rows need fewer columns
            continue
        # matplotlib fills the columns in this way
        needed = sum(part.max() for part in np.array_split(widths, columns)) + (columns - 1) * between * size / 72
        if needed <= room:
            return columns
    return 1


def note_lines(note: str, letters: int) -> list[str]:
    """Break a note where ``·`` parts what it says, and within a part only where that is longer than a line.

    >>> note_lines("digits-c, generated images · severity 3 · lines: 95 % intervals", 30)
    ['digits-c, generated images ·', 'severity 3 ·', 'lines: 95 % intervals']
    """
    lines: list[str] = []
    parts = note.split(" · ")
    for i, part in enumerate(parts):
        said = part if i == len(parts) - 1 else f"{part} ·"
        if lines and len(lines[-1]) + 1 + len(said) <= letters:
            lines[-1] += f" {said}"
        else:
            lines += textwrap.wrap(said, letters)
    return lines


def grid_of(panels: int, width: float, least: float) -> tuple[int, int]:
    """Return (rows, columns) of panels that are at least so wide (inches), two by two rather than three and one.

    >>> grid_of(2, 6.9, 2.4), grid_of(2, 3.4, 2.4), grid_of(4, 6.9, 2.2), grid_of(3, 6.9, 2.2)
    ((1, 2), (2, 1), (2, 2), (1, 3))
    """
    columns = max(1, min(panels, int(width / least)))
    rows = -(-panels // columns)
    return rows, -(-panels // rows)


def plain_ticks(figure: Figure) -> None:
    """Mark axes at ones, twos and fives: 5, 10, 15 rather than 2.5, 5.0, 7.5."""
    from matplotlib.ticker import AutoLocator, MaxNLocator

    for ax in figure.axes:
        if getattr(ax, "_colorbar", None) is not None:
            continue
        for axis in (ax.xaxis, ax.yaxis):
            if type(axis.get_major_locator()) is AutoLocator:
                axis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10]))


def fit_texts(figure: Figure) -> None:
    """Break titles, and what stands below an axis, where they would run into the next panel or off the plot.

    The figure grows by the lines that this adds.
    """
    width = float(figure.get_size_inches()[0])
    added = 0.0
    head: Any = getattr(figure, "_suptitle", None)
    if head is not None and head.get_text():
        added += _break(head, width - 2 * head.get_position()[0] * width)
    panels = [ax for ax in figure.axes if getattr(ax, "_colorbar", None) is None and ax.axison]
    if any(_may_not_fit(ax, width) for ax in panels):
        figure.draw_without_rendering()  # only the layout says where the panels are
        by_row: dict[int, float] = {}
        for ax in panels:
            left, right = _room(ax, panels, width)
            box = _inches(ax)
            middle = (box[0] + box[1]) / 2
            grown = _break(_title(ax), right - box[0]) + _break(ax.xaxis.label, 2 * min(middle - left, right - middle))
            by_row[round(100 * box[2])] = max(by_row.get(round(100 * box[2]), 0.0), grown)
        added += sum(by_row.values())
    if added:
        height = float(figure.get_size_inches()[1])
        figure.set_size_inches(width, height + added)


def _title(ax: Axes) -> Text:
    named: dict[str, Any] = {"left": "_left_title", "center": "title", "right": "_right_title"}
    return next((text for text in (getattr(ax, name) for name in named.values()) if text.get_text()), ax.title)


def _may_not_fit(ax: Axes, width: float) -> bool:
    spec = ax.get_subplotspec()
    share = width / (spec.get_gridspec().ncols if spec is not None else 1)
    return any(_wide(text) > share - 0.75 for text in (_title(ax), ax.xaxis.label))


def _wide(text: Text) -> float:
    bold = str(text.get_fontweight()) == "bold"
    return max(text_width(line, float(text.get_fontsize()), bold=bold) for line in text.get_text().split("\n"))


def _inches(ax: Axes) -> tuple[float, float, float]:
    """Return left, right and bottom of the panel."""
    box, dpi = ax.get_window_extent(), ax.get_figure(root=True).dpi  # type: ignore[union-attr]
    return box.x0 / dpi, box.x1 / dpi, box.y0 / dpi


def _room(ax: Axes, panels: Sequence[Axes], width: float) -> tuple[float, float]:
    """Return from where to where the panel's texts may reach."""
    own, left, right = _inches(ax), _EDGE, width - _EDGE
    for other in panels:
        box = _inches(other)
        if abs(box[2] - own[2]) > 0.1:
            continue
        if box[0] > own[1]:
            right = min(right, box[0] - 2 * _EDGE)
        elif box[1] < own[0]:
            left = max(left, box[1] + 2 * _EDGE)
    return left, right


def _break(text: Text, room: float) -> float:
    """Break a text at the room's width (inches); return the height in inches that this adds."""
    wide, whole = _wide(text), text.get_text()
    if not whole or wide <= room or "\n" in whole:
        return 0.0
    lines = textwrap.wrap(whole, max(6, math.floor(len(whole) * room / wide)), break_long_words=False)
    text.set_text("\n".join(lines))
    text.set_linespacing(_LINE)
    return (len(lines) - 1) * _LINE * float(text.get_fontsize()) / 72
