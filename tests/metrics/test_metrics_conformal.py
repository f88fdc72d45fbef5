"""Conformal sets class by class beside their definition, and beside MAPIE and TorchCP where these are installed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from robench.catalogue import METRICS
from robench.errors import RobenchError
from robench.evaluation.columns import logits_to_columns
from robench.metrics import compute
from robench.metrics.conformal import (
    METHODS,
    STRATA,
    Rule,
    below_one,
    published,
    set_sizes,
    stratum,
    target_scores,
    threshold,
    with_own_class,
)
from robench.metrics.probabilities import softmax

RULES = [Rule("lac"), Rule("aps"), Rule("raps", 0.01, 5), Rule("raps", 0.2, 1)]


def _columns(n: int, classes: int, seed: int, sharp: float = 2.0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    logits = torch.from_numpy((sharp * rng.normal(size=(n, classes))).astype(np.float32))
    p = softmax(logits.numpy())
    target = torch.from_numpy(np.array([rng.choice(classes, p=row / row.sum()) for row in p]))
    columns = {name: column.numpy() for name, column in logits_to_columns(logits, target).items()}
    return columns | {"target": target.numpy(), "logits": logits.numpy()}


def _scores_of_all(columns: dict[str, np.ndarray], rule: Rule) -> np.ndarray:
    """By the definition: a class's score is summed over the classes that are more probable."""
    p = softmax(columns["logits"])
    found = np.empty_like(p)
    for i, row in enumerate(p):
        for k in range(len(row)):
            rank = int((row > row[k]).sum())
            if rule.method == "lac":
                found[i, k] = 1 - row[k]
            else:
                found[i, k] = row[row > row[k]].sum() + row[k]
                if rule.method == "raps":
                    found[i, k] += rule.penalty * max(rank + 1 - rule.kreg, 0)
    return found


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_scores_and_sizes_are_those_of_the_definition(rule: Rule) -> None:
    columns = _columns(150, 12, 0)
    everything = _scores_of_all(columns, rule)
    own = target_scores(columns, rule)
    np.testing.assert_allclose(published(own, rule), everything[np.arange(150), columns["target"]], atol=1e-6)
    for limit in (-2.0, -0.7, -0.3, -0.1, -0.03, 0.2, 3.0, np.inf):
        np.testing.assert_array_equal(set_sizes(columns, rule, limit), (everything <= published(limit, rule)).sum(1))


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_sizes_without_logits_are_right_or_unknown(rule: Rule) -> None:
    columns = _columns(400, 12, 1, sharp=4.0)
    few = {name: column for name, column in columns.items() if name != "logits"}
    for limit in (-1.4, 0.4, 2.2) if rule.method == "lac" else (-0.8, -0.4, -0.1):  # scores of 0.2, 0.6 and 0.9
        known, exact = set_sizes(few, rule, limit), set_sizes(columns, rule, limit)
        told = np.isfinite(known)
        assert told.any()
        np.testing.assert_array_equal(known[told], exact[told])
        assert (exact[~told] >= 2).all()


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_coverage_is_what_was_promised(rule: Rule) -> None:
    held_out, tested = _columns(2000, 20, 2), _columns(4000, 20, 3)
    for alpha in (0.3, 0.1, 0.02):
        limit = threshold(target_scores(held_out, rule), alpha)
        covered = target_scores(tested, rule) <= limit
        assert covered.mean() == pytest.approx(1 - alpha, abs=4 * np.sqrt(alpha * (1 - alpha) * (1 / 2000 + 1 / 4000)))


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("logits", [True, False])
def test_sets_of_a_very_confident_model_keep_their_promise(rule: Rule, logits: bool) -> None:
    """Of most images float32 has the likelihood 1: they must not be tied, and their sets hold the class they cover."""
    rng = np.random.default_rng(6)
    z = rng.normal(size=(6000, 10)).astype(np.float32)
    target = rng.integers(0, 10, len(z))
    z[np.arange(len(z)), target] += rng.gamma(6, 5, len(z)).astype(np.float32)
    columns = {n: c.numpy() for n, c in logits_to_columns(torch.from_numpy(z), torch.from_numpy(target)).items()}
    assert (columns["nll"] == 0).mean() > 0.7
    columns |= {"logits": z} if logits else {}
    held_out, tested = ({name: column[rows] for name, column in columns.items()} for rows in
                        (slice(0, 2000), slice(2000, None)))  # fmt: skip
    for alpha in (0.05, 0.2, 0.4):
        limit = threshold(target_scores(held_out, rule), alpha)
        covered = target_scores(tested, rule) <= limit
        assert covered.mean() == pytest.approx(1 - alpha, abs=4 * np.sqrt(alpha * (1 - alpha) * (1 / 2000 + 1 / 4000)))
        sizes = with_own_class(set_sizes(tested, rule, limit), covered, tested["target_rank"])
        told = np.isfinite(sizes)
        assert rule.method != "lac" or told.all()
        np.testing.assert_array_equal((sizes > tested["target_rank"])[told], covered[told])
        if rule.method == "lac":
            np.testing.assert_array_equal(sizes, set_sizes(tested, rule, limit))


