"""Plots: their arrays against the results, their words, their legends, and the same bytes twice."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from digit_results import CORRUPTIONS, make
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from robench import plots
from robench.errors import RobenchError
from robench.plots.condition_rows import grouped
from robench.plots.method_bars import methods
from robench.plots.style import COLOURS, LINES, MARKERS, look
from robench.results.schema import Result, SampledRecord, Value
from robench.suites import get


@pytest.fixture(scope="module")
def results() -> list[Result]:
    return [make("logistic"), make("bayes")]


def legend_texts(figure: Figure) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def all_text(figure: Figure) -> str:
    axes = [text.get_text() for ax in figure.axes for text in (*ax.texts, ax.title, ax.xaxis.label, ax.yaxis.label)]
    return "\n".join([*(text.get_text() for text in figure.texts), *axes]).replace("\u00a0", " ")


def assert_nothing_overlaps(figure: Figure) -> None:
    """The panels, the legend and the note under them must not lie on one another, nor stick out of the plot."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    panels = [ax.get_tightbbox(renderer) for ax in figure.axes if ax.axison]
    legends = [legend.get_window_extent(renderer) for legend in figure.legends]
    notes = [text.get_window_extent(renderer) for text in figure.texts if text.get_fontsize() == 6]
    assert notes
    for legend in legends:
        assert legend.y1 <= min(panel.y0 for panel in panels) + 1
        assert legend.y0 >= max(note.y1 for note in notes) - 1
    for box in (*panels, *legends, *notes):
        assert box.x0 >= -1
        assert box.y0 >= -1
        assert box.x1 <= figure.bbox.width + 1
        assert box.y1 <= figure.bbox.height + 1


def test_severity_curves_hold_the_results_figures_in_per_cent(results: list[Result]) -> None:
    curves = plots.SeverityCurves.from_results(results)
    assert curves.names == ("logistic", "bayes")
    for row, result in enumerate(results):
        for s in range(6):
            figure = result.severities[str(s)]["error"]
            assert figure.value is not None
            assert curves.values[row, s] == pytest.approx(100 * figure.value)
            assert curves.low[row, s] <= curves.values[row, s] <= curves.high[row, s]
    brier = results[0].severities["3"]["brier"].value
    assert plots.SeverityCurves.from_results(results, "brier").values[0, 3] == pytest.approx(brier)


def test_severity_says_metric_unit_and_models(results: list[Result]) -> None:
    figure = plots.trio(results)
    assert [ax.get_ylabel() for ax in figure.axes] == ["error, %", "RMS calibration error, %", "Brier score (0 to 2)"]
    assert legend_texts(figure) == ["logistic", "bayes"]
    assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()] == ["clean", "1", "2", "3", "4", "5"]
    assert f"mean over {len(CORRUPTIONS)} corruptions" in all_text(figure)
    assert "bands: 95 % intervals" in all_text(figure)
    line = next(line for line in figure.axes[0].lines if line.get_label() == "bayes")
    assert np.asarray(line.get_ydata()) == pytest.approx(plots.SeverityCurves.from_results(results).values[1])


def test_a_severity_that_was_not_measured_is_marked_and_not_bridged() -> None:
    result = make("logistic")
    del result.severities["3"]
    figure = plots.severity([result, make("bayes")], ("error",))
    values = plots.SeverityCurves.from_results([result]).values[0]
    assert np.isnan(values).tolist() == [False, False, False, True, False, False]
    crosses = [line for line in figure.axes[0].lines if line.get_marker() == "x"]
    assert [list(np.asarray(line.get_xdata())) for line in crosses] == [[3.0]]
    assert "×: not measured" in all_text(figure)


