"""Bars by method, ablations, sizes and learned labels: their arrays are the results' own numbers."""

from __future__ import annotations

import csv
from pathlib import Path
from statistics import fmean, stdev

import numpy as np
import pytest
from measured_results import public, trained

from robench.errors import RobenchError
from robench.plots.ablation_curves import AblationCurve, ablation
from robench.plots.learned_labels import labels, read_labels
from robench.plots.method_bars import MethodBars, methods
from robench.plots.model_size import ModelSizes, size
from robench.plots.trade_off import TradeOff
from robench.results.schema import Value


def test_bars_are_means_over_seeds_with_their_standard_deviation() -> None:
    values = (0.1, 0.13, 0.11)
    results = [trained("augmix-cifar10-wrn40-2", "cifar10-c", value, seed=i) for i, value in enumerate(values)]
    results.append(trained("standard-cifar10-wrn40-2", "cifar10-c", 0.27))
    bars = MethodBars.from_results(results)
    assert bars.names[0] == "augmix-cifar10-wrn40-2"
    assert bars.seeds == (3, 1)
    assert bars.values == pytest.approx([100 * fmean(values), 27.0])
    assert bars.high - bars.values == pytest.approx([100 * stdev(values), 1.0])
    drawn = methods(results).axes[0]
    assert [bar.get_width() for bar in drawn.patches] == pytest.approx(list(bars.values))


def test_one_training_twice_is_not_two_seeds() -> None:
    """In two precisions, say: their difference would be drawn as the spread over seeds."""
    twice = [trained("augmix-cifar10-wrn40-2", "cifar10-c", value, seed=1) for value in (0.1, 0.1001)]
    with pytest.raises(RobenchError, match="Two of these results are of one training"):
        MethodBars.from_results(twice)


def test_seeds_on_other_data_or_other_cells_are_not_averaged() -> None:
    first, other = (trained("augmix-cifar10-wrn40-2", "cifar10-c", value, seed=i) for i, value in enumerate((0.1, 0.2)))
    other.model.card["dataset"] = "cifar10-jpeg"
    assert MethodBars.from_results([first, other]).seeds == (1, 1)
    other.model.card["dataset"] = first.model.card["dataset"]
    other.suite.complete = False
    with pytest.raises(RobenchError, match="differ in cells: they have no mean"):
        MethodBars.from_results([first, other])


def test_bars_of_a_missing_metric_are_refused() -> None:
    with pytest.raises(RobenchError, match="None of these results has 'mce'"):
        MethodBars.from_results([trained("augmix-cifar10-wrn40-2", "cifar10-c")], "mce")


def _ablated(severity: object, value: float, **others: object) -> object:
    result = trained("augmix-cifar10-wrn40-2", "cifar10-c", value)
    result.model.card["settings"] = {"options.severity": severity, "epochs": 100, **others}
    return result


def test_an_ablation_has_its_levels_in_order_and_their_means() -> None:
    results = [_ablated(level, value) for level, value in ((10, 0.3), (1, 0.1), (3, 0.2), (3, 0.24))]
    curve = AblationCurve.from_results(results, "options.severity")  # type: ignore[arg-type]
    assert curve.levels == ("1", "3", "10")
    assert list(curve.positions) == [1, 3, 10]
    assert curve.means == pytest.approx([10, 22, 30])
    lines = ablation(results, "options.severity").axes[0].get_lines()  # type: ignore[arg-type]
    assert list(lines[0].get_ydata()) == pytest.approx([10, 22, 30])


def test_an_ablation_of_words_is_in_rows_of_equal_distance() -> None:
    results = [_ablated(level, 0.1) for level in ("none", "flip")]
    assert list(AblationCurve.from_results(results, "options.severity").positions) == [0, 1]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "levels"),
    [
        ([1_000_001, 1_000_000], ["1000000", "1000001"]),
        ([0.12345679, 0.12345678], ["0.12345678", "0.12345679"]),
        ([12.0, 12, 1e-5], ["1e-05", "12"]),
        ([float("inf"), 2], ["2", "inf"]),
        ([float("nan"), 0.5], ["0.5", "nan"]),
        ([True, 2], ["2", "True"]),
    ],
)
def test_an_ablation_has_a_level_for_every_value(given: list[object], levels: list[str]) -> None:
    results = [_ablated(level, 0.1) for level in given]
    curve = AblationCurve.from_results(results, "options.severity")  # type: ignore[arg-type]
    assert list(curve.levels) == levels
    assert len(set(curve.positions)) == len(levels)
    assert np.isfinite(curve.positions).all()
    assert np.isfinite(curve.means).all()
    ablation(results, "options.severity").canvas.draw()  # type: ignore[arg-type]