def test_thresholds_among_confident_errors_keep_their_promise() -> None:
    """Of a class with a probability below 1e-16 the score 1 - p rounds to 1: such classes must not be tied."""
    rng = np.random.default_rng(8)
    z = rng.normal(size=(6000, 10)).astype(np.float32)
    target, said = rng.integers(0, 10, len(z)), rng.integers(0, 10, len(z))
    z[np.arange(len(z)), said] += 45 + rng.gamma(6, 2, len(z)).astype(np.float32)
    columns = {n: c.numpy() for n, c in logits_to_columns(torch.from_numpy(z), torch.from_numpy(target)).items()}
    columns["logits"] = z
    held_out, tested = ({n: c[rows] for n, c in columns.items()} for rows in (slice(0, 2000), slice(2000, None)))
    limit = threshold(target_scores(held_out, Rule("lac")), 0.2)
    covered = target_scores(tested, Rule("lac")) <= limit
    assert covered.mean() == pytest.approx(0.8, abs=0.04)
    assert set_sizes(tested, Rule("lac"), limit).mean() < 8.5
    assert published(limit, Rule("lac")) == 1.0
    assert 0.0 < below_one(limit, Rule("lac")) < 1e-15


def test_equal_outputs_have_one_set() -> None:
    """A model that puts out the same for every image: all sets are equal, and cover as they hold the class."""
    logits = torch.zeros(200, 10)
    target = torch.arange(200) % 10
    columns = {name: column.numpy() for name, column in logits_to_columns(logits, target).items()}
    columns["logits"] = logits.numpy()
    limit = threshold(target_scores(columns, Rule("lac")), 0.1)
    covered = target_scores(columns, Rule("lac")) <= limit
    sizes = with_own_class(set_sizes(columns, Rule("lac"), limit), covered, columns["target_rank"])
    assert covered.mean() <= sizes.mean()
    np.testing.assert_array_equal(sizes > columns["target_rank"], covered)


def test_the_threshold_is_an_order_statistic() -> None:
    scores = np.random.default_rng(0).permutation(np.arange(1.0, 10.0))
    assert [threshold(scores, alpha) for alpha in (0.5, 0.3, 0.2, 0.1)] == [5, 7, 8, 9]
    assert threshold(scores, 0.05) == np.inf


def test_the_worst_stratum_is_found_among_those_with_enough_images() -> None:
    sizes = np.repeat([1, 3, 8, 2000], [50, 30, 5, 40])
    covered = np.concatenate([np.ones(45), np.zeros(5), np.ones(15), np.zeros(15), np.zeros(5), np.ones(40)])
    found = compute("size_stratified_coverage", {"covered": covered, "set_size": sizes})
    assert found == 0.5  # the five images with 8 classes do not count
    assert np.isnan(compute("size_stratified_coverage", {"covered": covered[:9], "set_size": sizes[:9]}))
    assert stratum([high for _, high in STRATA]).tolist() == list(range(len(STRATA)))