def test_a_partial_run_says_so_in_the_legend() -> None:
    partial, small = make("logistic"), make("bayes")
    partial.status = "partial"
    small.suite.complete = False
    assert legend_texts(plots.severity([partial, small])) == ["logistic (partial)", "bayes (part of the suite)"]
    small.suite.sampled = SampledRecord(passes=10, of=100)
    assert legend_texts(plots.severity([small])) == ["bayes (sample of a part)"]
    said = all_text(plots.severity([small])).replace("\n", " ")
    assert "partial: 31 of 76 cells, sampled: 10 of 100" in said


def test_reliability_holds_the_bins_and_leaves_empty_ones_out(results: list[Result]) -> None:
    curves = plots.ReliabilityCurves.from_results(results, "severity/5")
    assert curves.share.sum(axis=1) == pytest.approx([100, 100])
    assert curves.images == (400 * len(CORRUPTIONS), 400 * len(CORRUPTIONS))
    bins = results[0].reliability["severity/5"]
    for b, one in enumerate(bins):
        if one.accuracy is None:
            assert np.isnan(curves.accuracy[0, b])
        else:
            assert curves.accuracy[0, b] == pytest.approx(100 * one.accuracy)
    figure = plots.reliability(results)
    assert [ax.get_title(loc="left") for ax in figure.axes[:2]] == ["Clean images", "Corrupted images, severity 5"]
    assert figure.axes[0].get_ylabel() == "accuracy, %"


def test_reliability_of_a_model_without_bins_says_not_measured() -> None:
    lacking = make("bayes")
    del lacking.reliability["severity/5"]
    figure = plots.reliability([make("logistic"), lacking], ("severity/5",))
    assert legend_texts(figure) == ["logistic", "bayes: not measured"]


def test_corruptions_come_in_the_published_groups_and_order(results: list[Result]) -> None:
    rows = plots.ConditionRows.from_results(results)
    assert [title for title, _ in rows.groups] == ["", "Noise", "Blur", "Weather", "Digital"]
    assert rows.conditions == ("mean", *CORRUPTIONS)
    summary = results[1].summary["mean_error"].value
    assert summary is not None
    assert rows.values[1, 0] == pytest.approx(100 * summary)
    assert rows.values[1, 1:].mean() == pytest.approx(100 * summary)
    figure = plots.corruptions(results)
    assert "Gaussian noise" in all_text(figure)
    assert figure.axes[0].get_xlabel() == "error, %"


def test_groups_know_sequences_and_unknown_conditions() -> None:
    shaken, corrupted = get("imagenet-p"), get("imagenet-c")
    assert grouped(shaken, ["tilt", "snow", "scale"]) == (("Weather", ("snow",)), ("Geometry", ("tilt", "scale")))
    assert grouped(corrupted, ["london", "2017"]) == (("Conditions", ("london", "2017")),)
    assert grouped(corrupted, ["fog", "mystery"]) == (("Weather", ("fog",)), ("Other", ("mystery",)))


def test_a_condition_that_was_not_measured_is_said() -> None:
    result = make("logistic")
    del result.conditions["contrast"]
    figure = plots.corruptions([result, make("bayes")])
    crosses = [line for line in figure.axes[0].lines if line.get_marker() == "x" and len(np.asarray(line.get_xdata()))]
    assert [line.get_color() for line in crosses] == [look(0).color]
    assert len(np.asarray(crosses[0].get_ydata())) == 1
    assert "×: not measured" in all_text(figure)
    assert "not measured" not in all_text(plots.corruptions([make("bayes")]))


def test_scatter_sets_clean_against_corrupted(results: list[Result]) -> None:
    points = plots.ShiftPoints.from_results(results)
    assert points.axes == ("clean images", "corrupted images")
    clean = [result.summary["clean_error"].value or np.nan for result in results]
    assert points.clean[:, 0] == pytest.approx(100 * np.array(clean))
    figure = plots.scatter(results)
    assert figure.axes[0].get_xlabel() == "error on clean images, %"
    assert legend_texts(figure) == ["logistic", "bayes"]


