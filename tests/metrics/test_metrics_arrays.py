"""Every function takes torch tensors that numpy does not: with a gradient, in bfloat16; wrong answers are refused."""

from __future__ import annotations

import re
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


WRONG: dict[str, tuple[Callable[[], object], str]] = {
    "augrc of NaN": (lambda: metrics.area_under_generalised_risk_coverage([np.nan, 0.5], [1, 0]), "1 of 2 confidences"),
    "complex": (lambda: metrics.ece([0.5 + 0j], [True]), "Expected numbers"),
    "a column is missing": (lambda: metrics.compute("ece", {"predicted": [1], "target": [1]}), "needs the columns"),
    "columns of other lengths": (lambda: metrics.compute("error", {"predicted": [1], "target": [1, 0]}), "numbers of"),
    "cells without index": (lambda: metrics.bootstrap_cells([{"target": LABELS}], ["error"]), "no `index`"),
    "difficulty 0": (lambda: metrics.flips_per_clip([[1, 2]], noise=False, difficulty=0), "at least 1"),
    "one sequence": (lambda: metrics.flips_per_clip([1, 2], noise=False), "(clips, frames)"),
    "four classes": (lambda: metrics.top5_distance_per_clip(np.zeros((1, 2, 4), int), noise=False), "five classes"),
    "level in percent": (lambda: metrics.rank_intervals(MANY, level=95), "between 0 and 1"),
    "interval's level": (lambda: metrics.interval(MANY, level=95), "between 0 and 1"),
    "one model's ranks": (lambda: metrics.rank_intervals(MANY[0]), "(resamples, models)"),
    "p above 1": (lambda: metrics.holm([0.5, 1.5]), "must lie in"),
    "p of NaN": (lambda: metrics.holm([0.5, np.nan]), "must lie in"),
    "a mask of -1": (lambda: metrics.mask_logits(ERRORS, [-1]), "in 0..4"),
    "a mask beyond": (lambda: metrics.mask_logits(ERRORS, [5]), "in 0..4"),
    "mce of means": (lambda: metrics.mean_corruption_error(ERRORS[:, 0], ALEXNET), "severities"),
    "mce of percent": (lambda: metrics.mean_corruption_error(100 * ERRORS, ALEXNET), "must be fractions"),
    "mce of another": (lambda: metrics.mean_corruption_error(ERRORS[:1], ALEXNET, ("mud",)), "no error for mud"),
    "another baseline": (lambda: baseline_errors("vgg"), "Unknown baseline"),
    "images of one answer": (lambda: metrics.reliability_diagram([0.5, 0.6], [1, 0], image=[1]), "of every answer"),
    "ragged": (lambda: metrics.ece([[0.5], [0.5, 0.5]], [True]), "not an array"),
    "resamples": (lambda: metrics.bootstrap_cells([], ["error"], resamples=-1), "at least 0"),
    "selective error of NaN": (lambda: metrics.selective_error([np.nan, 0.5], [1, 0], 0.5), "1 of 2 confidences"),
    "text": (lambda: metrics.ece(["high"], [True]), "Expected numbers"),
    "logits of one image": (lambda: metrics.softmax([1.0, 2.0]), "(n, K)"),
    "worst of one variant": (lambda: metrics.worst_of_k_error(HIT[0]), "(k, n)"),
    "worst of none": (lambda: metrics.worst_of_k_error(HIT[:0]), "no variants"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_has_another_shape_or_meaning_is_refused(name: str) -> None:
    call, expected = WRONG[name]
    with pytest.raises(RobenchError, match=re.escape(expected)):
        call()
