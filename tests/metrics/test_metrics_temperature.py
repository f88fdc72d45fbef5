"""Temperature and vector scaling: known answers, optimality, and columns as the engine would have made them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from robench.errors import RobenchError
from robench.metrics import temperature
from robench.metrics.probabilities import log_complement
from robench.metrics.temperature import Scaling, apply_scaling, fit_temperature, fit_vector, scaled_columns


def _data(n: int = 20_000, classes: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose softmax is the distribution of the labels."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(n, classes)) * 2
    target = (np.cumsum(np.exp(log_softmax(logits, 1)), axis=1) < rng.random((n, 1))).sum(axis=1)
    return logits, np.minimum(target, classes - 1)


def _nll(logits: np.ndarray, target: np.ndarray) -> float:
    return float(-log_softmax(logits, 1)[np.arange(len(target)), target].mean())


@pytest.mark.parametrize("true", [0.5, 1.0, 3.0])
def test_temperature_is_found_again(true: float) -> None:
    logits, target = _data()
    fitted = fit_temperature(logits * true, target)
    assert fitted.temperature == pytest.approx(true, rel=0.03)
    best = _nll(apply_scaling(fitted, logits * true), target)
    for factor in (0.99, 1.01):
        assert best < _nll(logits * true / (fitted.temperature * factor), target)


def test_vector_scaling_takes_back_a_bias_and_is_not_worse_than_temperature() -> None:
    logits, target = _data()
    bent = logits * [1, 2, 1, 0.5, 1] + [0, 1, 0, -1, 0]
    vector, temperature = fit_vector(bent, target), fit_temperature(bent, target)
    assert _nll(apply_scaling(vector, bent), target) < _nll(apply_scaling(temperature, bent), target)
    assert _nll(apply_scaling(vector, bent), target) == pytest.approx(_nll(logits, target), abs=2e-3)


@pytest.mark.parametrize("factor", [1e-6, 1e-2, 1e3, 1e9])
def test_the_scale_of_the_logits_does_not_matter(factor: float) -> None:
    """Cosines, or sums in the thousands: T follows, and the calibrated logits are the same."""
    logits, target = _data(2000)
    for fit, names in ((fit_temperature, "T"), (fit_vector, "vector")):
        plain, scaled = (apply_scaling(fit(z, target), z) for z in (logits * 2, logits * 2 * factor))
        np.testing.assert_allclose(scaled, plain, rtol=1e-3, atol=1e-4, err_msg=names)


def test_vector_scaling_is_of_least_nll_where_classes_have_other_scales() -> None:
    logits, target = _data(2000)
    bent = logits * [1, 10, 100, 1000, 0.01]
    best = _nll(apply_scaling(fit_vector(logits, target), logits), target)
    assert _nll(apply_scaling(fit_vector(bent, target), bent), target) == pytest.approx(best, abs=1e-6)


def test_equal_logits_keep_their_temperature() -> None:
    assert fit_temperature(np.ones((4, 3)), [0, 1, 2, 0]).temperature == 1.0


def test_columns_are_those_of_the_scaled_logits() -> None:
    logits, target = _data(50, 4)
    scaling = fit_temperature(logits, target)
    found = scaled_columns({"logits": logits, "target": target, "index": np.arange(50)}, scaling)
    p = np.exp(log_softmax(logits / scaling.temperature, 1))
    np.testing.assert_allclose(found["confidence"], p.max(1))
    np.testing.assert_allclose(found["brier"], ((p - np.eye(4)[target]) ** 2).sum(1))
    np.testing.assert_allclose(found["entropy"], -(p * np.log(p)).sum(1))
    np.testing.assert_allclose(found["nll"], -np.log(p[np.arange(50), target]))
    np.testing.assert_array_equal(found["predicted"], logits.argmax(1))
    assert (found["top5"][:, 4] == -1).all()


def test_the_temperature_is_the_root_that_a_search_finds() -> None:
    logits, target = _data(500, 30)
    found = minimize_scalar(lambda t: _nll(logits * 3 / t, target), bounds=(0.1, 10), options={"xatol": 1e-9})
    assert fit_temperature(logits.astype(np.float32) * 3, target).temperature == pytest.approx(found.x, rel=1e-5)


def test_logits_no_better_than_chance_end_at_the_largest_temperature() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(400, 8))
    wrong = logits.argmin(axis=1)
    spread = (logits - logits.mean(axis=1, keepdims=True)).std()
    assert fit_temperature(logits, wrong).temperature == pytest.approx(100 * spread)


@pytest.mark.parametrize("part", [1, 70, 1 << 16])
def test_columns_are_the_same_in_parts_and_ties_go_to_the_lower_class(
    monkeypatch: pytest.MonkeyPatch, part: int
) -> None:
    monkeypatch.setattr(temperature, "_PART", part)
    rng = np.random.default_rng(1)
    logits, target = rng.integers(0, 4, (40, 30)).astype(np.float32), rng.integers(0, 30, 40)
    logits[:5] = 1.0
    found = scaled_columns({"logits": logits, "target": target}, Scaling(np.array(0.5), np.zeros(1)))
    np.testing.assert_array_equal(found["top5"], np.argsort(-logits, axis=1, kind="stable")[:, :5])
    np.testing.assert_allclose(
        found["nll"], -log_softmax(logits.astype(float) * 0.5, 1)[np.arange(40), target], rtol=1e-12
    )
    assert found["predicted"].tolist() == logits.argmax(axis=1).tolist()


def test_all_right_is_sharpened_until_the_loss_is_gone_and_no_image_is_refused() -> None:
    fitted = fit_temperature(np.eye(3) * 5, [0, 1, 2])
    assert 0.01 <= fitted.temperature < 0.3
    assert _nll(apply_scaling(fitted, np.eye(3) * 5), np.arange(3)) < 1e-6
    with pytest.raises(RobenchError):
        fit_temperature(np.empty((0, 3)), np.empty(0, int))
    with pytest.raises(RobenchError):
        fit_vector(np.full((2, 3), np.nan), [0, 1])


def test_columns_of_the_logits_are_those_after_the_scaling_or_left_out() -> None:
    logits = np.array([[0.0, 80.0], [0.0, 60.0], [3.0, 1.0]])
    given = {"logits": logits, "target": np.array([1, 1, 0]), "log_complement": np.zeros(3), "max_logit": np.ones(3)}
    found = scaled_columns(given, Scaling(np.array(0.5), np.zeros(1)))
    np.testing.assert_allclose(found["log_complement"], log_complement(0.5 * logits), rtol=1e-12)
    assert "max_logit" not in found
