"""Critical values at successive looks: against published ones, SciPy's multivariate normal, and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from robench.metrics.sequential import Spending, critical_values, planned_error


def test_they_are_the_published_ones_of_lan_and_demets() -> None:
    """Five and four evenly spaced looks at 2.5 %, as tables of group-sequential designs print them."""
    found = critical_values([0.2, 0.4, 0.6, 0.8, 1.0], Spending(0.025, reserve=0.0))
    assert np.allclose(found, [4.877, 3.357, 2.680, 2.290, 2.031], atol=0.001)
    found = critical_values([0.25, 0.5, 0.75, 1.0], Spending(0.025, reserve=0.0))
    assert np.allclose(found, [4.333, 2.963, 2.359, 2.014], atol=0.001)


@pytest.mark.parametrize("times", [[0.3, 0.8, 1.0], [0.5, 1.0, 2.5], [0.2, 0.21, 1.4]])
def test_what_is_spent_is_the_probability_of_crossing(times: list[float]) -> None:
    spending = Spending(0.05)
    found = critical_values(times, spending)
    covariance = np.array([[min(a, b) / np.sqrt(a * b) for b in times] for a in times])
    for looks in (1, 2, 3):
        normal = stats.multivariate_normal(cov=covariance[:looks, :looks], abseps=1e-6, seed=0)
        crossed = 1.0 - normal.cdf(np.array(found[:looks]))
        assert crossed == pytest.approx(spending.spent(times[looks - 1]), abs=3e-5)


def test_the_last_look_spends_what_is_left() -> None:
    found = critical_values([0.3, 0.7], Spending(0.05), last=True)
    correlation = np.sqrt(0.3 / 0.7)
    crossed = 1.0 - stats.multivariate_normal(cov=[[1, correlation], [correlation, 1]]).cdf(found)
    assert crossed == pytest.approx(0.05, abs=1e-5)
    assert critical_values([0.4], Spending(0.05), last=True)[0] == pytest.approx(stats.norm.isf(0.05), abs=1e-6)


def test_looks_of_noisy_information_keep_the_error_rate() -> None:
    rng = np.random.default_rng(0)
    trials, looks = 4000, np.array([0.1, 0.25, 0.5, 0.75, 1.0, 1.6, 2.5])
    critical = critical_values(looks.tolist(), Spending(0.05), last=True)
    steps = np.sqrt(np.diff(looks, prepend=0.0))
    path = (rng.normal(size=(trials, len(looks))) * steps).cumsum(axis=1) / np.sqrt(looks)
    crossed = float((path > critical).any(axis=1).mean())
    assert abs(crossed - 0.05) < 3 * np.sqrt(0.05 * 0.95 / trials)
    naive = float((path > stats.norm.isf(0.05)).any(axis=1).mean())
    assert naive > 0.12  # which is why


def test_information_that_does_not_rise_is_taken_as_rising() -> None:
    found = critical_values([0.5, 0.45, 0.6], Spending(0.05))
    assert len(found) == 3
    assert found[1] > found[2] > 0


def test_the_planned_error_has_the_power_it_says() -> None:
    error = planned_error(1.0, level=0.05, power=0.9)
    assert stats.norm.sf(stats.norm.isf(0.05) - 1.0 / error) == pytest.approx(0.9)
