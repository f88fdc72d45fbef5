"""A cell's file appears whole or not at all; a damaged one is found; a folder holds one run."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import pytest
from example_run import make_predictions, make_record
from hypothesis import given, settings
from hypothesis import strategies as st

from robench import unchanged
from robench.errors import RobenchError
from robench.predictions import Predictions, RunFolder, Timing, parquet

RECORD = make_record()


def assert_equal(a: Predictions, b: Predictions) -> None:
    assert a.stored().keys() == b.stored().keys()
    for name, column in a.stored().items():
        np.testing.assert_array_equal(column, b.stored()[name], strict=True)
    assert a.notes == b.notes


@settings(max_examples=15, deadline=None)
@given(n=st.integers(1, 40), classes=st.integers(1, 12), seed=st.integers(0, 99), extras=st.booleans())
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, n: int, classes: int, seed: int, extras: bool
) -> None:
    run = RunFolder.create(tmp_path_factory.mktemp("run") / "r", RECORD)
    written = make_predictions(n, classes, seed, extras=extras)
    run.write("fog/1", written)
    assert_equal(run.read("fog/1"), written)


def test_only_the_columns_that_are_needed_are_read(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "r", RECORD)
    written = make_predictions(extras=True)
    run.write("clean", written)
    found = run.read("clean", ("log_complement", "frame", "not there"))
    assert list(found.stored()) == [*list(written.stored())[:8], "log_complement", "frame"]
    np.testing.assert_array_equal(found.brier, written.brier)
    assert found.notes == written.notes
    assert run.read("clean", ()).logits is None
    np.testing.assert_array_equal(run.read("clean", ("top5",)).top5, written.top5)


@pytest.mark.parametrize("rows", [0, 1, 4, 7, 12])
def test_logits_are_read_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    """Decoded at once, the logits of 50,000 images and 1,000 classes would take a gigabyte."""
    monkeypatch.setattr(parquet, "_WIDE_ROWS", 4)
    run = RunFolder.create(tmp_path / "r", RECORD)
    written = make_predictions(rows, extras=True)
    run.write("clean", written)
    assert run.column_names("clean") == list(written.stored())
    assert_equal(run.read("clean"), written)


def test_equal_predictions_give_equal_bytes(tmp_path: Path) -> None:
    a, b = (RunFolder.create(tmp_path / name, RECORD) for name in "ab")
    assert a.write("clean", make_predictions()) == b.write("clean", make_predictions())
    assert a.cell_path("clean").read_bytes() == b.cell_path("clean").read_bytes()


def test_a_file_is_hashed_once_for_as_long_as_it_is_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[Path] = []
    real = parquet.sha256
    run = RunFolder.create(tmp_path / "r", RECORD)
    run.write("clean", make_predictions(100))
    path = run.cell_path("clean")
    monkeypatch.setattr(unchanged, "_SETTLED", -1.0)
    monkeypatch.setattr(parquet, "sha256", lambda file: hashed.append(file) or real(file))
    run.refuse_damaged()
    assert run.done() == ["clean"]
    assert len(run.read_done()["clean"]) == 100
    assert hashed == [path]
    times = path.stat()
    time.sleep(0.02)  # file systems keep times in steps of some milliseconds
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # the time of its status cannot be set back
    assert run.is_damaged("clean")
    assert run.done() == []


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "no checksum"])
def test_a_damaged_file_is_found(tmp_path: Path, damage: str) -> None:
    run = RunFolder.create(tmp_path / "r", RECORD)
    run.write("clean", make_predictions(100))
    path = run.cell_path("clean")
    data = bytearray(path.read_bytes())
    if damage == "flip":
        data[len(data) // 2] ^= 1
    elif damage == "cut":
        del data[-10:]
    elif damage == "empty":
        data.clear()
    path.write_bytes(data)
    if damage == "no checksum":
        path.with_name(path.name + ".sha256").unlink()
    assert not run.is_done("clean")
    assert run.is_damaged("clean") == (damage != "no checksum")
    with pytest.raises(RobenchError, match="damaged"):
        run.read("clean")


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"", b"\n\n", b"0" * 64, "ä".encode("latin-1")])
def test_a_damaged_checksum_is_a_damaged_cell(tmp_path: Path, content: bytes) -> None:
    run = RunFolder.create(tmp_path / "r", RECORD)
    run.write("clean", make_predictions())
    run.cell_path("clean").with_name("clean.parquet.sha256").write_bytes(content)
    assert not run.is_done("clean")
    assert RunFolder.create(tmp_path / "r", RECORD).done() == []
    with pytest.raises(RobenchError, match=r"damaged.*\n.*only this cell is measured again"):
        run.read("clean")


def test_a_folder_is_taken_up_again(tmp_path: Path) -> None:
    RunFolder.create(tmp_path / "r", RECORD).write("fog/1", make_predictions())
    assert RunFolder.create(tmp_path / "r", RECORD).done() == ["fog/1"]
    more = make_record(("snow/1",))
    assert set(RunFolder.create(tmp_path / "r", more).record.cells) == {"clean", "fog/1", "snow/1"}


def test_another_run_is_refused_and_the_difference_named(tmp_path: Path) -> None:
    RunFolder.create(tmp_path / "r", RECORD).write("fog/1", make_predictions())
    with pytest.raises(RobenchError, match=r"protocol\.seed: there 0, now 1"):
        RunFolder.create(tmp_path / "r", make_record(seed=1))


def test_a_run_in_which_nothing_was_measured_gives_its_folder_to_another(tmp_path: Path) -> None:
    """The command that failed at once is repeated with the option that its message names."""
    first = RunFolder.create(tmp_path / "r", RECORD)
    (tmp_path / "r" / "probe.json").write_text("{}")
    with first.lock("clean"), pytest.raises(RobenchError, match=r"protocol\.seed: there 0, now 1"):
        RunFolder.create(tmp_path / "r", make_record(seed=1))  # somebody is measuring
    second = RunFolder.create(tmp_path / "r", make_record(seed=1))
    assert second.record.identity.protocol["seed"] == 1
    assert not (tmp_path / "r" / "probe.json").exists()
    with pytest.raises(RobenchError, match="has become the folder of another run"):
        first.write("clean", make_predictions())
    second.write("clean", make_predictions())
    assert RunFolder.open(tmp_path / "r").done() == ["clean"]


def test_a_folder_with_other_things_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(RobenchError, match=r"thesis\.tex"):
        RunFolder.create(tmp_path, RECORD)
    with pytest.raises(RobenchError, match="is a file"):
        RunFolder.create(tmp_path / "thesis.tex", RECORD)


def test_a_torn_line_of_the_log_does_not_spoil_the_next(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "r", RECORD)
    run.log({"cell": "clean"})
    with open(run.path / "log.jsonl", "a") as file:
        file.write('{"cell": "fo')
    run.log({"cell": "fog/1"})
    lines = (run.path / "log.jsonl").read_text().splitlines()
    assert lines == ['{"cell": "clean"}', '{"cell": "fo', '{"cell": "fog/1"}']


def test_parts_that_another_process_has_joined_are_not_missed(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "r", RECORD)
    bounds = [(0, 3), (3, 6)]
    with pytest.raises(RobenchError, match="missing or damaged"):
        run.join_parts("clean", bounds)
    checksum = run.write("clean", make_predictions())
    parquet.write(run.part_path("clean", 0, 3), make_predictions(3))
    assert run.join_parts("clean", bounds) == checksum
    assert not list((run.path / "parts").glob("*.parquet*"))


def test_a_folder_removed_midway_is_said_and_not_made_again(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "r", RECORD)
    shutil.rmtree(run.path)
    for what in (
        lambda: run.lock("clean"),
        lambda: run.write("clean", make_predictions()),
        lambda: run.note_timings({"clean": Timing(seconds=1.0, images=7)}),
    ):
        with pytest.raises(RobenchError, match=r"r was removed while its cells were measured"):
            what()
    with pytest.raises(RobenchError, match="Cannot write"):
        run.log({})
    assert not run.path.exists()


def test_a_file_removed_while_it_is_written_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = RunFolder.create(tmp_path / "r", RECORD)

    def removed(path: Path) -> str:
        path.unlink()
        raise FileNotFoundError(path)

    monkeypatch.setattr(parquet, "sha256", removed)
    with pytest.raises(RobenchError, match="was removed while it was written"):
        run.write("clean", make_predictions())


def _no_locks(*_: Any, **__: Any) -> None:
    raise OSError(30, "Read-only file system")


def test_a_finished_run_on_a_read_only_disk_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = RunFolder.create(tmp_path / "r", RECORD)
    for cell in RECORD.cells:
        run.write(cell, make_predictions())
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    monkeypatch.setattr(filelock.FileLock, "acquire", _no_locks)
    opened = RunFolder.create(tmp_path / "r", RECORD)
    assert opened.done() == list(RECORD.cells)
    assert {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()} == before
    with pytest.raises(RobenchError, match=r"Cannot write .*Read-only file system"):
        RunFolder.create(tmp_path / "r", make_record(("clean", "fog/1", "snow/1")))
    with pytest.raises(RobenchError, match=r"Cannot write .*Read-only file system"):
        RunFolder.create(tmp_path / "new", RECORD)


def test_an_unfinished_run_on_a_read_only_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    RunFolder.create(tmp_path / "r", RECORD).write("clean", make_predictions())
    monkeypatch.setattr(filelock.FileLock, "acquire", _no_locks)
    with pytest.raises(RobenchError, match=r"Cannot write .*Read-only file system"):
        RunFolder.create(tmp_path / "r", RECORD)


def test_a_lock_that_is_a_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "r" / ".run.lock").mkdir(parents=True)
    with pytest.raises(RobenchError, match=r"Cannot write .*\.run\.lock"):
        RunFolder.create(tmp_path / "r", RECORD)


def test_a_run_that_is_taken_up_unchanged_is_not_written_to(tmp_path: Path) -> None:
    RunFolder.create(tmp_path / "r", RECORD)
    file = tmp_path / "r" / "run.json"
    before = file.stat()
    RunFolder.create(tmp_path / "r", RECORD)
    assert (file.stat().st_mtime_ns, file.stat().st_ino) == (before.st_mtime_ns, before.st_ino)


def test_remarks_are_those_of_the_last_call_that_opened_every_cell(tmp_path: Path) -> None:
    """The same images may be reached by another folder, of which something else is to be said."""
    for remarks in (("a: the validation split was read",), ("b: 3 files were left out",)):
        record = RunFolder.create(tmp_path / "r", RECORD.model_copy(update={"remarks": remarks})).record
    assert record.remarks == ("b: 3 files were left out",)
    assert RunFolder.open(tmp_path / "r").record.outdated == ("a: the validation split was read",)
    fewer = make_record(("clean",)).model_copy(update={"remarks": ("c: a note on clean images",)})
    record = RunFolder.create(tmp_path / "r", fewer).record
    assert record.remarks == ("b: 3 files were left out", "c: a note on clean images")  # the first may be of fog
    first = RECORD.model_copy(update={"remarks": ("a: the validation split was read",)})
    record = RunFolder.create(tmp_path / "r", first).record
    assert "a: the validation split was read" not in record.outdated


def test_timings_are_added_to_what_the_record_says_now(tmp_path: Path) -> None:
    a, b = (RunFolder.create(tmp_path / "r", RECORD) for _ in range(2))
    a.note_timings({"clean": Timing(seconds=1.5, images=7)})
    b.note_timings({"fog/1": Timing(seconds=2.0, images=7)})
    timings = RunFolder.open(tmp_path / "r").record.timings
    assert {name: timing.seconds for name, timing in timings.items()} == {"clean": 1.5, "fog/1": 2.0}
    assert RunFolder.create(tmp_path / "r", RECORD).record.timings == timings
    assert "timings" in json.loads((tmp_path / "r" / "run.json").read_text())["info"]


def test_a_cell_that_is_being_replaced_is_whole(tmp_path: Path) -> None:
    """Between a cell's new file and its checksum another process finds bytes that do not match."""
    path = tmp_path / "cell.parquet"
    for content in (b"first", b"second"):
        path.write_bytes(content)
        checksum = hashlib.sha256(content).hexdigest()
        late = threading.Timer(0.05, path.with_name(f"{path.name}.sha256").write_text, (f"{checksum}  {path.name}\n",))
        late.start()
        if content == b"first":
            late.join()
        assert parquet.is_whole(path)
    path.write_bytes(b"damaged")
    assert not parquet.is_whole(path)
