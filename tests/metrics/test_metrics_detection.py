"""Detection of errors and outliers and selective prediction beside scikit-learn and beside their definitions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.metrics import auc, precision_recall_curve, roc_auc_score, roc_curve

from robench.catalogue import METRICS, defaults, detection_rows
from robench.errors import RobenchError
from robench.metrics import area_under_generalised_risk_coverage, compute, detection_scores, selective_error
from robench.metrics.detection import COVERAGES, KERNELS, SCORES
from robench.metrics.probabilities import log_complement

CASES = [(n, digits, share) for n, digits in ((40, 0), (300, 1), (2000, 5)) for share in (0.1, 0.5, 0.9)]


def _case(n: int, digits: int, share: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(n)
    positive = rng.random(n) < share
    return (rng.normal(size=n) + positive).round(digits), positive


@pytest.mark.parametrize(("n", "digits", "share"), CASES)
def test_detection_equals_scikit_learn(n: int, digits: int, share: float) -> None:
    score, positive = _case(n, digits, share)
    found = detection_scores(score, positive)
    fpr, tpr, _ = roc_curve(positive, score, drop_intermediate=False)
    expected = {"auroc": roc_auc_score(positive, score), "fpr95": fpr[np.argmax(tpr >= 0.95)]}
    for name, sign, wanted in (("aupr", 1, positive), ("aupr_negative", -1, ~positive)):
        precision, recall, _ = precision_recall_curve(wanted, sign * score)
        expected[name] = auc(recall, precision)
    assert found == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("n", "digits", "share"), CASES)
def test_detection_equals_pytorch_ood(n: int, digits: int, share: float) -> None:
    ood = pytest.importorskip("pytorch_ood.metrics", reason="pytorch-ood is not installed")
    import torch

    score, positive = _case(n, digits, share)
    metrics = ood.OODMetrics()
    metrics.update(torch.from_numpy(score), torch.where(torch.from_numpy(positive), -1, 0))
    theirs = {name: float(value) for name, value in metrics.compute().items()}
    found = detection_scores(score, positive)
    keys = {"auroc": "AUROC", "fpr95": "FPR95TPR", "aupr": "AUPR-OUT", "aupr_negative": "AUPR-IN"}
    assert found == pytest.approx({name: theirs[key] for name, key in keys.items()}, abs=1e-6)


@pytest.mark.parametrize(("n", "digits", "share"), CASES)
def test_augrc_is_the_area_under_accepted_errors(n: int, digits: int, share: float) -> None:
    """The trapezoid over thresholds, and the closed form of Traub et al. 2024."""
    confidence, correct = _case(n, digits, share)
    found = area_under_generalised_risk_coverage(confidence, correct)
    thresholds = np.unique(confidence)[::-1]
    coverage = [0.0, *((confidence >= t).mean() for t in thresholds)]
    accepted = [0.0, *(((confidence >= t) & ~correct).mean() for t in thresholds)]
    assert found == pytest.approx(np.trapezoid(accepted, coverage), abs=1e-12)
    error = 1 - correct.mean()
    closed = (1 - roc_auc_score(correct, confidence)) * error * (1 - error) + error**2 / 2
    assert found == pytest.approx(closed, abs=1e-12)


def test_selective_error_is_the_mean_over_orders_of_ties() -> None:
    rng = np.random.default_rng(0)
    confidence, correct = rng.random(60).round(1), rng.random(60) < 0.7
    for coverage in (0.1, 0.5, 0.9, 1.0):
        k = int(np.ceil(coverage * 60))
        drawn = []
        for _ in range(4000):
            shuffled = rng.permutation(60)
            first = shuffled[np.argsort(-confidence[shuffled], kind="stable")][:k]
            drawn.append(1 - correct[first].mean())
        assert selective_error(confidence, correct, coverage) == pytest.approx(np.mean(drawn), abs=0.01)
    assert selective_error(confidence, correct, 1.0) == pytest.approx(1 - correct.mean())


def test_every_score_is_what_its_name_says() -> None:
    """The five scores of the table's columns order images as those of the logits do."""
    rng = np.random.default_rng(1)
    logits = 3 * rng.normal(size=(200, 7))
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    ordered, ranked = np.sort(logits, 1)[:, ::-1], np.sort(p, 1)[:, ::-1]
    columns = {
        "confidence": ranked[:, 0], "log_complement": np.log(ranked[:, 1:].sum(1)), "max_logit": ordered[:, 0],
        "second_logit": ordered[:, 1], "logsumexp": np.log(np.exp(logits).sum(1)),
        "entropy": -(p * np.log(p)).sum(1), "predicted": logits.argmax(1), "target": rng.integers(0, 7, 200),
    }  # fmt: skip
    wrong = columns["predicted"] != columns["target"]
    expected = {
        "confidence": ranked[:, 0], "max_logit": logits.max(1), "energy": np.log(np.exp(logits).sum(1)),
        "entropy": (p * np.log(p)).sum(1), "margin": ranked[:, 0] - ranked[:, 1],
    }  # fmt: skip
    assert list(expected) == list(SCORES)
    for name, score in expected.items():
        tail = "" if name == "confidence" else f"_{name}"
        assert compute(f"failure_auroc{tail}", columns) == pytest.approx(roc_auc_score(wrong, -score))


def test_margins_of_saturated_probabilities_keep_their_order() -> None:
    gaps = np.array([40.0, 60.0, 80.0])
    columns = {"log_complement": -gaps, "second_logit": -gaps, "logsumexp": np.zeros(3)}
    assert (np.diff(SCORES["margin"](columns)) > 0).all()


def test_every_kernel_has_its_row() -> None:
    rows = {name for name in METRICS if METRICS.get(name).kernel.startswith("robench.metrics.detection:")}
    assert rows == set(KERNELS)
    assert {f"selective_error_{100 * share:.0f}" for share in COVERAGES} < rows
    assert {name for names in detection_rows("ood").values() for name in names.values()} == set(defaults("ood"))


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda: detection_scores([0.1, np.nan], [True, False]), "are NaN"),
        (lambda: detection_scores([0.1, 0.2], [True, True]), "of one kind"),
        (lambda: detection_scores([[0.1]], [True]), "found shapes"),
        (lambda: area_under_generalised_risk_coverage([0.1], [True, False]), "found shapes"),
        (lambda: selective_error([0.1], [True], 0.0), "coverage must lie in"),
    ],
)
def test_what_would_give_a_wrong_value_is_refused(call: Callable[[], object], expected: str) -> None:
    with pytest.raises(RobenchError, match=expected):
        call()


def test_scores_tied_at_infinity_count_one_half_in_any_order() -> None:
    scores, positive = np.array([np.inf, np.inf, 0.0, 1.0]), np.array([1, 0, 0, 1])
    turned = [1, 0, 3, 2]
    finite = np.where(np.isinf(scores), 9.0, scores)
    assert detection_scores(scores, positive) == detection_scores(finite, positive)
    assert detection_scores(scores[turned], positive[turned]) == detection_scores(finite, positive)
    assert [selective_error(scores, answers, 0.25) for answers in ([1, 0, 1, 1], [0, 1, 1, 1])] == [0.5, 0.5]


def test_a_confidence_without_another_possible_class_has_no_complement() -> None:
    found = log_complement([[0.0, -np.inf, -np.inf], [0.0, 0.0, -np.inf]])
    np.testing.assert_allclose(found, [-np.inf, np.log(0.5)])