def test_scatter_prefers_iid_and_ood_where_the_suite_has_them() -> None:
    result = make("logistic")
    result.summary["iid_error"] = result.conditions["brightness"]["error"]
    result.summary["mean_ood_error"] = result.conditions["contrast"]["error"]
    points = plots.ShiftPoints.from_results([result])
    assert points.axes == ("in distribution", "out of distribution")
    assert plots.scatter([result]).axes[0].get_xlabel() == "error in distribution, %"


def test_tradeoff_sorts_by_lambda_and_refuses_cards_without() -> None:
    weighted = []
    for weight, model in ((1.0, "bayes"), (0.0, "logistic"), (0.5, "neighbours")):
        result = make(model)
        result.model.card = {"method": "split", "lambda": weight}
        weighted.append(result)
    points = plots.TradeOff.from_results(weighted, "clean_error").curves["split"]
    assert points[:, 0].tolist() == [0.0, 0.5, 1.0]
    assert points[0, 1] == pytest.approx(100 * (weighted[1].summary["clean_error"].value or 0))
    assert legend_texts(plots.tradeoff(weighted)) == ["split"]
    with pytest.raises(RobenchError, match="no lambda"):
        plots.tradeoff([make("logistic")])
    with pytest.raises(RobenchError, match="lambda 1"):
        plots.tradeoff([weighted[0], weighted[0]])


def test_flips_read_the_same_rows() -> None:
    result = make("logistic")
    for figures in result.conditions.values():
        figures["flip_probability"] = figures["error"]
    result.summary["mfp"] = Value(value=0.25)
    rows = plots.ConditionRows.from_results([result], "flip_probability")
    assert rows.values[0, 0] == 25.0
    assert plots.flips([result]).axes[0].get_xlabel() == "flip probability, %"


