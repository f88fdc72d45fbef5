"""Simultaneous intervals of all pairs, and ranks: against Tukey's and Bonferroni's, brute force and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from robench.errors import RobenchError
from robench.metrics.simultaneous import pairwise, ranks_of


def test_the_critical_value_of_independent_models_is_tukeys() -> None:
    draws = np.random.default_rng(0).normal(size=(40_000, 5))
    tukey = stats.studentized_range.ppf(0.95, 5, np.inf) / np.sqrt(2)
    assert pairwise(np.zeros(5), draws).critical == pytest.approx(tukey, rel=0.01)


def test_it_is_narrower_than_bonferroni_and_wider_than_one_interval() -> None:
    common = np.random.default_rng(1).normal(size=(20_000, 1))
    draws = common + 0.3 * np.random.default_rng(2).normal(size=(20_000, 4))
    found = pairwise(draws.mean(axis=0), draws)
    assert stats.norm.ppf(0.975) < found.critical < stats.norm.ppf(1 - 0.025 / 6)
    reach = (found.high - found.low)[0, 1] / 2
    assert reach == pytest.approx(found.critical * 0.3 * np.sqrt(2), rel=0.02)
    assert np.allclose(found.low, -found.high.T)


def test_all_intervals_and_ranks_hold_together_in_95_percent() -> None:
    rng = np.random.default_rng(3)
    truth, images, held, ranked, trials = np.array([0.3, 0.3, 0.32, 0.45]), 300, 0, 0, 400
    for _ in range(trials):
        hard = rng.normal(size=(images, 1))
        wrong = (np.sqrt(0.5) * hard + np.sqrt(0.5) * rng.normal(size=(images, 4))) < stats.norm.ppf(truth)
        weights = rng.multinomial(images, np.full(images, 1 / images), size=300)
        found = pairwise(wrong.mean(axis=0), weights @ wrong / images)
        differences = truth[:, None] - truth[None, :]
        held += bool(((found.low <= differences) & (differences <= found.high)).all())
        best, worst = ranks_of(found)
        # equal models may stand in either order
        ranked += bool((best <= [2, 2, 3, 4]).all() and (worst >= [1, 1, 3, 4]).all())
    assert held / trials > 0.95 - 3 * np.sqrt(0.05 * 0.95 / trials)
    assert ranked >= held


def test_ranks_count_who_is_surely_better_and_worse() -> None:
    draws = np.random.default_rng(4).normal([1.0, 1.1, 5.0, 9.0], 0.5, (3000, 4))
    found = pairwise([1.0, 1.1, 5.0, 9.0], draws)
    best, worst = ranks_of(found)
    assert best.tolist() == [1, 1, 3, 4]
    assert worst.tolist() == [2, 2, 3, 4]
    best, worst = ranks_of(found, higher_is_better=True)
    assert best.tolist() == [3, 3, 2, 1]
    assert worst.tolist() == [4, 4, 2, 1]


def test_equal_models_get_the_least_error_that_is_given() -> None:
    draws = np.repeat(np.random.default_rng(5).normal(size=(500, 1)), 2, axis=1)
    found = pairwise([0.0, 0.0], draws, least=np.full((2, 2), 0.1))
    assert found.low[0, 1] <= 0.0 <= found.high[0, 1]
    assert ranks_of(found)[1].tolist() == [2, 2]


@pytest.mark.parametrize(("values", "shape"), [([1.0], (10, 1)), ([1.0, 2.0], (10, 3)), ([[1.0, 2.0]], (10, 2))])
def test_other_shapes_are_refused(values: list[float], shape: tuple[int, int]) -> None:
    with pytest.raises(RobenchError, match="same two or more models"):
        pairwise(values, np.zeros(shape))


def test_models_that_all_answer_alike_are_known_as_far_as_one_difference_is() -> None:
    found = pairwise([0.2, 0.2, 0.2], np.full((200, 3), 0.2), least=np.full((3, 3), 0.01))
    assert found.high[0, 1] == pytest.approx(1.96 * 0.01, rel=1e-4)
    assert found.low[0, 1] == -found.high[0, 1]
