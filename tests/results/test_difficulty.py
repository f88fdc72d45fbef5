"""Sequences of difficulty 2 and 3: which frames are compared, and that nothing of difficulty 1 normalises them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from robench.corruptions.perturbations import PERTURBATIONS
from robench.predictions import ModelInfo, Predictions, RunFolder, RunIdentity, RunRecord, SuiteInfo
from robench.results import score_run
from robench.results.controls import known_of
from robench.results.deciding import paired_losses
from robench.results.protocols import protocol_of

CLIPS, FRAMES = 5, 11


def clips_of(seed: int) -> Predictions:
    """Return random classes of every frame."""
    predicted = np.random.default_rng(seed).integers(0, 3, (CLIPS, FRAMES)).astype(np.int32)
    zeros = np.zeros(CLIPS * FRAMES, np.float32)
    top5 = np.stack([(predicted.ravel() + k) % 9 for k in range(5)], axis=1).astype(np.int32)
    return Predictions(
        index=np.repeat(np.arange(CLIPS), FRAMES),
        target=np.full(CLIPS * FRAMES, -1, np.int32),
        predicted=predicted.ravel(),
        confidence=zeros,
        target_probability=zeros,
        nll=zeros,
        brier=zeros,
        entropy=zeros,
        top5=top5,
        frame=np.tile(np.arange(FRAMES), CLIPS).astype(np.int32),
    )


def run_of(path: Path, difficulty: int, first: int = 0) -> RunFolder:
    protocol = {"suite": "imagenet-p", "difficulty": difficulty}
    suite = SuiteInfo(
        name="imagenet-p", title="ImageNet-P", task="perturbation", version=1, dataset="imagenet", num_classes=1000,
        source="published", summary=("flips",), normaliser="alexnet", cells=PERTURBATIONS, protocol=protocol,
    )  # fmt: skip
    record = RunRecord(
        identity=RunIdentity(model=str(first), protocol=protocol),
        cells=PERTURBATIONS,
        suite=suite,
        model=ModelInfo(name="m", hash=str(first), num_classes=1000),
    )
    run = RunFolder.create(path, record)
    for seed, name in enumerate(PERTURBATIONS, first):
        run.write(name, clips_of(seed))
    return run


def flips_as_published(predicted: np.ndarray, step: int) -> float:
    """Return the flip probability as loops over interleaved subsequences, of neighbours within each."""
    found = []
    for clip in predicted:
        pairs = [pair for start in range(step) for pair in zip(clip[start::step], clip[start + step :: step])]  # noqa: B905
        found.append(np.mean([earlier != later for earlier, later in pairs]))
    return float(np.mean(found))


@pytest.mark.parametrize("difficulty", [1, 2, 3])
def test_frames_are_compared_as_far_apart_as_the_difficulty_says(tmp_path: Path, difficulty: int) -> None:
    result = score_run(run_of(tmp_path, difficulty), resamples=10)
    for seed, cell in enumerate(result.cells):
        predicted = clips_of(seed).predicted.reshape(CLIPS, FRAMES)
        first = float((predicted[:, 1:] != predicted[:, :1]).mean())
        expected = first if "noise" in cell.name else flips_as_published(predicted, difficulty)
        assert cell.metrics["flip_probability"].value == pytest.approx(expected), cell.name


def test_what_alexnet_has_at_difficulty_1_normalises_no_other(tmp_path: Path) -> None:
    usual, harder = (score_run(run_of(tmp_path / str(d), d), resamples=0) for d in (1, 2))
    assert "mfr" in usual.summary
    assert protocol_of(usual).normaliser == "alexnet"
    assert "mfr" not in harder.summary
    assert protocol_of(harder).normaliser is None
    assert usual.summary["mfp"].value != harder.summary["mfp"].value


def test_rows_samples_and_decisions_keep_the_difficulty(tmp_path: Path) -> None:
    run, other = run_of(tmp_path / "a", 2), run_of(tmp_path / "b", 2, first=20)
    rows = run.read("tilt")
    part = rows.rows(rows.index < 3).of_sample(None)
    assert part.difficulty == 2
    assert Predictions.concatenate([part, part]).difficulty == 2
    assert "difficulty" not in rows.stored()
    known = known_of(rows)
    predicted = rows.predicted.reshape(CLIPS, FRAMES)
    np.testing.assert_allclose(known.values[:, 0], (predicted[:, 2:] != predicted[:, :-2]).mean(axis=1))
    loss = paired_losses(run, other, ["mfp"])["mfp"]
    assert loss.a == pytest.approx(score_run(run, resamples=0).summary["mfp"].value)
