"""Images are resampled together where cells are of the same images, and apart where each has its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from robench.evaluation.collecting import ColumnBuilder
from robench.predictions import ModelInfo, Predictions, RunFolder, RunIdentity, RunRecord, SuiteInfo
from robench.results import score_run
from robench.results.deciding import paired_losses
from robench.results.own_images import images_apart
from robench.results.precision import image_sets
from robench.results.protocols import protocol_of_run
from robench.results.same_images import cells_like
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


def cell_of(name: str, wrong: np.ndarray) -> Predictions:
    """Return predictions of images in class order, so that every set has the labels of the others."""
    target = np.repeat(np.arange(CLASSES), EACH)
    logits = np.zeros((len(target), CLASSES), np.float32)
    logits[np.arange(len(target)), (target + wrong) % CLASSES] = 3.0
    builder = ColumnBuilder(name, CLASSES, multilabel=False)
    images = torch.zeros(len(target), 3, 1, 1, dtype=torch.uint8)
    builder.add(torch.from_numpy(logits), Batch(images, np.arange(len(target)), target))
    return builder.finish()


def run_of(path: Path, suite: str, cells: tuple[str, ...], model: str = "m", seed: int = 0, **about: str) -> RunFolder:
    """Return a run whose answers depend on the class alone, as those on sets of the same classes do."""
    info = info_of(suite, cells, **about)
    record = RunRecord(
        identity=RunIdentity(protocol=info.protocol, model=model),
        cells=cells,
        suite=info,
        model=ModelInfo(name=model, hash=model, num_classes=CLASSES),
    )
    run = RunFolder.create(path, record)
    hard = np.repeat(np.arange(CLASSES) < CLASSES // 2, EACH)
    for i, name in enumerate(cells):
        rng = np.random.default_rng([seed, i])
        run.write(name, cell_of(name, (rng.random(len(hard)) < np.where(hard, 0.95, 0.05)).astype(int)))
    return run


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


def test_a_sample_of_independent_sets_draws_from_each(tmp_path: Path) -> None:
    labels = [np.repeat(np.arange(CLASSES), EACH).astype(np.int32)] * 3
    index, totals = [np.arange(CLASSES * EACH)] * 3, np.full(3, CLASSES * EACH)
    assert list(image_sets(index, labels, totals, [None] * 3)) == [0, 0, 0]
    assert list(image_sets(index, labels, totals, list(V2))) == [0, 1, 2]


def test_images_of_a_fit_are_left_out_of_their_own_set_alone(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", "imagenet-v2", V2)
    assert cells_like(run, V2[0]) == [V2[0]]
