"""Standard streams that are closed, full or left: work goes on, and lost output is one message, not a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import starting

from robench.cli.streams import printable

LIST = ["-m", "robench", "metrics"]
FEW = ["--limit", "12", "--corruption", "contrast", "--severity", "1", "--device", "cpu", "--resamples", "0"]
RUN = ["-m", "robench", "evaluate", "-m", "reference:digits/standard", "-s", "digits-c", *FEW]
full = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")


@full
def test_output_that_cannot_be_written_is_a_failure() -> None:
    with open("/dev/full", "w") as device:
        done = starting.run(LIST, stdout=device)
    assert done.returncode == 1
    assert done.stderr.startswith("robench: Could not write the output: No space left on device.")
    assert "Traceback" not in done.stderr


@full
def test_progress_that_cannot_be_written_ends_no_run(tmp_path: Path) -> None:
    with open("/dev/full", "w") as device:
        done = starting.run([*RUN, "-o", "run"], cwd=tmp_path, stderr=device)
    assert done.returncode == 0
    assert done.stdout.endswith("run: run\n")


def test_closed_streams_end_no_run(tmp_path: Path) -> None:
    script = " ".join([sys.executable, *RUN, "-o", "run", "2>&-", ">&-"])
    assert subprocess.run(["sh", "-c", script], cwd=tmp_path).returncode == 0
    assert (tmp_path / "run" / "result.json").exists()


def test_a_reader_that_has_seen_enough_is_not_an_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = starting.run(LIST, stdout=writer)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("lines", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_a_reader_that_leaves_midway_is_not_an_error(tmp_path: Path, lines: int) -> None:
    with subprocess.Popen(["head", "-n", str(lines)], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as head:
        done = starting.run([*RUN, "-o", "run"], cwd=tmp_path, stdout=head.stdin)
        head.communicate()
    assert done.returncode == 0
    assert "Traceback" not in done.stderr


def test_messages_are_shown_as_they_are() -> None:
    assert printable("a\x1b[31mb\u202ec\n d") == "a\\x1b[31mb\\u202ec\n d"
    assert printable("é ü 画像") == "é ü 画像"
    assert len(printable("x" * 5000)) < 100