def test_no_result_carries_them_unasked() -> None:
    rows = [METRICS.get(name) for name in METRICS if METRICS.get(name).tasks == ("conformal",)]
    assert len(rows) == 3
    assert not any(row.default for row in rows)


@pytest.mark.parametrize(("scores", "alpha"), [([], 0.1), ([0.1], 0.0), ([0.1], 1.0), ([np.nan], 0.1)])
def test_impossible_thresholds_are_refused(scores: list[float], alpha: float) -> None:
    with pytest.raises(RobenchError, match="alpha in"):
        threshold(scores, alpha)


@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.25])
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_thresholds_and_sets_equal_torchcp(rule: Rule, alpha: float) -> None:
    """TorchCP 1.2.1, not randomised."""
    scores = pytest.importorskip("torchcp.classification.score", reason="TorchCP is not installed")
    metrics = pytest.importorskip("torchcp.classification.utils.metrics")
    common = pytest.importorskip("torchcp.utils.common")
    theirs = {
        "lac": lambda: scores.LAC(),
        "aps": lambda: scores.APS(randomized=False),
        "raps": lambda: scores.RAPS(randomized=False, penalty=rule.penalty, kreg=rule.kreg),
    }[rule.method]()
    held_out, tested = _columns(500, 30, 4), _columns(600, 30, 5)
    logits = [torch.from_numpy(c["logits"]).double() for c in (held_out, tested)]
    target = torch.from_numpy(tested["target"])
    limit = common.calculate_conformal_value(theirs(logits[0], torch.from_numpy(held_out["target"])), alpha)
    sets = theirs(logits[1]) <= limit
    own = threshold(target_scores(held_out, rule), alpha)
    assert float(published(own, rule)) == pytest.approx(float(limit), abs=1e-6)
    assert below_one(own, rule) == pytest.approx(1 - float(limit), abs=1e-6)
    sizes, covered = set_sizes(tested, rule, own), target_scores(tested, rule) <= own
    np.testing.assert_array_equal(sizes, sets.sum(1).numpy())
    assert covered.mean() == pytest.approx(metrics.METRICS_REGISTRY_CLASSIFICATION.get("coverage_rate")(sets, target))
    worst = compute("size_stratified_coverage", {"covered": covered, "set_size": sizes})
    if min(np.bincount(stratum(sizes))[np.unique(stratum(sizes))]) >= 20 and worst < 1 - alpha:
        assert metrics.SSCV(sets, target, alpha) >= 1 - alpha - worst - 1e-6


@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_lac_equals_mapie(alpha: float) -> None:
    mapie = pytest.importorskip("mapie.classification", reason="MAPIE is not installed")
    sizes_of = pytest.importorskip("mapie.metrics.classification")
    from sklearn.base import BaseEstimator, ClassifierMixin

    held_out, tested = _columns(500, 30, 4), _columns(600, 30, 5)

    class Given(ClassifierMixin, BaseEstimator):  # the "features" are the logits
        classes_ = np.arange(30)

        def fit(self, x: np.ndarray, y: np.ndarray) -> Given:
            return self

        def predict_proba(self, x: np.ndarray) -> np.ndarray:
            return softmax(x)

        def predict(self, x: np.ndarray) -> np.ndarray:
            return x.argmax(1)

        def __sklearn_is_fitted__(self) -> bool:
            return True

    conformal = mapie.SplitConformalClassifier(Given(), confidence_level=1 - alpha, conformity_score="lac", prefit=True)
    conformal.conformalize(held_out["logits"].astype(float), held_out["target"])
    sets = conformal.predict_set(tested["logits"].astype(float))[1][:, :, 0]
    own = threshold(target_scores(held_out, Rule("lac")), alpha)
    np.testing.assert_array_equal(set_sizes(tested, Rule("lac"), own), sets.sum(1))
    covered = target_scores(tested, Rule("lac")) <= own
    coverage = float(sizes_of.classification_coverage_score(tested["target"], sets[:, :, None])[0])
    assert covered.mean() == pytest.approx(coverage, abs=1e-6)
    assert METHODS == ("lac", "aps", "raps")
