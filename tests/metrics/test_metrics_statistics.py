"""The paired bootstrap beside the plain one, and tests of differences beside scipy and statsmodels' formulas."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from scipy.stats import binom, binomtest, chi2

from robench.catalogue import METRICS, Metric, metric
from robench.errors import RobenchError
from robench.metrics import _class_sums, resampling, statistics
from robench.metrics.cells import compute, kernel
from robench.metrics.comparison import holm, mcnemar, rank_intervals
from robench.metrics.draws import Draws
from robench.metrics.perturbation import clips
from robench.metrics.probabilities import softmax
from robench.metrics.scores import brier_score
from robench.metrics.statistics import (
    Bootstrap,
    bootstrap_cells,
    centred_interval,
    draw_weights,
    exact_interval,
    interval,
)

NAMES = ("error", "rms_calibration_error", "rms_calibration_error_all_bins", "ece", "brier_top_label", "nll",
         "overconfidence_gap", "adaptive_ece")  # fmt: skip


def _cell(n: int, seed: int, accuracy: float = 0.7) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    target = rng.integers(0, 10, n).astype(np.int32)
    predicted = np.where(rng.random(n) < accuracy, target, (target + 1) % 10).astype(np.int32)
    confidence = rng.beta(4, 2, n).astype(np.float32)
    return {"index": np.arange(n), "target": target, "predicted": predicted, "confidence": confidence,
            "nll": -np.log(confidence)}  # fmt: skip


def test_replicates_equal_the_metric_of_the_repeated_rows() -> None:
    cells = [_cell(431, 1), _cell(431, 2)]
    found = bootstrap_cells(cells, NAMES, resamples=12, seed=5)
    weights = draw_weights(np.random.Generator(np.random.PCG64(5)), 12, 431)
    for i, cell in enumerate(cells):
        for b, row in enumerate(weights):
            drawn = {name: np.repeat(column, row) for name, column in cell.items()}
            for name in NAMES:
                expected = compute(name, drawn)
                assert found[name][b, i] == pytest.approx(expected, rel=1e-6, abs=1e-9), name


PER_ROW = [name for name in METRICS if "frame" not in metric(name).needs]
# Debiased errors are resampled from a population of their own (tests/metrics/test_metrics_debiased.py).
REPEATED = [name for name in PER_ROW if not name.endswith("_debiased")]


def beyond_confidence(logits: np.ndarray) -> dict[str, np.ndarray]:
    """The columns that tell confident images apart, from logits (n, K)."""
    ordered = np.sort(logits.astype(float), axis=1)[:, ::-1]
    lse = np.log(np.exp(ordered).sum(1))
    return {"max_logit": ordered[:, 0], "second_logit": ordered[:, 1], "logsumexp": lse,
            "log_complement": np.log(np.exp(ordered[:, 1:]).sum(1)) - lse}  # fmt: skip


def _full_cell(n: int, kind: str, seed: int = 3) -> dict[str, np.ndarray]:
    """Every column that a metric without frames needs; ``kind`` is what is awkward about it."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, 6)).round(1 if kind == "ties" else 9) * 2
    p = softmax(logits)
    predicted, target = logits.argmax(1), rng.integers(0, 5, n)  # class 5 is never a target
    target = {"all right": predicted, "all wrong": (predicted + 1) % 6}.get(kind, target)
    confidence = np.ones(n) if kind == "certain" else p.max(1)
    return {
        "index": rng.permutation(n) * 3, "target": target, "predicted": predicted, "confidence": confidence,
        "logits": logits, "targets": (rng.random((n, 6)) < 0.3).astype(np.uint8),
        "nll": -np.log(p[np.arange(n), target]), "brier": brier_score(p, target), "entropy": -(p * np.log(p)).sum(1),
        "top5": np.argsort(-logits, 1)[:, :5], "outlier": (rng.random(n) < 0.4).astype(np.uint8),
        "covered": (rng.random(n) < 0.8).astype(np.uint8), "set_size": rng.integers(0, 6, n).astype(float),
        **beyond_confidence(logits),
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["plain", "ties", "all right", "all wrong", "certain"])
@pytest.mark.parametrize("n", [2, 9, 257])
def test_replicates_of_every_metric_equal_it_on_the_repeated_rows(kind: str, n: int) -> None:
    cell = _full_cell(n, kind)
    found = bootstrap_cells([cell], REPEATED, resamples=8, seed=5)
    weights = draw_weights(np.random.Generator(np.random.PCG64(5)), 8, n)
    for b, row in enumerate(weights):
        drawn = {name: np.repeat(column, row[cell["index"] // 3], axis=0) for name, column in cell.items()}
        for name in REPEATED:
            expected = compute(name, drawn)
            assert found[name][b, 0] == pytest.approx(expected, rel=1e-6, abs=1e-9, nan_ok=True), name


def test_no_metric_is_resampled_the_slow_way(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a metric has no quick way over resamples")

    monkeypatch.setattr(resampling, "_repeated", refuse)
    bootstrap_cells([_full_cell(120, "plain")], PER_ROW, resamples=2)


def median_confidence(columns: Mapping[str, np.ndarray]) -> float:
    """A metric of an outsider: a plain function, neither a mean nor one that knows how to be resampled."""
    return float(np.median(columns["confidence"]))


def clips_that_flip(columns: Mapping[str, np.ndarray]) -> float:
    """One that counts clips, so that a clip drawn twice has to count as two."""
    (predicted,) = clips(columns["index"], columns["frame"], columns["predicted"])
    return float((predicted[:, 1:] != predicted[:, :-1]).any(axis=1).mean())


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Register the two as another package would."""
    monkeypatch.setattr(METRICS, "_entries", dict(METRICS._entries))
    for function in (median_confidence, clips_that_flip):
        needs = ("confidence",)
        METRICS.register(function.__name__, Metric(function.__name__, "outside", needs=needs,
                                                   kernel=f"{__name__}:{function.__name__}"))  # fmt: skip


@pytest.mark.usefixtures("outside")
def test_a_metric_that_is_a_plain_function_is_resampled_on_repeated_rows() -> None:
    cell = _full_cell(60, "plain")
    assert compute("median_confidence", cell) == np.median(cell["confidence"])
    found = bootstrap_cells([cell], ("median_confidence", "error"), resamples=5, seed=5)["median_confidence"][:, 0]
    for value, row in zip(found, draw_weights(np.random.Generator(np.random.PCG64(5)), 5, 60), strict=True):
        assert value == np.median(np.repeat(cell["confidence"], row[cell["index"] // 3]))


@pytest.mark.usefixtures("outside")
def test_a_plain_function_sees_a_clip_drawn_twice_as_two() -> None:
    predicted = np.random.default_rng(0).integers(0, 4, (20, 3))
    cell = {"index": np.repeat(np.arange(20), 3), "frame": np.tile(np.arange(3), 20), "predicted": predicted.ravel()}
    found = bootstrap_cells([cell], ("clips_that_flip",), resamples=6, seed=5)
    flips = (predicted[:, 1:] != predicted[:, :-1]).any(axis=1)
    weights = draw_weights(np.random.Generator(np.random.PCG64(5)), 6, 20)
    np.testing.assert_allclose(found["clips_that_flip"][:, 0], weights @ flips / 20)


def test_a_kernel_that_cannot_be_imported_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(METRICS, "_entries", dict(METRICS._entries))
    METRICS.register("lost", Metric("lost", "lost", kernel="no_such_package:metric"))
    with pytest.raises(RobenchError, match="no_such_package:metric"):
        compute("lost", {})


def test_variants_of_an_image_stay_together_in_every_metric() -> None:
    cell = _full_cell(120, "plain") | {"index": np.repeat(np.arange(30), 4), "frame": np.tile(np.arange(4), 30)}
    names = ("error", "ece", "adaptive_ece", "aurc", "worst_case_error", "overconfidence_gap")
    found = bootstrap_cells([cell], names, resamples=6, seed=2)
    for b, row in enumerate(draw_weights(np.random.Generator(np.random.PCG64(2)), 6, 30)):
        drawn = np.concatenate([np.tile(np.arange(4 * i, 4 * i + 4), times) for i, times in enumerate(row)])
        repeated = {name: column[drawn] for name, column in cell.items()}
        repeated["index"] = np.repeat(np.arange(30), 4)  # a repeated image counts as one more
        for name in names:
            expected = compute(name, repeated)
            assert found[name][b, 0] == pytest.approx(expected, rel=1e-9), name


def test_a_centred_interval_holds_its_value_and_takes_the_bias_off() -> None:
    replicates = np.random.default_rng(0).normal(0.30, 0.02, 4000)
    low, high = centred_interval(0.25, replicates)
    assert (low, high) == pytest.approx((0.25 - 1.96 * 0.02, 0.25 + 1.96 * 0.02), abs=2e-3)
    assert centred_interval(0.01, np.abs(replicates))[0] == 0.0
    assert centred_interval(0.25, np.array([0.1, 0.1, np.nan])) == pytest.approx((0.25, 0.25))


@pytest.mark.parametrize("seed", range(8))
def test_the_chance_of_resampling_does_not_move_a_means_interval(seed: int) -> None:
    """One image of 250 differs: 37 % of resamples lack it, so zero is in the interval whatever the seed."""
    drawn = draw_weights(np.random.Generator(np.random.PCG64(seed)), 1000, 250)[:, 0] / 250
    assert centred_interval(1 / 250, drawn) == pytest.approx(interval(drawn))
    assert centred_interval(1 / 250, drawn)[0] == 0.0


@pytest.mark.parametrize("images", [2, 10, 250, 50_000])
def test_a_share_of_nothing_or_everything_has_the_exact_interval(images: int) -> None:
    for wrong in (0, images):
        reference = binomtest(wrong, images).proportion_ci(method="exact")
        assert exact_interval(wrong / images, images) == pytest.approx((reference.low, reference.high), rel=1e-9)


def test_images_are_drawn_once_for_all_cells() -> None:
    cell = _cell(300, 1)
    found = bootstrap_cells([cell, dict(cell)], ("error",), resamples=50)["error"]
    np.testing.assert_array_equal(found[:, 0], found[:, 1])
    assert found[:, 0].std() > 0


def test_cells_may_hold_other_images_in_another_order() -> None:
    cell = _cell(300, 1)
    order = np.random.default_rng(0).permutation(300)
    shuffled = {name: column[order] for name, column in cell.items()}
    part = {name: column[100:] for name, column in cell.items()}
    found = bootstrap_cells([cell, shuffled, part], ("error", "ece"), resamples=20)
    np.testing.assert_allclose(found["error"][:, 0], found["error"][:, 1])
    np.testing.assert_allclose(found["ece"][:, 0], found["ece"][:, 1])
    assert np.isfinite(found["error"][:, 2]).all()


def test_error_interval_agrees_with_theory() -> None:
    cell = _cell(2_000, 4)
    low, high = interval(bootstrap_cells([cell], ("error",), resamples=2_000)["error"])
    rate = compute("error", cell)
    half = 1.96 * np.sqrt(rate * (1 - rate) / 2_000)
    assert (low[0], high[0]) == pytest.approx((rate - half, rate + half), abs=0.1 * half)


@pytest.mark.parametrize("n", [0, 1])
def test_below_two_images_there_is_no_interval(n: int) -> None:
    found = bootstrap_cells([_cell(n, 1), _cell(50, 1)], ("error", "ece"), resamples=10)
    for values in found.values():
        assert np.isnan(values[:, 0]).all()
        assert np.isfinite(values[:, 1]).all()
    assert np.isnan(interval(found["error"][:, :1])[0]).all()


def test_frames_of_a_clip_stay_together() -> None:
    index, frame = np.repeat(np.arange(30), 5), np.tile(np.arange(5), 30)
    rng = np.random.default_rng(0)
    cell = {"index": index, "frame": frame, "predicted": rng.integers(0, 2, 150), "cell": np.array("translate")}
    found = bootstrap_cells([cell], ("flip_probability",), resamples=7, seed=3)["flip_probability"]
    clips = cell["predicted"].reshape(30, 5)
    flips = (clips[:, 1:] != clips[:, :-1]).mean(axis=1)
    weights = draw_weights(np.random.Generator(np.random.PCG64(3)), 7, 30)
    np.testing.assert_allclose(found[:, 0], weights @ flips / 30)


def test_the_same_seed_gives_the_same_replicates() -> None:
    cell = _cell(200, 1)
    first, again, other = (bootstrap_cells([cell], ("ece",), resamples=9, seed=s)["ece"] for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def _pair(only_a: int, only_b: int) -> tuple[np.ndarray, np.ndarray]:
    a = np.r_[np.ones(only_a, bool), np.zeros(only_b, bool), np.ones(50, bool)]
    return a, np.r_[np.zeros(only_a, bool), np.ones(only_b, bool), np.ones(50, bool)]


@pytest.mark.parametrize(("only_a", "only_b"), [(8, 2), (1, 9), (5, 5), (0, 3), (300, 260)])
def test_mcnemar_is_exact_for_few(only_a: int, only_b: int) -> None:
    n, k = only_a + only_b, min(only_a, only_b)
    assert mcnemar(*_pair(only_a, only_b)) == pytest.approx(min(1.0, 2 * binom.cdf(k, n, 0.5)))


def test_mcnemar_is_chi_square_with_continuity_for_many() -> None:
    assert mcnemar(*_pair(600, 500)) == pytest.approx(chi2.sf(99**2 / 1100, 1))
    assert mcnemar(*_pair(0, 0)) == 1.0


def test_holm_equals_its_definition_by_hand() -> None:
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm([0.6, 0.7]), [1.0, 1.0])


def test_rank_intervals_of_clear_and_equal_models() -> None:
    noise = np.random.default_rng(0).normal(size=(1000, 1)) * 0.01
    low, high = rank_intervals(np.hstack([noise + 0.1, noise + 0.3, noise + 0.2]))
    np.testing.assert_array_equal(low, [1, 3, 2])
    np.testing.assert_array_equal(high, [1, 3, 2])
    low, high = rank_intervals(np.random.default_rng(1).normal(size=(1000, 2)), higher_is_better=True)
    assert (low == 1).all()
    assert (high == 2).all()


def test_an_image_drawn_more_often_than_a_byte_counts() -> None:
    """Weights of 256 and more take two bytes, and count in full: in sums, and in loops over sorted confidences."""
    cell = _cell(400, 3)
    weights = draw_weights(np.random.default_rng(4), 3, 400)
    weights[0, 7], weights[1, 9] = 300, 256
    names = ("error", "rms_calibration_error_all_bins")
    draws = Draws(weights, np.arange(400))
    found = resampling.replicates(cell, {name: kernel(name) for name in names}, draws)
    for i, drawn in enumerate(weights):
        repeated = {name: np.repeat(column, drawn, axis=0) for name, column in cell.items()}
        repeated["index"] = np.arange(drawn.sum())
        for name in names:
            assert found[name][i] == pytest.approx(compute(name, repeated), abs=1e-12), name


@pytest.mark.parametrize("often", [1, 15])
@pytest.mark.parametrize("steps", [0, 40, 3], ids=["no ties", "ties within tiles", "ties beyond tiles"])
def test_rms_errors_of_many_resamples_equal_the_loop_of_one(steps: int, often: int) -> None:
    """A bin ends within a row, within a group and beyond a tile; fifteen draws a row end several bins in a tile."""
    cell = _cell(1003, 7)
    if steps:
        cell["confidence"] = np.where(np.arange(1003) % 3 > 0, cell["confidence"], 0.1) if steps == 40 else (
            np.round(cell["confidence"] * steps) / steps)  # fmt: skip
    weights = np.minimum(draw_weights(np.random.default_rng(8), 70, 1003) * often, 15).astype(np.uint16)
    names = ("rms_calibration_error", "rms_calibration_error_all_bins", "ece", "overconfidence_gap")
    kernels, draws = {name: kernel(name) for name in names}, Draws(weights, np.arange(1003))
    assert draws.blocks is not None
    one_by_one = Draws(weights, np.arange(1003))
    one_by_one.__dict__["blocks"] = None
    found, expected = (resampling.replicates(cell, kernels, one) for one in (draws, one_by_one))
    for name in names:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-12, err_msg=name)


@pytest.mark.parametrize("classes", [2, 10, 60])
@pytest.mark.parametrize("part", [1, 1 << 23], ids=["one resample at a time", "all at once"])
def test_the_class_wise_error_of_a_resample_is_that_of_its_rows(
    monkeypatch: pytest.MonkeyPatch, classes: int, part: int
) -> None:
    """Brute force: every class's probabilities in bins, of rows repeated as often as they are drawn."""
    monkeypatch.setattr(_class_sums, "_PART", part)
    rng = np.random.default_rng(classes)
    logits, target = rng.normal(size=(50, classes)) * 3, rng.integers(0, classes, 50)
    cell = {"index": np.arange(50), "logits": logits, "target": target}
    draws = Draws(draw_weights(rng, 6, 50), np.arange(50))
    draws.weights[5] = 0
    found = resampling.replicates(cell, {"classwise_ece": kernel("classwise_ece")}, draws)["classwise_ece"]
    p, wrong = softmax(logits), 1.0 - np.eye(classes)[target]
    for drawn, value in zip(draws.weights[:5], found, strict=False):
        rows = np.repeat(np.arange(50), drawn)
        total = 0.0
        for k in range(classes):
            bins = np.minimum((p[rows, k] * 15).astype(int), 14)
            for b in range(15):
                total += abs((p[rows, k] - 1.0 + wrong[rows, k])[bins == b].sum()) / len(rows)
        assert value == pytest.approx(total / classes, rel=1e-12)
    assert np.isnan(found[5])


@pytest.mark.parametrize("certain", [False, True], ids=["", "beside a confidence that many images have"])
def test_the_ece_of_a_pass_over_sorted_rows_is_that_of_sums_within_bins(certain: bool) -> None:
    """Beside the RMS error it needs no pass of its own; alone it is summed bin by bin, packed weights or not."""
    cell = _cell(1003, 7)
    if certain:
        cell["confidence"][::2] = 1.0
    weights, kernels = draw_weights(np.random.default_rng(8), 70, 1003), {"ece": kernel("ece")}
    draws, one_by_one = (Draws(weights, np.arange(1003)) for _ in range(2))
    one_by_one.__dict__["blocks"] = None
    alone = resampling.replicates(cell, kernels, draws)["ece"]
    beside = resampling.replicates(cell, kernels | {"rms": kernel("rms_calibration_error")}, draws)["ece"]
    np.testing.assert_allclose(alone, beside, rtol=1e-12)
    np.testing.assert_allclose(resampling.replicates(cell, kernels, one_by_one)["ece"], alone, rtol=1e-12)
    repeated = {name: np.repeat(column, weights[5]) for name, column in cell.items()}
    assert alone[5] == pytest.approx(compute("ece", repeated), rel=1e-12)


def test_values_beside_the_replicates_are_the_metrics_themselves() -> None:
    cells = [_cell(300, 1), _cell(1, 2), _cell(260, 3)]
    names = (*NAMES, "ece_debiased")
    values, drawn = Bootstrap(np.arange(300), resamples=3).measure(cells, names)
    for name in names:
        np.testing.assert_array_equal(values[name], [compute(name, cell) for cell in cells], err_msg=name)
        alone = bootstrap_cells(cells, [name], resamples=3)[name]
        np.testing.assert_allclose(drawn[name], alone, rtol=1e-12, err_msg=name)
    without, none = Bootstrap(np.arange(300), resamples=0).measure(cells, names)
    np.testing.assert_array_equal(without["error"], values["error"])
    assert none["error"].shape == (0, 3)


def test_cells_that_are_resampled_together_are_as_if_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = [_cell(300, seed) for seed in range(5)]
    cells[2] = {name: column[40:] for name, column in cells[2].items()}
    together = bootstrap_cells(cells, NAMES, resamples=9)
    monkeypatch.setattr(statistics, "_BATCH_ROWS", 600)
    some = bootstrap_cells(cells, NAMES, resamples=9)
    for name in NAMES:
        np.testing.assert_array_equal(together[name], some[name], err_msg=name)
