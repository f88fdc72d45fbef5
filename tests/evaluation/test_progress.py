"""Progress reaches who looks, and nothing that is wrong with standard error ends a run."""

from __future__ import annotations

import errno
import io
import sys
from pathlib import Path

import pytest
from small_suite import CELLS, SmallSuite, small_model

from robench.evaluation import EvaluationOptions, evaluate_suite, make_progress
from robench.evaluation.progress import BarProgress, LineProgress, QuietProgress


class Full(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def closed() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize("stream", [None, Full(), closed()])
def test_a_missing_full_or_closed_standard_error_does_not_end_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stream: io.StringIO | None, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    progress = make_progress("small")
    assert isinstance(progress, LineProgress)
    progress._every = 0.0
    outcome = evaluate_suite(small_model(), SmallSuite(40), tmp_path / "r", EvaluationOptions("cpu"), progress=progress)
    assert len(outcome.fresh) == len(CELLS)
    assert capsys.readouterr().out == ""


def test_lines_tell_cell_count_rate_and_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    progress = LineProgress("m on s", every=0.0)
    progress.start(100, 20)
    progress.advance(30, "fog/3")
    line = capsys.readouterr().err
    assert line.startswith("m on s: fog/3, 50/100 images, ")
    assert "images/s" in line
    assert line.rstrip().endswith("s left")


def test_the_kind_of_progress_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    assert type(make_progress("x", quiet=True)) is QuietProgress
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert isinstance(make_progress("x"), BarProgress)
