"""The columns of predictions against scipy and brute force."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax, softmax
from scipy.stats import entropy

from robench.errors import RobenchError
from robench.evaluation.columns import ColumnBuilder, logits_to_columns
from robench.suites.base import Batch


def make_batch(n: int, target: np.ndarray, start: int = 0) -> Batch:
    return Batch(torch.zeros(n, 3, 1, 1, dtype=torch.uint8), np.arange(start, start + n), target)


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(1, 20), classes=st.integers(1, 30), scale=st.sampled_from([0.1, 1.0, 30.0]), seed=st.integers(0, 999)
)
def test_columns_agree_with_scipy(n: int, classes: int, scale: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits = (rng.standard_normal((n, classes)) * scale).astype(np.float32)
    target = rng.integers(0, classes, n)
    found = {k: v.numpy() for k, v in logits_to_columns(torch.from_numpy(logits), torch.from_numpy(target)).items()}
    p = softmax(logits.astype(np.float64), axis=1)
    np.testing.assert_array_equal(found["predicted"], logits.argmax(1))
    np.testing.assert_allclose(found["confidence"], p.max(1), rtol=2e-5)
    np.testing.assert_allclose(found["target_probability"], p[np.arange(n), target], rtol=1e-3, atol=1e-30)
    np.testing.assert_allclose(found["nll"], -log_softmax(logits, 1)[np.arange(n), target], rtol=1e-4, atol=1e-5)
    onehot = np.eye(classes)[target]
    np.testing.assert_allclose(found["brier"], ((p - onehot) ** 2).sum(1), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found["entropy"], entropy(p, axis=1), rtol=1e-3, atol=1e-5)
    order = np.lexsort((np.broadcast_to(np.arange(classes), logits.shape), -logits))[:, :5]
    np.testing.assert_array_equal(found["top5"][:, : order.shape[1]], order)
    assert (found["top5"][:, order.shape[1] :] == -1).all()


@settings(max_examples=30, deadline=None)
@given(rows=st.lists(st.lists(st.integers(0, 2), min_size=8, max_size=8), min_size=1, max_size=10))
def test_ties_go_to_the_lower_class(rows: list[list[int]]) -> None:
    logits = np.array(rows, np.float32)
    found = logits_to_columns(torch.from_numpy(logits), torch.zeros(len(rows), dtype=torch.int64))
    expected = np.array([sorted(range(8), key=lambda c: (-row[c], c))[:5] for row in rows])
    np.testing.assert_array_equal(found["top5"].numpy(), expected)
    np.testing.assert_array_equal(found["predicted"].numpy(), expected[:, 0])


def test_no_target_gives_nan_and_saturated_logits_stay_in_range() -> None:
    logits = torch.tensor([[200.0, -200.0], [0.0, 0.0]])
    found = logits_to_columns(logits, torch.tensor([-1, 1]))
    assert torch.isnan(found["nll"][0])
    assert torch.isnan(found["brier"][0])
    assert found["confidence"].tolist() == [1.0, 0.5]
    assert found["entropy"][0] == 0.0


def test_batches_do_not_matter() -> None:
    logits = torch.randn(11, 4, generator=torch.Generator().manual_seed(0))
    target = np.arange(11) % 4
    whole, parts = ColumnBuilder("c", 4, keep_logits=True), ColumnBuilder("c", 4, keep_logits=True)
    whole.add(logits, make_batch(11, target))
    for start in range(0, 11, 3):
        piece = slice(start, start + 3)
        parts.add(logits[piece], make_batch(len(logits[piece]), target[piece], start))
    a, b = whole.finish().columns(), parts.finish().columns()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name])


def test_a_subset_cuts_the_logits_before_the_softmax() -> None:
    logits = torch.tensor([[9.0, 1.0, 2.0]])
    builder = ColumnBuilder("c", 3, subset=torch.tensor([1, 2]))
    builder.add(logits, make_batch(1, np.array([1])))
    found = builder.finish()
    assert found.predicted.tolist() == [1]
    assert found.confidence[0] == pytest.approx(1 / (1 + np.exp(-1)), rel=1e-6)


def test_bad_logits_are_named() -> None:
    builder = ColumnBuilder("fog/3", 2)
    builder.add(torch.tensor([[float("nan"), 0.0], [0.0, float("inf")], [0.0, 1.0]]), make_batch(3, np.zeros(3, int)))
    with pytest.raises(RobenchError, match=r"In cell 'fog/3' .* for 2 of 3 images"):
        builder.finish()
    with pytest.raises(RobenchError, match="puts out 7 classes; the suite needs 2"):
        ColumnBuilder("clean", 2).add(torch.zeros(3, 7), make_batch(3, np.zeros(3, int)))
    with pytest.raises(RobenchError, match=r"must return logits"):
        ColumnBuilder("clean", 2).add(torch.zeros(2), make_batch(2, np.zeros(2, int)))
    with pytest.raises(RobenchError, match="has no images"):
        ColumnBuilder("clean", 2).finish()
