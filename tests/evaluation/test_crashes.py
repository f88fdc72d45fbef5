"""SIGKILL at any moment, two processes on one folder, Ctrl-C, a full disk: nothing lost, nothing double."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import random
import signal
import time
from pathlib import Path

import pytest
from small_suite import CELLS, SmallSuite, measure_slowly, run_bytes, small_model

from robench import files
from robench.errors import RobenchError
from robench.evaluation import EvaluationOptions, evaluate_suite
from robench.evaluation.progress import QuietProgress
from robench.predictions import Predictions, RunFolder

KILLS = 30
CPU = EvaluationOptions(device="cpu")


@pytest.fixture(scope="module")
def server() -> multiprocessing.context.ForkServerContext:
    """Return a server that has torch loaded and forks processes off at once."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "pyarrow.parquet", "robench.evaluation", "sklearn.datasets"])
    return context


def test_a_run_killed_thirty_times_ends_with_the_same_bytes(
    tmp_path: Path, server: multiprocessing.context.ForkServerContext
) -> None:
    measure_slowly(str(tmp_path / "calm"), 0.0)
    calm = run_bytes(tmp_path / "calm")
    chance = random.Random(0)
    kills = rounds = 0
    while kills < KILLS:
        out = tmp_path / f"killed-{rounds}"
        rounds += 1
        while True:
            process = server.Process(target=measure_slowly, args=(str(out), 0.01))
            process.start()
            process.join(chance.uniform(0.02, 0.4))
            if process.exitcode is not None:
                assert process.exitcode == 0
                break
            assert process.pid is not None
            os.kill(process.pid, signal.SIGKILL)
            process.join()
            kills += 1
            assert kills < 20 * KILLS, "no progress between kills"
        assert run_bytes(out) == calm
    assert kills >= KILLS


def test_two_processes_share_a_run_and_do_nothing_twice(
    tmp_path: Path, server: multiprocessing.context.ForkServerContext
) -> None:
    out = tmp_path / "shared"
    processes = [server.Process(target=measure_slowly, args=(str(out), 0.05)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    measure_slowly(str(tmp_path / "calm"), 0.0)
    assert run_bytes(out) == run_bytes(tmp_path / "calm")
    measured = [json.loads(line)["cell"] for line in (out / "log.jsonl").read_text().splitlines()]
    assert sorted(measured) == sorted(cell.name for cell in CELLS)


class _StopAfter(QuietProgress):
    def __init__(self, cell: str) -> None:
        self.cell = cell

    def advance(self, images: int, cell: str) -> None:
        if cell == self.cell:
            raise KeyboardInterrupt


def test_ctrl_c_keeps_what_is_measured(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        evaluate_suite(small_model(), SmallSuite(), tmp_path / "r", CPU, progress=_StopAfter("contrast/2"))
    done = RunFolder.open(tmp_path / "r").done()
    assert done == [cell.name for cell in CELLS[: CELLS.index(next(c for c in CELLS if c.name == "contrast/2"))]]
    outcome = evaluate_suite(small_model(), SmallSuite(), tmp_path / "r", CPU)
    assert len(outcome.fresh) == len(CELLS) - len(done)


def test_a_full_disk_is_said_and_leaves_no_torn_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.fsync
    left = [9]

    def failing(descriptor: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(files.os, "fsync", failing)
    with pytest.raises(RobenchError, match=r"Cannot write .*No space left"):
        evaluate_suite(small_model(), SmallSuite(), tmp_path / "r", CPU)
    monkeypatch.setattr(files.os, "fsync", real)
    run = RunFolder.open(tmp_path / "r")
    assert not list((tmp_path / "r" / "predictions").glob("*.part"))
    done = run.done()
    evaluate_suite(small_model(), SmallSuite(), tmp_path / "r", CPU)
    evaluate_suite(small_model(), SmallSuite(), tmp_path / "calm", CPU)
    assert done
    assert run_bytes(tmp_path / "r") == run_bytes(tmp_path / "calm")


def test_a_read_only_folder_is_said(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        target = Path("/proc/robench-test")  # nobody, root included, may make folders here
    else:
        target = tmp_path / "closed" / "run"
        target.parent.mkdir(mode=0o555)
    with pytest.raises((RobenchError, OSError)):
        evaluate_suite(small_model(), SmallSuite(), target, CPU)


def test_the_log_says_how_long_each_cell_took(tmp_path: Path) -> None:
    began = time.monotonic()
    run = evaluate_suite(small_model(), SmallSuite(), tmp_path / "r", CPU).run
    log = run.read_log()
    assert [line["cell"] for line in log] == [cell.name for cell in CELLS]
    assert sum(line["seconds"] for line in log) <= time.monotonic() - began


def test_a_cell_is_in_the_log_before_it_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the count of pictures left out would be lost in a crash between the two: finished cells are not redone."""
    seen = []
    write = RunFolder.write

    def watched(run: RunFolder, cell: str, predictions: Predictions) -> str:
        seen.append([line["cell"] for line in run.read_log()][-1:] == [cell])
        return write(run, cell, predictions)

    monkeypatch.setattr(RunFolder, "write", watched)
    evaluate_suite(small_model(), SmallSuite(), tmp_path / "r", EvaluationOptions("cpu"))
    assert seen == [True] * len(CELLS)
