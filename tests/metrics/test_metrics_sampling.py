"""Standard errors of sampled means against brute force over many draws."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from robench.metrics.influence import per_image_values
from robench.metrics.sampling import StandardErrors, next_size, standard_errors
from robench.results.intervals import interval_of
from robench.suites.drawing import Design

Floats = npt.NDArray[np.float64]


def population(images: int, cells: int, seed: int) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Right or wrong answers of cells that are alike on the same image, and more alike within a class."""
    rng = np.random.default_rng(seed)
    classes = np.arange(images) % 10
    hardness = 0.6 * rng.standard_normal((images, 1)) + 0.4 * rng.standard_normal(10)[classes][:, None]
    latent = hardness + 0.7 * rng.standard_normal((images, cells))
    return (latent > np.linspace(-1, 1, cells)).astype(float), classes


@pytest.mark.parametrize("drawn", [60, 400])
@pytest.mark.parametrize("stratified", [True, False])
def test_standard_errors_are_those_of_repeated_samples(drawn: int, stratified: bool) -> None:
    images, cells, repeats = 2000, 12, 200
    answers, classes = population(images, cells, seed=3)
    weights = np.full(cells, 1 / cells)
    off, full = [], []
    for repeat in range(repeats):
        design = Design(images, cells, f"repeat {repeat}", classes if stratified else None)
        index = [design.order(place)[:drawn] for place in range(cells)]
        values = [answers[rows, cell] for cell, rows in enumerate(index)]
        found = standard_errors(
            values, index, weights, np.full(cells, images),
            classes=[classes[rows] for rows in index] if stratified else None, share=True,
        )  # fmt: skip
        off.append(float(np.mean([value.mean() for value in values]) - answers.mean()))
        full.append(found.full_run)
    assert np.std(off) == pytest.approx(np.mean(full), rel=0.15)
    assert np.mean(np.abs(off) <= 1.96 * np.array(full)) == pytest.approx(0.95, abs=0.04)


def test_a_full_run_is_exact_and_leaves_the_error_for_new_images() -> None:
    answers, _ = population(500, 4, seed=5)
    index = [np.arange(500)] * 4
    found = standard_errors(list(answers.T), index, np.full(4, 0.25), np.full(4, 500))
    assert found.full_run == 0.0
    per_image = answers.mean(axis=1)
    assert found.new_images == pytest.approx(per_image.std(ddof=1) / np.sqrt(500), rel=0.01)


def test_a_sample_without_a_wrong_answer_is_not_certain() -> None:
    index = [np.arange(50) + 50 * cell for cell in range(3)]
    found = standard_errors([np.zeros(50)] * 3, index, np.full(3, 1 / 3), np.full(3, 1000), share=True)
    assert found.full_run > 0.003


def test_a_cell_without_weight_does_not_count() -> None:
    rng = np.random.default_rng(1)
    values = [rng.random(40), rng.random(40)]
    index = [np.arange(40), np.arange(40, 80)]
    both = standard_errors(values, index, np.array([1.0, 0.0]), np.array([100, 100]))
    one = standard_errors(values[:1], index[:1], np.array([1.0]), np.array([100]))
    assert both == one


def test_the_next_round_aims_at_the_width_and_no_further_than_four_times() -> None:
    errors = StandardErrors(new_images=0.02, full_run=0.02, per_image=0.04, pool=0.0)
    assert next_size(errors, 100, 10_000, 0.04) == 100
    assert next_size(errors, 100, 10_000, 0.03) == pytest.approx(100 * (0.02 * 1.96 / 0.03) ** 2 * 1.03, abs=2)
    assert next_size(errors, 100, 10_000, 0.001) == 400
    assert next_size(errors, 100, 150, 0.001) == 150


@pytest.mark.parametrize("answer", [0, 1])
@pytest.mark.parametrize("metric", ["error", "top5_error"])
def test_a_sample_whose_images_are_all_right_or_all_wrong_may_be_an_exception(answer: int, metric: str) -> None:
    """An attack that turns every answer: of 250 images of 10,000 that is no proof that it turns all others."""
    n = 250
    columns = {"index": np.arange(n), "target": np.zeros(n, int), "predicted": np.full(n, answer),
               "top5": np.full((n, 5), answer), "targets": np.zeros((n, 1), int)}  # fmt: skip
    found = per_image_values(metric, columns)
    assert found is not None
    assert found.values.mean() == pytest.approx(answer)
    cells, labels = [found.values] * 3, [np.arange(n) % 10] * 3
    index, totals = [np.arange(n) + 50 * cell for cell in range(3)], np.full(3, 10_000)
    for gradient in ([1.0, 0.0, 0.0], [1 / 3] * 3):
        errors = standard_errors(cells, index, np.array(gradient), totals, classes=labels, share=True)
        assert errors.full_run > 0.002
        interval = interval_of(float(answer), errors.new_images, metric)
        assert interval is not None
        assert interval[1] - interval[0] > 0.004
