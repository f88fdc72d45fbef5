"""Every suite's predictions can be scored: its rules find their cells, and no value of the summary is missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from robench.catalogue import headlines, metric_of, row
from robench.evaluation.columns import ColumnBuilder
from robench.predictions import ModelInfo, RunFolder, RunIdentity, RunRecord, SuiteInfo
from robench.results import score_run
from robench.results.comparing import compare_runs
from robench.suites import get, names, subset_indices
from robench.suites.base import Batch, Cell, Suite

IMAGES = 20


def classes_of(suite: Suite) -> int:
    return len(subset_indices(suite.subset)) if suite.subset else suite.num_classes or 10


def fill(run: RunFolder, suite: Suite, cell: Cell, seed: int) -> None:
    """Write what the engine would, from random logits that lean to the label."""
    classes, frames = classes_of(suite), suite.frame_count(cell.condition)
    rng = np.random.default_rng(seed)
    index = np.repeat(np.arange(IMAGES), frames)
    label = np.arange(IMAGES)[:, None] % classes
    target = np.repeat(label[:, 0], frames)
    if suite.task == "multilabel":
        target = rng.integers(0, 2, (IMAGES, classes))
        target[0] = 1
    logits = rng.standard_normal((len(index), classes)).astype(np.float32)
    if target.ndim == 1:
        logits[np.arange(len(index)), target] += 2
    frame = np.tile(np.arange(frames), IMAGES) if frames > 1 else None
    builder = ColumnBuilder(cell.name, classes, multilabel=suite.task == "multilabel")
    builder.add(
        torch.from_numpy(logits), Batch(torch.zeros(len(index), 3, 1, 1, dtype=torch.uint8), index, target, frame)
    )
    run.write(cell.name, builder.finish())


@pytest.mark.parametrize("name", names())
def test_a_suite_is_scored_with_its_headline(name: str, tmp_path: Path) -> None:
    suite = get(name)
    cells = suite.cells
    named = tuple(cell.name for cell in cells)
    record = RunRecord(
        identity=RunIdentity(protocol={"suite": name}, model="m"),
        cells=named,
        suite=SuiteInfo(
            name=name, title=suite.title, task=suite.task, version=suite.version, dataset=suite.dataset,
            num_classes=suite.num_classes, source=suite.sources[0], normaliser=suite.normaliser, subset=suite.subset,
            summary=suite.summary, cells=named, protocol={"suite": name},
        ),
        model=ModelInfo(name="m", hash="m", num_classes=10),
    )  # fmt: skip
    run = RunFolder.create(tmp_path / "r", record)
    for seed, cell in enumerate(cells):
        fill(run, suite, cell, seed)
    result = score_run(run, resamples=10)
    headline = result.summary[suite.headline]
    assert headline.value is not None
    assert headline.low is not None
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
