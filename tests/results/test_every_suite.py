"""Every suite's predictions can be scored: its rules find their cells, and no value of the summary is missing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from robench.catalogue import headlines, metric_of, row
from robench.evaluation.collecting import ColumnBuilder
from robench.metrics.sampling import next_size
from robench.predictions import ModelInfo, RunFolder, RunIdentity, RunRecord, Sample, SuiteInfo
from robench.results import score_run
from robench.results.comparing import compare_runs
from robench.results.precision import estimates
from robench.suites import get, names, subset_indices
from robench.suites.base import Batch, Cell, Suite

IMAGES = 20


def classes_of(suite: Suite) -> int:
    return len(subset_indices(suite.subset)) if suite.subset else suite.num_classes or 10


def fill(
    run: RunFolder, suite: Suite, cell: Cell, seed: int, *, images: int = IMAGES, of: int | None = None, lean: float = 2
) -> None:
    """Write what the engine would, from random logits that lean to the label; ``of``: as a sample of so many images."""
    classes, frames = classes_of(suite), suite.frame_count(cell.condition)
    rng = np.random.default_rng(seed)
    drawn = np.arange(images) if of is None else np.sort(rng.permutation(of)[:images])
    index = np.repeat(drawn, frames)
    label = drawn[:, None] % classes
    target = np.repeat(label[:, 0], frames)
    if suite.task == "multilabel":
        target = rng.integers(0, 2, (images, classes))
        target[0] = 1
    logits = rng.standard_normal((len(index), classes)).astype(np.float32)
    if target.ndim == 1:
        logits[np.arange(len(index)), target] += lean
    frame = np.tile(np.arange(frames), images) if frames > 1 else None
    builder = ColumnBuilder(cell.name, classes, multilabel=suite.task == "multilabel")
    builder.add(
        torch.from_numpy(logits), Batch(torch.zeros(len(index), 3, 1, 1, dtype=torch.uint8), index, target, frame)
    )
    found = builder.finish()
    run.write(cell.name, found if of is None else found.of_sample(Sample(drawn=images, of=of, key="a")))


def new_run(name: str, suite: Suite, folder: Path) -> RunFolder:
    """Return a run of the suite without predictions."""
    named = tuple(cell.name for cell in suite.cells)
    record = RunRecord(
        identity=RunIdentity(protocol={"suite": name}, model="m"),
        cells=named,
        suite=SuiteInfo(
            name=name, title=suite.title, task=suite.task, version=suite.version, dataset=suite.dataset,
            num_classes=suite.num_classes or 10, source=suite.sources[0], normaliser=suite.normaliser,
            subset=suite.subset, summary=suite.summary, cells=named, protocol={"suite": name},
        ),
        model=ModelInfo(name="m", hash="m", num_classes=10),
    )  # fmt: skip
    return RunFolder.create(folder, record)


@pytest.mark.parametrize("name", names())
def test_a_suite_is_scored_with_its_headline(name: str, tmp_path: Path) -> None:
    suite = get(name)
    cells, run = suite.cells, new_run(name, suite, tmp_path / "r")
    for seed, cell in enumerate(cells):
        fill(run, suite, cell, seed)
    result = score_run(run, resamples=10)
    headline = result.summary[suite.headline]
    assert headline.value is not None
    assert headline.low is not None
    assert headline.high is not None
    assert headline.low <= headline.value <= headline.high
    assert result.status == "complete"
    assert len(result.cells) == len(cells)
    for key, value in result.summary.items():  # what needs more images says so; everything else must be there
        of = metric_of(key)
        assert (value.value is None) == (of is not None and of.minimum_images > IMAGES), key
    for cell_result in result.cells:
        assert cell_result.images == IMAGES
        assert cell_result.frames == suite.frame_count(cell_result.condition)
    assert headlines(result.summary)[0] == suite.headline  # which tables, sentences and leaderboards name first
    comparison = compare_runs(run, run, resamples=10)
    assert any("no significant difference" in sentence for sentence in comparison.sentences)
    assert any(sentence.startswith(row(suite.headline).title) for sentence in comparison.sentences)
    if name.endswith("-p"):
        assert any("mean top-5 distance" in sentence for sentence in comparison.sentences)


@pytest.mark.parametrize("name", [name for name in names() if get(name).task != "multilabel"])
def test_errors_near_chance_are_said_whatever_the_cells_are_called(name: str, tmp_path: Path) -> None:
    suite = get(name)
    shifted = [cell for cell in suite.cells if cell.condition != suite.clean and cell.severity in (None, 1)]
    cell = [*shifted, *suite.cells][0]
    if suite.task == "ood":
        cell = suite.cells[0]  # the others' images have no label
    for lean in (-50.0, 50.0):
        run = new_run(name, suite, tmp_path / f"{lean}")
        fill(run, suite, cell, 0, lean=lean)
        notes = [note for note in score_run(run, resamples=0).notes if "near chance" in note]
        assert len(notes) == (lean < 0)
        if notes:
            assert "100.0 %" in notes[0]
            assert f"({100 - 100 / classes_of(suite):.1f} %)" in notes[0]
            assert "normalisation" in notes[0]
            assert "The clean error" in notes[0] or cell.name in notes[0]


@pytest.mark.parametrize(("share", "said"), [(1.0, True), (0.8, False)])
def test_severe_corruptions_alone_may_be_hard(share: float, said: bool, tmp_path: Path) -> None:
    suite = get("cifar10-c")
    run = new_run("cifar10-c", suite, tmp_path / "r")
    fill(run, suite, Cell("fog", 5), 0, images=100, lean=-50)
    rows = run.read("fog/5")
    right = np.arange(100) >= 100 * share
    run.write("fog/5", replace(rows, predicted=np.where(right, rows.target, rows.predicted).astype(np.int32)))
    notes = score_run(run, resamples=0).notes
    assert any("near chance" in note and "meant to be that hard" in note for note in notes) == said


@pytest.mark.parametrize("name", names())
def test_a_sample_of_a_suite_says_how_far_its_headline_is_off(name: str, tmp_path: Path) -> None:
    suite, few = get(name), 60
    run = new_run(name, suite, tmp_path / "r")
    for seed, cell in enumerate(suite.cells):
        fill(run, suite, cell, seed, images=few, of=400)
    found = estimates(run)
    result = score_run(run, resamples=10)
    assert result.suite.sampled is not None
    assert not result.suite.complete
    if suite.task == "multilabel" or suite.headline.startswith("ood"):  # areas under curves are no means over images
        assert suite.headline not in found
        return
    value, estimate = result.summary[suite.headline], found[suite.headline]
    assert value.full_run_low is not None
    assert value.full_run_high is not None
    assert value.low is not None
    assert value.high is not None
    assert value.low <= value.full_run_low <= (value.value or 0.0) <= value.full_run_high <= value.high
    assert estimate.value == pytest.approx(value.value)
    assert few < next_size(estimate.errors, few, 400, estimate.half_width / 1.5) <= 400
