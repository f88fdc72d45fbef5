"""SIGKILL at any moment, two processes on one folder, Ctrl-C, a full disk: nothing lost, nothing double."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import random
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import filelock
import pytest
from small_suite import CELLS, SmallSuite, measure_slowly, run_bytes, small_model

from robench import files
from robench.errors import RobenchError
from robench.evaluation import EvaluationOptions, evaluate_suite
from robench.evaluation.progress import QuietProgress
from robench.predictions import RunFolder
from robench.results import score_run
from robench.suites.base import Batch, Cell

KILLS = 30
CPU = EvaluationOptions(device="cpu")


@pytest.fixture(scope="module")
def server() -> multiprocessing.context.ForkServerContext:
    """Return a server that has torch loaded and forks processes off at once."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "pyarrow.parquet", "robench.evaluation.engine", "sklearn.datasets"])
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
            process = server.Process(target=measure_slowly, args=(str(out), 0.005))
            process.start()
            process.join(chance.uniform(0.02, 0.28))
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
    log = [json.loads(line) for line in (run.path / "log.jsonl").read_text().splitlines()]
    assert [line["cell"] for line in log] == [cell.name for cell in CELLS]
    assert sum(line["seconds"] for line in log) <= time.monotonic() - began


def test_a_run_without_its_log_has_the_same_result(tmp_path: Path) -> None:
    """The log tells how it went; counts, messages, checks and speed stand with the predictions and in the record."""
    suite = SmallSuite(lost=(3, 70))
    run = evaluate_suite(small_model(), suite, tmp_path / "r", EvaluationOptions("cpu", batch_size=50)).run
    result = score_run(run, resamples=20)
    assert [cell.failed for cell in result.cells] == [2] * len(CELLS)
    assert "clean: 2 images could not be read and were omitted; the first: clean/3.png" in "\n".join(result.notes)
    assert result.run.seconds
    for content in (b"", b"null\n[1]\n\xff\xfe", None):
        (run.path / "log.jsonl").unlink(missing_ok=True)
        if content is not None:
            (run.path / "log.jsonl").write_bytes(content)
        assert score_run(RunFolder.open(run.path), resamples=20) == result


def test_a_cell_of_which_no_image_can_be_read_fails_and_the_run_goes_on(tmp_path: Path) -> None:
    """Like one whose file cannot be opened; a damaged cell among 75 must not end a night's run."""

    class Damaged(SmallSuite):
        def batches(self, cell: Cell, batch_size: int, **words: Any) -> Iterator[Batch]:
            self.lost = tuple(range(len(self.images))) if cell.name == "fog/2" else ()
            return super().batches(cell, batch_size, **words)

    outcome = evaluate_suite(small_model(), Damaged(20), tmp_path / "r", CPU)
    assert list(outcome.failures) == ["fog/2"]
    assert "None of the 20 images of cell 'fog/2' could be read; the first: fog/2/0.png" in outcome.failures["fog/2"]
    assert len(outcome.fresh) == len(CELLS) - 1
    assert evaluate_suite(small_model(), SmallSuite(20), tmp_path / "r", CPU).fresh == ["fog/2"]


class _RemovesCell(QuietProgress):
    """Removes a finished cell while others are measured."""

    def __init__(self, run: Path, times: int) -> None:
        self.path, self.left = run / "predictions" / "clean.parquet", times

    def advance(self, images: int, cell: str) -> None:
        if self.left and self.path.with_name("clean.parquet.sha256").exists():
            self.path.unlink()
            self.left -= 1


def test_a_cell_that_is_removed_while_others_are_measured_is_measured_again(tmp_path: Path) -> None:
    outcome = evaluate_suite(small_model(), SmallSuite(), tmp_path / "r", CPU, progress=_RemovesCell(tmp_path / "r", 1))
    assert outcome.run.done() == [cell.name for cell in CELLS] == outcome.fresh
    evaluate_suite(small_model(), SmallSuite(), tmp_path / "calm", CPU)
    assert run_bytes(tmp_path / "r") == run_bytes(tmp_path / "calm")


def test_a_folder_that_is_removed_while_it_is_measured_is_said(tmp_path: Path) -> None:
    class Removes(QuietProgress):
        def advance(self, images: int, cell: str) -> None:
            shutil.rmtree(tmp_path / "r", ignore_errors=True)

    with pytest.raises(RobenchError, match=r"was removed while its cells were measured|Cannot write"):
        evaluate_suite(small_model(), SmallSuite(), tmp_path / "r", CPU, progress=Removes())
    assert not (tmp_path / "r" / "run.json").exists()


def test_a_finished_run_on_a_read_only_disk_is_an_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluate_suite(small_model(), SmallSuite(), tmp_path / "r", CPU)

    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(filelock.FileLock, "acquire", refused)
    monkeypatch.setattr(files.tempfile, "mkstemp", refused)
    outcome = evaluate_suite(small_model(), SmallSuite(), tmp_path / "r", CPU)
    assert outcome.fresh == []
    assert outcome.remark is not None
    assert outcome.remark.startswith("Nothing was run")
    with pytest.raises(RobenchError, match="Read-only file system"):
        evaluate_suite(small_model(), SmallSuite(), tmp_path / "other", CPU)
