"""The sampling design and its standard errors beside brute force: all permutations of few images, many of more."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from robench.errors import RobenchError
from robench.metrics.corruption import Baseline, mean_corruption_error
from robench.metrics.sampling import (
    Design,
    Estimate,
    design,
    enough,
    estimate,
    mean_correlation,
    mean_weights,
    next_size,
    ratio_weights,
)

CELLS, IMAGES = 12, 1500


def _pool(seed: int = 0, images: int = IMAGES, classes: int = 15) -> tuple[np.ndarray, np.ndarray]:
    """Wrong answers (cells, images), hard images hard in every cell, some classes harder; and the classes."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, images)
    hard = rng.normal(size=images) + 0.8 * np.random.default_rng(99).normal(size=classes)[labels]
    level = np.linspace(-1.2, 0.6, CELLS)[:, None]
    return (hard + rng.normal(size=(CELLS, images)) + level > 0).astype(float), labels


def _samples(one: Design, wrong: np.ndarray, size: int) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(rows := one.rows(cell, size), wrong[cell, rows]) for cell in range(len(wrong))]


def _shares(held: np.ndarray) -> float:
    return float(np.mean(held))


def test_a_larger_sample_begins_with_the_smaller_one() -> None:
    one = design(200, 7, key="data")
    np.testing.assert_array_equal(one.rows(3, 90)[:40], one.rows(3, 40))
    np.testing.assert_array_equal(np.concatenate([one.rows(3, 40), one.rows(3, 90, start=40)]), one.rows(3, 90))
    assert sorted(one.rows(3, 200).tolist()) == list(range(200))


def test_it_hangs_on_the_data_and_the_seed_alone() -> None:
    first, again = design(500, 4, key="a"), design(500, 4, key="a")
    np.testing.assert_array_equal(first.order, again.order)
    assert (design(500, 4, key="b").order != first.order).any()
    assert (design(500, 4, key="a", seed=1).order != first.order).any()
    assert design(8, 2, key="digits").order.tolist() == [0, 5, 4, 1, 6, 7, 2, 3]  # must never change: runs are extended


@pytest.mark.parametrize(("cells", "size"), [(75, 13), (75, 40), (7, 100), (1, 50), (95, 11)])
def test_images_are_used_equally_often(cells: int, size: int) -> None:
    one = design(1000, cells, key="data")
    used = np.bincount(np.concatenate([one.rows(cell, size) for cell in range(cells)]), minlength=1000)
    assert used.max() - used.min() <= 2
    if cells * size <= 1000:
        assert used.max() == 1


def test_every_stretch_has_the_classes_in_their_shares() -> None:
    labels = np.repeat([0, 1, 2, 3], [400, 300, 200, 100])
    one = design(1000, 10, key="data", classes=labels)
    for cell in range(10):
        for size in (10, 57, 300):
            counts = np.bincount(labels[one.rows(cell, size)], minlength=4)
            assert np.abs(counts - size * np.array([0.4, 0.3, 0.2, 0.1])).max() <= 2
    assert (np.diff(one.rows(0, 50)) != 1).any()


def test_no_class_stands_at_the_same_places_for_every_seed() -> None:
    """Every image is as likely as any other to be in a cell's sample."""
    labels = np.arange(30) % 3
    counts = np.zeros(30)
    for seed in range(600):
        counts[design(30, 2, key="data", seed=seed, classes=labels).rows(1, 10)] += 1
    assert np.abs(counts / 600 - 1 / 3).max() < 0.08


def test_the_variance_over_all_permutations_is_the_formula() -> None:
    rng = np.random.default_rng(0)
    values, a = rng.random((3, 6)), np.array([0.2, 0.5, 0.3])
    found = [
        sum(a[c] * values[c, Design(np.array(order), 3).rows(c, 3)].mean() for c in range(3))
        for order in permutations(range(6))
    ]
    one = Design(np.arange(6), 3)
    taken = np.array([np.isin(np.arange(6), one.rows(c, 3)) for c in range(3)]).astype(float)
    formula = a @ (np.cov(values) * (taken @ taken.T / 9 - 1 / 6)) @ a
    assert np.var(found) == pytest.approx(formula)
    assert np.mean(found) == pytest.approx(a @ values.mean(axis=1))


def test_the_whole_has_its_value_and_no_error() -> None:
    wrong, labels = _pool()
    for classes in (None, labels):
        one = design(IMAGES, CELLS, key="data", classes=classes)
        found = estimate(_samples(one, wrong, IMAGES), mean_weights(CELLS), IMAGES, classes=classes)
        assert found.value == pytest.approx(wrong.mean())
        assert found.full_error == pytest.approx(0, abs=1e-9)
        image = wrong.mean(axis=0)
        assert found.population_error == pytest.approx(image.std(ddof=1) / np.sqrt(IMAGES))


@pytest.mark.parametrize("size", [60, 150, 600, 1400])
@pytest.mark.parametrize("stratified", [False, True])
def test_intervals_hold_the_full_runs_value(size: int, stratified: bool) -> None:
    wrong, labels = _pool()
    classes = labels if stratified else None
    known = mean_correlation(wrong)
    truth, held, values, errors = wrong.mean(), [], [], []
    for seed in range(400):
        one = design(IMAGES, CELLS, key="data", seed=seed, classes=classes)
        samples = _samples(one, wrong, size)
        found = estimate(samples, mean_weights(CELLS), IMAGES, classes=classes, correlation=known)
        low, high = found.interval()
        held.append(low <= truth <= high)
        values.append(found.value)
        errors.append(found.full_error)
    assert np.mean(values) == pytest.approx(truth, abs=4 * np.std(values) / 20)
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.15)
    assert 0.92 <= np.mean(held) <= 0.98  # 95 % but for chance: three standard deviations of 400


