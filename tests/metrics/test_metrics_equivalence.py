"""Better, worse, equivalent or undecided: against SciPy's tests, closed testing by brute force, and simulation."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import stats

from robench.metrics.comparison import holm
from robench.metrics.equivalence import adjusted, difference_p, equivalence_p, verdict


def test_the_two_one_sided_tests_are_those_of_scipy() -> None:
    rng = np.random.default_rng(0)
    draws = rng.normal(0.1, 1.0, 200_000)  # so many that t is normal
    error, margin = float(stats.sem(draws)), 0.104
    lower = stats.ttest_1samp(draws, -margin, alternative="greater").pvalue
    upper = stats.ttest_1samp(draws, margin, alternative="less").pvalue
    assert equivalence_p(float(draws.mean()), error, margin) == pytest.approx(max(lower, upper), rel=1e-3)
    assert difference_p(float(draws.mean()), error) == pytest.approx(stats.ttest_1samp(draws, 0.0).pvalue, rel=0.01)


@pytest.mark.parametrize(("value", "within"), [(0.0, True), (0.17, True), (0.18, False), (-0.18, False), (0.6, False)])
def test_equivalent_is_a_90_percent_interval_within_the_margin(value: float, within: bool) -> None:
    error, margin = 0.2, 0.5
    reach = stats.norm.ppf(0.95) * error
    assert bool(-margin < value - reach and value + reach < margin) is within
    assert (equivalence_p(value, error, margin) < 0.05) is within


def test_without_margins_it_is_holm() -> None:
    p = [0.02, 0.01, 0.5, 0.013]
    assert np.allclose(adjusted(p, [None] * 4)[0], holm(p))


def closed(p: dict[tuple[int, int], float], level: float) -> set[tuple[int, int]]:
    """Return the hypotheses that Bonferroni's closed test rejects, over all sets that can be true together."""
    values = sorted({i for i, _ in p})
    sets = [
        [(i, kind) for i, kind in zip(values, kinds, strict=True) if kind is not None and (i, kind) in p]
        for kinds in product((None, 0, 1), repeat=len(values))
    ]
    rejected = {tuple(one): min(p[h] for h in one) * len(one) <= level for one in sets if one}
    return {h for h in p if all(ok for one, ok in rejected.items() if h in one)}


def test_the_adjustment_rejects_no_more_than_the_closed_test_and_no_less_than_holm() -> None:
    rng = np.random.default_rng(1)
    more = 0
    for _ in range(300):
        p = rng.uniform(0, 0.08, (2, 3)) ** 1.5
        joint = {(i, kind): float(p[kind, i]) for i in range(3) for kind in (0, 1)}
        found = adjusted(p[0].tolist(), p[1].tolist())
        ours = {(i, kind) for i in range(3) for kind in (0, 1) if found[kind][i] <= 0.05}
        plain = holm(p.ravel()).reshape(2, 3)
        usual = {(i, kind) for i in range(3) for kind in (0, 1) if plain[kind, i] <= 0.05}
        assert usual <= ours <= closed(joint, 0.05)
        more += len(ours - usual)
    assert more > 0


def test_the_family_is_wrong_in_at_most_5_percent() -> None:
    rng = np.random.default_rng(2)
    truth, margin, error = np.array([0.0, 1.0, -1.0, 0.0, 3.0]), 1.0, 0.4  # at a null hypothesis each, but the last
    wrong = 0
    for _ in range(2000):
        value = truth + error * rng.normal(size=5)
        p = [difference_p(v, error) for v in value], [equivalence_p(v, error, margin) for v in value]
        difference, equivalence = adjusted(*p)
        wrong += bool((difference[[0, 3]] < 0.05).any() or (equivalence[[1, 2]] < 0.05).any())
    assert wrong / 2000 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 2000)


def test_verdicts_follow_the_direction_of_the_value() -> None:
    assert verdict(0.5, 0.001, 0.9, lower_is_better=True) == "worse"
    assert verdict(0.5, 0.001, 0.9, lower_is_better=False) == "better"
    assert verdict(0.5, 0.2, float("nan"), lower_is_better=True) == "undecided"
    assert verdict(0.1, 0.001, 0.001, lower_is_better=True) == "equivalent"
