"""The trials behind a perfect value: their exact interval holds as often as it promises."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from robench.metrics import compute
from robench.metrics.statistics import exact_interval
from robench.metrics.trials import trials

DRAWS = 2000


def _foreign(rng: np.random.Generator, own: int, foreign: int) -> dict[str, np.ndarray]:
    outlier = np.repeat(np.array([0, 1], np.uint8), [own, foreign])
    surer = rng.normal(size=own + foreign) + 2.5 * (1 - outlier)
    return {"index": np.arange(own + foreign), "outlier": outlier, "logsumexp": surer}


def _answers(rng: np.random.Generator, images: int) -> dict[str, np.ndarray]:
    confidence = rng.random(images)
    right = rng.random(images) < 1.0 - 0.2 * (1.0 - confidence) ** 3
    return {"index": np.arange(images), "confidence": confidence, "predicted": right * 1, "target": np.ones(images)}


@pytest.mark.parametrize(
    ("metric", "draw", "few", "many"),
    [
        ("ood_auroc_energy", _foreign, (100, 3), (40_000, 40_000)),  # of all 103 images it would hold too rarely
        ("ood_auroc_energy", _foreign, (9, 20), (40_000, 40_000)),
        ("selective_error_80", _answers, (60,), (400_000,)),
        ("selective_error_90", _answers, (200,), (400_000,)),
    ],
)
def test_perfect_values_hold_the_true_one_as_often_as_promised(
    metric: str, draw: Callable[..., dict[str, np.ndarray]], few: tuple[int, ...], many: tuple[int, ...]
) -> None:
    rng = np.random.default_rng(1)
    truth = compute(metric, draw(rng, *many))
    missed = 0
    for _ in range(DRAWS):
        cell = draw(rng, *few)
        if (value := compute(metric, cell)) in (0.0, 1.0):
            low, high = exact_interval(value, trials(metric, cell))
            missed += not low <= truth <= high
    assert 0.0 < truth < 1.0
    assert missed <= 0.025 * DRAWS


def test_rows_of_the_same_image_are_one_trial() -> None:
    index, right = np.repeat(np.arange(30), 4), np.repeat(np.arange(30) < 22, 4)
    columns = {"index": index, "predicted": right.astype(int), "target": np.ones(120, int)}
    found = {name: trials(f"failure_{name}", columns) for name in ("auroc", "auroc_energy", "fpr95", "aupr")}
    assert found == {"auroc": 8, "auroc_energy": 8, "fpr95": 0, "aupr": 0}
    assert trials("error", columns) == 30
    assert trials("selective_error_90", columns) == 27
    assert trials("nll", columns) == 0
