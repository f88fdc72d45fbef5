"""Calibration errors beside torchmetrics, scikit-learn and plain loops, on random and adversarial confidences."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss
from torchmetrics.functional.classification import binary_calibration_error

from robench.errors import RobenchError
from robench.metrics import calibration, reliability, scores, selective
from robench.metrics.binning import bin_index

FUNCTIONS = [
    calibration.rms_calibration_error,
    calibration.rms_calibration_error_all_bins,
    calibration.ece,
    calibration.maximum_calibration_error,
    calibration.adaptive_ece,
    calibration.debiased_ece,
    calibration.sweep_ece,
    calibration.overconfidence_gap,
    selective.area_under_risk_coverage,
    selective.area_under_response_rate_accuracy,
    selective.soft_f1,
]


def _random(n: int = 5_037, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    confidence = rng.beta(4, 1.5, n)
    return confidence, rng.random(n) < confidence**1.5


def _cases() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    confidence, correct = _random()
    coarse = np.round(confidence, 1)
    return {
        "random": (confidence, correct),
        "ties": (coarse, correct),
        "edges": (np.arange(16).repeat(20) / 15, np.arange(320) % 3 == 0),
        "all right": (confidence, np.ones(len(confidence), bool)),
        "all wrong": (confidence, np.zeros(len(confidence), bool)),
        "certain": (np.ones(250), np.arange(250) % 4 == 0),
        "zero": (np.zeros(120), np.zeros(120, bool)),
        "fewer than bins": (confidence[:7], correct[:7]),
        "one": (confidence[:1], correct[:1]),
    }


CASES = _cases()


def _loop_ece(confidence: np.ndarray, correct: np.ndarray, bins: int = 15, largest: bool = False) -> float:
    """Bin b holds b/B <= confidence < (b+1)/B, the last one 1.0 too."""
    gaps = []
    for b in range(bins):
        inside = [(c, y) for c, y in zip(confidence, correct, strict=True) if b == min(int(c * bins), bins - 1)]
        if inside:
            gap = abs(np.mean([c for c, _ in inside]) - np.mean([y for _, y in inside]))
            gaps.append((len(inside) / len(confidence), gap))
    return max(g for _, g in gaps) if largest else sum(w * g for w, g in gaps)


def _loop_rms(confidence: np.ndarray, correct: np.ndarray) -> float:
    """The published loop in plain words: bins of 100, remainder in the last, which is omitted."""
    pairs = sorted(zip(confidence, correct, strict=True), key=lambda pair: pair[0])
    full = len(pairs) // 100
    bounds = [(100 * i, 100 * (i + 1)) for i in range(full)] or [(0, 0)]
    bounds[-1] = (bounds[-1][0], len(pairs))
    total = 0.0
    for start, stop in bounds[:-1]:
        part = pairs[start:stop]
        gap = np.mean([c for c, _ in part]) - np.mean([y for _, y in part])
        total += len(part) / len(pairs) * gap**2
    return float(np.sqrt(total))


def _together(confidence: np.ndarray, edges: list[int]) -> list[np.ndarray]:
    """Return the images of each bin, cut at these places of the rising order, behind all images equal to the last."""
    order = np.argsort(confidence, kind="stable")
    ranked = confidence[order]
    bins, before = [], 0
    for edge in (*edges, len(order)):
        while 0 < edge < len(order) and ranked[edge] == ranked[edge - 1]:
            edge += 1
        if edge > before:
            bins.append(order[before:edge])
            before = edge
    return bins


def _equal_counts(confidence: np.ndarray, bins: int) -> list[np.ndarray]:
    parts = np.array_split(np.arange(len(confidence)), min(bins, len(confidence)))
    return _together(confidence, [int(part[0]) for part in parts[1:]])


@pytest.mark.parametrize("name", CASES)
def test_uniform_bins_equal_a_plain_loop(name: str) -> None:
    confidence, correct = CASES[name]
    assert calibration.ece(confidence, correct) == pytest.approx(_loop_ece(confidence, correct), rel=1e-9, abs=1e-12)
    expected = _loop_ece(confidence, correct, largest=True)
    assert calibration.maximum_calibration_error(confidence, correct) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(
    ("norm", "function"), [("l1", calibration.ece), ("max", calibration.maximum_calibration_error)]
)
def test_uniform_bins_equal_torchmetrics_off_the_edges(norm: str, function: object) -> None:
    confidence, correct = CASES["random"]
    reference = binary_calibration_error(torch.tensor(confidence), torch.tensor(correct).int(), 15, norm)
    assert function(confidence, correct) == pytest.approx(float(reference), rel=1e-6)  # type: ignore[operator]


def test_a_bin_holds_its_lower_edge_and_the_last_one_also_one() -> None:
    assert list(bin_index(np.array([0.0, 0.5, 0.9999, 1.0]), 2)) == [0, 1, 1, 1]
    assert list(bin_index(np.arange(16) / 15, 15)) == [*range(15), 14]


@pytest.mark.parametrize("name", [name for name in CASES if len(CASES[name][0]) >= 100])
def test_rms_equals_the_published_loop(name: str) -> None:
    confidence, correct = CASES[name]
    expected = _loop_rms(confidence, correct)
    assert calibration.rms_calibration_error(confidence, correct) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_all_bins_rms_equals_a_plain_loop_with_ties_together(name: str) -> None:
    confidence, correct = CASES[name]
    n = len(confidence)
    bins = _together(confidence, [100 * k for k in range(1, n // 100)])
    squares = sum(len(part) / n * (confidence[part].mean() - correct[part].mean()) ** 2 for part in bins)
    found = calibration.rms_calibration_error_all_bins(confidence, correct)
    assert found == pytest.approx(np.sqrt(squares), rel=1e-9, abs=1e-12)


def test_published_rms_drops_the_last_bin_and_is_undefined_below_one_bin() -> None:
    confidence, correct = _random(150)
    assert calibration.rms_calibration_error(confidence, correct) == 0.0
    assert np.isnan(calibration.rms_calibration_error(confidence[:99], correct[:99]))
    gap = abs(confidence.mean() - correct.mean())
    assert calibration.rms_calibration_error_all_bins(confidence, correct) == pytest.approx(gap)


def test_published_rms_ignores_the_most_confident_images() -> None:
    confidence, correct = _random(10_000)
    order = np.argsort(confidence)
    flipped = correct.copy()
    flipped[order[-100:]] ^= True
    assert calibration.rms_calibration_error(confidence, flipped) == calibration.rms_calibration_error(
        confidence, correct
    )


@pytest.mark.parametrize("name", CASES)
def test_equal_count_bins_equal_a_plain_loop(name: str) -> None:
    confidence, correct = CASES[name]
    l1, squared, n = 0.0, 0.0, 0
    for part in _equal_counts(confidence, 15):
        gap, accuracy = confidence[part].mean() - correct[part].mean(), correct[part].mean()
        l1 += len(part) / len(confidence) * abs(gap)
        if len(part) > 1:
            squared += len(part) * (gap**2 - np.var(correct[part], ddof=1) / len(part))
            n += len(part)
        assert np.isclose(accuracy, correct[part].mean())
    assert calibration.adaptive_ece(confidence, correct) == pytest.approx(l1, rel=1e-9)
    found = calibration.debiased_ece(confidence, correct)
    assert np.isnan(found) if n == 0 else found == pytest.approx(np.sqrt(max(0, squared / n)), rel=1e-7)


def test_debiasing_brings_a_calibrated_model_near_zero() -> None:
    rng = np.random.default_rng(3)
    plain, debiased = [], []
    for _ in range(200):
        confidence = rng.random(300)
        correct = rng.random(300) < confidence
        plain.append(calibration.adaptive_ece(confidence, correct) ** 2)
        debiased.append(calibration.debiased_ece(confidence, correct) ** 2)
    assert np.mean(debiased) < 0.35 * np.mean(plain)


def test_sweep_stops_at_the_first_fall_of_accuracy() -> None:
    confidence = np.linspace(0.1, 0.9, 6)
    # Two bins: 1/3, 2/3 (rising); three bins: 1/2, 0, 1 (falling) - so two bins.
    correct = np.array([1, 0, 0, 0, 1, 1], bool)
    expected = calibration.adaptive_ece(confidence, correct, bins=2)
    assert calibration.sweep_ece(confidence, correct) == pytest.approx(expected)
    assert calibration.sweep_ece(confidence, correct[::-1]) == pytest.approx(abs(confidence.mean() - 0.5))


@pytest.mark.parametrize("name", ["random", "ties", "edges", "all right", "all wrong", "certain", "one"])
def test_sweep_equals_a_plain_loop(name: str) -> None:
    confidence, correct = (column[:300] for column in CASES[name])
    best = 1
    for bins in range(2, len(confidence) + 1):
        accuracies = [correct[part].mean() for part in _equal_counts(confidence, bins)]
        if accuracies != sorted(accuracies):
            break
        best = bins
    parts = _equal_counts(confidence, best)
    expected = sum(abs(confidence[p].sum() - correct[p].sum()) for p in parts) / len(confidence)
    assert calibration.sweep_ece(confidence, correct) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_risk_coverage_and_soft_f1_equal_plain_loops(name: str) -> None:
    confidence, correct = (column[:400] for column in CASES[name])
    wrong = 1.0 - correct
    for value in np.unique(confidence):  # images of equal confidence share their errors
        tied = confidence == value
        wrong[tied] = wrong[tied].mean()
    wrong = wrong[np.argsort(-confidence, kind="stable")]
    area = np.mean([wrong[: k + 1].mean() for k in range(len(wrong))])
    assert selective.area_under_risk_coverage(confidence, correct) == pytest.approx(area, rel=1e-9, abs=1e-12)
    assert selective.area_under_response_rate_accuracy(confidence, correct) == pytest.approx(1 - area, rel=1e-9)
    unsure = sum(1 - c for c in confidence)
    both = sum(1 - c for c, right in zip(confidence, correct, strict=True) if not right)
    found, total = selective.soft_f1(confidence, correct), unsure + (~correct.astype(bool)).sum()
    assert np.isnan(found) if total == 0 else found == pytest.approx(2 * both / total, rel=1e-9, abs=1e-12)


def test_classwise_equals_torchmetrics_class_by_class() -> None:
    rng = np.random.default_rng(1)
    p, target = rng.dirichlet(np.ones(4), 900), rng.integers(0, 3, 900)  # class 3 never occurs
    each = [
        float(binary_calibration_error(torch.tensor(p[:, k]), torch.tensor(target == k).int(), 15)) for k in range(4)
    ]
    assert calibration.classwise_ece(p, target) == pytest.approx(np.mean(each), rel=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_brier_decomposition_adds_up(name: str) -> None:
    confidence, correct = CASES[name]
    parts = scores.brier_decomposition(confidence, correct)
    total = parts.reliability - parts.resolution + parts.uncertainty + parts.rest
    expected = brier_score_loss(correct, confidence, pos_label=True, labels=[False, True])
    assert total == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_brier_decomposition_of_constant_bins_leaves_no_rest() -> None:
    confidence = np.array([0.3, 0.8]).repeat(500)
    parts = scores.brier_decomposition(confidence, np.arange(1000) % 2 == 0)
    assert parts.rest == pytest.approx(0, abs=1e-12)
    assert parts.reliability == pytest.approx(0.5 * 0.2**2 + 0.5 * 0.3**2)


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
def test_no_image_gives_nan(function: object) -> None:
    assert np.isnan(function(np.empty(0), np.empty(0, bool)))  # type: ignore[operator]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 400), st.integers(0, 10_000))
def test_values_stay_in_range_and_do_not_depend_on_the_order_of_rows(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    confidence = rng.permutation(n) / n  # no ties
    correct = rng.random(n) < 0.6
    order = rng.permutation(n)
    for function in FUNCTIONS:
        value = function(confidence, correct)
        again = function(confidence[order], correct[order])
        assert (np.isnan(value) and np.isnan(again)) or value == pytest.approx(again, rel=1e-9, abs=1e-12)
        assert np.isnan(value) or -1 <= value <= 1 + 1e-12


def test_risk_coverage_equals_a_plain_loop() -> None:
    confidence, correct = CASES["random"]
    order = np.argsort(-confidence)
    expected = np.mean([1 - correct[order[: k + 1]].mean() for k in range(len(order))])
    assert selective.area_under_risk_coverage(confidence, correct) == pytest.approx(expected, rel=1e-9)


def test_ties_share_their_risk_whatever_their_order() -> None:
    confidence, correct = CASES["ties"]
    order = np.random.default_rng(0).permutation(len(confidence))
    first = selective.area_under_risk_coverage(confidence, correct)
    assert first == pytest.approx(selective.area_under_risk_coverage(confidence[order], correct[order]), rel=1e-12)


def test_reliability_diagram_agrees_with_ece_and_a_published_wilson_interval() -> None:
    confidence, correct = CASES["random"]
    diagram = reliability.reliability_diagram(confidence, correct)
    weight = diagram.count / diagram.count.sum()
    gap = np.where(diagram.count > 0, np.abs(diagram.confidence - diagram.accuracy), 0)
    assert (weight * gap).sum() == pytest.approx(calibration.ece(confidence, correct))
    from scipy.stats import binomtest

    expected = binomtest(81, 263).proportion_ci(0.95, "wilson")
    low, high = reliability.wilson_interval(np.array([81 / 263]), np.array([263]))
    assert (low[0], high[0]) == pytest.approx((expected.low, expected.high), rel=1e-9)


def test_the_same_answers_many_times_narrow_no_bin() -> None:
    """Answers that are the same under all of 15 corruptions say as much as those under one."""
    confidence, correct = CASES["random"]
    once = reliability.reliability_diagram(confidence, correct)
    image = np.tile(np.arange(len(confidence)), 15)
    pooled = reliability.reliability_diagram(np.tile(confidence, 15), np.tile(correct, 15), image=image)
    np.testing.assert_allclose(pooled.low, once.low)
    np.testing.assert_allclose(pooled.high, once.high)
    np.testing.assert_allclose(pooled.accuracy, once.accuracy)
    right = reliability.reliability_diagram(np.full(60, 0.9), np.ones(60, bool), image=np.arange(60) % 20)
    np.testing.assert_allclose(right.low[13], reliability.wilson_interval(np.ones(1), np.array([20]))[0])
    alone = reliability.reliability_diagram(confidence, correct, image=np.arange(len(confidence)))
    np.testing.assert_allclose(alone.low, once.low)


def test_pooled_bins_hold_the_truth() -> None:
    """15 answers on each image, whose confidence and chance of being right go along: 95 % of the bins' intervals."""
    from scipy.special import ndtr

    rng, images, cells, held, narrow = np.random.default_rng(0), 150, 15, [], []
    for _ in range(25):
        sure, right = (rng.normal(size=(images, 1)) * 0.9 + rng.normal(size=(images, cells)) * 0.44 for _ in range(2))
        confidence = 0.1 + 0.9 * ndtr(sure)
        correct = ndtr(right) < confidence  # perfectly calibrated
        image = np.repeat(np.arange(images), cells)
        for found, of in ((held, image), (narrow, None)):
            diagram = reliability.reliability_diagram(confidence.ravel(), correct.ravel(), image=of)
            inside = (diagram.low <= diagram.confidence) & (diagram.confidence <= diagram.high)
            found.append(inside[diagram.count >= 30])
    assert np.concatenate(held).mean() > 0.9
    assert np.concatenate(narrow).mean() < 0.8  # as of independent answers


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
def test_torch_tensors_give_the_same(function: object) -> None:
    confidence, correct = CASES["random"]
    tensor = torch.tensor(confidence, requires_grad=True)
    expected = function(confidence, correct)  # type: ignore[operator]
    assert function(tensor, torch.tensor(correct)) == expected  # type: ignore[operator]
    half = torch.tensor(confidence).to(torch.bfloat16)
    expected = function(half.float().numpy(), correct)  # type: ignore[operator]
    assert function(half, torch.tensor(correct).int()) == expected  # type: ignore[operator]


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
@pytest.mark.parametrize(
    ("confidence", "correct", "expected"),
    [
        ([0.5, np.nan], [True, False], "found nan"),
        ([55.0, 90.0], [True, False], r"\[0, 1\]"),
        ([-0.1, 0.5], [True, False], r"\[0, 1\]"),
        ([0.5, 0.6], [3, 7], "predicted == target"),
        ([0.5, 0.6, 0.7], [True, False], "shapes"),
        ([[0.5], [0.6]], [True, False], "shapes"),
    ],
)
def test_wrong_input_is_refused(function: object, confidence: list[float], correct: list[bool], expected: str) -> None:
    with pytest.raises(RobenchError) as caught:
        function(confidence, correct)  # type: ignore[operator]
    assert re.search(expected, f"{caught.value} {caught.value.hint}")


