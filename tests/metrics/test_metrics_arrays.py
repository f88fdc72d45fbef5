"""Every function takes torch tensors that numpy does not: with a gradient, in bfloat16; wrong answers are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from robench import metrics
from robench.errors import RobenchError
from robench.metrics.corruption import baseline_errors

RNG = np.random.default_rng(0)
ALEXNET = baseline_errors("alexnet")
HIT, ALSO = RNG.random((3, 40)) < 0.6, RNG.random((3, 40)) < 0.5
# Numbers of eight bits, so that bfloat16 holds them.
ERRORS, MANY, LABELS = RNG.integers(1, 64, (15, 5)) / 64, RNG.integers(1, 64, (20, 4)) / 64, RNG.integers(0, 9, (4, 6))

CALLS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "affinity": (metrics.affinity, (ERRORS[0], ERRORS[1])),
    "corrupted_mean": (metrics.corrupted_mean, (ERRORS,)),
    "flips": (lambda x: metrics.flips_per_clip(x, noise=False), (LABELS,)),
    "gap": (metrics.generalisation_gap, (ERRORS[0, 0], ERRORS[1])),
    "holm": (metrics.holm, (ERRORS[0],)),
    "interval": (metrics.interval, (MANY,)),
    "mask": (metrics.mask_logits, (ERRORS, LABELS[0, :3] % 5)),
    "mce": (lambda x: metrics.mean_corruption_error(x, ALEXNET), (ERRORS,)),
    "mcnemar": (metrics.mcnemar, (HIT[0], ALSO[0])),
    "ranks": (metrics.rank_intervals, (MANY,)),
    "relative mce": (lambda x: metrics.relative_mean_corruption_error(x, 0.25, ALEXNET), (ERRORS,)),
    "top5": (lambda x: metrics.top5_distance_per_clip(x, noise=True), (RNG.integers(0, 9, (2, 4, 5)),)),
    "worst of k": (metrics.worst_of_k_error, (HIT,)),
}


def tensor(values: Any, dtype: torch.dtype) -> torch.Tensor:
    found = torch.tensor(values)
    return found.to(dtype).requires_grad_() if found.dtype == torch.float64 else found


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@pytest.mark.parametrize("name", CALLS)
def test_tensors_give_what_arrays_give(name: str, dtype: torch.dtype) -> None:
    function, given = CALLS[name]
    np.testing.assert_array_equal(function(*(tensor(values, dtype) for values in given)), function(*given))


@pytest.mark.parametrize("dtype", [torch.bool, torch.int64, torch.bfloat16])
def test_answers_may_be_of_any_type(dtype: torch.dtype) -> None:
    hit, also = torch.tensor(HIT).to(dtype), torch.tensor(ALSO).to(dtype)
    assert metrics.mcnemar(hit[0], also[0]) == metrics.mcnemar(HIT[0], ALSO[0])
    assert metrics.worst_of_k_error(hit) == metrics.worst_of_k_error(HIT)


def test_classes_are_not_taken_for_answers() -> None:
    with pytest.raises(RobenchError, match="True or False"):
        metrics.mcnemar(LABELS[0], LABELS[1])
    with pytest.raises(RobenchError, match="True or False"):
        metrics.worst_of_k_error(LABELS)


def test_small_logits_are_not_taken_for_probabilities() -> None:
    """Those of an untrained network lie near 0, within what probabilities may be."""
    logits = RNG.normal(size=(20, 10)).astype(np.float32) / 10
    for given in (logits, logits.astype(np.float64)):
        with pytest.raises(RobenchError, match="logits=True"):
            metrics.classification_metrics(given, np.arange(20) % 10, logits=False)


def test_no_images_have_no_brier_parts() -> None:
    assert np.isnan(metrics.brier_decomposition([], [])).all()