def test_runs_that_differ_in_more_than_the_setting_are_refused() -> None:
    results = [_ablated(1, 0.1), _ablated(3, 0.1, epochs=90)]
    with pytest.raises(RobenchError, match="differ in epochs too"):
        AblationCurve.from_results(results, "options.severity")  # type: ignore[arg-type]
    with pytest.raises(RobenchError, match=r"no setting 'options\.severty'"):
        AblationCurve.from_results([_ablated(1, 0.1)], "options.severty")  # type: ignore[list-item]
    with pytest.raises(RobenchError, match="All of these models"):
        AblationCurve.from_results([_ablated(1, 0.1)], "options.severity")  # type: ignore[list-item]


def test_sizes_are_in_millions_and_without_them_refused() -> None:
    result = public("timm:dpn68.mx_in1k", "imagenet-r", error=Value(value=0.6))
    with pytest.raises(RobenchError, match="how many parameters"):
        ModelSizes.from_results([result], "error")
    result.model.card["parameters"] = 12_600_000
    assert ModelSizes.from_results([result], "error").millions == pytest.approx([12.6])
    assert size([result], "error").axes[0].get_xscale() == "log"


def test_a_loaded_model_says_how_many_parameters_it_has() -> None:
    from robench.models import load_model

    model = load_model("reference:digits/standard")
    assert model.card["parameters"] == sum(one.numel() for one in model.module.parameters())  # type: ignore[attr-defined]


def test_branches_are_the_end_points_of_the_trade_off() -> None:
    results = []
    for share, card in ((0.0, {"bn": "main"}), (0.5, {"bn": "mean", "lambda": 0.5}), (1.0, {"bn": "auxiliary"})):
        result = trained("weak-augment-cifar10-wrn28-2", "cifar10-c", 0.1 + share)
        result.model.card |= card
        results.append(result)
    (points,) = TradeOff.from_results(results, "mean_error").curves.values()
    assert list(points[:, 0]) == [0, 0.5, 1]


def _training(folder: Path, method: str, buckets: int, rows: list[list[float]]) -> Path:
    folder.mkdir()
    (folder / "recipe.yaml").write_text(f"name: {method}\nmethod: {method}\noptions: {{buckets: {buckets}}}\n")
    with open(folder / "log.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["epoch", "loss", *(f"label_{i + 1}" for i in range(len(rows[0])))])
        writer.writerows([i + 1, 0.5, *row] for i, row in enumerate(rows))
    return folder


def test_learned_labels_are_grouped_by_depth(tmp_path: Path) -> None:
    rows = [[1.0] * 12, [0.9 - 0.01 * i for i in range(12)]]
    found = read_labels(_training(tmp_path / "run", "autolabel-augmix", 4, rows))
    assert found.labels.shape == (2, 3, 4)
    assert found.labels[1, 2] == pytest.approx([82, 81, 80, 79])
    assert found.nearest_last
    figure = labels([found])
    assert [line.get_label() for line in figure.axes[1].get_lines()] == [
        f"autolabel-augmix, depth {d}" for d in (1, 2, 3)
    ]
    assert np.asarray(figure.axes[1].get_lines()[2].get_ydata()) == pytest.approx([82, 81, 80, 79])


def test_a_log_without_labels_is_refused(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("epoch,loss\n1,0.5\n")
    with pytest.raises(RobenchError, match="no learned labels"):
        read_labels(tmp_path)


def test_a_log_of_an_earlier_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("epoch,label_first_bucket,label_last_bucket\n1,0.5,0.6\n")
    with pytest.raises(RobenchError, match="some buckets only: label_first_bucket, label_last_bucket"):
        read_labels(tmp_path)