@pytest.mark.parametrize("number", [0, -1, 2.5, float("nan"), True, "15"])
@pytest.mark.parametrize(
    ("function", "argument"),
    [
        (calibration.rms_calibration_error, "bin_size"),
        (calibration.rms_calibration_error_all_bins, "bin_size"),
        (calibration.ece, "bins"),
        (calibration.maximum_calibration_error, "bins"),
        (calibration.adaptive_ece, "bins"),
        (calibration.debiased_ece, "bins"),
        (reliability.reliability_diagram, "bins"),
        (scores.brier_decomposition, "bins"),
    ],
)
def test_bins_that_mean_nothing_are_refused(function: Any, argument: str, number: Any) -> None:
    confidence, correct = np.linspace(0.1, 0.9, 300), np.arange(300) % 2 == 0
    with pytest.raises(RobenchError, match="whole number, at least 1"):
        function(confidence, correct, **{argument: number})


def _in_order(n: int = 1000) -> tuple[np.ndarray, np.ndarray]:
    """Certain images of which one class of ten is wrong, in the order of class folders."""
    return np.ones(n), np.arange(n) >= n // 10


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (calibration.rms_calibration_error_all_bins, 0.1),
        (calibration.adaptive_ece, 0.1),
        (calibration.debiased_ece, np.sqrt(0.01 - 0.09 / 999)),
        (calibration.sweep_ece, 0.1),
        (selective.area_under_risk_coverage, 0.1),
    ],
)
def test_images_of_equal_confidence_are_not_told_apart_by_their_order(function: Any, expected: float) -> None:
    confidence, correct = _in_order()
    for order in (slice(None), slice(None, None, -1), np.random.default_rng(0).permutation(1000)):
        assert function(confidence, correct[order]) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("function", [f for f in FUNCTIONS if f is not calibration.rms_calibration_error])
