"""The columns of predictions against scipy and brute force."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax, logsumexp, softmax
from scipy.stats import entropy
from torch.utils._python_dispatch import TorchDispatchMode

from robench.errors import RobenchError
from robench.evaluation.collecting import ColumnBuilder, UnreadableCellError
from robench.evaluation.columns import _order, _order_by_keys, logits_to_columns
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


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 20),
    classes=st.integers(1, 30),
    scale=st.sampled_from([0.1, 1.0, 30.0, 1000.0]),
    ties=st.booleans(),
    seed=st.integers(0, 999),
)
def test_what_does_not_saturate_agrees_with_brute_force_in_float64(
    n: int, classes: int, scale: float, ties: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    logits = (rng.standard_normal((n, classes)) * scale).astype(np.float32)
    logits = np.round(logits) if ties else logits
    target = rng.integers(-1, classes, n)
    found = {k: v.numpy() for k, v in logits_to_columns(torch.from_numpy(logits), torch.from_numpy(target)).items()}
    for i, row in enumerate(logits.astype(np.float64)):
        order = sorted(range(classes), key=lambda c: (-row[c], c))
        log_p = [row[c] - logsumexp(row) for c in range(classes)]
        assert found["max_logit"][i] == row[order[0]]
        assert found["logsumexp"][i] == pytest.approx(logsumexp(row), rel=1e-6, abs=1e-6)
        if classes == 1:
            assert np.isnan(found["second_logit"][i])
            assert found["log_complement"][i] == -np.inf
        else:
            assert found["second_logit"][i] == row[order[1]]
            complement = logsumexp([log_p[c] for c in order[1:]])
            assert found["log_complement"][i] == pytest.approx(complement, rel=1e-6, abs=1e-6)
        rank = order.index(target[i]) if target[i] >= 0 else -1
        assert found["target_rank"][i] == rank
        if target[i] >= 0:
            after = order[rank + 1 :]
            tail = np.exp(logsumexp([log_p[c] for c in after])) if after else 0.0
            # float32 rounds the distances of the largest logit, and of the first one behind, to the second largest
            away = (row[order[0]] - row[order[1]]) + (row[order[1]] - row[after[0]]) if after else 0.0
            assert found["target_tail"][i] == pytest.approx(tail, rel=5e-7 + 1.2e-7 * abs(away), abs=1e-38)
        else:
            assert np.isnan(found["target_tail"][i])


@pytest.mark.parametrize(("classes", "scale"), [(2, 1.0), (10, 3.0), (1000, 2.0), (21841, 4.0)])
def test_the_tail_of_many_classes_is_that_of_float64(classes: int, scale: float) -> None:
    generator = torch.Generator().manual_seed(classes)
    logits = scale * torch.randn(200, classes, generator=generator)
    target = torch.randint(classes, (200,), generator=generator)
    wide, value = logits.double(), logits.double().gather(1, target[:, None])
    behind = (wide < value) | ((wide == value) & (torch.arange(classes) > target[:, None]))
    tail = torch.where(behind, torch.softmax(wide, dim=1), 0.0).sum(1)
    found = logits_to_columns(logits, target)["target_tail"].double()
    torch.testing.assert_close(found, tail, rtol=2e-6, atol=1e-38)


def test_confidences_that_float32_ties_at_1_stay_apart() -> None:
    logits = torch.tensor([[gap, 0.0, 0.0] for gap in (18.0, 25.0, 30.0, 36.0)])
    builder = ColumnBuilder("c", 3)
    builder.add(logits, make_batch(4, np.array([0, 0, 0, 1])))
    found = builder.finish()
    assert found.confidence.tolist() == [1.0] * 4
    fine = found.columns()["confidence"]
    assert fine.dtype == np.float64
    assert len(set(fine.tolist())) == 4
    np.testing.assert_allclose(1 - fine[:2], 2 * np.exp([-18.0, -25.0]), rtol=1e-4)
    np.testing.assert_allclose(found.log_complement, np.log(2) - np.array([18.0, 25.0, 30.0, 36.0]), rtol=1e-6)
    assert found.second_probability is not None
    np.testing.assert_allclose(found.second_probability, np.exp([-18.0, -25.0, -30.0, -36.0]), rtol=1e-4)
    assert found.target_cumulative is not None
    np.testing.assert_allclose(
        found.target_cumulative, 1 - np.exp([-18.0, -25.0, -30.0, -36.0]) * [2, 2, 2, 1], rtol=0, atol=1e-14
    )


def test_scores_of_conformal_sets_follow_from_the_table() -> None:
    """Against adaptive prediction sets by their definition: sort, sum up to the target."""
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((200, 12)).astype(np.float32) * 3
    target = rng.integers(0, 12, 200)
    builder = ColumnBuilder("c", 12)
    builder.add(torch.from_numpy(logits), make_batch(200, target))
    found = builder.finish()
    p = softmax(logits.astype(np.float64), axis=1)
    order = np.argsort(-p, axis=1)
    place = np.argmax(order == target[:, None], axis=1)
    cumulative = np.take_along_axis(np.cumsum(np.take_along_axis(p, order, 1), 1), place[:, None], 1)[:, 0]
    np.testing.assert_array_equal(found.target_rank, place)
    np.testing.assert_allclose(found.target_cumulative, cumulative, rtol=1e-6)
    np.testing.assert_allclose(found.fine_confidence, p.max(1), rtol=1e-6)


def test_zeros_of_the_log_likelihood_have_one_sign() -> None:
    found = logits_to_columns(torch.tensor([[200.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 1]))
    assert found["nll"][0] == 0.0
    assert not torch.signbit(found["nll"]).any()


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x: x, (False, False)),
        (lambda x: torch.softmax(x, 1), (True, True)),
        (lambda x: torch.softmax(x, 1).bfloat16().float(), (True, True)),
        (torch.sigmoid, (True, False)),
        (lambda x: torch.log_softmax(x, 1), (False, False)),
        (lambda x: torch.softmax(x, 1) * 2 - 1, (False, False)),
    ],
)
@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_raw_outputs_that_are_probabilities_are_noted(function: Any, expected: tuple[bool, bool], classes: int) -> None:
    outputs = function(torch.randn(30, classes, generator=torch.Generator().manual_seed(1)) * 2)
    builder = ColumnBuilder("c", classes, subset=torch.arange(2))
    for piece in outputs.split(7):
        builder.add(piece, make_batch(len(piece), np.zeros(len(piece), int)))
    notes = builder.finish().notes
    assert notes is not None
    assert notes.outputs is not None
    assert (notes.outputs.in_unit_interval, notes.outputs.sums_to_one) == expected
    assert notes.outputs.images == 30
    assert notes.outputs.share_a_sum is None


@pytest.mark.parametrize(
    ("rows", "function", "expected"),
    [
        (30, lambda x: 100 * torch.softmax(x, 1), True),
        (30, lambda x: (100 * torch.softmax(x, 1)).bfloat16().float(), True),
        (30, lambda x: torch.softmax(x, 1) / 2, True),
        (7, lambda x: 100 * torch.softmax(x, 1), None),
        (30, torch.relu, None),
        (30, lambda x: 0 * x, None),
        (30, lambda x: 100 * torch.log_softmax(x, 1), None),
    ],
)
@pytest.mark.parametrize("classes", [2, 10])
def test_scaled_probabilities_are_noted(rows: int, function: Any, expected: bool | None, classes: int) -> None:
    outputs = function(torch.randn(rows, classes, generator=torch.Generator().manual_seed(1)) * 2)
    builder = ColumnBuilder("c", classes)
    for piece in outputs.split(7):
        builder.add(piece, make_batch(len(piece), np.zeros(len(piece), int)))
    notes = builder.finish().notes
    assert notes is not None
    assert notes.outputs is not None
    assert notes.outputs.share_a_sum is expected


@pytest.mark.parametrize(
    ("function", "expected"),
    [(torch.tanh, True), (lambda x: torch.nn.functional.normalize(x).bfloat16(), True), (torch.sigmoid, None),
     (lambda x: 3 * torch.tanh(x), None), (torch.softmax, None)],
)  # fmt: skip
def test_outputs_without_a_scale_are_noted(function: Any, expected: bool | None) -> None:
    rows = torch.randn(30, 10, generator=torch.Generator().manual_seed(1)) * 2
    builder = ColumnBuilder("c", 10)
    builder.add(function(rows, 1) if function is torch.softmax else function(rows), make_batch(30, np.zeros(30, int)))
    notes = builder.finish().notes
    assert notes is not None
    assert notes.outputs is not None
    assert notes.outputs.about_zero is expected


@pytest.mark.parametrize("far", [3e38, 1e6])
def test_logits_whose_differences_no_result_can_hold_are_refused(far: float) -> None:
    builder = ColumnBuilder("c", 2)
    builder.add(torch.tensor([[-far, far], [0.0, 1.0], [far, far - 1]]), make_batch(3, np.zeros(3, int)))
    with pytest.raises(RobenchError, match="too far apart to be scored, for 1 of 3"):
        builder.finish()


def test_a_masked_class_may_lie_far_below() -> None:
    builder = ColumnBuilder("c", 3)
    builder.add(torch.tensor([[0.0, 1.0, -1e9]]), make_batch(1, np.zeros(1, int)))
    assert builder.finish().nll == pytest.approx([np.log(1 + np.e)])


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
    with pytest.raises(RobenchError, match="has 7 output classes; the suite needs 2"):
        ColumnBuilder("clean", 2).add(torch.zeros(3, 7), make_batch(3, np.zeros(3, int)))
    with pytest.raises(RobenchError, match=r"must return logits"):
        ColumnBuilder("clean", 2).add(torch.zeros(2), make_batch(2, np.zeros(2, int)))
    with pytest.raises(RobenchError, match="has no images"):
        ColumnBuilder("clean", 2).finish()
    builder = ColumnBuilder("clean", 2)
    builder.note_unreadable(("1.png cannot be decoded.", "2.png cannot be decoded."))
    with pytest.raises(UnreadableCellError, match=r"None of the 2 images of cell 'clean' could be read; .*1\.png"):
        builder.finish()


@pytest.mark.parametrize("classes", [1, 3, 5, 12])
def test_a_gpus_order_of_classes_is_the_cpus(classes: int) -> None:
    """Of keys that hold a logit's bits: with ties, zeros of both signs, the largest and the smallest numbers."""
    rng = np.random.default_rng(classes)
    values = [0.0, -0.0, 1.5, -1.5, 3.4e38, -3.4e38, 1e-45, -1e-45, 2.0]
    logits = torch.from_numpy(rng.choice(values, (400, classes)).astype(np.float32))
    k = min(5, classes)
    expected = np.argsort(-logits.numpy(), axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(_order_by_keys(logits, k), expected)
    np.testing.assert_array_equal(_order(logits, k), expected)


class Reads(TorchDispatchMode):
    """Counts what would make the host wait for a GPU: values that are read, or compared by the host."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = function.overloadpacket.__name__
        if name in {"_local_scalar_dense", "equal", "is_nonzero", "nonzero", "item"}:
            self.seen.append(name)
        return function(*args, **(kwargs or {}))


def test_nothing_is_read_from_the_device_while_batches_are_collected() -> None:
    logits, target = torch.randn(20, 12), np.arange(20) % 12
    builder = ColumnBuilder("c", 12, subset=torch.arange(10))
    with Reads() as reads:
        builder.add(logits[:10], make_batch(10, target[:10] % 10))
        builder.add(logits[10:], make_batch(10, target[10:] % 10, 10))
        collected = builder.close()
    assert reads.seen == []
    assert len(collected.predictions()) == 20