def test_without_images_in_common_the_interval_is_cautious() -> None:
    wrong, _ = _pool()
    one = design(IMAGES, CELLS, key="data")
    samples = _samples(one, wrong, IMAGES // CELLS)
    cautious = estimate(samples, mean_weights(CELLS), IMAGES)
    found = estimate(samples, mean_weights(CELLS), IMAGES, correlation=mean_correlation(wrong))
    assert cautious.full_error == pytest.approx(cautious.population_error, rel=0.1)
    assert found.full_error < 0.9 * cautious.full_error
    assert found.population_error == cautious.population_error


def test_the_population_interval_holds_what_new_images_would_give() -> None:
    truth, held = np.mean([_pool(seed, 20_000)[0].mean() for seed in range(1000, 1020)]), []
    for seed in range(400):
        wrong, _ = _pool(seed, 800)
        found = estimate(_samples(design(800, CELLS, key="data"), wrong, 200), mean_weights(CELLS), 800)
        low, high = found.interval(full=False)
        held.append(low <= truth <= high)
        assert found.population_error > found.full_error
    assert 0.92 <= np.mean(held) <= 0.98


def test_images_of_their_own_make_cells_worth_many_times_the_same_ones() -> None:
    wrong, _ = _pool()
    one = design(IMAGES, CELLS, key="data")
    own = estimate(_samples(one, wrong, 120), mean_weights(CELLS), IMAGES)
    rows = one.rows(0, 120)
    same = estimate([(rows, wrong[c, rows]) for c in range(CELLS)], mean_weights(CELLS), IMAGES)
    assert same.full_error > 1.8 * own.full_error


def test_ratio_weights_are_those_of_mce() -> None:
    error = np.random.default_rng(0).random((3, 5))
    means = {"fog": 0.8, "snow": 0.9, "frost": 0.7}
    weights = ratio_weights(np.repeat([0, 1, 2], 5), list(means.values()))
    expected = mean_corruption_error(error, Baseline("own", means, None, ""), tuple(means))
    assert weights @ error.ravel() == pytest.approx(expected)


def test_a_ratios_interval_holds_its_full_value() -> None:
    wrong, _ = _pool()
    weights = ratio_weights(np.repeat(np.arange(4), 3), [0.3, 0.5, 0.6, 0.8])
    truth, held = weights @ wrong.mean(axis=1), []
    for seed in range(300):
        found = estimate(_samples(design(IMAGES, CELLS, key="d", seed=seed), wrong, 150), weights, IMAGES)
        held.append(found.interval()[0] <= truth <= found.interval()[1])
    assert 0.91 <= _shares(np.array(held)) <= 0.985


def test_a_paired_difference_is_narrower_than_either() -> None:
    wrong, _ = _pool()
    other = np.where(np.random.default_rng(1).random(wrong.shape) < 0.95, wrong, 1 - wrong)
    one = design(IMAGES, CELLS, key="data")
    single = estimate(_samples(one, wrong, 200), mean_weights(CELLS), IMAGES)
    paired = estimate(_samples(one, wrong - other, 200), mean_weights(CELLS), IMAGES)
    assert paired.full_error < 0.8 * single.full_error


@pytest.mark.parametrize("within", [0.03, 0.015])
def test_stopping_at_a_width_keeps_the_coverage(within: float) -> None:
    wrong, _ = _pool()
    truth, held, used = wrong.mean(), [], []
    for seed in range(400):
        one, size = design(IMAGES, CELLS, key="data", seed=seed), 50
        while True:
            found = estimate(_samples(one, wrong, size), mean_weights(CELLS), IMAGES)
            if enough(found, within, [size] * CELLS, IMAGES):
                break
            size = next_size(found, within, size, IMAGES)
        assert found.half_width() <= within
        held.append(found.interval()[0] <= truth <= found.interval()[1])
        used.append(size)
    assert 0.92 <= np.mean(held) <= 0.98
    assert np.mean(used) < IMAGES / 2


def test_a_sample_without_errors_is_not_enough_and_the_whole_always_is() -> None:
    wrong = np.zeros((CELLS, IMAGES))
    found = estimate(_samples(design(IMAGES, CELLS, key="d"), wrong, 100), mean_weights(CELLS), IMAGES)
    assert (found.value, found.full_error, found.events) == (0.0, 0.0, 0)
    assert not enough(found, 0.01, [100] * CELLS, IMAGES)
    assert enough(found, 0.0, [IMAGES] * CELLS, IMAGES)
    assert not enough(Estimate(0.3, 1e-6, 1e-6, 500), 0.01, [49] * CELLS, IMAGES)


def test_the_next_size_grows_and_ends_at_the_whole() -> None:
    assert next_size(Estimate(0.3, 0.01, 0.01, 99), 0.0, 900, 1000) == 1000
    assert next_size(Estimate(0.3, 0.0, 0.0, 0), 0.01, 100, 1000) == 101
    assert next_size(Estimate(0.3, 0.05, 0.05, 99), 0.01, 100, 10_000) == 200


@pytest.mark.parametrize(
    "call",
    [
        lambda: design(0, 3, key="d"),
        lambda: design(5, 3, key="d", classes=[0, 1]),
        lambda: design(5, 3, key="d").rows(3, 2),
        lambda: design(5, 3, key="d").rows(0, 6),
        lambda: estimate([(np.array([0]), [1.0])], [1.0], 5),
    ],
)
def test_what_cannot_be_is_refused(call: object) -> None:
    with pytest.raises(RobenchError):
        call()  # type: ignore[operator]
