"""Calibration errors beside netcal, where it is installed, on the definitions that both have.

netcal bins by equal width as ``numpy.histogram`` does: a bin holds its lower edge, the last one both. Its equal-count
bins are cut at quantiles, which are the same bins as ours where the bins' number divides that of the images and no two
confidences are equal; its ACE weighs bins equally and is then the adaptive ECE too.
"""

from __future__ import annotations

import numpy as np
import pytest

from robench.metrics import calibration
from robench.metrics.streaming import classification_metrics

netcal = pytest.importorskip("netcal.metrics", reason="netcal is not installed (pip install netcal)")


def _cases() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Probabilities (n, K) and targets (n,)."""
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.full(5, 0.4), 1500)
    target = (np.cumsum(p**0.7 / (p**0.7).sum(1, keepdims=True), axis=1) < rng.random((1500, 1))).sum(1)
    coarse = np.eye(5)[rng.integers(0, 5, 1500)] * 0.6 + 0.08
    return {
        "random": (p, target),
        "ties": (coarse, target),
        "all right": (p, p.argmax(1)),
        "all wrong": (p, (p.argmax(1) + 1) % 5),
        "certain": (np.eye(5)[target], rng.integers(0, 5, 1500)),
        "fewer than bins": (p[:7], target[:7]),
        "one": (p[:1], target[:1]),
    }


CASES = _cases()


def _top(p: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return p.max(1), p.argmax(1) == target


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(("theirs", "ours"), [("ECE", calibration.ece), ("MCE", calibration.maximum_calibration_error)])
def test_equal_width_bins(name: str, theirs: str, ours: object) -> None:
    p, target = CASES[name]
    confidence, correct = _top(p, target)
    expected = getattr(netcal, theirs)(15).measure(confidence, correct.astype(int))
    assert ours(confidence, correct) == pytest.approx(expected, rel=1e-6, abs=1e-9)  # type: ignore[operator]


@pytest.mark.parametrize("name", ["random", "all right", "all wrong"])
@pytest.mark.parametrize("theirs", ["ECE", "ACE"])
def test_equal_count_bins(name: str, theirs: str) -> None:
    p, target = CASES[name]
    confidence, correct = _top(p, target)
    assert len(confidence) % 15 == 0
    assert len(np.unique(confidence)) == len(confidence)
    expected = getattr(netcal, theirs)(15, equal_intervals=False).measure(confidence, correct.astype(int))
    assert calibration.adaptive_ece(confidence, correct) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", ["random", "all right", "all wrong", "certain"])
def test_the_stream_from_probabilities_of_all_classes(name: str) -> None:
    p, target = CASES[name]
    found = classification_metrics(p, target, logits=False)
    assert found["ece"] == pytest.approx(netcal.ECE(15).measure(p, target), rel=1e-6, abs=1e-9)
    assert found["max_calibration_error"] == pytest.approx(netcal.MCE(15).measure(p, target), rel=1e-6, abs=1e-9)
