"""Covariances of a sample's cells, and what controls add, against brute force over many draws."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from robench.metrics.sample_rows import SampleRows
from robench.metrics.sampling import errors_of, standard_errors
from robench.metrics.spread import Controls, spread_of
from robench.suites.drawing import Design, shuffled_names

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


def answers(images: int, cells: int, seed: int, hard: Floats | None = None) -> Floats:
    """Right or wrong answers, (images, cells), of cells that are alike on the same image."""
    rng = np.random.default_rng(seed)
    hard = rng.standard_normal(images) if hard is None else hard
    latent = 0.7 * hard[:, None] + 0.7 * rng.standard_normal((images, cells))
    return (latent > np.linspace(-1, 1, cells)).astype(float)


def draws(images: int, cells: int, drawn: int, repeat: int) -> list[Integers]:
    design = Design(images, cells, f"repeat {repeat}")
    return [np.sort(design.order(place)[:drawn]) for place in range(cells)]


@pytest.mark.parametrize("drawn", [40, 300, 560])
def test_the_variance_is_that_of_repeated_samples_up_to_nearly_all_images(drawn: int) -> None:
    images, cells, repeats = 600, 20, 250
    wrong, gradient, totals = answers(images, cells, seed=2), np.full(cells, 1 / cells), np.full(cells, images)
    off, full = [], []
    for repeat in range(repeats):
        index = draws(images, cells, drawn, repeat)
        values = [wrong[rows, cell] for cell, rows in enumerate(index)]
        full.append(standard_errors(values, index, gradient, totals, share=True).full_run)
        off.append(float(np.mean([value.mean() for value in values]) - wrong.mean()))
    assert np.std(off) == pytest.approx(np.sqrt(np.mean(np.square(full))), rel=0.15)
    assert np.mean(np.abs(off) <= 1.96 * np.array(full)) == pytest.approx(0.95, abs=0.04)


@pytest.mark.parametrize("drawn", [25, 60, 150])
def test_the_variance_is_that_of_the_formula_with_the_covariances_of_all_images(drawn: int) -> None:
    """76 cells, 600 images, 10 classes: of classes that differ, only the rounding of their shares is left to chance."""
    images, cells, repeats = 600, 76, 4
    rng = np.random.default_rng(8)
    classes = np.arange(images) % 10
    hard = rng.standard_normal(images) + np.linspace(-1.5, 1.5, 10)[classes]
    wrong = answers(images, cells, 9, hard)[:, rng.permutation(cells)]
    means = np.stack([wrong[classes == kind].mean(axis=0) for kind in range(10)])
    rest = wrong - means[classes]
    within = rest.T @ rest / (images - 10)
    expected, found = [], []
    for repeat in range(repeats):
        design = Design(images, cells, f"repeat {repeat}", classes)
        index = [np.sort(design.order(place)[:drawn]) for place in range(cells)]
        drawn_by = np.zeros((images, cells))
        for cell, rows in enumerate(index):
            drawn_by[rows, cell] = 1.0 / drawn
        variance = (within * (drawn_by.T @ drawn_by - 1.0 / images)).sum() / cells**2
        shares = np.stack([drawn_by[classes == kind].sum(axis=0) for kind in range(10)])
        rounding = ((shares - 0.1) * means).sum() / cells
        values = [wrong[rows, cell] for cell, rows in enumerate(index)]
        of_rows = [classes[rows] for rows in index]
        errors = standard_errors(
            values, index, np.full(cells, 1 / cells), np.full(cells, images), classes=of_rows, share=True
        )
        expected.append(variance + rounding**2)
        found.append(errors.full_run**2)
    assert np.mean(found) == pytest.approx(np.mean(expected), rel=0.08)


def covariances_of(wrong: Floats, used: Integers, drawn: int, repeats: int) -> tuple[float, float]:
    """Return the sum of the covariances between some cells: of all images, and as samples estimate it on average."""
    images, cells = wrong.shape
    found = []
    for repeat in range(repeats):
        index = draws(images, cells, drawn, repeat)
        values = [wrong[rows, cell] for cell, rows in enumerate(index)]
        spread = spread_of(values, SampleRows.of(index, np.full(cells, images)), share=True)
        of_used = spread.within.of(used)
        found.append(of_used.sum() - np.trace(of_used))
    whole = np.cov(wrong[:, used], rowvar=False)
    return float(whole.sum() - np.trace(whole)), float(np.mean(found))


def test_covariances_of_cells_with_few_wrong_images_are_not_too_small() -> None:
    """Cells that share images share the wrong ones, which must not count as larger variances of these cells alone."""
    images, cells, rng = 600, 40, np.random.default_rng(4)
    hard = rng.standard_normal(images)
    wrong = (0.95 * hard[:, None] + 0.31 * rng.standard_normal((images, cells)) > 2.1).astype(float)  # 2 %
    expected, found = covariances_of(wrong, np.arange(cells), drawn=50, repeats=60)
    assert found == pytest.approx(expected, rel=0.12)


def test_a_group_of_cells_that_are_more_alike_than_others_has_covariances_of_its_own() -> None:
    images, cells, rng = 600, 40, np.random.default_rng(6)
    alike = np.where(np.arange(cells) < 10, 0.95, 0.3)
    wrong = alike * rng.standard_normal(images)[:, None] + np.sqrt(1 - alike**2) * rng.standard_normal((images, cells))
    wrong = (wrong[:, rng.permutation(cells)] > 0.5).astype(float)
    group = np.flatnonzero(np.cov(wrong, rowvar=False).sum(axis=0) > np.cov(wrong, rowvar=False).sum() / cells * 1.5)
    assert len(group) == 10
    expected, found = covariances_of(wrong, group, drawn=120, repeats=30)
    assert found == pytest.approx(expected, rel=0.1)


def test_a_control_narrows_the_interval_which_still_holds() -> None:
    images, cells, drawn, repeats = 2000, 6, 100, 250
    hard = np.random.default_rng(5).standard_normal(images)
    wrong, other = answers(images, cells, 6, hard), answers(images, cells, 7, hard)
    known = np.stack([other, np.repeat(hard[:, None], cells, axis=1)], axis=2)  # (images, cells, controls)
    gradient, totals = np.full(cells, 1 / cells), np.full(cells, images)
    off, width, plain = [], [], []
    for repeat in range(repeats):
        index = draws(images, cells, drawn, repeat)
        values = [wrong[rows, cell] for cell, rows in enumerate(index)]
        controls = Controls([known[rows, cell] for cell, rows in enumerate(index)], known.mean(axis=0))
        found = spread_of(values, SampleRows.of(index, totals), share=True, controls=controls)
        width.append(errors_of(found, gradient).full_run)
        plain.append(standard_errors(values, index, gradient, totals, share=True).full_run)
        off.append(float(np.mean([v.mean() for v in values]) + found.shift @ gradient - wrong.mean()))
    assert np.mean(width) < 0.92 * np.mean(plain)
    assert np.std(off) == pytest.approx(np.mean(width), rel=0.15)
    assert np.mean(np.abs(off) <= 1.96 * np.array(width)) == pytest.approx(0.95, abs=0.04)
    assert abs(np.mean(off)) < 3 * np.std(off) / np.sqrt(repeats)  # no bias


def test_cells_of_other_images_do_not_hang_together() -> None:
    rng = np.random.default_rng(3)
    values = [rng.random(50), rng.random(50)]
    index = [np.arange(50), np.arange(50)]
    totals, gradient = np.array([400, 400]), np.array([0.5, 0.5])
    apart = errors_of(spread_of(values, SampleRows.of(index, totals, np.array([0, 1]))), gradient)
    each = [value.var(ddof=1) * (1 / 50 - 1 / 400) / 4 for value in values]
    assert apart.full_run**2 == pytest.approx(sum(each), rel=1e-9)


def test_a_whole_cell_adds_nothing_and_is_not_moved_by_controls() -> None:
    wrong = answers(300, 3, seed=9)
    index = [np.arange(300), np.arange(80), np.arange(100, 180)]
    values = [wrong[rows, cell] for cell, rows in enumerate(index)]
    known = [wrong[rows, 0][:, None] for rows in index]
    controls = Controls(known, np.repeat(wrong[:, :1].mean(axis=0)[None], 3, axis=0))
    found = spread_of(values, SampleRows.of(index, np.full(3, 300)), share=True, controls=controls)
    assert found.shift[0] == 0.0
    assert errors_of(found, np.array([1.0, 0.0, 0.0])).full_run == 0.0
    assert errors_of(found, np.array([0.0, 1.0, 0.0])).full_run > 0.0


def test_the_order_of_cells_depends_on_their_names_alone() -> None:
    names = [f"fog/{severity}" for severity in range(1, 6)]
    assert shuffled_names(names) == shuffled_names(reversed(names))
    few = [name for name in shuffled_names(names) if name != "fog/3"]
    assert shuffled_names([name for name in names if name != "fog/3"]) == few