def test_fourier_maps_share_one_scale(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    paths = []
    for i, scale in enumerate((0.4, 0.9)):
        error = scale * rng.random((8, 8))
        paths.append(tmp_path / f"{i}.json")
        document = {"kind": "robench-fourier", "size": 8, "norm": 4.0, "model": f"m{i}", "error": error.tolist()}
        paths[-1].write_text(json.dumps(document))
    maps = [plots.read_fourier(path) for path in paths]
    figure = plots.fourier(maps)
    maps_drawn = [ax.images[0] for ax in figure.axes if ax.images]
    assert {drawn.get_clim() for drawn in maps_drawn} == {(0.0, max(one.error.max() for one in maps))}
    assert np.asarray(maps_drawn[1].get_array()) == pytest.approx(maps[1].error)
    extent = maps_drawn[0].get_extent()  # index 4, the zero frequency of eight, lies at 0
    assert extent[0] + 4.5 == pytest.approx(0)
    assert [ax.get_title(loc="left") for ax in figure.axes[:2]] == ["m0", "m1"]
    paths[0].write_text(json.dumps({"kind": "robench-result"}))
    with pytest.raises(RobenchError, match="expected 'robench-fourier'"):
        plots.read_fourier(paths[0])
    with pytest.raises(RobenchError, match="share a scale"):
        plots.fourier([maps[0], plots.FourierMap("m", maps[1].error, 8, 8.0)])


def test_lowpass_turns_errors_into_accuracy_in_order(tmp_path: Path) -> None:
    path = tmp_path / "curve.json"
    path.write_text(
        json.dumps({"kind": "robench-lowpass", "model": "m", "bandwidths": [32, 4], "error": [0.125, 0.75]})
    )
    curve = plots.read_lowpass(path)
    assert (curve.bandwidths.tolist(), curve.accuracy.tolist()) == ([4.0, 32.0], [25.0, 87.5])
    assert legend_texts(plots.lowpass([curve])) == ["m"]
    path.write_text(json.dumps({"kind": "robench-lowpass", "model": "m", "bandwidths": [32], "error": [0.1, 0.2]}))
    with pytest.raises(RobenchError, match="one length"):
        plots.read_lowpass(path)


DRAWINGS: dict[str, Callable[[list[Result]], Figure]] = {
    "severity": plots.severity,
    "trio": plots.trio,
    "reliability": plots.reliability,
    "corruptions": plots.corruptions,
    "scatter": plots.scatter,
}


@pytest.mark.parametrize("drawing", DRAWINGS)
@pytest.mark.parametrize("models", [1, 2, 8])
def test_nothing_overlaps_with_many_models_and_long_names(drawing: str, models: int) -> None:
    long = "resnext50_32x4d.augmix+deepaugment+a_very_long_tail_in1k_seed{}_checkpoint_of_the_last_epoch_ema"
    chosen = [make(("logistic", "bayes", "neighbours")[i % 3], long.format(i)) for i in range(models)]
    figure = DRAWINGS[drawing](chosen)
    assert len(legend_texts(figure)) == models
    assert_nothing_overlaps(figure)


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_the_same_results_give_the_same_bytes(results: list[Result], suffix: str, tmp_path: Path) -> None:
    first, second = (plots.save(plots.severity(results), tmp_path / f"{i}.{suffix}").read_bytes() for i in range(2))
    assert first == second
    for stamp in (b"CreationDate", b"dc:date", b"tIME"):
        assert stamp not in first


def test_a_users_own_matplotlib_settings_change_nothing(results: list[Result]) -> None:
    import matplotlib

    plain = plots.to_bytes(plots.corruptions(results), "svg")
    with matplotlib.rc_context({"font.size": 20, "lines.linewidth": 9, "svg.hashsalt": "other"}):
        assert plots.to_bytes(plots.corruptions(results), "svg") == plain
        assert matplotlib.rcParams["font.size"] == 20


def test_svg_is_well_formed(results: list[Result]) -> None:
    root = ElementTree.fromstring(plots.to_bytes(plots.reliability(results), "svg"))
    assert root.tag.endswith("svg")


def test_looks_differ_and_colours_keep_apart_for_the_colour_blind() -> None:
    assert len({(seen.color, seen.marker) for seen in map(look, range(64))}) == 64
    assert len(set(MARKERS)) == len(COLOURS) == 8
    assert len({look(i).linestyle for i in range(4)}) == len(LINES)
    # Deuteranopia after Vienot, Brettel and Mollon (1999): neighbours in the order of use stay apart.
    simulate = np.array([[0.29275, 0.70725, -0.02234], [0.29275, 0.70725, -0.02234], [-0.02234, 0.02234, 1.0]])
    seen = np.array([to_rgb(colour) for colour in COLOURS]) ** 2.2 @ simulate.T
    assert min(np.abs(seen[i] - seen[i + 1]).max() for i in range(len(seen) - 1)) > 0.1


def test_other_suites_metrics_and_suffixes_are_refused(results: list[Result], tmp_path: Path) -> None:
    other = make("bayes")
    other.suite.source = "published"
    with pytest.raises(RobenchError, match="of different protocols"):
        plots.severity([results[0], other])
    copy = make("bayes")
    copy.suite.dataset = "cifar10-jpeg"
    with pytest.raises(RobenchError, match="images of cifar10-jpeg"):
        plots.severity([results[0], copy])
    with pytest.raises(RobenchError, match="by severity"):
        plots.severity(results, ("accuracy_of_the_moon",))
    with pytest.raises(RobenchError, match="severity/9"):
        plots.reliability(results, ("severity/9",))
    with pytest.raises(RobenchError, match="no result"):
        plots.corruptions([])
    with pytest.raises(RobenchError, match=r"\.bmp"):
        plots.save(plots.severity(results), tmp_path / "a.bmp")
    assert not list(tmp_path.iterdir())


def test_every_name_stands_in_the_legend_as_it_is(results: list[Result]) -> None:
    """Matplotlib leaves out names that begin with an underscore, and sets what stands between dollars as formulas."""
    renamed = [one.model_copy(deep=True) for one in results]
    renamed[0].model.name, renamed[1].model.name = "_best", "$\\frac{1}$"
    figure = plots.scatter(renamed)
    assert legend_texts(figure) == ["_best", "$\\frac{1}$"]
    assert plots.to_bytes(figure, "png")


def natural(result: Result, suite: str, clean: str, shifted: tuple[str, ...]) -> Result:
    """A result as natural sets have them: conditions without severities, and the shifted ones' mean as ``error``."""
    made = result.model_copy(deep=True)
    made.suite.name, made.severities, made.reliability = suite, {}, {}
    made.conditions = {name: {"error": Value(value=0.1 * (i + 1))} for i, name in enumerate((clean, *shifted))}
    made.summary = {"error": Value(value=0.25), "gap_error": Value(value=0.15)}
    made.cells = [
        made.cells[0].model_copy(update={"name": name, "condition": name, "severity": None}) for name in made.conditions
    ]
    return made


@pytest.mark.parametrize(
    ("suite", "clean", "shifted"),
    [("imagenet-r", "imagenet-200", ("imagenet-r",)), ("imagenet-v2", "clean", ("threshold0.7", "top-images"))],
)
def test_natural_sets_have_a_mean_and_no_severities(
    suite: str, clean: str, shifted: tuple[str, ...], results: list[Result]
) -> None:
    made = natural(results[0], suite, clean, shifted)
    rows = plots.ConditionRows.from_results([made])
    assert rows.conditions == ("mean", *shifted)
    assert rows.values[0, 0] == 25.0
    text = all_text(plots.corruptions([made]))
    assert "Error under each condition" in text
    assert "severit" not in text
    assert "not measured" not in text
    points = plots.ShiftPoints.from_results([made])
    assert (points.clean[0, 0], points.shifted[0, 0]) == pytest.approx((10.0, 25.0))
    assert points.axes == ("matching clean images", "shifted images")


def test_the_clean_half_of_imagenet_r_can_be_drawn_alone(results: list[Result]) -> None:
    made = natural(results[0], "imagenet-200", "imagenet-200", ())
    assert plots.ConditionRows.from_results([made]).conditions == ("mean", "imagenet-200")
    with pytest.raises(RobenchError, match="both on clean"):
        plots.scatter([made])


def test_the_severities_that_were_averaged_are_counted(results: list[Result]) -> None:
    made = results[0].model_copy(deep=True)
    assert "mean over 5 severities" in all_text(plots.corruptions([made]))
    made.cells = [cell for cell in made.cells if cell.severity in (None, 3)]
    assert "severity 3" in all_text(plots.corruptions([made]))
    said = all_text(plots.corruptions([results[0], made]))
    assert "mean over 1 to 5 severities, not of all runs the same" in said.replace("\n", " ")


def test_an_undefined_metric_is_not_called_absent(results: list[Result]) -> None:
    """Cells of few images have the RMS calibration error, with no value."""
    made = results[0].model_copy(deep=True)
    for figures in (*made.severities.values(), *made.conditions.values(), made.summary):
        figures.update({name: Value(value=None) for name in figures if "rms" in name})
    assert len(plots.severity([made]).axes) == 1  # of the usual metrics, the error alone
    rms = "rms_calibration_error"
    for draw in (lambda: plots.severity([made], (rms,)), lambda: plots.corruptions([made], rms)):
        with pytest.raises(RobenchError, match="'rms_calibration_error' is undefined") as refused:
            draw()
        assert refused.value.hint is not None
        assert "rms" not in refused.value.hint
        assert " error," in refused.value.hint


def test_a_severity_without_neighbours_shows_its_interval() -> None:
    """Clean, 2, 4 and 5 measured: a band needs two points beside each other, so the first two have a line instead."""
    nan = float("nan")
    values = np.array([[0.1, nan, 0.3, nan, 0.5, 0.6]])
    curves = plots.SeverityCurves("error", ("net",), 100 * values, 100 * values - 2.0, 100 * values + 2.0)
    ax = curves.plot()
    lines = [np.asarray(path.vertices) for one in ax.collections for path in one.get_paths() if len(path.vertices) == 2]
    assert [(path[0, 0], path[0, 1], path[1, 1]) for path in lines] == [(0.0, 8.0, 12.0), (2.0, 28.0, 32.0)]


@pytest.mark.parametrize("models", [2, 4, 9])
def test_marks_of_one_row_are_nearer_to_each_other_than_to_the_next_rows(models: int, results: list[Result]) -> None:
    copies = [
        results[0].model_copy(update={"model": results[0].model.model_copy(update={"name": f"m{i}"})})
        for i in range(models)
    ]
    (ax,) = plots.corruptions(copies).axes
    marks = np.array([line.get_ydata() for line in ax.get_lines() if str(line.get_label()).startswith("m")], float)
    assert len(marks) == models
    lanes = np.diff(np.sort(marks, axis=0), axis=0)
    to_the_next = marks.min(axis=0)[1:] - marks.max(axis=0)[:-1]
    assert 2 * lanes.max() <= to_the_next.min() + 1e-9


def test_a_caption_names_only_what_is_drawn(results: list[Result]) -> None:
    """The line of no loss is named where it is seen; intervals where there are any; pale marks where one is pale."""

    def moved(clean: float, mean: float) -> Result:
        ends = {key: Value(value=v, low=v - 0.01, high=v + 0.01) for key, v in
                (("clean_error", clean), ("mean_error", mean))}  # fmt: skip
        return results[0].model_copy(update={"summary": ends})

    near, far = [moved(0.1, 0.12), moved(0.15, 0.16)], [moved(0.01, 0.4), moved(0.02, 0.5)]
    for given, seen in ((near, True), (far, False)):
        figure = plots.scatter(given)
        dashed = [line for line in figure.axes[0].get_lines() if line.get_linestyle() == "--"]
        assert bool(dashed) == seen == ("dashed: no loss" in all_text(figure))
    bare = [result.model_copy(deep=True) for result in results]
    for result in bare:
        for value in (*result.summary.values(), *(v for one in result.conditions.values() for v in one.values())):
            value.low = value.high = None
    for draw in (plots.scatter, plots.corruptions):
        assert "intervals" in all_text(draw(results))
        assert "intervals" not in all_text(draw(bare))


def test_a_mark_at_zero_is_whole(results: list[Result]) -> None:
    ends = {key: Value(value=v, low=v, high=v + 0.01) for key, v in (("clean_error", 0.0), ("mean_error", 0.1))}
    (ax,) = plots.scatter([results[0].model_copy(update={"summary": ends}), results[1]]).axes
    assert ax.get_xlim()[0] < 0


@pytest.mark.parametrize("intervals", [True, False])
def test_values_below_zero_lie_within_the_axes(intervals: bool) -> None:
    result, metric = make("logistic"), "overconfidence_gap"
    for values in (result.summary, *result.conditions.values(), *result.severities.values()):
        for name in [name for name in values if name.endswith(metric)]:
            middle = -abs(values[name].value or 0.0) - 0.01
            ends = {"low": middle - 0.004, "high": middle + 0.004} if intervals else {}
            values[name] = Value(value=middle, **ends)
    drawn = [
        plots.severity([result], (metric,)),
        plots.corruptions([result], metric),
        plots.scatter([result], metric),
    ]
    for figure in drawn:
        ax = figure.axes[0]
        (left, right), (bottom, top) = ax.get_xlim(), sorted(ax.get_ylim())
        marks = [line.get_xydata() for line in ax.lines if line.get_marker() not in ("None", "", "x")]
        assert len(marks) > 0
        for x, y in np.concatenate([np.asarray(one, float) for one in marks]):
            assert left <= x <= right
            assert bottom <= y <= top
    (bar,) = methods([result], (f"mean_{metric}",)).axes[0].patches
    left, right = bar.axes.get_xlim()
    assert left <= bar.get_x() + bar.get_width() < 0 < right
