"""Progress reaches who looks, and nothing that is wrong with standard error ends a run."""

from __future__ import annotations

import errno
import io
import re
import sys
from pathlib import Path

import pytest
from small_suite import CELLS, SmallSuite, small_model

from robench.errors import worded
from robench.evaluation import EvaluationOptions, evaluate_suite, make_progress
from robench.evaluation.progress import BarProgress, LineProgress, QuietProgress, unit_of
from robench.suites import get


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
    assert re.match(r"m on s: \d+:\d\d left, fog/3, 50/100 images, \d+ images/s$", line)


def test_the_kind_of_progress_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    assert type(make_progress("x", quiet=True)) is QuietProgress
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert isinstance(make_progress("x"), BarProgress)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_a_bar_has_the_time_left_first_and_fits_the_terminal(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    progress = BarProgress("a-model-with-quite-a-long-name on cifar10-p, mFP +-0.8, to be 0.5", "frames")
    with progress:
        progress.start(2_850_000, 310_000)
        progress.advance(3_100, "gaussian_noise")
        progress._bar.refresh()
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue())
    (line,) = {part.rstrip() for part in re.split(r"[\r\n]+", plain) if "313100" in part}
    assert re.match(r"(-:--|[\d:]+) left +", line)
    assert "313100/2850000 frames, " in line
    assert len(line) <= columns
    if columns >= 80:
        assert "gaussian_noise" in line


@pytest.mark.parametrize(
    ("fresh", "said"), [(60, r"took 0:00 +.* 60/60 images, [\d,]+/s"), (0, r"done +.* 60/60 images  m$")]
)
def test_a_finished_bar_says_what_it_took(fresh: int, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    progress = BarProgress("m")
    with progress:
        progress.start(60, 60 - fresh)
        if fresh:
            progress.advance(fresh, "fog/3")
        progress._bar.refresh()
    lines = re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue()))
    finished = [line.rstrip() for line in lines if "60/60" in line]
    assert finished
    for line in finished:
        assert re.match(said, line), line


def test_a_finished_line_says_what_it_took(capsys: pytest.CaptureFixture[str]) -> None:
    progress = LineProgress("m on s", every=0.0)
    progress.start(100, 20)
    progress.advance(80, "fog/3")
    assert re.match(r"m on s: took 0:00, fog/3, 100/100 images, \d+ images/s$", capsys.readouterr().err)


@pytest.mark.parametrize(("suite", "unit"), [("digits-c", "images"), ("digits-p", "frames"), ("cifar10-sta", "passes")])
def test_what_is_counted_is_called_so(suite: str, unit: str) -> None:
    assert unit_of(get(suite)) == unit


def test_what_is_said_on_the_way_is_in_the_words_of_who_asked(capsys: pytest.CaptureFixture[str]) -> None:
    from robench.cli.main import _in_options

    text = "Cell 'fog/1' failed: 1.png cannot be decoded. Set `skip_corrupt=True` to omit such images."
    for progress in (QuietProgress(), LineProgress("t")):
        with worded(lambda said: _in_options(said, ["evaluate"])):
            progress.say(text)
        progress.say(text)
    shown = text.replace("`skip_corrupt=True`", "--skip-corrupt")
    assert capsys.readouterr().err.splitlines() == [shown, text] * 2
