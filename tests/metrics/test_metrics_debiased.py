"""Debiased calibration errors beside brute force, and by simulation: little bias, intervals that hold the truth."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise, permutations

import numpy as np
import pytest
from scipy.stats import norm

from robench.metrics import debiased
from robench.metrics.calibration import ece
from robench.metrics.cells import compute, kernel, mean_over_cells
from robench.metrics.influence import per_image_values
from robench.metrics.statistics import bootstrap_cells, centred_interval, draw_weights
from robench.metrics.weighted import Binned

NAMES = ("ece_debiased", "rms_calibration_error_debiased")


def _draw(n: int, rng: np.random.Generator, shift: float = 0.08) -> tuple[np.ndarray, np.ndarray]:
    """Confidences spread over (0, 1) that are too high by ``shift`` in the middle and right at the ends."""
    confidence = rng.beta(2, 1.3, n)
    return confidence, rng.random(n) < confidence - 4 * shift * confidence * (1 - confidence)


def _cell(confidence: np.ndarray, correct: np.ndarray) -> dict[str, np.ndarray]:
    n = len(correct)
    return {"index": np.arange(n), "confidence": confidence, "predicted": correct.astype(int), "target": np.ones(n)}


def _truth(shift: float = 0.08) -> tuple[float, float]:
    confidence, _ = _draw(300_000, np.random.default_rng(9))
    gap = 4 * shift * confidence * (1 - confidence)
    index = np.minimum((confidence * 15).astype(int), 14)
    l1 = np.abs(np.bincount(index, weights=gap)).sum() / len(gap)
    parts = np.array_split(gap[np.argsort(confidence)], 15)
    return float(l1), float(np.sqrt(np.mean([part.mean() ** 2 for part in parts])))


def test_the_mean_square_is_that_of_all_pairs_of_different_images() -> None:
    confidence, correct = _draw(47, np.random.default_rng(0))
    gap = confidence - correct
    total = 0.0
    edges = np.linspace(0, 47, 16).astype(int)
    order = np.argsort(confidence)
    for start, stop in pairwise(edges):
        part = gap[order[start:stop]]
        products = [part[i] * part[j] for i, j in permutations(range(len(part)), 2)]
        total += len(part) * np.mean(products)
    found = debiased.rms_calibration_error_debiased(confidence, correct)
    assert found * abs(found) == pytest.approx(total / 47)


def test_a_constant_confidence_is_one_bin() -> None:
    confidence, correct = np.full(1000, 0.9), np.arange(1000) % 5 != 0
    assert debiased.ece_debiased(confidence, correct) == pytest.approx(0.1)
    variance = np.var(confidence - correct, ddof=1) / 1000
    assert debiased.rms_calibration_error_debiased(confidence, correct) == pytest.approx(np.sqrt(0.01 - variance))


@pytest.mark.parametrize(
    ("gap", "moved"), [(0.0, -1.3), (0.5, -0.7993), (1.0, 0.0230), (1.6, 0.3020), (2.0, 0.1756), (3.0, -0.0013), (9, 0)]
)
def test_a_gap_is_moved_by_a_part_of_its_standard_error(gap: float, moved: int) -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(size=400)
    noise = (noise - noise.mean()) / noise.std(ddof=1)
    values = 0.02 * noise + gap * 0.02 / np.sqrt(400)
    sums = np.array([[values.sum(), (values**2).sum(), 400.0]])
    assert debiased.ECE_DEBIASED.of_sums([sums]) == pytest.approx((gap + moved) * 0.001, abs=1e-7)


def test_the_bias_of_a_bins_size_is_what_the_page_says() -> None:
    """Of a normal gap, in its standard errors: -0.10 to 0.31, where that of the plain size is up to 0.80."""
    z = np.linspace(-12, 12, 24_001)
    images = 1e6  # so that the spread of the gap does not depend on the gap itself
    gaps, squares = z * np.sqrt(images), np.full(len(z), images) + z**2
    sums = np.stack([gaps, squares, np.full(len(z), images)], axis=-1)[:, None, :]
    size = debiased.ECE_DEBIASED.final(sums) * np.sqrt(images)
    truths = np.linspace(0, 6, 61)
    density = norm.pdf(z - truths[:, None]) * (z[1] - z[0])
    bias = density @ size - truths
    assert (bias.min(), bias.max()) == pytest.approx((-0.10, 0.31), abs=0.005)
    assert (density @ np.abs(z) - truths).max() == pytest.approx(0.80, abs=0.005)


def test_squared_steepness_is_the_variance_of_a_size_and_its_mean_the_slope() -> None:
    """On average over a normal gap: the variance at most 0.1 less and 0.4 more, the slope at most 0.16 off."""
    z, truths = np.linspace(-12, 12, 24_001), np.linspace(0, 5, 51)
    density = norm.pdf(z - truths[:, None]) * (z[1] - z[0])
    size, steep = debiased._sizes(z, np.ones(len(z))), debiased._steepness(z, np.ones(len(z)))
    variance = density @ size**2 - (density @ size) ** 2
    slope = np.gradient(density @ size, truths)
    more = density @ steep**2 - variance
    assert more.min() > -0.1
    assert more.max() < 0.4
    assert np.abs(density @ steep - slope)[1:-1].max() < 0.16


def test_bins_of_few_images_are_joined_from_below() -> None:
    confidence = np.concatenate([np.full(n, (k + 0.5) / 15) for k, n in ((0, 10), (1, 29), (2, 5), (6, 40), (9, 39))])
    index = debiased.joined_bins(confidence, 15)
    assert [set(index[confidence == value].tolist()) for value in np.unique(confidence)] == [{0}, {0}, {0}, {1}, {1}]
    assert set(debiased.joined_bins(confidence[:20], 15)) == {0}


def test_equal_counts_are_cut_behind_images_of_equal_confidence() -> None:
    confidence = np.array([0.1, 0.2, 0.2, 0.2, 0.3, 0.9])
    assert debiased.equal_count_index(confidence, 3).tolist() == [0, 0, 0, 0, 1, 1]
    assert debiased.equal_count_index(np.empty(0), 3).tolist() == []


def test_with_many_images_it_is_the_ece() -> None:
    confidence, correct = _draw(400_000, np.random.default_rng(1))
    assert debiased.ece_debiased(confidence, correct) == pytest.approx(ece(confidence, correct), abs=3e-4)


@pytest.mark.parametrize("function", [debiased.ece_debiased, debiased.rms_calibration_error_debiased])
def test_no_image_is_nan_and_few_are_not_refused(function: Callable[..., float]) -> None:
    confidence, correct = _draw(30, np.random.default_rng(2))
    assert np.isnan(function(confidence[:0], correct[:0]))
    for n in (1, 2, 30):
        assert np.isfinite(function(confidence[:n], correct[:n]))


@pytest.mark.parametrize("name", NAMES)
def test_results_have_them_from_as_many_images_as_were_shown_to_do(name: str) -> None:
    confidence, correct = _draw(200, np.random.default_rng(2))
    assert np.isfinite(compute(name, _cell(confidence, correct)))
    assert np.isnan(compute(name, _cell(confidence[:199], correct[:199])))


@pytest.mark.parametrize("size", [200, 1000])
def test_the_bias_is_a_fraction_of_the_plain_estimators(size: int) -> None:
    rng, (l1, l2) = np.random.default_rng(3), _truth()
    found = []
    for _ in range(300):
        confidence, correct = _draw(size, rng)
        plain, less = ece(confidence, correct), debiased.ece_debiased(confidence, correct)
        found.append((plain, less, debiased.rms_calibration_error_debiased(confidence, correct)))
    plain, less, rms = np.array(found).T
    assert abs(less.mean() - l1) < 0.4 * (plain.mean() - l1)
    square = (rms * np.abs(rms)).mean()
    assert square == pytest.approx(l2**2, abs=3 * (rms * np.abs(rms)).std() / np.sqrt(300))


@pytest.mark.parametrize("name", NAMES)
def test_per_image_values_are_of_the_metric_and_warn_of_nothing(name: str, recwarn: pytest.WarningsRecorder) -> None:
    """Bins of one image, and of none, are among them."""
    confidence = np.concatenate([np.full(229, 0.9), [0.05], np.linspace(0.3, 0.8, 30)])
    cell = _cell(confidence, np.arange(260) % 3 > 0)
    found = per_image_values(name, cell)
    assert found is not None
    assert found.values.mean() == pytest.approx(compute(name, cell))
    assert found.values.std() > 0
    drawn = bootstrap_cells([cell], (name,), resamples=400)[name][:, 0]
    assert drawn.std() == pytest.approx(found.values.std() / np.sqrt(260), rel=0.15)
    assert not recwarn.list


def test_a_perfect_model_has_a_mean_square_around_zero() -> None:
    rng = np.random.default_rng(4)
    found = np.array([debiased.rms_calibration_error_debiased(*_draw(300, rng, shift=0.0)) for _ in range(200)])
    assert (found < 0).mean() == pytest.approx(0.5, abs=0.12)


SHIFTS = np.linspace(-0.05, 0.2, 12)  # of cells, as a suite's differ


@pytest.mark.parametrize("name", NAMES)
def test_intervals_of_means_over_cells_hold_the_truth(name: str) -> None:
    """80 samples of 12 cells of 400 images each: the plain ECE's intervals hold it never, these nearly always."""
    rng = np.random.default_rng(5)
    truths = np.array([_truth(shift) for shift in SHIFTS])[:, NAMES.index(name)]
    truth, held = mean_over_cells(name, truths), []
    for seed in range(80):
        cells = [_cell(*_draw(400, rng, shift)) for shift in SHIFTS]
        cells = [cell | {"index": cell["index"] + 400 * k} for k, cell in enumerate(cells)]  # images of their own
        drawn = mean_over_cells(name, bootstrap_cells(cells, (name,), resamples=200, seed=seed)[name])
        low, high = centred_interval(float(mean_over_cells(name, [compute(name, cell) for cell in cells])), drawn)
        held.append(low <= truth <= high)
    assert np.mean(held) >= 0.87  # 95 % but for chance (two standard deviations: 5 points) and 200 resamples


