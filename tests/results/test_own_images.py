"""Images are resampled together where cells are of the same images, and apart where each has its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import robench
from robench.evaluation.collecting import ColumnBuilder
from robench.predictions import ModelInfo, Predictions, RunFolder, RunIdentity, RunRecord, SuiteInfo
from robench.results import score_run
from robench.results.comparing import compare_runs
from robench.results.deciding import paired_losses
from robench.results.halves import fit_half
from robench.results.own_images import images_apart, indices_of
from robench.results.precision import image_sets
from robench.results.protocols import protocol_of_run
from robench.results.same_images import cells_like
from robench.results.schema import StatisticsRecord
from robench.results.scores import score_runs
from robench.suites import get, names
from robench.suites.base import Batch

V2 = ("matched-frequency", "threshold0.7", "top-images")
CLASSES, EACH = 20, 20


def info_of(suite: str, cells: tuple[str, ...], source: str = "published") -> SuiteInfo:
    about = get(suite)
    return SuiteInfo(
        name=suite, title=about.title, task=about.task, version=1, dataset=about.dataset, num_classes=CLASSES,
        source=source, summary=about.summary, cells=cells, protocol={"suite": suite},
    )  # fmt: skip


def pixels(number: np.ndarray, set_: int = 0) -> torch.Tensor:
    """Return images (n, 3, 1, 1) that are equal where the numbers, and the numbers of their set, are."""
    of_channels = [number % 256, number // 256, np.full(len(number), set_)]
    return torch.from_numpy(np.stack(of_channels, 1).astype(np.uint8)[..., None, None])


def cell_of(name: str, wrong: np.ndarray, images: torch.Tensor) -> Predictions:
    """Return predictions of images in class order, so that every set has the labels of the others."""
    target = np.repeat(np.arange(CLASSES), EACH)
    logits = np.zeros((len(target), CLASSES), np.float32)
    logits[np.arange(len(target)), (target + wrong) % CLASSES] = 3.0
    builder = ColumnBuilder(name, CLASSES, keep_logits=True)
    builder.add(torch.from_numpy(logits), Batch(images, np.arange(len(target)), target))
    return builder.finish()


def folder_of(path: Path, suite: str, cells: tuple[str, ...], model: str) -> RunFolder:
    info = info_of(suite, cells)
    record = RunRecord(
        identity=RunIdentity(protocol=info.protocol, model=model),
        cells=cells,
        suite=info,
        model=ModelInfo(name=model, hash=model, num_classes=CLASSES),
    )
    return RunFolder.create(path, record)


def run_of(path: Path, suite: str, cells: tuple[str, ...], model: str = "m", seed: int = 0) -> RunFolder:
    """Return a run whose answers depend on the class alone, as those on sets of the same classes do."""
    run = folder_of(path, suite, cells, model)
    hard = np.repeat(np.arange(CLASSES) < CLASSES // 2, EACH)
    for i, name in enumerate(cells):
        rng = np.random.default_rng([seed, i])
        wrong = (rng.random(len(hard)) < np.where(hard, 0.95, 0.05)).astype(int)
        run.write(name, cell_of(name, wrong, pixels(np.arange(len(hard)), i)))
    return run


def of_one_pool(path: Path, model: str = "m", seed: int = 0, share: float = 0.5) -> tuple[RunFolder, list[np.ndarray]]:
    """Return a run on three sets that share images, and which images of the pool each set has.

    Of every class the first images of the later sets are those of the first, in another order.
    """
    rng, same = np.random.default_rng(3), int(share * EACH)
    run, numbers = folder_of(path, "imagenet-v2", V2, model), []
    wrong = (np.random.default_rng(seed).random(CLASSES * EACH * 3) < 0.4).astype(int)  # of the pool's images
    for i, name in enumerate(V2):
        number = np.arange(CLASSES * EACH).reshape(CLASSES, EACH) + i * CLASSES * EACH
        if i:
            number[:, :same] = rng.permuted(numbers[0].reshape(CLASSES, EACH), axis=1)[:, :same]
        numbers.append(number.reshape(-1))
        run.write(name, cell_of(name, wrong[numbers[-1]], pixels(numbers[-1])))
    return run, numbers


def reach(run: RunFolder, value: str) -> float:
    """Return the standard error that the interval of a summary value tells of."""
    found = score_run(run, metrics=["error"], resamples=2_000).summary[value]
    assert found.low is not None
    assert found.high is not None
    return (found.high - found.low) / (2 * 1.96)


def test_cells_of_the_same_images_keep_their_indices() -> None:
    index = {"clean": np.arange(4), "fog/1": np.arange(3)}
    found = images_apart(index, get("cifar10-c"))
    assert {name: list(of_cell) for name, of_cell in found.items()} == {"clean": [0, 1, 2, 3], "fog/1": [0, 1, 2]}


def test_no_image_of_one_set_has_the_index_of_another_set() -> None:
    found = images_apart({name: np.arange(5 + i) for i, name in enumerate(V2)}, get("imagenet-v2"))
    together = np.concatenate(list(found.values()))
    assert len(np.unique(together)) == len(together) == 5 + 6 + 7
    assert [len(of_cell) for of_cell in found.values()] == [5, 6, 7]


@pytest.mark.parametrize("name", names())
def test_a_suite_of_natural_sets_has_images_of_its_own_in_every_cell(name: str) -> None:
    """Corruptions, sequences and attacks are made from one set of images; sets that someone collected are not."""
    suite = get(name)
    several = len(suite.conditions) > 1
    collected = not suite.severities and not suite.attacks and suite.task != "perturbation"
    if several and name != "imagenet-w":  # its watermark is drawn over the clean images
        assert suite.own_images == collected


@pytest.mark.parametrize(("source", "apart"), [("published", True), ("generated", False)])
def test_only_generated_tiny_imagenet_c_is_made_of_the_clean_images(source: str, apart: bool) -> None:
    suite = protocol_of_run(info_of("tiny-imagenet-c", ("clean", "fog/1", "snow/1"), source))
    found = images_apart({name: np.arange(9) for name in ("clean", "fog/1", "snow/1")}, suite)
    assert bool(np.isin(found["clean"], found["fog/1"]).any()) == (not apart)
    assert np.array_equal(found["fog/1"], found["snow/1"])


def test_intervals_of_means_and_gaps_are_those_of_independent_sets(tmp_path: Path) -> None:
    """Answers of sets in class order go together by index, although no two images have to do with each other."""
    run = run_of(tmp_path / "run", "imagenet-v2", ("clean", *V2))
    errors = [run.read(name).predicted != run.read(name).target for name in ("clean", *V2)]
    variance = [wrong.mean() * (1 - wrong.mean()) / len(wrong) for wrong in errors]
    assert reach(run, "error") == pytest.approx(np.sqrt(sum(variance[1:])) / 3, rel=0.06)
    assert reach(run, "gap_error") == pytest.approx(np.sqrt(variance[0] + sum(variance[1:]) / 9), rel=0.06)


def test_pairs_of_models_are_judged_by_independent_sets_too(tmp_path: Path) -> None:
    a, b = (run_of(tmp_path / name, "imagenet-v2", V2, name, seed) for seed, name in enumerate("ab"))
    wrong = [np.stack([run.read(name).predicted != run.read(name).target for name in V2]) for run in (a, b)]
    off = wrong[0].astype(float) - wrong[1]
    expected = np.sqrt((off.var(axis=1, ddof=1) / off.shape[1]).sum()) / 3
    assert paired_losses(a, b, ["error"])["error"].error == pytest.approx(expected, rel=0.01)


def test_images_that_several_sets_have_are_found_by_their_pixels(tmp_path: Path) -> None:
    run, numbers = of_one_pool(tmp_path / "run")
    rows = {name: run.read(name, ("fingerprint",)) for name in V2}
    found = indices_of(rows, get("imagenet-v2"))
    for i, first in enumerate(V2):
        for j, second in enumerate(V2):
            expected = np.intersect1d(numbers[i], numbers[j], return_indices=True)[1:]
            assert np.array_equal(np.sort(np.intersect1d(found[first], found[second], return_indices=True)[1]),
                                  np.sort(expected[0])), (first, second)  # fmt: skip
        assert len(np.unique(found[first])) == len(numbers[i])
    without = indices_of({name: run.read(name, ()) for name in V2}, get("imagenet-v2"))
    assert len(np.unique(np.concatenate(list(without.values())))) == 3 * CLASSES * EACH


def test_images_of_one_set_with_the_same_pixels_stay_apart() -> None:
    index = {"v6": np.arange(4), "v4": np.arange(4)}
    prints = {"v6": np.array([7, 7, 8, 9]), "v4": np.array([9, 7, 7, 5])}
    found = images_apart(index, get("cifar10.1"), prints)
    assert [list(of_cell) for of_cell in found.values()] == [[0, 1, 2, 3], [3, 0, 6, 7]]
    rows_of_frames = {"v6": np.array([0, 0, 1]), "v4": np.array([0, 1, 1])}
    found = images_apart(rows_of_frames, get("cifar10.1"), {"v6": np.array([7, 8, 9]), "v4": np.array([5, 9, 6])})
    assert [list(of_cell) for of_cell in found.values()] == [[0, 0, 1], [2, 1, 1]]


def test_intervals_of_sets_of_one_pool_are_those_of_its_images(tmp_path: Path) -> None:
    """Half of each later set are images of the first: taken for others, the interval would be a quarter too narrow."""
    run, numbers = of_one_pool(tmp_path / "run")
    wrong = np.zeros((3, CLASSES * EACH * 3))
    for i, name in enumerate(V2):
        rows = run.read(name)
        wrong[i, numbers[i]] = (rows.predicted != rows.target) - (rows.predicted != rows.target).mean()
    expected = np.sqrt(((wrong.sum(axis=0) / (3 * CLASSES * EACH)) ** 2).sum())
    independent = np.sqrt((wrong**2).sum()) / (3 * CLASSES * EACH)
    assert expected > 1.2 * independent
    assert reach(run, "error") == pytest.approx(expected, rel=0.06)


@pytest.mark.parametrize("other_run", [False, True])
def test_nothing_is_measured_on_images_that_a_fit_has_seen_in_another_set(tmp_path: Path, other_run: bool) -> None:
    """Vector scaling fits two numbers a class: on images of its fit its losses are far too good."""
    run, numbers = of_one_pool(tmp_path / "run")
    first = run.read(V2[0], ("fingerprint",))
    fitted = fit_half(first.index, first.target)
    kept = {name: ~np.isin(of_set, numbers[0][fitted]) for name, of_set in zip(V2, numbers, strict=True)}
    expected = {name: int(rows.sum()) for name, rows in kept.items()}
    assert expected[V2[0]] == CLASSES * EACH // 2
    assert all(len(rows) > expected[name] > len(rows) // 2 for name, rows in kept.items() if name != V2[0])
    fit_run = None
    if other_run:
        other = folder_of(tmp_path / "fit", "imagenet-v2", V2[:1], "m")
        other.write(V2[0], run.read(V2[0]).rows(fitted))
        fit_run = other.path
    found = robench.calibrate(run.path, fit_on=V2[0], fit_run=fit_run, resamples=0, quiet=True)
    assert found.fit_images == len(fitted)
    assert found.images == expected
    sets = robench.conformal(run.path, fit_on=V2[0], fit_run=fit_run, alpha=0.1, resamples=0)
    assert sets.images == expected
    for name, rows in kept.items():
        wrong = run.read(name).predicted != run.read(name).target
        assert found.before[name]["error"].value == pytest.approx(wrong[rows].mean())


def test_images_of_other_sets_than_the_fit_are_all_measured(tmp_path: Path) -> None:
    cells = ("imagenet-200", "imagenet-r")
    run = run_of(tmp_path / "run", "imagenet-r", cells)
    found = robench.calibrate(run.path, fit_on=cells[0], resamples=0, quiet=True)
    assert found.images == {cells[0]: CLASSES * EACH // 2, cells[1]: CLASSES * EACH}
    sets = robench.conformal(run.path, fit_on=cells[0], alpha=0.1, resamples=0)
    assert sets.images == found.images


def test_pairs_of_models_are_judged_by_the_images_that_sets_share(tmp_path: Path) -> None:
    (a, numbers), (b, _) = (of_one_pool(tmp_path / name, name, seed) for seed, name in enumerate("ab"))
    off = np.zeros((3, CLASSES * EACH * 3))
    for i, name in enumerate(V2):
        errors = [(run.read(name).predicted != run.read(name).target).astype(float) for run in (a, b)]
        off[i, numbers[i]] = errors[0] - errors[1] - (errors[0] - errors[1]).mean()
    expected = np.sqrt(((off.sum(axis=0) / (3 * CLASSES * EACH)) ** 2).sum())
    assert paired_losses(a, b, ["error"])["error"].error == pytest.approx(expected, rel=0.01)
    found = compare_runs(a, b, resamples=1_000).differences["error"]
    assert found.error == pytest.approx(expected, rel=0.1)


def test_runs_of_other_preparation_keep_their_pairs(tmp_path: Path) -> None:
    """One was resized otherwise, or kept no fingerprints: its images are still those of the other run."""
    (a, _), (b, _) = (of_one_pool(tmp_path / name, name, seed) for seed, name in enumerate("ab"))
    rows = [{name: run.read(name, ("fingerprint",)) for name in V2} for run in (a, b)]
    bare = {name: replace(one, fingerprint=None) for name, one in rows[1].items()}
    statistics, suite = StatisticsRecord(resamples=200, seed=0), get("imagenet-v2")
    whole, half = (score_runs([rows[0], other], ("error",), statistics, suite) for other in (rows[1], bare))
    for one, other in zip(whole, half, strict=True):
        assert np.array_equal(one.replicates["error"], other.replicates["error"])


def test_a_sample_of_independent_sets_draws_from_each(tmp_path: Path) -> None:
    labels = [np.repeat(np.arange(CLASSES), EACH).astype(np.int32)] * 3
    index, totals = [np.arange(CLASSES * EACH)] * 3, np.full(3, CLASSES * EACH)
    assert list(image_sets(index, labels, totals, [None] * 3)) == [0, 0, 0]
    assert list(image_sets(index, labels, totals, list(V2))) == [0, 1, 2]


def test_images_of_a_fit_are_left_out_of_their_own_set_alone(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", "imagenet-v2", V2)
    assert cells_like(run, V2[0]) == [V2[0]]
