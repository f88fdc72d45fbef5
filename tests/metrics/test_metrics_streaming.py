"""The one-pass values beside scikit-learn, scipy and the functions on arrays."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from sklearn.metrics import log_loss

from robench.errors import RobenchError
from robench.metrics import calibration, scores
from robench.metrics.streaming import StreamingMetrics, classification_metrics, per_image


def _logits(n: int = 700, classes: int = 37, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    target = rng.integers(0, classes, n)
    logits = rng.normal(size=(n, classes)) * 3
    logits[np.arange(n), target] += 4
    return logits, target


def _expected(logits: np.ndarray, target: np.ndarray) -> dict[str, float]:
    p = np.exp(log_softmax(logits.astype(np.float64), axis=1))
    confidence, correct = p.max(axis=1), logits.argmax(axis=1) == target
    return {
        "accuracy": correct.mean(),
        "ece": calibration.ece(confidence, correct),
        "nll": log_loss(target, p, labels=range(p.shape[1])),
        "brier": ((p - np.eye(p.shape[1])[target]) ** 2).sum(axis=1).mean(),
        "brier_top_label": ((confidence - correct) ** 2).mean(),
    }


@pytest.mark.parametrize(("dtype", "rel"), [(np.float64, 1e-9), (np.float32, 2e-6)])
@pytest.mark.parametrize("from_logits", [True, False])
def test_values_equal_the_references(dtype: type, rel: float, from_logits: bool) -> None:
    logits, target = _logits()
    logits = logits.astype(dtype)
    values = logits if from_logits else np.exp(log_softmax(logits.astype(np.float64), axis=1)).astype(dtype)
    found = classification_metrics(values, target, logits=from_logits)
    for name, expected in _expected(logits, target).items():
        assert found[name] == pytest.approx(expected, rel=rel), name


def _adversarial() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    logits, target = _logits(301, 6)
    top = logits.argmax(1)
    return {
        "one class absent": (logits, np.where(target == 5, 0, target)),
        "only one class": (logits, np.full(301, 2)),
        "all right": (logits, top),
        "all wrong": (logits, (top + 1) % 6),
        "ties in confidence": (np.round(logits), target),
        "equal logits": (np.zeros((10, 6)), np.arange(10) % 6),
        "confidence of one": (np.eye(6)[top] * 800, target),
        "one image": (logits[:1], target[:1]),
        "fewer images than bins": (logits[:7], target[:7]),
    }


@pytest.mark.parametrize("name", _adversarial())
@pytest.mark.parametrize(
    ("dtype", "rel"), [(np.float64, 1e-9), (np.float16, 5e-6)]
)  # float16 is exact in float32, whose exponentials are good to 1e-7
def test_adversarial_input_equals_the_references(name: str, dtype: type, rel: float) -> None:
    logits, target = _adversarial()[name]
    logits = logits.astype(dtype)
    found = classification_metrics(logits, target, logits=True)
    p = np.exp(log_softmax(logits.astype(np.float64), axis=1))
    expected = _expected(logits, target) if name != "confidence of one" else {}  # scikit-learn clips a probability of 0
    expected |= {
        "brier": ((p - np.eye(6)[target]) ** 2).sum(axis=1).mean(),
        "nll": -log_softmax(logits.astype(np.float64), axis=1)[np.arange(len(target)), target].mean(),
        "max_calibration_error": calibration.maximum_calibration_error(p.max(axis=1), logits.argmax(axis=1) == target),
    }
    for named, value in expected.items():
        assert found[named] == pytest.approx(value, rel=rel, abs=1e-7), named


def test_half_precision_logits_of_torch_are_read_exactly() -> None:
    logits, target = _logits()
    for dtype in (torch.float16, torch.bfloat16):
        half = torch.tensor(logits).to(dtype)
        found = classification_metrics(half, torch.tensor(target), logits=True)
        expected = _expected(half.double().numpy(), target)
        assert {name: found[name] for name in expected} == pytest.approx(expected, rel=3e-6)


def test_large_logits_do_not_overflow() -> None:
    found = per_image(np.array([[1e4, 0.0], [-1e4, 0.0], [3e38, -3e38]], np.float32), [1, 0, 0], logits=True)
    assert found["nll"] == pytest.approx([1e4, 1e4, 0.0])
    assert found["brier"] == pytest.approx([2.0, 2.0, 0.0], abs=1e-6)


def test_ties_take_the_lowest_class() -> None:
    values = np.array([[0.4, 0.4, 0.2], [0.4, 0.4, 0.2], [0.0, -0.0, 0.0]], np.float32)
    assert list(per_image(values, [0, 1, 0], logits=True)["correct"]) == [1, 0, 1]
    assert list(per_image(values[:2], [0, 1], logits=False)["correct"]) == [1, 0]


def test_certain_probabilities_and_impossible_targets() -> None:
    found = classification_metrics(np.eye(3)[[0, 1, 2, 2]], np.array([0, 1, 2, 0]), logits=False)
    assert found["accuracy"] == 0.75
    assert found["ece"] == pytest.approx(0.25)
    assert np.isinf(found["nll"])
    assert found["brier"] == pytest.approx(0.5)


def test_batches_merge_and_reset() -> None:
    logits, target = _logits(503)
    whole, left, right = (StreamingMetrics(logits=True) for _ in range(3))
    whole.update(logits, target)
    for start in range(0, 200, 33):
        left.update(logits[start : min(start + 33, 200)], target[start : min(start + 33, 200)])
    right.update(logits[200:], target[200:])
    left.merge(right)
    assert left.compute() == pytest.approx(whole.compute(), rel=1e-12)
    left.reset()
    assert np.isnan(list(left.compute().values())).all()


@pytest.mark.parametrize("from_logits", [True, False])
def test_a_large_array_in_several_threads_is_that_of_its_rows(
    from_logits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("robench.compiled.threads", lambda: 3)
    logits, target = _logits(n=5003, classes=420)
    values = (logits if from_logits else np.exp(log_softmax(logits, axis=1))).astype(np.float32)
    whole = per_image(values, target, logits=from_logits)
    parts = [per_image(values[i : i + 500], target[i : i + 500], logits=from_logits) for i in range(0, 5003, 500)]
    for name in whole:
        np.testing.assert_array_equal(whole[name], np.concatenate([part[name] for part in parts]))
    values[4999, 7] = np.nan
    with pytest.raises(RobenchError, match=r"1 of 5003 rows are not valid \(the first: row 4999\)"):
        per_image(values, target, logits=from_logits)


def test_only_equal_bins_merge_and_there_is_at_least_one() -> None:
    with pytest.raises(RobenchError, match="10 bins into 15"):
        StreamingMetrics().merge(StreamingMetrics(bins=10))
    with pytest.raises(RobenchError, match="at least 1"):
        StreamingMetrics(bins=0)


def test_one_image() -> None:
    found = classification_metrics([[0.2, 0.8]], [1], logits=False)
    assert found["ece"] == pytest.approx(0.2)
    assert found["brier"] == pytest.approx(0.08)
    assert found["brier"] == pytest.approx(scores.brier_score([[0.2, 0.8]], [1])[0])


@pytest.mark.parametrize(
    ("values", "target", "logits"),
    [
        (np.full((4, 3), np.nan, np.float32), [0, 1, 2, 0], True),
        (np.full((4, 3), np.nan), [0, 1, 2, 0], False),
        (np.array([[1.0, np.inf]], np.float32), [0], True),
        (-np.array([[1.0, np.nan]], np.float32), [0], True),
        (np.array([[5.0, -2.0]]), [0], False),
        (np.zeros((2, 3)), [0, 3], True),
        (np.zeros((2, 3)), [0, -1], True),
        (np.zeros((2, 3)), [0.0, 1.0], True),
        (np.zeros(3), [0, 1, 2], True),
        (np.zeros((2, 3)), [0], True),
    ],
)
def test_wrong_input_is_refused_and_nothing_is_taken(values: np.ndarray, target: list[int], logits: bool) -> None:
    metrics = StreamingMetrics(logits=logits)
    with pytest.raises(RobenchError):
        metrics.update(values, target)
    assert metrics.images == 0
