"""Rounds of a sample that are interrupted, shared by processes, distributed, extended, planned and corrected."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import starting

import robench
from robench.errors import RobenchError
from robench.evaluation.progress import QuietProgress
from robench.predictions import RunFolder
from robench.results import Result

MODEL = "reference:digits/standard"
FEW: dict[str, Any] = {"corruption": "snow,frost", "severity": "4,5", "quiet": True, "resamples": 0, "device": "cpu"}


def measured(out: Path, model: str = MODEL, **words: Any) -> Result:
    result = robench.evaluate(model, "digits-c", out=out, **(FEW | words))
    assert result is not None
    return result


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    out = tmp_path_factory.mktemp("within") / "run"
    return out, measured(out, within=0.8)


def drawn(folder: Path) -> dict[str, list[int]]:
    run = RunFolder.open(folder)
    return {cell: run.read(cell).index.tolist() for cell in run.done()}


def logged(folder: Path) -> int:
    """Return how many images went through the model, as the log has it."""
    return sum(json.loads(line)["images"] for line in (folder / "log.jsonl").read_text().splitlines())


class Stopping(QuietProgress):
    """Ctrl-C at the n-th batch; remembers what was said of the rounds."""

    def __init__(self, at: int = 10**9) -> None:
        self.left, self.titles, self.totals = at, list[str](), list[tuple[int, int]]()

    def start(self, total: int, done: int) -> None:
        self.totals.append((total, done))

    def retitle(self, title: str) -> None:
        self.titles.append(title)

    def advance(self, images: int, cell: str) -> None:
        self.left -= images > 0
        if self.left == 0:
            raise KeyboardInterrupt


def test_ctrl_c_in_the_middle_of_a_round_loses_and_repeats_nothing(tmp_path: Path, narrow: tuple[Path, Result]) -> None:
    out = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        measured(out, within=0.8, progress=Stopping(at=12))  # five cells of two batches in the first round
    sizes = {len(rows) for rows in drawn(out).values()}
    assert len(sizes) > 1  # some cells have the second round's images already
    result = measured(out, within=0.8)
    assert drawn(out) == drawn(narrow[0])
    assert logged(out) == sum(cell.images for cell in result.cells)


def test_progress_names_the_width_and_goes_on_in_one_bar(tmp_path: Path) -> None:
    progress = Stopping()
    result = measured(tmp_path / "run", within=0.8, progress=progress)
    assert progress.titles
    assert all("mean error ±" in title and "to be ±0.8" in title for title in progress.titles)
    totals = [total for total, _ in progress.totals]
    assert [done for _, done in progress.totals] == sorted(done for _, done in progress.totals)
    assert totals[-1] >= sum(cell.images for cell in result.cells)


def test_processes_share_the_rounds_of_one_run(tmp_path: Path, narrow: tuple[Path, Result]) -> None:
    out = tmp_path / "run"
    script = f"import robench; robench.evaluate({MODEL!r}, 'digits-c', out={str(out)!r}, within=0.8, **{FEW!r})"
    both = [starting.start(["-c", script]) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert drawn(out) == drawn(narrow[0])
    assert logged(out) == sum(len(rows) for rows in drawn(out).values())


@pytest.mark.slow
def test_torchrun_measures_the_same_rounds(tmp_path: Path, narrow: tuple[Path, Result]) -> None:
    out = tmp_path / "run"
    script = tmp_path / "script.py"
    script.write_text(
        f"import robench\nrobench.evaluate({MODEL!r}, 'digits-c', out={str(out)!r}, within=0.8, **{FEW!r})"
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script)]
    done = subprocess.run(
        command, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert drawn(out) == drawn(narrow[0])
    assert logged(out) == sum(len(rows) for rows in drawn(out).values())


def test_a_ray_cluster_measures_the_same_rounds(tmp_path: Path, narrow: tuple[Path, Result]) -> None:
    ray = pytest.importorskip("ray", reason="Ray is not installed (pip install 'robench[cluster]')")
    environment = {"env_vars": {"PYTHONPATH": os.pathsep.join(sys.path)}}
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, runtime_env=environment)
    try:
        result = measured(tmp_path / "run", within=0.8, cluster="local")
    finally:
        ray.shutdown()
    assert drawn(tmp_path / "run") == drawn(narrow[0])
    assert result.summary["mean_error"] == narrow[1].summary["mean_error"]


def test_a_run_is_extended_to_a_smaller_width_and_to_the_whole(tmp_path: Path, narrow: tuple[Path, Result]) -> None:
    out = tmp_path / "run"
    measured(out, within=4)
    wide = drawn(out)
    measured(out, within=0.8)
    assert drawn(out) == drawn(narrow[0])
    assert all(set(rows) <= set(drawn(out)[cell]) for cell, rows in wide.items())
    whole = measured(out, within=0)
    assert whole.suite.sampled is None
    assert logged(out) == sum(cell.images for cell in whole.cells) == 5 * 599


def test_clips_are_drawn_whole(tmp_path: Path) -> None:
    words = {"corruption": "brightness", "quiet": True, "resamples": 0, "device": "cpu"}
    result = robench.evaluate(MODEL, "digits-p", out=tmp_path / "run", within=4, **words)  # type: ignore[arg-type]
    assert result is not None
    value, (cell,) = result.summary["mfp"], result.cells
    assert cell.of == 599
    assert cell.images < 599
    assert cell.frames > 1
    assert value.full_run_low is not None
    assert value.full_run_high is not None
    assert value.full_run_high - value.full_run_low <= 0.08


def test_another_models_run_narrows_the_interval_and_is_named(tmp_path: Path, narrow: tuple[Path, Result]) -> None:
    measured(tmp_path / "other", "reference:digits/augmix")
    plain = measured(tmp_path / "plain", limit=60)
    helped = measured(tmp_path / "helped", limit=60, with_run=tmp_path / "other")
    assert helped.suite.sampled is not None
    assert "the full run of augmix" in (helped.suite.sampled.control or "")
    assert any("corrected by the full run of augmix" in note for note in helped.notes)
    width = [
        (found.full_run_high or 0.0) - (found.full_run_low or 0.0)
        for found in (plain.summary["mean_error"], helped.summary["mean_error"])
    ]
    assert width[1] < width[0]
    again = robench.evaluate(MODEL, "digits-c", out=tmp_path / "helped", limit=60, **FEW)
    assert again is not None
    assert again.summary == helped.summary  # the run keeps what it needs: the other one may be gone
    compared = robench.compare(tmp_path / "plain", tmp_path / "helped", resamples=100)
    assert compared.differences["mean_error"].value == 0.0  # the same model on the same images, both uncorrected
    assert any("compared without" in sentence for sentence in compared.sentences)


def test_the_clean_pass_corrects_where_it_is_whole(tmp_path: Path) -> None:
    measured(tmp_path / "run", corruption="clean", severity=None)
    result = measured(tmp_path / "run", limit=60)
    assert result.suite.sampled is not None
    assert result.suite.sampled.control == "the model's own clean pass"
    compared = robench.compare(tmp_path / "run", tmp_path / "run", tmp_path / "run", resamples=100)
    assert any("compared without" in sentence for sentence in compared.sentences)


def test_a_control_run_that_does_not_fit_is_refused(tmp_path: Path, narrow: tuple[Path, Result]) -> None:
    with pytest.raises(RobenchError, match="does not have all images of"):
        measured(tmp_path / "a", limit=60, with_run=narrow[0])
    measured(tmp_path / "seed", seed=1, severity=3)
    with pytest.raises(RobenchError, match="other images than digits-c has here; they differ in seed"):
        measured(tmp_path / "b", limit=60, with_run=tmp_path / "seed")
    with pytest.raises(RobenchError, match="narrower"):
        measured(tmp_path / "c", with_run=narrow[0])
    with pytest.raises(RobenchError, match="is not a run"):
        measured(tmp_path / "d", limit=60, with_run=tmp_path)


def test_a_plan_says_what_choices_take_and_give(tmp_path: Path, narrow: tuple[Path, Result]) -> None:
    words = {key: value for key, value in FEW.items() if key not in ("quiet", "resamples")}
    plan = robench.plan(MODEL, "digits-c", within=5, out=tmp_path / "none", **words)
    assert [one.choice for one in plan.amounts] == ["within=5", "within=1", "within=0.5", "within=0.25", "all images"]
    assert plan.amounts[0].full_run <= 5.0
    assert plan.images == plan.amounts[0].passes < plan.amounts[-1].passes == 5 * 599
    assert plan.amounts[-1].full_run == 0.0
    assert all(one.new_images > one.full_run for one in plan.amounts)
    seen = robench.plan(MODEL, "digits-c", within=0.8, out=narrow[0], **words)
    assert seen.seen
    assert seen.images_left == 0
    assert seen.amounts[0].full_run <= 0.8


def test_the_expected_width_is_that_of_a_sample(tmp_path: Path, narrow: tuple[Path, Result]) -> None:
    """The overlap of two cells' draws follows from their places alone: a sample of made-up answers has the same."""
    from robench.api.amounts import expectation
    from robench.suites import open_suite

    suite = open_suite("digits-c")
    expected = expectation(suite, (), None)
    assert expected is not None
    assert expected.errors(599).full_run == 0.0
    sizes = [25, 100, 300, 500]
    errors = [expected.errors(size).full_run for size in sizes]
    assert errors == sorted(errors, reverse=True)
    assert np.isfinite(errors).all()


def test_the_expected_width_takes_sets_of_their_own_images_as_such() -> None:
    """ImageNetV2's three sets are of one size, and still none is a sample of another."""
    from robench.api.amounts import expectation
    from robench.suites import OpenSuite, get

    class Three:
        """An open suite as far as its sizes go."""

        suite = replace(get("imagenet-v2"), cells=get("imagenet-v2").cells[1:])

        def total(self, cell: object) -> int:
            return 10_000

    expected = expectation(cast(OpenSuite, Three()), (), None)
    assert expected is not None
    assert expected.errors(10_000).new_images == pytest.approx((0.3 * 0.7 / 10_000 / 3) ** 0.5)
