"""The least standard error of a difference: it binds where models answer alike, not where images tell it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from test_scoring import CELLS, make_columns

from robench.predictions import Predictions
from robench.results.floors import floor_between
from robench.results.schema import StatisticsRecord
from robench.results.scores import Scores, score_runs
from robench.results.summaries import CellArrays, summarise
from robench.suites import get

SUITE, IMAGES = get("digits-c"), 300
Cells = Mapping[str, Predictions]
STATISTICS = StatisticsRecord(resamples=300, seed=0)


@pytest.fixture(scope="module")
def answers() -> Cells:
    return {name: make_columns(3.0, seed, IMAGES) for seed, name in enumerate(CELLS)}


def moved(cells: Cells, cell: str, images: int) -> Cells:
    """Return the answers with other classes for the first images of one cell."""
    predicted = cells[cell].predicted.copy()
    predicted[:images] = (predicted[:images] + 1) % 10
    return {**cells, cell: replace(cells[cell], predicted=predicted)}


def floor(a: Cells, b: Cells, name: str, metrics: tuple[str, ...] = ("error", "brier")) -> tuple[float, float]:
    """Return the least error of a difference, and that of the resamples."""
    scores: list[Scores] = score_runs([a, b], metrics, STATISTICS, SUITE)
    first, second = (summarise(CellArrays(one.cells, one.replicates, SUITE))[name] for one in scores)
    value = float(summarise(CellArrays(scores[0].cells, scores[0].values, SUITE))[name])
    apart = first - second
    return floor_between(name, scores[0], scores[1], SUITE, value, apart), float(apart.std(ddof=1))


def test_models_that_answer_alike_may_differ_as_far_as_can_be_on_an_image_not_seen(answers: Cells) -> None:
    least, drawn = floor(answers, answers, "mean_error")
    assert drawn == 0.0
    assert least == pytest.approx(np.sqrt(2 / (IMAGES + 2) / IMAGES))


def test_small_differences_of_many_images_are_as_sharp_as_their_resamples(answers: Cells) -> None:
    """On a third of 300 images, under one of 15 corruptions: 0.04 points, of which 0.47 were made."""
    least, drawn = floor(moved(answers, "fog/3", 100), answers, "mean_error")
    assert drawn < np.sqrt(2 / (IMAGES + 2) / IMAGES)
    assert least < drawn
    cells = {n: replace(c, brier=c.brier + np.float32(1e-4) * (c.index % 7)) for n, c in answers.items()}
    least, drawn = floor(cells, answers, "mean_brier")
    assert drawn < 1e-4
    assert least < 0.0005  # 300 images of 1e-4 and one of 2.0 (a Brier score is at most that): not the 0.0047 of two


def test_few_images_that_differ_are_not_taken_for_all(answers: Cells) -> None:
    worst, _ = floor(answers, answers, "mean_error")
    one, _ = floor(moved(answers, "fog/3", 1), answers, "mean_error")
    assert 0.7 * worst < one < worst


def test_metrics_that_are_no_sums_over_images_keep_the_largest(answers: Cells) -> None:
    least, drawn = floor(moved(answers, "fog/3", 1), answers, "mean_rms_calibration_error", ("rms_calibration_error",))
    assert drawn < least
    assert least == pytest.approx(np.sqrt(2 / (IMAGES + 2) / IMAGES), rel=1e-4)  # as of error: both are in [0, 1]
