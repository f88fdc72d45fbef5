"""What fits: titles over panels that are narrow, legends of many models, panels below one another."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from digit_results import make
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from robench import plots
from robench.plots.fitting import legend_columns, text_width
from robench.plots.trade_off import tradeoff
from robench.plots.wishes import wanted
from robench.results.schema import Result

LONG = "A title of the user's own that is far too long for the column of a paper"


@pytest.fixture(scope="module")
def results() -> list[Result]:
    found = [make("logistic"), make("bayes")]
    for weight, result in enumerate(found):
        result.model.card["lambda"] = weight
    return found


def assert_texts_fit(figure: Figure) -> None:
    """No title and no label of an axis leaves the plot or reaches over the next panel's title."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    titles = [ax._left_title for ax in figure.axes if ax.axison and ax._left_title.get_text()]
    heads = [figure._suptitle] if figure._suptitle is not None else []
    labels = [ax.xaxis.label for ax in figure.axes if ax.axison and ax.xaxis.label.get_text()]
    for text in (*titles, *heads, *labels):
        box = text.get_window_extent(renderer)
        assert box.x0 >= 0, text
        assert box.x1 <= figure.bbox.width + 1, text
    boxes = [title.get_window_extent(renderer) for title in titles]
    for i, one in enumerate(boxes):
        assert not any(one.overlaps(other) for other in boxes[i + 1 :])


@pytest.mark.parametrize("width", [2.2, 3.4])
@pytest.mark.parametrize(
    "draw",
    [plots.trio, plots.reliability, plots.corruptions, plots.scatter, tradeoff],
    ids=["trio", "reliability", "corruptions", "scatter", "tradeoff"],
)
def test_narrow_plots_keep_their_titles(
    draw: Callable[[list[Result]], Figure], width: float, results: list[Result]
) -> None:
    with wanted(width=width):
        assert_texts_fit(draw(results))


def test_a_long_title_is_broken_and_the_panel_keeps_its_height(results: list[Result]) -> None:
    heights = []
    for title in ("Short", LONG):
        with wanted(title=title):
            figure = plots.scatter(results)
        assert_texts_fit(figure)
        heights.append(figure.axes[0].get_window_extent().height)
    assert "\n" in figure.axes[0].get_title(loc="left")
    assert heights[1] == pytest.approx(heights[0], rel=0.03)


def test_a_legend_takes_the_columns_that_fit() -> None:
    names = ["standard", "augmix", "cutout", "mixup", "cutmix", "autoaugment", "adversarial", "deepaugment-augmax"]
    assert legend_columns(names, 3.3, 7, around=3.4, between=1.4) == 2
    assert legend_columns(names, 9.8, 7, around=3.4, between=1.4) == 8
    assert legend_columns(["W" * 60, "b"], 3.3, 7, around=3.4, between=1.4) == 1
    assert text_width("MM", 7) == pytest.approx(2 * text_width("M", 7))
    assert text_width("M", 7, bold=True) > text_width("M", 7)
