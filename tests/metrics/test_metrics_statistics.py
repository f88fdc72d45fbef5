"""The paired bootstrap beside the plain one, and tests of differences beside scipy and statsmodels' formulas."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, chi2

from robench.metrics.comparison import holm, mcnemar, rank_intervals
from robench.metrics.statistics import bootstrap_cells, draw_weights, interval
from robench.metrics.table import METRICS

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
                expected = METRICS[name].compute(drawn)
                assert found[name][b, i] == pytest.approx(expected, rel=1e-6, abs=1e-9), name


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
    rate = METRICS["error"].compute(cell)
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
