"""The style of all plots: sizes for print, colours and marks that everyone can distinguish, fixed bytes.

Colours are those of Okabe and Ito ("Color Universal Design", 2008) without the yellow, which is lost on paper;
marks and line styles differ too, so that a plot also reads in grey. Text is 7 to 8 points at the width of a
paper's column (3.4 inches) or page (6.9 inches), in the font that matplotlib carries, so that the same results give
the same bytes on every machine with the same matplotlib.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from robench.errors import RobenchError
from robench.files import atomic_write
from robench.plots.fitting import fit_texts, grid_of, legend_columns, note_lines, plain_ticks
from robench.plots.wishes import now
from robench.results.labels import shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMN, PAGE = 3.4, 6.9
# The report gives these three colours other values on a dark screen; nothing else in a plot uses them.
INK, FAINT, PAPER = "#222222", "#d6d6d6", "#ffffff"
MUTED = "#6b6b6b"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#7a5195", "#8c6d31")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
LINES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (5, 1.5, 1.2, 1.5)))
SUFFIXES = ("png", "svg", "pdf")

_RC: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 7.5,
    "axes.titlesize": 8.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 7.5,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.facecolor": PAPER,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.5,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "lines.linewidth": 1.3,
    "lines.markersize": 4,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "legend.labelcolor": INK,
    "figure.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "savefig.dpi": 220,
    "svg.hashsalt": "robench",
    "svg.fonttype": "path",
    "pdf.fonttype": 42,
    "text.parse_math": False,  # a model's name may hold dollar signs
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.05,
    "figure.constrained_layout.w_pad": 0.05,
}


class Look(NamedTuple):
    """How one model is drawn in every plot."""

    color: str
    marker: str
    linestyle: Any


def look(i: int) -> Look:
    """Return the look of the i-th model: colour and mark repeat only after 64 models, never together before."""
    size = len(COLOURS)
    return Look(COLOURS[i % size], MARKERS[(i + i // size) % size], LINES[(i + i // size) % len(LINES)])


@contextmanager
def style() -> Iterator[None]:
    """Draw in the house style, whatever the user's own matplotlib settings are, and put those back."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_RC)
        yield


def new_figure(width: float, height: float, rows: int = 1, columns: int = 1, **options: Any) -> tuple[Figure, Any]:
    """Return a figure (inches) and its axes as a (rows, columns) array; no window and no pyplot is involved."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(wide(width), height))
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def wide(width: float) -> float:
    """Return the width in inches that the user wants, else ``width``."""
    return now().width or width


def panels(count: int, height: float, *, least: float = 2.4, **options: Any) -> tuple[Figure, Any]:
    """Return a figure of a page's width and its axes, (rows, columns): side by side where they are wide enough.

    Args:
        count: of panels.
        height: of one, in inches.
        least: width of one, in inches.
        options: of ``subplots``.
    """
    rows, columns = grid_of(count, wide(PAGE), least)
    figure, axes = new_figure(PAGE, rows * height, rows, columns, **options)
    for ax in axes.flat[count:]:
        ax.set_axis_off()
    return figure, axes


def axes_or_new(ax: Axes | None, width: float = COLUMN, height: float = 2.6) -> Axes:
    """Return ``ax``, or the axes of a new figure of a column's width."""
    return ax if ax is not None else new_figure(width, height)[1][0, 0]


def finish(figure: Figure, axes: Axes, names: Sequence[str], note: str) -> None:
    """Put one legend for all panels under them, and under that, small and grey, what the plot was drawn from.

    The figure grows by what both need, so that the panels keep their size with two models and with twenty. A title that
    the user wants (:mod:`robench.plots.wishes`) takes the place of the plot's own.
    """
    _entitle(figure)
    plain_ticks(figure)
    fit_texts(figure)
    width, height = (float(side) for side in figure.get_size_inches())
    note = note.replace(" %", "\u00a0%").replace("×: ", "×:\u00a0")  # these stay on one line
    lines = note_lines(note, int(width / COLUMN * 80))
    # Asked for its legend, matplotlib omits what begins with an underscore, as names of files may.
    by_label = {str(line.get_label()): line for line in axes.get_lines()}
    shown = [name for name in names if name in by_label]
    called = [shorten(name, int(width / COLUMN * 46)) for name in shown]
    margin = 0.012
    columns = legend_columns(called, (1 - 2 * margin) * width, 7, around=2.6 + 0.8, between=1.4)
    foot = 0.06 + 0.115 * len(lines)
    legend = 0.03 + 0.1425 * -(-len(shown) // columns) if shown else 0.0
    total = height + foot + legend
    figure.set_size_inches(width, total)
    engine: Any = figure.get_layout_engine()
    engine.set(rect=(0, (foot + legend) / total, 1, 1 - (foot + legend) / total))
    figure.text(margin, 0.03 / total, "\n".join(lines), fontsize=6, color=MUTED, va="bottom", linespacing=1.25)
    if shown:
        figure.legend(
            [by_label[name] for name in shown],
            called,
            loc="lower left",
            bbox_to_anchor=(margin, foot / total),  # in line with the note below
            ncols=columns,
            borderaxespad=0.0,
            borderpad=0.0,
            columnspacing=1.4,
            labelspacing=0.4,
        ).set_in_layout(False)


def _entitle(figure: Figure) -> None:
    """Put the title that the user wants in the place of the plot's; several panels keep theirs below it."""
    title = now().title
    if title is None:
        return
    panels = [ax for ax in figure.axes if ax.get_title(loc="left")]
    if len(panels) == 1 and figure.get_suptitle() == "":
        panels[0].set_title(title)
    elif title or figure.get_suptitle():
        figure.suptitle(title, x=0.02, ha="left", fontsize=8.5, fontweight="bold")
        if panels:
            width, height = figure.get_size_inches()
            figure.set_size_inches(width, height + 0.2)


def to_bytes(figure: Figure, suffix: str) -> bytes:
    """Return a figure as PNG, SVG or PDF: the same figure gives the same bytes, with no date in them.

    Raises:
        RobenchError: another suffix.
    """
    if suffix not in SUFFIXES:
        raise RobenchError(f"Cannot write a plot as '.{suffix}'.", hint="Use .png, .svg or .pdf.")
    metadata: dict[str, dict[str, Any]] = {
        "png": {"Software": "robench"},
        "svg": {"Date": None, "Creator": "robench"},
        "pdf": {"CreationDate": None, "Creator": "robench", "Producer": "robench"},
    }
    buffer = io.BytesIO()
    with style():
        figure.savefig(buffer, format=suffix, metadata=metadata[suffix])
    return buffer.getvalue()


def save(figure: Figure, path: str | Path) -> Path:
    """Write a figure, as the path's suffix says, whole or not at all, and return the path.

    Raises:
        RobenchError: the suffix is not .png, .svg or .pdf, or the folder cannot be written to.
    """
    path = Path(path)
    content = to_bytes(figure, path.suffix.lower().removeprefix("."))
    with atomic_write(path) as file:
        file.write(content)
    return path