@pytest.mark.parametrize("n", [40, 330])
def test_only_the_published_rms_depends_on_the_order_of_ties(function: Any, n: int) -> None:
    rng = np.random.default_rng(n)
    confidence, correct = rng.integers(3, 9, n) / 8, rng.random(n) < 0.6
    order = rng.permutation(n)
    assert function(confidence[order], correct[order]) == pytest.approx(function(confidence, correct), rel=1e-9)


def test_the_published_rms_says_where_it_depends_on_the_order_of_ties() -> None:
    confidence, correct = _in_order()
    assert calibration.rms_calibration_error(confidence, correct) != calibration.rms_calibration_error(
        confidence, correct[::-1]
    )
    assert calibration.rms_depends_on_order(confidence, correct)
    assert not calibration.rms_depends_on_order(confidence, np.ones(1000, bool))  # all alike: nothing to tell apart
    assert not calibration.rms_depends_on_order(*_random(1000))
    assert not calibration.rms_depends_on_order(np.repeat([0.2, 0.5, 0.9], 100), np.arange(300) % 3 == 0)  # between
    assert not calibration.rms_depends_on_order(confidence[:199], correct[:199])  # one bin
    assert not calibration.rms_depends_on_order([], [])


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 60), st.integers(1, 9), st.integers(0, 10_000))
def test_order_dependence_is_what_shuffling_finds(n: int, size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    confidence, correct, size = rng.integers(0, 5, n) / 4, rng.random(n) < 0.5, min(size, n)
    values = {
        round(calibration.rms_calibration_error(confidence[order], correct[order], bin_size=size), 9)
        for order in (rng.permutation(n) for _ in range(60))
    }
    if len(values) > 1:  # the other way round, unlike bins may still sum to the same
        assert calibration.rms_depends_on_order(confidence, correct, bin_size=size)
