"""Gates of the weights in ``models/`` as tests; ``pip install robench`` brings the fixture and the marker to pytest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.robench_gate(
    suite="cifar10-c",
    data="data/cifar10",
    baseline="base/models/model.pth",
    arch="resnet-20",
    norm_preset="cifar10",
    max_loss=1.0,
    budget=30_000,
)


def test_the_error_under_corruption_does_not_rise(robench_gate: Callable[..., Any]) -> None:
    """The test fails where the new weights lose more than a point, or where the budget does not decide it."""
    robench_gate("models/model.pth")


@pytest.mark.robench_gate(figures="rms_calibration_error", max_loss=2.0, undecided="skip")
def test_the_calibration_does_not_suffer(robench_gate: Callable[..., Any]) -> None:
    """Calibration needs 200 images per cell of both models: an undecided gate is skipped here, not failed."""
    outcome = robench_gate("models/model.pth", budget=60_000)
    assert outcome.paired
