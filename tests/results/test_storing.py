"""A stored result is never replaced by a worse one, and a damaged run has none."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from robench import files
from robench.cli.main import main
from robench.errors import RobenchError
from robench.predictions import RunFolder
from robench.results import load, score_run, store


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "r"
    command = ["evaluate", "-m", "reference:digits/standard", "-s", "digits-c", "--corruption", "fog,contrast"]
    assert main([*command, "--limit", "40", "--device", "cpu", "--resamples", "50", "-o", str(out), "--quiet"]) == 0
    return out


@pytest.fixture
def run(measured: Path, tmp_path: Path) -> RunFolder:
    return RunFolder.open(shutil.copytree(measured, tmp_path / "r"))


def damage(run: RunFolder, cell: str) -> None:
    path = run.cell_path(cell)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_a_damaged_cell_is_named_and_the_result_stays(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    damage(run, "fog/3")
    before = (run.path / "result.json").read_bytes()
    with pytest.raises(RobenchError, match=r"the bytes of fog/3 do not match .*\n.*robench evaluate` again"):
        score_run(run, resamples=10)
    for command in (
        ["metrics", str(run.path)],
        ["compare", str(run.path), str(run.path)],
        ["calibrate", str(run.path)],
    ):
        assert main(command) == 2
        assert "fog/3" in capsys.readouterr().err
    assert (run.path / "result.json").read_bytes() == before


def test_a_damaged_cell_that_could_not_be_measured_again_does_not_hold_up_the_rest(run: RunFolder) -> None:
    damage(run, "fog/3")
    result = score_run(run, resamples=10, failures={"fog/3": "7.png cannot be decoded"})
    assert result.status == "partial"
    assert result.failures == ["fog/3: 7.png cannot be decoded"]


def test_a_missing_cell_does_not_make_a_complete_result_partial(
    run: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    run.cell_path("fog/3").unlink()
    before = (run.path / "result.json").read_bytes()
    assert main(["metrics", str(run.path), "--resamples", "2000"]) == 0
    printed = capsys.readouterr()
    assert "it has 11 cells, this result 10, without fog/3" in printed.err
    assert (run.path / "result.json").read_bytes() == before


def test_fewer_resamples_do_not_replace_more(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    before = load(run.path)
    assert main(["metrics", str(run.path), "--resamples", "10"]) == 0
    printed = capsys.readouterr()
    assert "its intervals are of 50 resamples, these of 10" in printed.err
    assert load(run.path) == before
    assert main(["metrics", str(run.path), "--resamples", "60"]) == 0
    assert load(run.path).statistics.resamples == 60


def test_a_result_of_other_predictions_or_an_unreadable_one_is_replaced(run: RunFolder) -> None:
    result = score_run(run, resamples=10)
    run.write("fog/3", run.read("fog/5"))
    changed = score_run(run, resamples=10)
    assert store(changed, run) is None
    assert load(run.path) == changed
    for content in (b"", b"{", b"\xff", b"[" * 5000):
        (run.path / "result.json").write_bytes(content)
        assert store(result, run) is None
        assert load(run.path) == result


def test_a_read_only_run_is_scored_and_printed(
    run: RunFolder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any, **__: Any) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(files.tempfile, "mkstemp", refused)
    assert main(["metrics", str(run.path), "--resamples", "100"]) == 0
    printed = capsys.readouterr()
    assert "mean error" in printed.out
    assert "The result was not stored. Cannot write" in printed.err
