"""Published protocols: AlexNet's table, CE and mCE, flips, top-5 distance, mAP, subsets; and all metrics at once."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import rankdata
from sklearn.metrics import auc, precision_recall_curve, top_k_accuracy_score

from robench.catalogue import METRICS, metric
from robench.errors import RobenchError
from robench.metrics import calibration, comparison, corruption, perturbation, scores, shift, softmax
from robench.metrics.cells import compute

# Means of google-research/augmix's imagenet.py, six digits.
AUGMIX_TABLE = (0.886428, 0.894468, 0.922640, 0.819880, 0.826268, 0.785948, 0.798360, 0.866816, 0.826572, 0.819324,
                0.564592, 0.853204, 0.646056, 0.717840, 0.606500)  # fmt: skip


def test_alexnet_means_are_the_published_six_digits() -> None:
    means = [np.mean(row) for row in corruption.ALEXNET.values()]
    np.testing.assert_allclose(means, AUGMIX_TABLE, atol=5e-7)


def test_the_baseline_has_mce_one_and_relative_mce_one() -> None:
    error = np.array(list(corruption.ALEXNET.values()))
    baseline = corruption.baseline_errors("alexnet")
    assert corruption.mean_corruption_error(error, baseline) == pytest.approx(1)
    assert corruption.relative_mean_corruption_error(error, baseline.clean, baseline) == pytest.approx(1)


def test_mce_is_the_mean_of_ratios_of_sums_over_replicates_too() -> None:
    error = np.random.default_rng(0).random((6, 15, 5))
    found = corruption.mean_corruption_error(error, corruption.baseline_errors("alexnet"))
    alexnet = np.array(list(corruption.ALEXNET.values()))
    expected = [np.mean([row.sum() / base.sum() for row, base in zip(e, alexnet, strict=True)]) for e in error]
    np.testing.assert_allclose(found, expected)


def _published() -> Path | None:
    roots = [os.environ.get("ROBENCH_TEST_DATA"), Path(__file__).parents[3] / "shared" / "data"]
    for root in roots:
        path = Path(root) / "published" / "robustbench" / "imagenet_unaggregated_results.csv" if root else None
        if path and path.exists():
            return path
    return None


def test_mce_of_robustbench_comes_out_of_its_accuracies() -> None:
    path = _published()
    if path is None:
        pytest.skip("RobustBench's published results are not here (set ROBENCH_TEST_DATA)")
    with open(path, newline="") as file:
        names, severities, *rows = csv.reader(file)
    cells = {(c, int(s)): k for k, (c, s) in enumerate(zip(names, severities, strict=True)) if c}
    order = [[cells[c, s] for s in range(1, 6)] for c in corruption.ALEXNET]
    errors = {row[0]: 1 - np.array([[float(row[k]) for k in line] for line in order]) for row in rows}
    own = corruption.Baseline(
        "own", dict(zip(corruption.ALEXNET, errors["AlexNet"].mean(axis=1), strict=True)), None, ""
    )
    compared = 0
    for name, error in errors.items():
        document = path.parent / "imagenet" / f"{name}.json"
        if document.exists():
            expected = float(json.loads(document.read_text())["corruptions_mce"])
            assert 100 * corruption.mean_corruption_error(error, own) == pytest.approx(expected, abs=0.01), name
            compared += 1
    assert compared >= 10


def test_flips_of_others_are_between_neighbours_and_of_noise_with_the_first_frame() -> None:
    predicted = np.array([[1, 1, 2, 1], [3, 3, 3, 3]])
    np.testing.assert_allclose(perturbation.flips_per_clip(predicted, noise=False), [2 / 3, 0])
    np.testing.assert_allclose(perturbation.flips_per_clip(predicted, noise=True), [1 / 3, 0])
    np.testing.assert_allclose(perturbation.flips_per_clip(predicted, noise=False, difficulty=2), [0.5, 0])
    assert np.isnan(perturbation.flips_per_clip(predicted[:, :1], noise=False)).all()


def test_difficulty_pools_the_interleaved_subsequences() -> None:
    predicted = np.random.default_rng(0).integers(0, 3, (4, 11))
    for step in (1, 2, 3):
        pooled = np.concatenate(
            [predicted[:, s::step][:, 1:] != predicted[:, s::step][:, :-1] for s in range(step)], axis=1
        )
        found = perturbation.flips_per_clip(predicted, noise=False, difficulty=step)
        np.testing.assert_allclose(found, pooled.mean(axis=1))


@pytest.mark.parametrize("noise", [True, False])
def test_top5_distance_equals_the_published_form_on_full_ranks(noise: bool) -> None:
    logits = np.random.default_rng(1).normal(size=(3, 6, 9)).round(1)
    ranks = rankdata(-logits, method="ordinal", axis=-1).astype(int)
    top5 = np.argsort(-logits, axis=-1, kind="stable")[..., :5]
    cumulative = np.minimum(np.arange(9), 5)
    expected = np.zeros(3)
    for clip in range(3):
        distances = []
        for later in range(1, 6):
            earlier = 0 if noise else later - 1
            sigma = ranks[clip, later][np.argsort(ranks[clip, earlier], kind="stable")]
            distances.append(sum(abs(cumulative[i] - cumulative[sigma[i] - 1]) for i in range(5)))
        expected[clip] = np.mean(distances)
    np.testing.assert_allclose(perturbation.top5_distance_per_clip(top5, noise=noise), expected)


def test_top5_distance_of_disjoint_lists_is_15() -> None:
    assert perturbation.top5_distance_per_clip([[[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]], noise=False)[0] == 15


def test_top5_distance_of_fewer_classes_than_five_has_as_many_terms() -> None:
    same, turned = [0, 1, 2, -1, -1], [1, 0, 2, -1, -1]
    assert perturbation.top5_distance_per_clip(np.array([[same, same, same]]), noise=False).tolist() == [0.0]
    assert perturbation.top5_distance_per_clip(np.array([[same, turned]]), noise=True).tolist() == [2.0]


def test_alexnet_flip_probabilities_have_the_published_mean() -> None:
    assert np.mean(list(perturbation.ALEXNET_FLIP_PROBABILITY.values())[:10]) == pytest.approx(0.140463, abs=5e-7)


def test_map_equals_scikit_learns_curve_weighted_by_frequency() -> None:
    rng = np.random.default_rng(2)
    score, targets = rng.normal(size=(400, 5)).round(1), (rng.random((400, 5)) < [0.5, 0.2, 0.05, 0.3, 0]).astype(int)
    areas = []
    for k in range(4):
        precision, recall, _ = precision_recall_curve(targets[:, k], score[:, k])
        areas.append(auc(recall, precision))
    positives = targets.sum(axis=0)
    expected = (np.array(areas) * positives[:4]).sum() / positives.sum()
    assert scores.frequency_weighted_map(score, targets) == pytest.approx(expected)
    assert np.isnan(scores.frequency_weighted_map(score, np.zeros_like(targets)))


def test_top5_error_equals_scikit_learn() -> None:
    rng = np.random.default_rng(5)
    logits, target = rng.normal(size=(300, 9)), rng.integers(0, 9, 300)
    columns = {"top5": np.argsort(-logits, axis=1)[:, :5], "target": target}
    expected = 1 - top_k_accuracy_score(target, logits, k=5, labels=range(9))
    assert compute("top5_error", columns) == pytest.approx(expected)


def test_means_gaps_and_worst_of_k() -> None:
    assert shift.corrupted_mean([0.1, 0.3]) == pytest.approx(0.2)
    assert shift.generalisation_gap(0.1, [0.2, 0.4]) == pytest.approx(0.2)
    assert shift.worst_of_k_error([[True, True, False], [True, False, False]]) == pytest.approx(2 / 3)
    np.testing.assert_array_equal(shift.mask_logits([[1, 2, 3], [4, 5, 6]], [2, 0]), [[3, 1], [6, 4]])


def test_affinity_is_the_change_of_accuracy_of_one_model_from_clean_to_augmented_images() -> None:
    """A nearest-mean classifier of two far clouds: noise costs it accuracy, the identity nothing."""
    rng = np.random.default_rng(4)
    target = np.arange(4000) % 2
    clean = rng.normal(size=(4000, 2)) + 4.0 * target[:, None]

    def accuracy(x: np.ndarray) -> float:
        return float(((x.sum(axis=1) > 4).astype(int) == target).mean())

    noisy = clean + rng.normal(scale=3, size=clean.shape)
    assert shift.affinity(accuracy(clean), accuracy(clean)) == 0
    assert shift.affinity(accuracy(noisy), accuracy(clean)) == pytest.approx(
        np.mean((noisy.sum(axis=1) > 4) == target) - np.mean((clean.sum(axis=1) > 4) == target)
    )
    assert shift.affinity(accuracy(noisy), accuracy(clean)) < -0.05
    np.testing.assert_allclose(shift.affinity([0.7, 0.95], 0.9), [-0.2, 0.05])
    with pytest.raises(RobenchError, match="fraction"):
        shift.affinity(79.9, 0.958)


def _columns(n: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(n)
    logits = rng.normal(size=(n, 6)).astype(np.float32)
    p = softmax(logits)
    target = rng.integers(0, 6, n).astype(np.int32)
    return {
        "index": np.arange(n) // 2, "frame": np.arange(n) % 2, "target": target, "logits": logits,
        "predicted": logits.argmax(1).astype(np.int32), "confidence": p.max(1).astype(np.float32),
        "nll": -np.log(p[np.arange(n), target]), "brier": scores.brier_score(p, target),
        "entropy": -(p * np.log(p)).sum(1), "top5": np.argsort(-logits, 1, kind="stable")[:, :5].astype(np.int32),
        "targets": (rng.random((n, 6)) < 0.4).astype(np.uint8), "cell": np.array("tilt"),
        "covered": (rng.random(n) < 0.8).astype(np.uint8), "set_size": rng.integers(0, 6, n).astype(float),
        "outlier": (rng.random(n) < 0.4).astype(np.uint8),
        "max_logit": np.sort(logits, 1)[:, -1], "second_logit": np.sort(logits, 1)[:, -2],
        "logsumexp": np.log(np.exp(logits.astype(float)).sum(1)), "log_complement": np.log1p(-p.max(1)),
    }  # fmt: skip


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_keeps_what_it_says(name: str) -> None:
    entry, columns = metric(name), _columns(400)
    assert entry.source
    value = compute(name, {need: columns[need] for need in (*entry.needs, "cell")})
    assert entry.range[0] <= value <= entry.range[1]
    assert value == pytest.approx(compute(name, columns), nan_ok=True)
    order = np.random.default_rng(0).permutation(400)
    shuffled = {key: column[order] if np.ndim(column) else column for key, column in columns.items()}
    assert compute(name, shuffled) == pytest.approx(value, rel=1e-6)


def test_what_has_no_good_end_says_so() -> None:
    assert sorted(name for name in METRICS if metric(name).better == "neither") == [
        "conformal_coverage", "entropy", "overconfidence_gap",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "name", [name for name in METRICS if metric(name).needs[0] == "confidence" and metric(name).better != "neither"]
)
def test_the_direction_puts_a_model_that_knows_its_errors_first(name: str) -> None:
    wrong = np.arange(500) % 5 < 3
    target = np.zeros(500, np.int32)
    knows, errs = (
        compute(name, {"confidence": confidence, "predicted": wrong.astype(np.int32), "target": target})
        for confidence in (1.0 - wrong, wrong.astype(float))
    )
    assert (knows < errs) == metric(name).lower_is_better
    assert knows != errs


@pytest.mark.parametrize("name", [name for name in METRICS if "frame" not in metric(name).needs])
def test_one_image_is_a_value_or_nan_and_none_is_nan(name: str) -> None:
    columns = {key: column[:1] if np.ndim(column) else column for key, column in _columns(10).items()}
    value = compute(name, columns)
    assert np.isnan(value) or metric(name).range[0] <= value <= metric(name).range[1]
    none = {key: column[:0] if np.ndim(column) else column for key, column in columns.items()}
    assert np.isnan(compute(name, none))


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda: scores.brier_score([[0.2, 0.8]], [-1]), "Targets must lie in 0..1"),
        (lambda: scores.brier_score([[0.2, 0.8]], [2]), "Targets must lie in 0..1"),
        (lambda: scores.brier_score([[5.0, -3.0]], [0]), "Probabilities must lie"),
        (lambda: scores.brier_score([[np.nan, 0.5]], [0]), "Probabilities must lie"),
        (lambda: calibration.classwise_ece([[0.2, 0.8]], [7]), "Targets must lie in 0..1"),
        (lambda: scores.frequency_weighted_map([[np.nan, 0.2], [0.1, 0.3]], [[1, 0], [0, 1]]), "must not be NaN"),
        (lambda: scores.frequency_weighted_map([[0.2], [0.1]], [[1], [-1]]), "must be 0 or 1"),
        (lambda: scores.frequency_weighted_map([[0.2], [0.1]], [[1, 0], [0, 1]]), "found shapes"),
        (lambda: comparison.mcnemar([True, False, True], [True]), "on the same images"),
    ],
)
def test_what_would_give_a_wrong_value_is_refused(call: Callable[[], object], expected: str) -> None:
    with pytest.raises(RobenchError, match=expected):
        call()
