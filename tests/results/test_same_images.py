"""Images that a fit has seen are left out of the cells of these images, and of no others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import robench
from robench.predictions import ModelInfo, Predictions, RunFolder, RunIdentity, RunRecord, SuiteInfo
from robench.results.same_images import cells_like, of_same_images, shared_images

CLEAN, SHIFTED = "imagenet-200", "imagenet-r"
SIZES = {CLEAN: 100, SHIFTED: 300}
WRONG = 100  # the first classes of the shifted set are the hard ones


def cell_of(name: str) -> Predictions:
    """Return predictions in the order of ten classes; of the shifted set the first third is wrong."""
    n = SIZES[name]
    index, target = np.arange(n), (np.arange(n) * 10 // n).astype(np.int32)
    rank = np.where((name == SHIFTED) & (index < WRONG), 1, 0).astype(np.int32)
    p = np.where(rank == 0, 0.8, 0.1).astype(np.float32) + (index * 1e-4).astype(np.float32)
    return Predictions(
        index=index,
        target=target,
        predicted=(target + rank) % 10,
        confidence=np.full(n, 0.8, np.float32),
        target_probability=p,
        nll=-np.log(p),
        brier=p,
        entropy=p,
        top5=np.zeros((n, 5), np.int32),
        log_complement=np.log(1 - np.full(n, 0.8) - index * 1e-4).astype(np.float32),
        logsumexp=np.zeros(n, np.float32),
        max_logit=np.log(np.full(n, 0.8)).astype(np.float32),
        second_logit=np.log(np.full(n, 0.1)).astype(np.float32),
        target_rank=rank,
        target_tail=np.where(rank == 0, 1 - p, 0.1).astype(np.float32),
        fingerprint=index + (0 if name == CLEAN else 10_000),
    )


def run_of(path: Path, cells: dict[str, np.ndarray]) -> RunFolder:
    protocol = {"suite": "imagenet-r", "checksums": dict.fromkeys(cells, "c"), "images": str(path)}
    suite = SuiteInfo(
        name="imagenet-r", title="ImageNet-R", task="classification", version=1, dataset="imagenet", num_classes=1000,
        source="published", summary=("gap",), cells=tuple(cells), protocol=protocol,
    )  # fmt: skip
    record = RunRecord(
        identity=RunIdentity(model="m", protocol=protocol),
        cells=tuple(cells),
        suite=suite,
        model=ModelInfo(name="m", hash="m", num_classes=1000),
    )
    run = RunFolder.create(path, record)
    for name, rows in cells.items():
        run.write(name, cell_of(name).rows(rows))
    return run


def test_cells_of_other_images_are_told_by_their_labels() -> None:
    clean, shifted = cell_of(CLEAN), cell_of(SHIFTED)
    assert of_same_images(clean, clean.rows(np.arange(40, 60)))
    assert not of_same_images(clean, shifted)


def test_a_fit_takes_no_images_off_another_set(tmp_path: Path) -> None:
    """Images of ImageNet-R have other classes under the same numbers: those of the first classes would be missing."""
    half = np.arange(0, 100, 2)
    run = run_of(tmp_path / "run", {CLEAN: np.arange(100), SHIFTED: np.arange(300)})
    fit = run_of(tmp_path / "fit", {CLEAN: half, SHIFTED: np.arange(300)})
    assert cells_like(run, CLEAN) == [CLEAN]
    np.testing.assert_array_equal(shared_images(run, fit, half, CLEAN), half)
    found = robench.conformal(run.path, fit_on=CLEAN, fit_run=fit.path, alpha=0.1, resamples=0)
    assert found.images == {CLEAN: 50, SHIFTED: 300}
    assert found.values[SHIFTED]["conformal_coverage"].value == pytest.approx(1 - WRONG / 300)