def test_replicates_lie_around_the_value_and_not_around_the_plain_error() -> None:
    cell = _cell(*_draw(400, np.random.default_rng(6), shift=0.2))
    for name in NAMES:
        value, drawn = compute(name, cell), bootstrap_cells([cell], (name,), resamples=500)[name][:, 0]
        if name.startswith("rms"):
            value, drawn = value * abs(value), drawn * np.abs(drawn)
        assert drawn.mean() == pytest.approx(value, abs=0.4 * drawn.std())


@pytest.mark.parametrize("name", NAMES)
def test_replicates_are_linear_in_the_sums_within_bins(name: str) -> None:
    """One number per image gives what the slopes times the changes of all bins' sums give."""
    cell = _cell(*_draw(400, np.random.default_rng(8), shift=0.1))
    (feature,), linear = kernel(name).features, kernel(name).linear
    own = feature(cell).total()
    expected = []
    for drawn in draw_weights(np.random.Generator(np.random.PCG64(9)), 30, 400):
        part = feature(cell)
        sums = Binned(part.values * drawn, part.index, part.bins).total()
        change = ((sums - own) * linear.slopes([own])[0]).sum()
        expected.append(linear.link(linear.start(own) + change))
    found = bootstrap_cells([cell], (name,), resamples=30, seed=9)[name][:, 0]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert np.std(found) > 0


def test_squared_slopes_of_the_mean_square_are_on_average_near_its_variance() -> None:
    """Of 15 bins of normal gaps: at most half as much again, where the derivative's own are up to twice as large."""
    rng, images = np.random.default_rng(7), 40
    for gaps in (0.0, 0.3, 1.0):  # in standard errors
        values, spreads = [], []
        for _ in range(600):
            rows = rng.normal(gaps / np.sqrt(images), 1.0, (15, images))
            sums = np.stack([rows.sum(1), (rows**2).sum(1), np.full(15, float(images))], axis=-1)
            slope = debiased._mean_square_slopes(sums)
            added = slope[:, :1] * rows + slope[:, 2:]
            assert added.sum() == pytest.approx(0.0, abs=1e-9)
            values.append(float(debiased._mean_square(sums)))
            spreads.append((added**2).sum())
        most = 1.0 + 0.5 / (2.0 * gaps**2 + 1.0)  # (4 g^2 + 4 - 2 / 2) / (4 g^2 + 2), in squared standard errors
        assert np.mean(spreads) / np.var(values) == pytest.approx(most, rel=0.15)


def test_rms_errors_are_averaged_by_their_squares() -> None:
    values = np.array([[0.3, -0.1, 0.2], [-0.3, 0.1, 0.0]])
    squares = np.array([0.09 - 0.01 + 0.04, -0.09 + 0.01]) / 3
    expected = np.sign(squares) * np.sqrt(np.abs(squares))
    np.testing.assert_allclose(mean_over_cells("rms_calibration_error_debiased", values), expected)
    np.testing.assert_allclose(mean_over_cells("ece", values), values.mean(axis=1))
